"""Asks one BMC by Redfish: over one connection, one request after the other, each answer bounded.

A redirection is not followed and a link never leaves the BMC: whoever answers can't send the password elsewhere.
"""

from __future__ import annotations

import email.utils
import json
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from measurements.feeds.bmc import AskError, Login
from measurements.feeds.bmc_round import Leash
from measurements.peers import wait_s

Json = dict[str, Any]
ROOT = "/redfish/v1/"
SESSIONS = "/redfish/v1/SessionService/Sessions"
MOST_BYTES = 4 << 20
AFTER_REFUSAL_S = 600.0  # BMCs lock whoever knocks with a wrong password
CONNECT_S = 5.0
_PIECE = 65_536
_REASONS = {
    401: "user or password is wrong (401); asked again in 10 minutes, so that nobody is locked out",
    403: "this user may not read it (403)",
}


class NotThere(AskError):
    """It has no such resource."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Whose certificates are trusted: the machine's, those of a file, or anybody's (``insecure``)."""

    ca_file: str = ""
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """For all BMCs of a round: making one takes longer than a request."""
        try:
            made = ssl.create_default_context(cafile=self.ca_file or None)
        except (OSError, ssl.SSLError) as fault:
            raise AskError(f"the certificates in {self.ca_file} cannot be read: {fault}") from fault
        if self.insecure:
            made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        return made


class _Plain(HTTPConnection):
    leash: Leash

    def connect(self) -> None:
        super().connect()
        self.leash.hold(lambda: _shut(self.sock))


class _Secure(HTTPSConnection):
    leash: Leash

    def connect(self) -> None:
        super().connect()
        self.is_verified = True  # or the operator said that it need not be: no warning with each request
        self.leash.hold(lambda: _shut(self.sock))


def _shut(sock: socket.socket | None) -> None:
    """Have a thread that waits for this socket see its end."""
    if sock is not None:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


class Client:
    """One BMC, from login to logout."""

    def __init__(
        self,
        address: str,
        login: Login,
        leash: Leash,
        context: ssl.SSLContext,
        *,
        sessions: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.address, self.login, self.leash, self.clock = address, login, leash, clock
        self.skew_s: float | None = None  # how far its clock is ahead, by the header Date
        self.asked_ms = 0  # the middle of the last request
        self.requests = 0
        self._pool = _pool(address, leash, context)
        self._headers = {"Accept": "application/json", "OData-Version": "4.0", "User-Agent": "joulebook"}
        self._session = ""
        if sessions and login.user:
            self._begin()
        elif login.user:
            self._headers |= urllib3.make_headers(basic_auth=f"{login.user}:{login.password}")

    def get(self, path: str) -> Json:
        """A resource. Raises `NotThere` where there is none, `AskError` for all else."""
        return self._call("GET", path)[0]

    def close(self) -> None:
        """Log out and hang up."""
        if self._session:
            with suppress(AskError):
                self._call("DELETE", self._session)
        self._pool.close()

    def _begin(self) -> None:
        """A session: one login for all requests; ended by `close`."""
        said = {"UserName": self.login.user, "Password": self.login.password}
        _, headers = self._call("POST", SESSIONS, said)
        token, place = headers.get("X-Auth-Token"), headers.get("Location", "")
        if not token:
            raise AskError("it made a session without a token: say auth=basic")
        self._headers["X-Auth-Token"] = token
        self._session = urlsplit(place).path

    def _call(self, method: str, path: str, said: Json | None = None) -> tuple[Json, urllib3.HTTPHeaderDict]:
        if not path.startswith("/redfish/"):
            raise AskError(f"it names {path[:80]!r}, which is no resource of its own")
        timeout = urllib3.Timeout(connect=min(CONNECT_S, self.leash.left_s()), read=self.leash.left_s())
        began = self.clock()
        self.requests += 1
        try:
            answer = self._pool.urlopen(
                method, path, body=None if said is None else json.dumps(said), timeout=timeout, retries=False,
                headers=self._headers | ({} if said is None else {"Content-Type": "application/json"}),
                redirect=False, preload_content=False, assert_same_host=False,
            )  # fmt: skip
            body = _body(answer, self.leash)
            self.leash.left_s()  # an answer that was cut may look like a whole one
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as fault:
            self.leash.left_s()  # where its time is over, that is the reason
            raise AskError(_in_words(fault)) from None
        self.asked_ms = round(500 * (began + self.clock()))
        self._note_clock(answer.headers.get("Date", ""))
        return _judged(answer, body, path, empty=method != "GET"), answer.headers

    def _note_clock(self, date: str) -> None:
        with suppress(TypeError, ValueError):
            half_a_second = 0.5  # the header counts whole ones
            told_s = email.utils.parsedate_to_datetime(date).timestamp() + half_a_second
            self.skew_s = told_s - self.asked_ms / 1_000


def _pool(address: str, leash: Leash, context: ssl.SSLContext) -> urllib3.HTTPConnectionPool:
    """For one connection, whose socket the leash can shut."""
    parts = urlsplit(address)
    kind: type[_Plain | _Secure] = _Secure if parts.scheme == "https" else _Plain

    def connection(**about: Any) -> HTTPConnection:
        made = kind(**about)
        made.leash = leash
        return made

    pool: urllib3.HTTPConnectionPool
    if kind is _Secure:
        pool = urllib3.HTTPSConnectionPool(parts.hostname or "", parts.port, maxsize=1, ssl_context=context)
    else:
        pool = urllib3.HTTPConnectionPool(parts.hostname or "", parts.port, maxsize=1)
    pool.ConnectionCls = connection  # type: ignore[assignment]
    return pool


def _body(answer: urllib3.BaseHTTPResponse, leash: Leash) -> bytes:
    parts, size = [], 0
    try:
        while part := answer.read1(_PIECE, decode_content=True):
            parts.append(part)
            size += len(part)
            leash.left_s()
            if size > MOST_BYTES:
                raise AskError(f"it answers with more than {MOST_BYTES >> 20} MiB")
    except BaseException:
        answer.close()
        raise
    answer.release_conn()
    return b"".join(parts)


def _judged(answer: urllib3.BaseHTTPResponse, body: bytes, path: str, *, empty: bool) -> Json:
    if answer.status == 404:
        raise NotThere(f"it has no {path[:200]}")
    if answer.status in (401, 403):
        raise AskError(_REASONS[answer.status], AFTER_REFUSAL_S if answer.status == 401 else None)
    if answer.status not in (200, 201, 202, 204):
        told = "redirects elsewhere, which is not followed" if 300 <= answer.status < 400 else "answered"
        raise AskError(f"{told} ({answer.status}): {path[:200]}", wait_s(answer))
    if empty and not body.strip():
        return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise AskError(f"{path[:200]} is no JSON") from None
    if not isinstance(found, dict):
        raise AskError(f"{path[:200]} is no Redfish resource")
    return found


def _in_words(fault: Exception) -> str:
    reason = getattr(fault, "reason", None) or fault
    if isinstance(fault, AskError):
        return str(fault)
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return "its name is not known here"
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return "no connection: refused or unreachable"
    if isinstance(reason, (urllib3.exceptions.TimeoutError, TimeoutError)):
        return "no answer in time"
    if isinstance(reason, (urllib3.exceptions.SSLError, ssl.SSLError)):
        return "its certificate is not trusted, or TLS failed: name its authority in ca_file"
    if isinstance(reason, (urllib3.exceptions.ProtocolError, OSError)):
        return "the connection broke off in the middle of the answer"
    return type(reason).__name__
