"""RAPL through powercap: package, DRAM and platform energy counters of Intel and AMD processors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from workers.agent.readings import Channel
from workers.agent.sources import Files
from workers.agent.sysfs import Number, reason, word
from workers.agent.trouble import Trouble

# intel-rapl-mmio:… shows the same packages by another way and is left out; AMD's zones are called intel-rapl too.
_ZONE = re.compile(r"intel-rapl:(\d+)(?::(\d+))?")
_PACKAGE = re.compile(r"package-(\d+)(?:-die-(\d+))?")
ROOT_ONLY = "only root may read it: run the agent as root (the unit takes all other rights away)"


class Rapl(Files):
    """cpu<package>, dram<package>, psys; zones overlap, and the server decides which of them are a meter."""

    name = "rapl"

    def __init__(self, trouble: Trouble, sysfs: Path, zones: Iterable[str]) -> None:
        super().__init__(trouble)
        self.folder = sysfs / "class" / "powercap"
        self.wanted = frozenset(zones)

    def look(self) -> None:
        self.take([(Number(path / "energy_uj"), self._channel(path, name)) for path, name in self._zones()])

    def _channel(self, path: Path, name: str) -> Channel:
        wrap = word(path / "max_energy_range_uj")
        origin = f"{word(path / 'name')} ({path.name})"
        return Channel(name, "rapl", counter=True, wrap_uj=int(wrap) if wrap.isdigit() else 0, origin=origin)

    def _zones(self) -> list[tuple[Path, str]]:
        """Folder and channel of each zone that is wanted."""
        found = sorted((_number(path.name), path) for path in _folders(self.folder))
        packages = [path for _, path in found if _PACKAGE.fullmatch(word(path / "name"))]
        index = {path.name: rank for rank, path in enumerate(sorted(packages, key=_package))}
        named = [(path, self._name(path, index)) for _, path in found]
        return [(path, name) for path, name in named if name]

    def _name(self, path: Path, index: dict[str, int]) -> str:
        zone = word(path / "name")
        if path.name in index:
            return f"cpu{index[path.name]}" if "package" in self.wanted else ""
        parent = path.name.rpartition(":")[0]
        if zone in ("dram", "core") and zone in self.wanted and parent in index:
            return f"{zone}{index[parent]}"
        return "psys" if zone.startswith("psys") and "psys" in self.wanted else ""

    def hint(self, file: Number, error: OSError) -> str:
        return f"{file.path}: {ROOT_ONLY if isinstance(error, PermissionError) else reason(error)}"


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if _ZONE.fullmatch(path.name)]
    except OSError:
        return []


def _number(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(":")[1:])


def _package(path: Path) -> tuple[int, int]:
    """Socket and die: a package of several dies has a zone, and gets a channel, for each."""
    match = _PACKAGE.fullmatch(word(path / "name"))
    return (int(match[1]), int(match[2] or 0)) if match else (0, 0)
