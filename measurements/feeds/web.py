"""One bounded HTTP request whose answer goes into a file: only where it was sent, never larger or slower than said.

A redirection is not followed, for it would carry the token to another host. No error's text holds a token or password.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import urllib3

from measurements.feeds.about import FeedError
from measurements.peers import USER_AGENT, cause_of, in_words, wait_s

CONNECT_S = 10.0
_CHUNK = 1 << 16
_SHOWN = 300
Fields = Iterable[tuple[str, str]]


class TooLarge(FeedError):
    """The answer is too large or takes too long: a smaller part may be had."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where something answers, who asks, how much and how long it may be; secrets are files, read anew each time."""

    address: str
    token_file: str = ""
    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    tenant: str = ""  # of Mimir, Cortex, Thanos
    longest_s: float = 120.0
    most_bytes: int = 256 << 20

    def headers(self) -> dict[str, str]:
        """Who asks."""
        said = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"}
        if self.tenant:
            said["X-Scope-OrgID"] = self.tenant
        if self.token_file:
            said["Authorization"] = f"Bearer {secret(self.token_file)}"
        elif self.user:
            both = f"{self.user}:{secret(self.password_file)}"
            said["Authorization"] = f"Basic {b64encode(both.encode()).decode()}"
        return said

    def pool(self) -> urllib3.PoolManager:
        """Connections, directly: no proxy stands between a site and its monitoring."""
        return urllib3.PoolManager(
            cert_reqs="CERT_REQUIRED",
            ca_certs=self.ca_file or None,
            cert_file=self.cert_file or None,
            key_file=self.key_file or None,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    path: Path
    wait_s: float | None  # what Retry-After says

    def start(self, size: int = _SHOWN) -> str:
        """How it begins, for an error's text."""
        with self.path.open("rb") as stream:
            return " ".join(stream.read(size).decode("utf-8", errors="replace").split())


def secret(path: str) -> str:
    """The one line of a file that holds a token or password."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise FeedError(f"{path} cannot be read: {fault}") from fault
    if not text or not text.isprintable() or not text.isascii():
        raise FeedError(f"{path} holds no token or password: one line of plain text is expected")
    return text


def ask(site: Site, method: str, target: str, fields: Fields, into: Path) -> Answer:
    """Send fields to a path below the site's address and keep what it answers; raises `TooLarge`, `FeedError`."""
    address, body, headers = site.address.rstrip("/") + target, urlencode(list(fields)), site.headers()
    if method == "GET":
        address, body = f"{address}?{body}", ""
    else:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    timeout = urllib3.Timeout(connect=CONNECT_S, read=site.longest_s)
    until = time.monotonic() + site.longest_s
    try:
        with site.pool() as pool, closing(
            pool.request(
                method, address, body=body or None, headers=headers, timeout=timeout, retries=False, redirect=False,
                preload_content=False,
            )
        ) as answer:  # fmt: skip
            _keep(site, answer, into, until)
            status, after_s = answer.status, wait_s(answer)
    except urllib3.exceptions.ReadTimeoutError as fault:
        raise TooLarge(f"{site.address}: no answer within {site.longest_s:g} s") from fault
    except (urllib3.exceptions.HTTPError, OSError) as fault:
        raise FeedError(f"{site.address}: {_in_words(fault)}") from fault
    if 300 <= status < 400:
        raise FeedError(f"{site.address} sends elsewhere (HTTP {status}), which is not followed: give its own address")
    return Answer(status, into, after_s)


def _keep(site: Site, answer: urllib3.BaseHTTPResponse, into: Path, until: float) -> None:
    """The body, unpacked."""
    size = 0
    with into.open("wb") as output:
        while part := answer.read1(_CHUNK, decode_content=True):
            size += output.write(part)
            if size > site.most_bytes:
                raise TooLarge(f"{site.address}: the answer is larger than {site.most_bytes >> 20} MiB")
            if time.monotonic() > until:
                raise TooLarge(f"{site.address}: the answer took longer than {site.longest_s:g} s")


def _in_words(fault: Exception) -> str:
    cause = cause_of(fault)
    if isinstance(cause, urllib3.exceptions.SSLError):
        return f"{in_words(fault)} (ca_file names its authority)"
    return f"{type(cause).__name__}: {cause}" if isinstance(cause, OSError) else in_words(fault)
