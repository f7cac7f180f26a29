"""A node's /sys, /proc and /dev, with the files that the agent looks for and the kernel's own spelling of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

RANGE_UJ = 262_143_328_850  # of the package zone of most Intel processors
DRAM_RANGE_UJ = 65_712_999_613


def put(path: Path, text: str | int) -> Path:
    """A small file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n", encoding="ascii")
    return path


def rapl(sysfs: Path, zones: Mapping[str, tuple[str, int]]) -> None:
    """Zones by folder: ``{"intel-rapl:0": ("package-0", 123)}``; as in the kernel, links into the device tree."""
    for folder, (name, energy_uj) in zones.items():
        home = sysfs / "devices" / "virtual" / "powercap" / folder
        put(home / "name", name)
        put(home / "energy_uj", energy_uj).chmod(0o400)
        put(home / "max_energy_range_uj", DRAM_RANGE_UJ if name == "dram" else RANGE_UJ)
        link = sysfs / "class" / "powercap" / folder
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(home)


def two_sockets(sysfs: Path) -> None:
    """A server with two packages and their memory, the platform, and the zones that are a part of others."""
    names = {"intel-rapl": ("", 0), "intel-rapl:0": ("package-0", 1_000_001), "intel-rapl:1": ("package-1", 2_000_002)}
    names |= {
        "intel-rapl:0:0": ("dram", 300_003),
        "intel-rapl:1:0": ("dram", 400_004),
        "intel-rapl:2": ("psys", 5_000_005),
    }
    names |= {"intel-rapl:0:1": ("core", 66), "intel-rapl:0:2": ("uncore", 77), "intel-rapl-mmio:0": ("package-0", 88)}
    rapl(sysfs, {folder: zone for folder, zone in names.items() if folder != "intel-rapl"})
    (sysfs / "class" / "powercap" / "intel-rapl").mkdir()


def set_zone(sysfs: Path, folder: str, energy_uj: int) -> None:
    """The counter of a zone has moved."""
    path = sysfs / "devices" / "virtual" / "powercap" / folder / "energy_uj"
    path.chmod(0o600)
    path.write_text(f"{energy_uj}\n", encoding="ascii")
    path.chmod(0o400)


def hwmon(sysfs: Path, number: int, chip: str, files: Mapping[str, str | int]) -> Path:
    """A chip and its files."""
    home = sysfs / "class" / "hwmon" / f"hwmon{number}"
    put(home / "name", chip)
    for name, text in files.items():
        put(home / name, text)
    return home


def pm_counters(sysfs: Path, files: Mapping[str, str]) -> Path:
    """The folder of a Cray EX node."""
    home = sysfs / "cray" / "pm_counters"
    for name, text in files.items():
        put(home / name, text)
    return home


def process(procfs: Path, pid: int, cgroup: str) -> None:
    """A process in a cgroup."""
    put(procfs / str(pid) / "cgroup", cgroup)
