"""Jobs of accounting by slurmrestd: over a unix socket, or over HTTP with a token (JWT) from a file."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from measurements.domain.units import MS_PER_S
from measurements.feeds.about import UNIX, FeedError

VERSIONS = tuple(f"v0.0.{number}" for number in range(44, 37, -1))
MOST_BYTES = 1 << 30
NOTHING = "nothing found"  # what it calls an error where no job was in a stretch of time
_PIECE = 1 << 20
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Rest:
    """Where slurmrestd is, who asks, and which version of its interface; "": the newest that it has."""

    address: str
    token_file: str = ""
    user: str = ""
    version: str = ""
    longest_s: float = 120.0

    def headers(self) -> dict[str, str]:
        """Who asks. The token is read anew each time: it expires, and somebody renews the file."""
        if not self.token_file:
            return {}
        try:
            token = Path(self.token_file).read_text(encoding="utf-8").strip().removeprefix("SLURM_JWT=")
        except (OSError, UnicodeDecodeError) as fault:
            raise FeedError(f"the token in {self.token_file} cannot be read: {fault}") from fault
        named = {"X-SLURM-USER-NAME": self.user} if self.user else {}
        return named | {"X-SLURM-USER-TOKEN": token}


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket of this machine."""

    def __init__(self, path: str, longest_s: float) -> None:
        super().__init__("localhost", timeout=longest_s)
        self.path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def by_time(rest: Rest, start_ms: int, end_ms: int, spool: Path) -> Path:
    """All jobs that waited or ran in [start, end], whatever their state; the last second is in it as for sacct."""
    times = {"start_time": f"uts{start_ms // MS_PER_S}", "end_time": f"uts{end_ms // MS_PER_S + 1}"}
    return _versions(rest, f"jobs?{urlencode(times)}", spool)


def by_id(rest: Rest, ids: list[str], spool: Path) -> Path:
    """Some jobs, whenever they were; one call each, for that is all that the interface has."""
    found: list[Any] = []
    for name in ids[:100]:
        path = _versions(rest, f"job/{quote(name, safe='')}", spool)
        found += json.loads(path.read_bytes()).get("jobs") or []
    path = spool / "rest-jobs"
    path.write_text(json.dumps({"jobs": found}), encoding="utf-8")
    return path


def _versions(rest: Rest, what: str, spool: Path) -> Path:
    for version in (rest.version,) if rest.version else VERSIONS:
        path = _get(rest, f"/slurmdb/{version}/{what}", spool / "rest")
        if path is not None:
            return path
    raise FeedError(f"{rest.address} has none of the versions {VERSIONS[-1]} to {VERSIONS[0]}: name its own in version")


def _get(rest: Rest, target: str, into: Path) -> Path | None:
    """The answer in a file; None where there is no such address."""
    try:
        with closing(_connection(rest)) as connection:
            connection.request("GET", target, headers={"Accept": "application/json", **rest.headers()})
            answer = connection.getresponse()
            size = 0
            with into.open("wb") as output:
                while piece := answer.read(_PIECE):
                    size += output.write(piece)
                    if size > MOST_BYTES:
                        raise FeedError(f"{rest.address} sent more than {MOST_BYTES >> 20} MiB: set a smaller piece_h")
    except (OSError, http.client.HTTPException) as fault:
        raise FeedError(f"{rest.address} does not answer: {fault or type(fault).__name__}") from fault
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise FeedError(f"{rest.address} answered {answer.status} {answer.reason}: {_why(into)}")
    return _judged(rest, into)


def _connection(rest: Rest) -> http.client.HTTPConnection:
    if rest.address.startswith(UNIX):
        return _UnixConnection(rest.address.removeprefix(UNIX), rest.longest_s)
    parts = urlsplit(rest.address)
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, parts.port, timeout=rest.longest_s, context=context)
    return http.client.HTTPConnection(host, parts.port, timeout=rest.longest_s)


def _judged(rest: Rest, path: Path) -> Path:
    """An answer that says of itself that something went wrong is none: its list of jobs is not all."""
    with path.open("rb") as stream:
        if not stream.read(64).lstrip().startswith(b"{"):
            raise FeedError(f"{rest.address} answered something else than JSON: {_why(path)}")
    errors = [error for error in _errors(path) if error.strip().lower() != NOTHING]
    if errors:
        raise FeedError(f"{rest.address}: {errors[0][:_SHOWN]}")
    return path


def _errors(path: Path) -> list[str]:
    try:
        said = json.loads(path.read_bytes()).get("errors") or []
    except (ValueError, AttributeError) as fault:
        raise FeedError(f"the answer breaks off or is no JSON: {fault}") from fault
    return [
        str(one.get("description") or one.get("error") or one) if isinstance(one, dict) else str(one) for one in said
    ]


def _why(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(_SHOWN).decode("utf-8", errors="replace").strip() or "nothing else"
