"""How long what is sent may hold threads of the web process: none comes below 1 KiB/s, and few uploads at once.

Under gunicorn the body is read from the socket by whoever handles the request: a sender that stops half-way would hold
its thread for ever. Of a server that reads bodies in another way nothing is bounded here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

AT_ONCE = 4  # of one process: half of the threads of `make run`
SLOWEST_BYTES_PER_S = 1024
_slots = threading.BoundedSemaphore(AT_ONCE)


class Patience:
    """Stands in for a socket while a body is read, and gives up on a sender that is too slow."""

    def __init__(self, sock: Any, seconds: float) -> None:
        self._sock = sock
        self._seconds = seconds
        self._since = time.monotonic()
        self._came = 0
        self.ended = False

    def recv(self, size: int) -> bytes:
        """What comes next; TimeoutError after the seconds with too little."""
        before = self._sock.gettimeout()
        left = self._since + self._seconds - time.monotonic()
        try:
            self._sock.settimeout(max(left, 0.001))
            piece: bytes = self._sock.recv(size)
        except TimeoutError:
            self.ended = True
            raise
        finally:
            self._sock.settimeout(before)
        self._came += len(piece)
        if self._came >= SLOWEST_BYTES_PER_S * self._seconds:  # enough for this while: another one begins
            self._since, self._came = time.monotonic(), 0
        return piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


@contextmanager
def patience_with(environ: dict[str, Any], seconds: float) -> Iterator[Patience | None]:
    """End a request of whose body less than 1 KiB/s came for so long; None where the server reads it otherwise."""
    unreader: Any = getattr(getattr(environ.get("wsgi.input"), "reader", None), "unreader", None)
    sock = getattr(unreader, "sock", None)
    if not hasattr(sock, "recv"):
        yield None
        return
    unreader.sock = patience = Patience(sock, seconds)
    try:
        yield patience
    finally:
        unreader.sock = sock


@contextmanager
def place_for_one() -> Iterator[bool]:
    """Whether another upload may come in now; its place is free again at the end."""
    taken = _slots.acquire(blocking=False)
    try:
        yield taken
    finally:
        if taken:
            _slots.release()
