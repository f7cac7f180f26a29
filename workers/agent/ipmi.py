"""The node's own BMC through DCMI, asked in-band by ipmitool or FreeIPMI: slow, and in a thread of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from workers.agent.readings import MW_PER_W, Channel, Reading
from workers.agent.sources import Source
from workers.agent.trouble import Trouble

PROGRAMS: tuple[tuple[str, ...], ...] = (
    ("ipmitool", "dcmi", "power", "reading"),
    ("ipmi-dcmi", "--get-system-power-statistics"),
)
DEVICES = ("ipmi0", "ipmi/0", "ipmidev/0")
NODE = Channel("node", "ipmi_dcmi", counter=False, origin="DCMI power reading")
_WATTS = re.compile(r"^\s*(?:Instantaneous power reading|Current Power)\s*:\s*(\d+)\s*Watts\s*$", re.M | re.I)
_STATE = re.compile(r"^\s*(?:Power reading state is|Power Measurement)\s*:\s*(\w[^\n]*?)\s*$", re.M | re.I)
_ON = frozenset({"activated", "active"})


class Ipmi(Source):
    """The channel ``node``: what the BMC says the node draws now."""

    name = "ipmi_dcmi"

    def __init__(self, trouble: Trouble, devices: Path, timeout_s: float) -> None:
        super().__init__(trouble)
        self.devices, self.timeout_s = devices, timeout_s
        self._command: tuple[str, ...] = ()

    def look(self) -> None:
        """There is a channel where there is a device, a program, and an answer."""
        self._command = next((words for words in PROGRAMS if shutil.which(words[0])), ())
        there = any((self.devices / name).exists() for name in DEVICES)
        self.channels = (NODE,)  # for the try
        self.channels = (NODE,) if there and self._command and self.read() else ()

    def read(self) -> list[Reading]:
        began = time.time_ns()
        try:
            done = subprocess.run(  # a child that hangs is killed; one that can't be killed stops this thread alone
                self._command, capture_output=True, text=True, errors="replace", timeout=self.timeout_s, check=False
            )
        except (OSError, subprocess.SubprocessError) as error:
            return self._nothing(f"{self._command[0]}: {error}")
        t_ms = (began + time.time_ns()) // 2 // 1_000_000
        watts = current_watts(done.stdout)
        if watts is None:
            last = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
            return self._nothing(f"{self._command[0]} gave no power: {last[:120]}")
        self.trouble.end(self.name)
        return [Reading(t_ms, NODE.column, watts * MW_PER_W)]

    def _nothing(self, words: str) -> list[Reading]:
        self.trouble.begin(self.name, words)
        return []

    def hints(self) -> Sequence[str]:
        if any((self.devices / name).exists() for name in DEVICES) and not self._command:
            return ["there is a BMC, and neither ipmitool nor ipmi-dcmi to ask it with"]
        return ()


def current_watts(text: str) -> int | None:
    """Watts now, as either program prints them; None where the measurement is off or shows nothing."""
    watts, state = _WATTS.search(text), _STATE.search(text)
    if not watts or (state and state[1].lower() not in _ON):
        return None
    return int(watts[1]) or None  # no node draws 0 W; a BMC that does not measure says so
