"""Private ones: a Prometheus that scrapes, writes on or holds a history, VictoriaMetrics, vmagent, node_exporter."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

from tests.services.process import as_account, folder, free_port, running

SCRAPE_S = 1
_CONFIGURATION = """\
global:
  scrape_interval: {scrape_s}s
  scrape_timeout: {scrape_s}s
scrape_configs:
{jobs}
"""
_WRITE = """\
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
        with urllib.request.urlopen(address, timeout=60) as answer:
            found: list[dict[str, object]] = json.load(answer)["data"]["result"]
        return found

    def own(self, metric: str) -> float:
        """A figure of its own, summed."""
        address = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(address, timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{metric} ", f"{metric}{{")))


@contextmanager
def prometheus_server(
    program: Path,
    targets: Mapping[str, str],
    write: str = "",
    secret: str = "",
    home: Path | None = None,
    port: int = 0,
    flags: Sequence[str] = (),
) -> Iterator[Prometheus]:
    """One that scrapes ``targets`` (node → host:port) each second and writes all on to an address with a token.

    With ``home``, a folder of the caller's, it finds what it had there before.
    """
    if home is None:
        with (
            folder("prometheus") as own,
            prometheus_server(program, targets, write, secret, own, port, flags) as server,
        ):
            yield server
        return
    jobs = "".join(_JOB.format(name=f"job of {node}", node=node, target=one) for node, one in targets.items())
    text = _CONFIGURATION.format(scrape_s=SCRAPE_S, jobs=jobs if jobs else "  []\n")
    if write:
        (home / "secret").write_text(secret)
        text += _WRITE.format(write=write, secret=home / "secret")
    (home / "prometheus.yml").write_text(text)
    port = port or free_port()
    command: list[str | Path] = [
        program,
        f"--config.file={home / 'prometheus.yml'}",
        f"--storage.tsdb.path={home / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        *flags,
    ]
    with running(as_account(command, None), home / "log", lambda: _is_ready(port)):
        yield Prometheus(port)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


Series = Mapping[tuple[str, tuple[tuple[str, str], ...]], Sequence[tuple[int, float]]]  # (metric, labels) → (ms, value)


def as_openmetrics(series: Series) -> str:
    """Series as OpenMetrics text, which promtool makes blocks of."""
    lines: list[str] = []
    metrics: dict[str, list[str]] = {}
    for (metric, labels), samples in series.items():
        inside = ",".join(f'{name}="{value}"' for name, value in labels)
        metrics.setdefault(metric, []).extend(f"{metric}{{{inside}}} {v!r} {ms / 1000:.3f}" for ms, v in samples)
    for metric, rows in metrics.items():
        lines += [f"# TYPE {metric} unknown", *rows]
    return "\n".join([*lines, "# EOF", ""])


def backfill(program: Path, series: Series, home: Path) -> None:
    """A history for a Prometheus that is not running, by the promtool beside its program."""
    (home / "history").write_text(as_openmetrics(series))
    command: list[str | Path] = [program.with_name("promtool"), "tsdb", "create-blocks-from", "openmetrics"]
    done = subprocess.run([*command, home / "history", home / "data"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)


def as_export(series: Series) -> bytes:
    """Series as the JSON lines that VictoriaMetrics imports and exports."""
    lines = [
        {"metric": {"__name__": metric, **dict(labels)}, "values": [v for _, v in samples],
         "timestamps": [ms for ms, _ in samples]}
        for (metric, labels), samples in series.items()
    ]  # fmt: skip
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@contextmanager
def victoria_metrics(program: Path, *flags: str) -> Iterator[int]:
    """A VictoriaMetrics: its port."""
    with folder("victoria-metrics") as home:
        port = free_port()
        command: list[str | Path] = [
            program,
            f"-storageDataPath={home / 'data'}",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-retentionPeriod=100y",
            "-loggerLevel=ERROR",
            *flags,
        ]
        with running(as_account(command, None), home / "log", lambda: listens(port)):
            yield port


@contextmanager
def vmagent(program: Path, targets: Mapping[str, str], write: str, secret: str) -> Iterator[Prometheus]:
    """A vmagent that scrapes ``targets`` each second and writes all on to an address with a token."""
    with folder("vmagent") as home:
        port, jobs = (
            free_port(),
            [_JOB.format(name=f"job of {node}", node=node, target=targets[node]) for node in targets],
        )
        (home / "scrape.yml").write_text(_CONFIGURATION.format(scrape_s=SCRAPE_S, jobs="".join(jobs)))
        (home / "secret").write_text(secret)
        command: list[str | Path] = [
            program,
            f"-promscrape.config={home / 'scrape.yml'}",
            f"-httpListenAddr=127.0.0.1:{port}",
            f"-remoteWrite.url={write}",
            f"-remoteWrite.bearerTokenFile={home / 'secret'}",
            f"-remoteWrite.tmpDataPath={home / 'waiting'}",
        ]
        with running(as_account(command, None), home / "log", lambda: listens(port)):
            yield Prometheus(port)


def fill(port: int, series: Series) -> None:
    """Have a VictoriaMetrics hold series, to be asked for at once."""
    for path, body in (("/api/v1/import", as_export(series)), ("/internal/force_flush", b"")):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.request("POST", path, body)
            answer = connection.getresponse()
            assert answer.status < 300, answer.read()


@contextmanager
def node_exporter(program: Path) -> Iterator[str]:
    """A node_exporter of this machine: host:port."""
    with folder("node-exporter") as home:
        port = free_port()
        command: list[str | Path] = [program, f"--web.listen-address=127.0.0.1:{port}"]
        with running(as_account(command, None), home / "log", lambda: listens(port)):
            yield f"127.0.0.1:{port}"


class Exporter:
    """What a tiny exporter tells at its n-th scrape, from 1.

    ``unsure`` are the scrapes of which it does not know whether they arrived: who scrapes gives up after a second, and
    a busy machine may need longer; it uses a connection again only where it has read the answer to its end.
    """

    def __init__(self, tell: Callable[[int], str]) -> None:
        self.tell = tell
        self.scrapes = 0
        self.unsure: set[int] = set()
        self._lock = Lock()

    def answer(self, before: int) -> tuple[int, bytes]:
        """The number and the text of the next scrape; ``before`` was the last one on its connection, 0 if none was."""
        with self._lock:
            self.scrapes += 1
            self.unsure = (self.unsure - {before}) | {self.scrapes}
            return self.scrapes, self.tell(self.scrapes).encode()


@contextmanager
def exporter(tell: Callable[[int], str]) -> Iterator[tuple[Exporter, str]]:
    """A tiny exporter, and its host:port."""
    told = Exporter(tell)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # the connection stays
        number = 0

        def do_GET(self) -> None:
            self.number, body = told.answer(self.number)
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


def wait_until(holds: Callable[[], bool], seconds: float = 240.0) -> None:
    """Wait for something to hold; fail if it does not in time."""
    last = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > last:
            raise AssertionError(f"not within {seconds:.0f} s")
        time.sleep(0.2)
