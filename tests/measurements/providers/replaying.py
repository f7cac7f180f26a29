"""A provider on this machine: replays what a test gives it, and notes what it was asked."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from measurements.providers.client import Access


@dataclass(frozen=True)
class Reply:
    """An answer: JSON, or bytes as they are."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0  # before it is sent
    length: int | None = None  # announced, where it is not the body's own: the connection closes before that

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Asked:
    """A request."""

    path: str
    query: dict[str, str]
    headers: Message


class Replay:
    """Answers with the replies given, one after the other, or with what a rule makes of the request."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.replies: deque[Reply] = deque()
        self.rule: Callable[[Asked], Reply] = lambda _: Reply({"error": "the test gave no more replies"}, 418)
        self.url = ""
        self._turn = threading.Lock()
        self.gone = threading.Event()

    def give(self, *replies: Reply | dict[str, Any]) -> None:
        """What to answer next."""
        self.replies.extend(reply if isinstance(reply, Reply) else Reply(reply) for reply in replies)

    def access(self, **more: Any) -> Access:
        """How to reach it, in a hurry."""
        return Access(**{"url": self.url, "backoff_s": 0.01, "read_s": 60.0, **more})

    def answer(self, address: str, headers: Message) -> Reply:
        parts = urlsplit(address)
        asked = Asked(parts.path, {key: values[-1] for key, values in parse_qs(parts.query).items()}, headers)
        with self._turn:
            self.asked.append(asked)
            return self.replies.popleft() if self.replies else self.rule(asked)


@contextmanager
def replaying() -> Iterator[Replay]:
    """A provider that listens on the loopback interface until the block ends."""
    replay = Replay()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply = replay.answer(self.path, self.headers)
            replay.gone.wait(reply.wait_s)
            with suppress(ConnectionError):  # whoever asked may have lost patience
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.raw) if reply.length is None else reply.length))
                self.end_headers()
                self.wfile.write(reply.raw)

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    replay.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield replay
    finally:
        replay.gone.set()
        server.shutdown()
        server.server_close()
        thread.join()
