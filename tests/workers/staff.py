"""Workers and beat as real processes, started by the commands of docker-compose.yml, to be killed and replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from tests.house import ROOT
from tests.services.process import as_account
from tests.workers.compose import command

PATIENCE_S = 60


@dataclass(slots=True)
class Post:
    """A place that is filled by one process at a time."""

    service: str
    name: str
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    kills: int = 0
    filled_at: datetime | None = None

    def fill(self) -> None:
        """Start a process, in a group of its own; it ends with the tests."""
        words = as_account(command(self.service), None)
        if self.service == "worker":
            words += ["--hostname", f"celery@{self.name}"]  # in containers each has a host of its own
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.filled_at = datetime.now(UTC)
            self.process = subprocess.Popen(
                words, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def wait_until_seen(self, connection: psycopg.Connection[Any]) -> None:
        """Until the process that was started last has noted that it is alive."""
        name = "beat" if self.service == "beat" else f"worker celery@{self.name}"
        query = "SELECT at FROM measurements_heartbeat WHERE name = %s AND at > %s"
        limit = time.monotonic() + PATIENCE_S
        while connection.execute(query, [name, self.filled_at]).fetchone() is None:
            assert time.monotonic() < limit, f"{self.name} never came to work:\n{self.log()}"
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL for the process and all it started."""
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} ended by itself:\n{self.log()}"
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        self.kills += 1

    def dismiss(self) -> None:
        """A warm shutdown; whoever doesn't follow is killed."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE_S)
            raise

    def log(self) -> str:
        """What its processes said."""
        return (self.folder / f"{self.name}.log").read_text(errors="replace")
