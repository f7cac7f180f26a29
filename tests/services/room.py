"""Where the tests write: in memory where there is room, else where the system keeps temporary files.

SQLite waits for the disk at each commit, and the store at each segment: a fifth of the time of a run. Nothing of a run
is of use after it, and no test asks whether a disk keeps what is on it; those that fill one up limit it themselves.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of the run's own is made in it
NEEDED_GIB = 6  # a run takes a third of it
LEFT_GIB = 6  # of memory, for the services and Chromium
GIB = 1 << 30


def room(memory: Path = MEMORY, available: int | None = None) -> Path:
    """The folder; ``available`` are the bytes of memory that are free."""
    try:
        state = os.statvfs(memory)
    except OSError:
        return Path(tempfile.gettempdir())
    large = state.f_bavail * state.f_frsize >= NEEDED_GIB * GIB
    spare = (_available() if available is None else available) >= (NEEDED_GIB + LEFT_GIB) * GIB
    programs = not state.f_flag & os.ST_NOEXEC  # scripts of Slurm and of the how-to pages are started there
    return memory if large and spare and programs and os.access(memory, os.W_OK) else Path(tempfile.gettempdir())


def _available() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), 0)


if __name__ == "__main__":
    sys.stdout.write(f"{room()}\n")
