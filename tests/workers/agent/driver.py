"""A fake NVIDIA driver: a real shared library that pynvml loads, and the file that says what it plays."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).with_name("fake_nvml.c")
LOST, NO_PERMISSION, NOT_SUPPORTED = 15, 4, 3


def compile_library(compiler: Path, folder: Path, version: int = 1) -> Path:
    """The library of a driver's version, under the name by which it is loaded."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"libnvidia-ml.so.{version}.0"
    words: list[str | Path] = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", f"-DLIBRARY_VERSION={version}"]
    words += ["-Wl,-soname,libnvidia-ml.so.1", "-o", made, SOURCE]
    subprocess.run(words, check=True, capture_output=True)
    return made


def install(library: Path, folder: Path) -> None:
    """What a package of a new driver does: the name leads to another file from now on."""
    link = folder / "libnvidia-ml.so.1"
    new = folder / "new"
    new.symlink_to(library)
    new.replace(link)


@dataclass
class Board:
    """A GPU as the driver shows it."""

    uuid: str
    energy_mj: int = 0
    milliwatt: int = 300_000
    energy_error: int = 0
    handle_error: int = 0
    since_ms: int = 0  # from then on the counter runs
    mig: tuple[str, ...] = ()


@dataclass
class Driver:
    """What is played; ``write`` makes it true at once."""

    folder: Path
    boards: list[Board] = field(default_factory=list)
    version: int = 1
    generation: int = 1
    processes: list[tuple[str, int]] = field(default_factory=list)
    notes: bool = True  # what is read, for who wants to compare

    @property
    def log(self) -> Path:
        """What was read of the counters."""
        return self.folder / "read.log"

    def environment(self, **more: str) -> dict[str, str]:
        """For a process that is to see this driver."""
        ours = {"LD_LIBRARY_PATH": str(self.folder), "FAKE_NVML": str(self.folder / "state")}
        if self.notes:
            ours["FAKE_NVML_LOG"] = str(self.log)
        return os.environ | ours | more

    def write(self) -> None:
        """Atomically: a call sees the one state or the other."""
        lines = [f"driver {self.version}", f"generation {self.generation}"]
        for place, one in enumerate(self.boards):
            values = (one.uuid, one.energy_mj, one.milliwatt, one.energy_error, one.handle_error, one.since_ms)
            lines.append(" ".join(["gpu", *map(str, values)]))
            lines += [f"mig {place} {uuid}" for uuid in one.mig]
        lines += [f"process {uuid} {pid}" for uuid, pid in self.processes]
        new = self.folder / "state.new"
        new.write_text("\n".join(lines) + "\n", encoding="ascii")
        new.replace(self.folder / "state")

    def reload(self) -> None:
        """rmmod and modprobe: counters begin at 0, old handles are of no use."""
        self.generation += 1
        for one in self.boards:
            one.energy_mj, one.since_ms = 0, int(time.time() * 1000) if one.since_ms else 0
        self.write()

    def readings(self) -> list[tuple[int, str, int]]:
        """Time [ms], UUID and mJ of each counter that was read."""
        lines = self.log.read_text(encoding="ascii").splitlines() if self.log.exists() else []
        return [(int(t), uuid, int(mj)) for t, uuid, mj in (line.split() for line in lines)]
