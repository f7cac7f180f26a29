"""HPE Cray EX: /sys/cray/pm_counters, energy of the node and its parts, each with the time of its reading."""

from __future__ import annotations

import re
import time
from pathlib import Path

from workers.agent.readings import UJ_PER_J, Channel
from workers.agent.sources import Files
from workers.agent.sysfs import Gone, Number
from workers.agent.trouble import Trouble

_FILES = re.compile(r"(?:(cpu|memory|accel)(\d*)_)?energy")
_NAMES = {"": "node", "cpu": "cpu", "memory": "dram", "accel": "gpu"}
_LINE = re.compile(r"(\d+) J(?: (\d+) us)?")
NEAR_MS = 5_000  # a time further from now is of another clock


class Cray(Files):
    """node, cpu, dram; gpu<n> where no other source reads the GPUs. Counters in whole joules."""

    name = "pm_counters"

    def __init__(self, trouble: Trouble, sysfs: Path) -> None:
        super().__init__(trouble)
        self.folder = sysfs / "cray" / "pm_counters"

    def look(self) -> None:
        try:
            paths = sorted(path for path in self.folder.iterdir() if _FILES.fullmatch(path.name))
        except OSError:
            paths = []
        self.take([(Number(path), self._channel(path)) for path in paths])

    def _channel(self, path: Path) -> Channel:
        match = _FILES.fullmatch(path.name)
        part, index = (match[1] or "", match[2] or "") if match else ("", "")
        return Channel(f"{_NAMES[part]}{index}", "pm_counters", counter=True, origin=path.name)

    def one(self, file: Number, channel: Channel) -> tuple[int, int]:
        now_ms, text = time.time_ns() // 1_000_000, file.text()
        match = _LINE.fullmatch(text)
        if not match:
            raise Gone(f"{text[:40]!r} is no energy")
        told_ms = int(match[2] or 0) // 1_000
        return told_ms if abs(told_ms - now_ms) <= NEAR_MS else now_ms, int(match[1]) * UJ_PER_J
