"""Slurm's own programs, run with a time limit and a bound on what they may print."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from measurements.feeds.about import FeedError

LONGEST_S = 120.0
MOST_BYTES = 1 << 30
_STDERR_BYTES = 4_096
_CONF = "SLURM_CONF"  # Slurm's own name for where its configuration is
_LOOK_S = 0.02
_LONGEST_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Commands:
    """Where Slurm's programs are, which configuration they read, and how long and how much they may speak."""

    folder: str = ""  # "": found on PATH
    conf: str = ""  # slurm.conf; "": Slurm's own place
    cluster: str = ""  # --clusters, where one accounting serves several
    longest_s: float = LONGEST_S
    most_bytes: int = MOST_BYTES

    def environment(self) -> dict[str, str]:
        """Times in UTC, array tasks uncut, and no option of the surroundings."""
        options = ("SLURM_", "SACCT_", "SINFO", "SQUEUE")
        kept = {name: value for name, value in os.environ.items() if name == _CONF or not name.startswith(options)}
        if self.conf:
            kept[_CONF] = self.conf
        return kept | {"TZ": "UTC", "LC_ALL": "C.UTF-8", "SLURM_BITSTR_LEN": "0"}


def run(slurm: Commands, program: str, *options: str, into: Path) -> list[str]:
    """Write what a program prints into a file; what it said besides (no errors: those are raised)."""
    found = shutil.which(program, path=slurm.folder or None)
    if found is None:
        where = slurm.folder or "the PATH"
        raise FeedError(f"no program {program} in {where}: install Slurm's commands, or set JOULEBOOK_SLURM_BIN")
    beside = into.with_name(f"{into.name}.stderr")
    with into.open("wb") as output, beside.open("wb") as errors:
        process = subprocess.Popen(
            [found, *options], stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=slurm.environment(),
            start_new_session=True,
        )  # fmt: skip
        try:
            code = _ended(process, program, slurm, (into, beside))
        finally:
            _kill(process)
    return _judged(program, code, beside)


def text(slurm: Commands, program: str, *options: str, into: Path) -> str:
    """What a program prints, where that is short."""
    run(slurm, program, *options, into=into)
    return into.read_text(encoding="utf-8", errors="replace")


def _ended(process: subprocess.Popen[bytes], program: str, slurm: Commands, files: tuple[Path, ...]) -> int:
    last, look_s = time.monotonic() + slurm.longest_s, _LOOK_S
    while (code := process.poll()) is None:
        if time.monotonic() > last:
            raise FeedError(f"{program} said nothing final within {slurm.longest_s:.0f} s: is Slurm busy, or away?")
        if any(path.stat().st_size > slurm.most_bytes for path in files):
            raise FeedError(f"{program} printed more than {slurm.most_bytes >> 20} MiB: ask for less at once (piece_h)")
        time.sleep(look_s)
        look_s = min(look_s * 1.5, _LONGEST_LOOK_S)
    return code


def _kill(process: subprocess.Popen[bytes]) -> None:
    """A program that is still there, and what it started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _judged(program: str, code: int, beside: Path) -> list[str]:
    """What stands on stderr; an error there is one even where the program ended well: its output is not all."""
    with beside.open("rb") as stream:
        said = stream.read(_STDERR_BYTES).decode("utf-8", errors="replace")
    beside.unlink()
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line.lower() or "fatal:" in line.lower()]
    if code:
        raise FeedError(f"{program} ended with {code}: {_shown(errors or lines) or 'it did not say why'}")
    if errors:
        raise FeedError(f"{program}: {_shown(errors)}")
    return lines[:5]


def _shown(lines: list[str]) -> str:
    """The first thing said and the last: the cause, and what came of it."""
    return " … ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))[:600]
