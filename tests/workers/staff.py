"""Workers and beat as real processes, run by the commands of docker-compose.yml, to be killed and replaced."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from tests.workers.compose import command
from tests.workers.warm import Warm

PATIENCE_S = 180


@dataclass(slots=True)
class Post:
    """A place that is filled by one process at a time."""

    service: str
    name: str
    folder: Path
    warm: Warm
    pid: int = 0
    kills: int = 0
    filled_at: datetime | None = None

    def fill(self) -> None:
        """Start a process, in a group of its own; it ends with the tests."""
        words = command(self.service)
        if self.service == "worker":
            words += ["--hostname", f"celery@{self.name}"]  # in containers each has a host of its own
        self.filled_at = datetime.now(UTC)
        self.pid = self.warm.start(words, self.folder / f"{self.name}.log")

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
        assert self.runs(), f"{self.name} ended by itself:\n{self.log()}"
        os.killpg(self.pid, signal.SIGKILL)
        assert self.ends(), f"{self.name} can't be killed"
        self.kills += 1

    def dismiss(self) -> None:
        """A warm shutdown; whoever doesn't follow is killed."""
        if not self.runs():
            return
        os.kill(self.pid, signal.SIGTERM)
        if not self.ends():
            os.killpg(self.pid, signal.SIGKILL)
            raise AssertionError(f"{self.name} stays:\n{self.log()}")

    def runs(self) -> bool:
        """Whether its process is there."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, 0)
            return self.pid > 0
        return False

    def ends(self) -> bool:
        """Whether it is gone after a while."""
        limit = time.monotonic() + PATIENCE_S
        while self.runs() and time.monotonic() < limit:
            time.sleep(0.01)
        return not self.runs()

    def log(self) -> str:
        """What its processes said."""
        return (self.folder / f"{self.name}.log").read_text(errors="replace")
