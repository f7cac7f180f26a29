"""A folder and a database that exist only while a trial runs.

Settings are read once, when Django starts: a trial therefore runs in a process of its own, whose environment names
a folder that is removed afterwards.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

INSIDE = "JOULEBOOK_TRIAL"  # set for the process that does the work; no setting
USAGE = 2
_NOT_OURS = ("DATABASE_URL", "REDIS_URL", "JOULEBOOK_")
_ROOT = Path(__file__).resolve().parent.parent.parent


def is_private(environment: dict[str, str] | os._Environ[str] = os.environ) -> bool:
    """Whether this process was started by `run`."""
    return INSIDE in environment


def run(arguments: Sequence[str]) -> int:
    """Run the command ``trial`` on a folder of its own; its exit code."""
    keep = _kept(arguments)
    if keep and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        sys.stderr.write(f"CommandError: --keep {keep}: something is there already; name a folder of its own\n")
        return USAGE
    with _terminable(), nullcontext(str(keep)) if keep else tempfile.TemporaryDirectory(prefix="joulebook-") as folder:
        # the folder of the caller stays the current one: paths are theirs
        command = [sys.executable, str(_ROOT / "manage.py"), "trial", *arguments]
        with subprocess.Popen(command, env=_environment(folder)) as process:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the process got it as well
                process.wait()
                return 128 + signal.SIGINT
            except BaseException:
                process.terminate()
                raise


def _kept(arguments: Sequence[str]) -> Path | None:
    """The folder of --keep, which has to be known before the command's own options are read."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--keep", type=Path, nargs="?")  # the command itself complains where it has no value
    folder = parser.parse_known_args(arguments)[0].keep
    return folder.expanduser().resolve() if folder else None


def _environment(folder: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
    ours = {"DJANGO_SETTINGS_MODULE": "portal.settings", "JOULEBOOK_VAR": folder, INSIDE: "1"}
    level = os.environ.get("JOULEBOOK_LOG_LEVEL")
    return kept | ours | ({"JOULEBOOK_LOG_LEVEL": level} if level else {})


@contextmanager
def _terminable() -> Iterator[None]:
    """Being told to end is an exception, so that the folder goes."""

    def end(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
