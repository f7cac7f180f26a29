"""Power and energy sensors of the kernel's hwmon class; only those whose meaning is known are read by themselves."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from workers.agent.readings import Channel
from workers.agent.sources import Files
from workers.agent.sysfs import Gone, Number, word
from workers.agent.trouble import Trouble

_SENSOR = re.compile(r"(power|energy)(\d+)_(average|input)")
# What the makers of a chip call its sensors → channel. An ACPI power meter without a name measures the whole node.
_KNOWN = (
    (re.compile(r"power_meter"), re.compile(r""), "node"),
    (re.compile(r"power_meter"), re.compile(r"Grace Power Socket (\d+)"), "cpu"),
    (re.compile(r"power_meter"), re.compile(r"Module Power Socket (\d+)"), "board"),
    (re.compile(r"amd_energy"), re.compile(r"Esocket(\d+)"), "cpu"),
)
# 2^32 − 1 mW and the like: what a chip shows that cannot measure now [µW].
_SENTINELS = frozenset({0xFFFF_FFFF, 0xFFFF_FFFF * 1_000, 0xFFFF * 1_000_000})


class Hwmon(Files):
    """Sensors by what is known of their chip, or by the site's own map ``chip:power1 = psu0``."""

    name = "hwmon"

    def __init__(self, trouble: Trouble, sysfs: Path, own: Mapping[str, str]) -> None:
        super().__init__(trouble)
        self.folder, self.own = sysfs / "class" / "hwmon", own
        self._unknown: list[str] = []

    def look(self) -> None:
        named = [self._channel(*sensor) for sensor in _sensors(self.folder)]
        names = Counter(channel.name for _, channel in named)  # two that claim to be the same: which one is it?
        known = [(path, channel) for path, channel in named if channel.name and names[channel.name] == 1]
        self._unknown = [channel.origin for _, channel in named if not channel.name or names[channel.name] > 1]
        self.take([(Number(path), channel) for path, channel in known])

    def _channel(self, path: Path, chip: str, sensor: re.Match[str]) -> tuple[Path, Channel]:
        """The channel of a sensor; its name is empty where nobody says what it measures."""
        kind, number, _ = sensor.groups()
        title, key = _title(path.parent, kind, number), f"{chip}:{kind}{number}"
        name = self.own.get(key) or _known(chip, title)
        source = "acpi" if chip == "power_meter" else "hwmon"
        return path, Channel(name, source, counter=kind == "energy", origin=f"{key} {title}".strip())

    def one(self, file: Number, channel: Channel) -> tuple[int, int]:
        t_ms, number = time.time_ns() // 1_000_000, file.read()
        if number < 0 or (not channel.counter and number in _SENTINELS):
            raise Gone(f"{number} is what it shows when it can't measure")
        return t_ms, number if channel.counter else round(number / 1_000)

    def hints(self) -> Sequence[str]:
        if not self._unknown:
            return ()
        return [f"not read, for nobody says what it measures: {', '.join(self._unknown)}; name it in [hwmon]"]


def _sensors(folder: Path) -> list[tuple[Path, str, re.Match[str]]]:
    """File, chip and sensor of all that measures power or energy; of average and input the average."""
    found: dict[tuple[str, str, str], tuple[Path, str, re.Match[str]]] = {}
    for home in sorted(folder.glob("hwmon*"), key=lambda path: (len(path.name), path.name)):
        for inner in (home, home / "device"):  # older drivers put their files one level deeper
            chip = word(home / "name") or word(inner / "name")
            for path in sorted(inner.glob("power*")) + sorted(inner.glob("energy*")):
                match = _SENSOR.fullmatch(path.name)
                if match:
                    found.setdefault((home.name, match[1], match[2]), (path, chip, match))
    return list(found.values())


def _title(folder: Path, kind: str, number: str) -> str:
    return word(folder / f"{kind}{number}_label") or word(folder / f"{kind}{number}_oem_info")


def _known(chip: str, title: str) -> str:
    for chips, titles, name in _KNOWN:
        match = titles.fullmatch(title)
        if chips.fullmatch(chip) and match:
            return name + (match[1] if match.groups() else "")
    return ""
