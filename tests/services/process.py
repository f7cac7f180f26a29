"""A program as a private service: started as somebody who may, waited for, stopped by its id."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

SECONDS = 30.0  # the longest a service may take to start or to stop
Account = pwd.struct_passwd


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def unprivileged() -> Account | None:
    """Who a service that refuses root is run as; None where the tests themselves are not root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


@contextmanager
def folder(name: str, owner: Account | None = None) -> Iterator[Path]:
    """A temporary folder that ``owner`` can use."""
    path = Path(tempfile.mkdtemp(prefix=f"joulebook-{name}-"))
    if owner:
        os.chown(path, owner.pw_uid, owner.pw_gid)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def as_account(command: Sequence[str | Path], account: Account | None) -> list[str]:
    """The command run as ``account``, and killed when the tests are (where the machine can do that)."""
    words = [str(word) for word in command]
    if not shutil.which("setpriv"):
        if account:
            return ["runuser", "-u", account.pw_name, "--", *words]
        return words
    prefix = ["setpriv", "--pdeathsig", "KILL"]
    if account:
        prefix += ["--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--clear-groups"]
    return [*prefix, *words]


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    ready: Callable[[], bool],
    *,
    stop: signal.Signals = signal.SIGTERM,
    seconds: float = SECONDS,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` and what it starts until the block ends; the block begins when ``ready`` says so.

    It gets a process group of its own, which ``stop`` is sent to.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=cwd or log.parent, env=env, start_new_session=True
        )
    try:
        _wait(process, log, ready, seconds)
        yield process
    finally:
        _signal_group(process, stop)
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            _signal_group(process, signal.SIGKILL)
            process.wait(SECONDS)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Reach the process and its children; they may be gone already."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _wait(process: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool], seconds: float) -> None:
    last = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > last:
            tail = log.read_text(errors="replace")[-2_000:]
            raise RuntimeError(f"{process.args!r} did not start within {seconds:.0f} s:\n{tail}")
        time.sleep(0.05)
