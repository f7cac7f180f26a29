"""A private Prometheus that scrapes what it is told to and writes it on, and a private node_exporter."""

from __future__ import annotations

import json
import socket
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.services.process import as_account, folder, free_port, running

SCRAPE_S = 1
_CONFIGURATION = """\
global:
  scrape_interval: {scrape_s}s
  scrape_timeout: {scrape_s}s
scrape_configs:
{jobs}
remote_write:
  - url: "{write}"
    authorization:
      credentials_file: "{secret}"
    queue_config:
      batch_send_deadline: 1s
      min_backoff: 100ms
      max_backoff: 1s
"""
_JOB = """\
  - job_name: "{name}"
    static_configs:
      - targets: ["{target}"]
        labels: {{instance: "{node}"}}
"""


@dataclass(frozen=True)
class Prometheus:
    """Where it answers."""

    port: int

    def query(self, text: str) -> list[dict[str, object]]:
        """What an instant query gives."""
        address = f"http://127.0.0.1:{self.port}/api/v1/query?{urllib.parse.urlencode({'query': text})}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            found: list[dict[str, object]] = json.load(answer)["data"]["result"]
        return found

    def own(self, metric: str) -> float:
        """A figure of its own, summed."""
        address = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(address, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{metric} ", f"{metric}{{")))


@contextmanager
def prometheus_server(program: Path, targets: Mapping[str, str], write: str, secret: str) -> Iterator[Prometheus]:
    """One that scrapes ``targets`` (node → host:port) each second and writes all on to an address with a token."""
    with folder("prometheus") as home:
        (home / "secret").write_text(secret)
        jobs = "".join(_JOB.format(name=f"job of {node}", node=node, target=one) for node, one in targets.items())
        text = _CONFIGURATION.format(scrape_s=SCRAPE_S, jobs=jobs, write=write, secret=home / "secret")
        (home / "prometheus.yml").write_text(text)
        port = free_port()
        command: list[str | Path] = [
            program,
            f"--config.file={home / 'prometheus.yml'}",
            f"--storage.tsdb.path={home / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with running(as_account(command, None), home / "log", lambda: listens(port)):
            yield Prometheus(port)


@contextmanager
def node_exporter(program: Path) -> Iterator[str]:
    """A node_exporter of this machine: host:port."""
    with folder("node-exporter") as home:
        port = free_port()
        command: list[str | Path] = [program, f"--web.listen-address=127.0.0.1:{port}"]
        with running(as_account(command, None), home / "log", lambda: listens(port)):
            yield f"127.0.0.1:{port}"


class Exporter:
    """What a tiny exporter tells at its n-th scrape, from 1."""

    def __init__(self, tell: Callable[[int], str]) -> None:
        self.tell = tell
        self.scrapes = 0


@contextmanager
def exporter(tell: Callable[[int], str]) -> Iterator[tuple[Exporter, str]]:
    """A tiny exporter, and its host:port."""
    told = Exporter(tell)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.scrapes += 1
            body = told.tell(told.scrapes).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield told, f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(holds: Callable[[], bool], seconds: float = 90.0) -> None:
    """Wait for something to hold; fail if it does not in time."""
    last = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > last:
            raise AssertionError(f"not within {seconds:.0f} s")
        time.sleep(0.2)
