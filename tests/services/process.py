"""A program as a private service: started as somebody who may, waited for, stopped by its id."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

SECONDS = 120.0  # the longest a service may take to start or to stop; a busy machine stands still for a while
PORTS, TRIES = 12_000, 1_000
Account = pwd.struct_passwd


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, and that no other test gets before this process ends.

    The kernel gives it to nobody who connects somewhere: a service may start on it late, or end and start again.
    """
    below = _first_of_the_kernel()
    for _ in range(TRIES):
        port = below - 1 - secrets.randbelow(PORTS)
        if _reserve(port) and _is_free(port):
            return port
    raise RuntimeError(f"no free port from {below - PORTS} to {below - 1}")


def _first_of_the_kernel() -> int:
    """From this port on the kernel chooses one for whoever connects; by its own default if it says nothing sensible."""
    with suppress(OSError):
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
        if first > PORTS + 1024:
            return first
    return 32_768


def _is_free(port: int) -> bool:
    """Whether nobody has it, neither for connections nor for single packets."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def _reserve(port: int) -> bool:
    """Whether no other test has it: a name that the kernel gives once, and takes back when the process ends."""
    with socket.socket(socket.AF_UNIX) as name:
        try:
            name.bind(f"\0joulebook-tests-port-{port}")
        except OSError:
            return False
        name.detach()
        return True


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
