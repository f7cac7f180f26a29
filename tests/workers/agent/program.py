"""The agent as a process, on a node that is played."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.workers.agent import tree
from tests.workers.agent.driver import Driver
from tests.workers.agent.receiver import TOKEN

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 120.0
MODULE = (sys.executable, "-m", "workers.agent")


@dataclass
class Node:
    """Folders of a node and the settings of its agent."""

    folder: Path
    driver: Driver
    settings: dict[str, str]

    @property
    def sysfs(self) -> Path:
        return self.folder / "sys"

    def configure(self) -> Path:
        """The settings as a file."""
        path = self.folder / "agent.ini"
        lines = [f"{name} = {value}" for name, value in self.settings.items()]
        path.write_text("\n".join(["[agent]", *lines]) + "\n", encoding="utf-8")
        return path

    def run(self, *arguments: str, program: Sequence[str] = MODULE) -> subprocess.CompletedProcess[str]:
        """Run the agent to its end."""
        command = [*program, "--config", str(self.configure()), *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment(), capture_output=True, text=True, timeout=SECONDS, check=False
        )

    def environment(self) -> Mapping[str, str]:
        return self.driver.environment()

    def log(self) -> str:
        """What it said."""
        return (self.folder / "agent.log").read_text(encoding="utf-8")

    @contextmanager
    def running(self, program: Sequence[str] = MODULE) -> Iterator[subprocess.Popen[bytes]]:
        """The agent at work; whoever wants it to end otherwise than by SIGTERM ends it before."""
        command = [*program, "--config", str(self.configure())]
        with (self.folder / "agent.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=self.environment(), stdout=log, stderr=log)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(SECONDS)


def node(folder: Path, driver: Driver, server: str, **settings: str) -> Node:
    """A node with two sockets and the driver's GPUs; no BMC."""
    (folder / "token").write_text(TOKEN, encoding="ascii")
    tree.two_sockets(folder / "sys")
    said = {"server": server, "token_file": str(folder / "token"), "node": "n1", "interval_s": "0.1"}
    said |= {"send_every_s": "1", "timeout_s": "60", "state": str(folder / "state"), "sysfs": str(folder / "sys")}
    said |= {"procfs": str(folder / "proc"), "devices": str(folder / "dev")}
    return Node(folder, driver, said | settings)


def wait_until(done: object, seconds: float = SECONDS) -> None:
    """Until ``done()`` is true."""
    assert callable(done)
    last = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < last, "it did not come to pass"
        time.sleep(0.05)
