"""A server that takes what the agent sends, remembers it, and answers as it is told."""

from __future__ import annotations

import csv
import gzip
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "jb_of-a-test"


@dataclass(frozen=True)
class Sent:
    """A request."""

    path: str
    kind: str
    token: str
    body: bytes

    def samples(self) -> list[tuple[str, str, str]]:
        """Time, channel with its unit, value: as text where it came as text."""
        if self.kind == "application/json":
            found = json.loads(self.body).get("samples", [])
            return [(f"{s['timestamp']:.3f}", *_value(s)) for s in found]
        rows = csv.DictReader(io.StringIO(self.body.decode()))
        return [
            (row["timestamp"], column, value)
            for row in rows
            for column, value in row.items()
            if value and column not in ("timestamp", "node")
        ]


def _value(sample: dict[str, Any]) -> tuple[str, str]:
    unit = "joules" if "joules" in sample else "watts"
    return f"{sample['channel']}_{unit[0]}", str(sample[unit])


@dataclass
class Receiver:
    """What came, and what is answered next; with nothing told, 200."""

    address: str
    sent: list[Sent] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], str]] = field(default_factory=list)  # used up one by one
    always: tuple[int, dict[str, str], str] = (200, {}, '{"stored": 1, "duplicates": 0, "refused": []}')
    stored: list[Sent] = field(default_factory=list)  # those that were answered with 200
    came: threading.Condition = field(default_factory=threading.Condition)

    def power(self) -> list[tuple[str, str, str]]:
        """All samples that were stored."""
        return [sample for one in self.stored if one.path.endswith("/power") for sample in one.samples()]

    def wait_for(self, requests: int, seconds: float = 120.0) -> None:
        """Until so many requests were stored."""
        with self.came:
            done = self.came.wait_for(lambda: len(self.stored) >= requests, seconds)
        assert done, f"{len(self.stored)} of {requests} requests came"


@contextmanager
def receiver() -> Iterator[Receiver]:
    """One on a port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            data = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
            one = Sent(self.path, self.headers["Content-Type"], self.headers["Authorization"].split()[-1], data)
            with here.came:
                here.sent.append(one)
                status, headers, text = here.answers.pop(0) if here.answers else here.always
                if status == 200:
                    here.stored.append(one)
                here.came.notify_all()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test's own output is enough."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
