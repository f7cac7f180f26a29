"""What several processes of one test run need is made by the first that asks; the others wait for it and take it.

The run's folder is made by the process that begins the run, and goes with it.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

RUN = "TESTS_OF_ONE_RUN"  # where the folder's name stands for all processes of the run
PREFIX = "joulebook-run-"  # and the id of the process that began the run


def begin_run() -> None:
    """A folder of this run's own, for this process and those that it starts; of runs that were killed none is left."""
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = old.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(old, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
    os.environ[RUN] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


def end_run() -> None:
    """The folder goes."""
    shutil.rmtree(os.environ.pop(RUN), ignore_errors=True)


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The file or folder of this name, which ``make`` makes at the path that it is given; nobody changes it after."""
    if RUN not in os.environ:
        begin_run()
    home = Path(os.environ[RUN])
    place, half = home / name, home / f"{name}.half"
    with (home / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            if half.is_dir():
                shutil.rmtree(half)
            half.unlink(missing_ok=True)
            make(half)
            half.rename(place)
    return place
