"""Requests to the server, and what its answers mean."""

from __future__ import annotations

import email.utils
import gzip
import http.client
import json
import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from workers.agent import VERSION
from workers.agent.settings import Settings, SettingsFault

POWER, HOLDS = "/api/v1/power", "/api/v1/gpu-holds"
LONGEST_ANSWER = 64 << 10
FASTEST = 6  # gzip level: beyond it a second of work saves a percent
NO_WAY = frozenset({400, 413, 415, 422})  # it is the body: the same body will never do
SLOWLY = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405, 410})  # somebody must do something first
UNKNOWN_NODE = "unknown node"
LONGEST_WAIT_S = 3_600.0


@dataclass(frozen=True)
class Answer:
    """What came back; status 0: nothing did."""

    status: int
    text: str = ""
    wait_s: float | None = None  # as Retry-After says

    @property
    def stored(self) -> bool:
        return 200 <= self.status < 300

    @property
    def never(self) -> bool:
        """The same body will not do, whatever anybody mends."""
        return self.status in NO_WAY and not self.nobody_knows_the_node

    @property
    def slowly(self) -> bool:
        """Somebody must mend something first."""
        return self.status in SLOWLY or self.nobody_knows_the_node

    @property
    def nobody_knows_the_node(self) -> bool:
        """All was refused because the node is not described there yet: that is mended by describing it."""
        return self.status == 422 and set(self._reasons()) == {UNKNOWN_NODE}

    @property
    def names_unknown_node(self) -> bool:
        """Whether it says that readings of the node are, or would be, refused because nobody described it."""
        return UNKNOWN_NODE in self._reasons()

    def _reasons(self) -> list[str]:
        """For what the site refused some of it."""
        refused = self.said().get("refused")
        rows = refused if isinstance(refused, list) else []
        return [str(row.get("reason", "")) if isinstance(row, dict) else "" for row in rows]

    def said(self) -> dict[str, object]:
        """Its JSON; empty where it is none."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def words(self) -> str:
        """The answer in a line for the log."""
        said = self.said()
        told = said.get("detail") or said.get("error") or self.text
        if self.status == 422 and any(reasons := self._reasons()):
            told = f"{told}: {', '.join(reasons)}"
        return f"{self.status} {str(told).strip()[:300]}" if self.status else self.text


class Wire:
    """One connection at a time; kept open while there is more to send, for shaking hands costs more than sending."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._parts = urlsplit(settings.server)
        self._context: ssl.SSLContext | None = None
        if self._parts.scheme == "https":
            self._context = ssl.create_default_context(cafile=settings.ca_file or None)
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes, kind: str) -> Answer:
        """Send a body; an error of the network is an answer too."""
        try:
            headers = {
                "Authorization": f"Bearer {self.settings.token()}",
                "Content-Type": kind,
                "Content-Encoding": "gzip",
                "User-Agent": f"joulebook-agent/{VERSION}",
            }
            return self._ask(self._parts.path.rstrip("/") + path, gzip.compress(body, FASTEST, mtime=0), headers)
        except SettingsFault as fault:
            return Answer(401, str(fault))
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer(0, f"{self._parts.netloc}: {error or type(error).__name__}")

    def _ask(self, path: str, data: bytes, headers: dict[str, str]) -> Answer:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request("POST", path, data, headers)
        response = self._connection.getresponse()
        text = response.read(LONGEST_ANSWER).decode("utf-8", "replace")
        if response.will_close or not response.isclosed():
            self.close()
        return Answer(response.status, text, _wait_s(response.getheader("Retry-After")))

    def _connect(self) -> http.client.HTTPConnection:
        host, port, timeout = self._parts.hostname or "", self._parts.port, self.settings.timeout_s
        if self._context:
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=self._context)
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def close(self) -> None:
        """Nothing more to send for now."""
        if self._connection:
            self._connection.close()
        self._connection = None


def _wait_s(said: str | None) -> float | None:
    """Retry-After: seconds, or a date."""
    if not said:
        return None
    if said.strip().isdigit():
        return min(float(said), LONGEST_WAIT_S)
    try:
        at = email.utils.parsedate_to_datetime(said).timestamp()
    except (TypeError, ValueError):
        return None
    return min(max(0.0, at - time.time()), LONGEST_WAIT_S)
