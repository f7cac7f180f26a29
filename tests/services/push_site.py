"""A site that is pushed to: gunicorn as `make run` starts it, killed and started again, its disk full for a while."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.services.demo_site import OURS, ROOT, answers
from tests.services.process import as_account, folder, free_port
from tests.services.tables import sqlite_tables

SECONDS = 180.0
THREADS = 16
CLUSTER = "bench"


@dataclass
class PushSite:
    """Its address, its folder, its process."""

    var: Path
    port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    processes: int = 1
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://localhost:{self.port}"

    def environment(self) -> dict[str, str]:
        """That of all its processes."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return (
            kept
            | {
                "DJANGO_SETTINGS_MODULE": "portal.settings",
                "JOULEBOOK_SITE_URL": self.address,
                "JOULEBOOK_VAR": str(self.var),
            }
            | self.settings
        )

    def manage(self, *words: str, stdin: str | None = None) -> str:
        """A command of the site; what it prints."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment(), capture_output=True, text=True, check=False, input=stdin
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} failed:\n{done.stderr[-2_000:]}")
        return done.stdout

    def prepare(self, nodes: Sequence[str], cluster: str = CLUSTER) -> str:
        """Tables, a cluster of nodes, and a token: its secret. A DATABASE_URL brings its own tables."""
        if "DATABASE_URL" not in self.settings:
            sqlite_tables(self.var / "joulebook.sqlite3")
        self.load_nodes(nodes, cluster)
        told: dict[str, Any] = json.loads(self.manage("token", "add", "agents", "--cluster", cluster, "--json"))
        return str(told["secret"])

    def load_nodes(self, nodes: Sequence[str], cluster: str) -> None:
        """A cluster of nodes."""
        table = "node,node_type,cpus,gpus\n" + "".join(f"{name},big,64,4\n" for name in nodes)
        self.manage("load_nodes", "-", "--cluster", cluster, stdin=table)

    def start(self) -> None:
        """Serve; comes back when it answers."""
        server = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{self.port}", "--threads", str(THREADS)]
        server += ["--workers", str(self.processes), "--no-control-socket", "portal.wsgi"]
        command = as_account(server, None)
        with (self.var / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=ROOT, env=self.environment(), start_new_session=True
            )
        last = time.monotonic() + SECONDS
        while not answers(self.address):
            if self.process.poll() is not None or time.monotonic() > last:
                raise RuntimeError(f"it does not answer:\n{self.log()[-2_000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """As a power cut would, the server and its workers."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As systemd would."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        self.process.wait(SECONDS)
        self.process = None

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """No file takes another byte from it; as on a full disk each write fails, and reading goes on."""
        for pid in self.workers():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        try:
            yield
        finally:
            for pid in self.workers():
                with suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def workers(self) -> list[int]:
        """The processes that serve."""
        if self.process is None:
            return []
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def resident_mib(self) -> float:
        """Memory of the serving process that nobody shares [MiB]."""
        kib = 0
        for pid in self.workers():
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            kib += sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:",)))
        return kib / 1024

    def log(self) -> str:
        """What it said."""
        return (self.var / "server.log").read_text(errors="replace")


@contextmanager
def push_site(processes: int = 1, **settings: str) -> Iterator[PushSite]:
    """A site in a folder that goes, not started yet."""
    with folder("push") as var:
        site = PushSite(var, settings=settings, processes=processes)
        try:
            yield site
        finally:
            site.stop()
