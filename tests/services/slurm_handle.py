"""A running private Slurm, as tests use it: commands, jobs, accounting that goes away and comes back."""

from __future__ import annotations

import getpass
import os
import secrets
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.services.process import Account, as_account, running

CLUSTER = "tiny"
NODES = ("n1", "n2", "n3", "n4")
CALL_S = 180.0  # the longest a command may take
SECONDS = 240.0  # the longest a daemon may take to start, or a job to begin, on a busy machine


class SlurmFailedError(RuntimeError):
    """A command of Slurm that failed, with what it said."""


@dataclass
class Slurm:
    """A running cluster: where its configuration lies, and who runs it."""

    home: Path
    account: Account | None
    sbin: Path
    ports: dict[str, int]
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    dbd: ExitStack = field(default_factory=ExitStack)

    @property
    def conf(self) -> Path:
        """Its slurm.conf."""
        return self.home / "slurm.conf"

    @property
    def rest(self) -> Path:
        """The socket of its REST interface."""
        return self.home / "rest"

    @property
    def user(self) -> str:
        """Whose jobs they are."""
        return self.account.pw_name if self.account else getpass.getuser()

    @property
    def environment(self) -> dict[str, str]:
        """What Slurm's commands need; nothing of a Slurm around the tests."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH"))}
        return inherited | {"SLURM_CONF": str(self.conf), "TZ": "UTC", "HOME": str(self.home)}

    def call(self, *command: str | Path, check: bool = True) -> str:
        """What a command prints, run as the cluster's account."""
        done = subprocess.run(
            as_account(command, self.account), cwd=self.home, env=self.environment, capture_output=True, text=True,
            timeout=CALL_S, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise SlurmFailedError(f"{command}: {done.stdout[-1_000:]}{done.stderr[-1_000:]}")
        return done.stdout

    def submit(self, *options: str, script: str = "true") -> str:
        """The id of a new batch job."""
        return self.call("sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={script}").strip()

    def state(self, job: str) -> str:
        """What the controller says of a job."""
        return self.call("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}", check=False).strip()

    def wait(self, job: str, *states: str, seconds: float = CALL_S) -> None:
        """Until all parts of a job are in one of some states."""
        until(lambda: set(self.state(job).split()) <= set(states) and self.state(job) != "", seconds, f"{job} {states}")

    def sacct(self, *options: str) -> str:
        """What accounting says of all jobs."""
        return self.call("sacct", "--allusers", "--parsable2", "--noheader", "--starttime=2020-01-01", *options)

    def end_jobs(self) -> None:
        """Cancel all jobs, and wait until nothing of them runs."""
        self.call("scancel", f"--user={self.user}", check=False)
        with suppress(TimeoutError):
            until(lambda: not self.call("squeue", "--noheader", "--states=R,CG,S", check=False).strip(), CALL_S, "idle")

    def script(self, name: str, text: str) -> Path:
        """Write one of the cluster's own scripts."""
        path = self.home / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        own(path, self.account)
        return path

    def stop_dbd(self) -> None:
        """Take the accounting daemon away."""
        self.dbd.close()

    def start_dbd(self) -> None:
        """Have it back."""
        command = as_account([self.sbin / "slurmdbd", "-D"], self.account)
        log = self.home / "log" / "slurmdbd.out"
        self.dbd.enter_context(running(command, log, self._dbd_answers, seconds=SECONDS, env=self.environment))

    def _dbd_answers(self) -> bool:
        try:
            self.call("sacctmgr", "--noheader", "show", "cluster")
        except SlurmFailedError:
            return False
        return True


def until(happened: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for something, or raise."""
    last = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > last:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.2)


def make(path: Path, account: Account | None) -> None:
    path.mkdir(mode=0o755)
    own(path, account)


def own(path: Path, account: Account | None) -> None:
    if account:
        os.chown(path, account.pw_uid, account.pw_gid)
