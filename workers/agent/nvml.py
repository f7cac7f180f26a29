"""NVIDIA GPUs through NVML: the energy counter of each board, or its power where the board has no counter."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from workers.agent import nvml_library
from workers.agent.nvml_library import NvmlFault
from workers.agent.readings import Channel, Reading
from workers.agent.sources import Source
from workers.agent.trouble import Trouble

UJ_PER_MJ = 1_000  # millijoules
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 300.0  # before NVML is opened anew
# After these the handles are of no use: the driver was reloaded, or a board fell off the bus.
OPEN_ANEW = frozenset({1, 2, 6, 9, 15, 16, 18, 28, 999})
NOT_SUPPORTED, FUNCTION_NOT_FOUND, MISMATCH = 3, 13, 18
ABSENT = frozenset({9, 12})  # no driver, no library: a node without GPUs looks like that
CURES = {
    4: "no permission: the driver lets only root read it (NVreg_RestrictProfilingToAdminUsers, or a container)",
    15: "the GPU has fallen off the bus; the node wants a look, and a reboot",
    16: "the GPU wants a reset",
    MISMATCH: "the driver was updated under the library that is loaded; it is loaded anew",
}


@dataclass(frozen=True)
class Gpu:
    """A board: how NVML knows it, and its channel."""

    handle: Any
    channel: Channel


class Nvml(Source):
    """gpu<index>, by NVML's index. A split GPU (MIG) is one channel: its energy is known as a whole only."""

    name = "nvml"

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble)
        self.gpus: list[Gpu] = []
        self.changes = 0  # grows whenever NVML was opened anew
        self._library: ModuleType | None = None
        self._counts: dict[str, bool] = {}  # UUID → has an energy counter; decided once, not in each reading
        self._lock = threading.RLock()  # who asks for processes must not meet a library that is being closed
        self._broken, self._wait_s, self._again = False, FIRST_WAIT_S, 0.0

    def look(self) -> None:
        """Open NVML and find the boards; nothing where there is no driver."""
        with self._lock:
            self.close()
            try:
                self._library = nvml_library.opened()
                self.gpus = self._boards()
            except NvmlFault as fault:
                self.channels = ()
                if fault.code not in ABSENT or self._counts:
                    self.trouble.begin(self.name, _words(fault))
                return
            self.trouble.end(self.name)
            self.channels = tuple(gpu.channel for gpu in self.gpus)
            self.changes += 1

    def _boards(self) -> list[Gpu]:
        library, found = self._library, []
        for index in range(nvml_library.call(library, "nvmlDeviceGetCount")):
            try:
                handle = nvml_library.call(library, "nvmlDeviceGetHandleByIndex", index)
                found.append(Gpu(handle, self._channel(index, handle)))
            except NvmlFault as fault:
                self._failed(f"gpu{index}", fault)
        return found

    def _channel(self, index: int, handle: Any) -> Channel:
        uuid = _text(self._ask("nvmlDeviceGetUUID", handle))
        model = _text(self._ask("nvmlDeviceGetName", handle))
        if uuid not in self._counts:
            self._counts[uuid] = self._has_counter(handle)
        mig = tuple(self._instances(handle))
        origin = f"{model}, {'energy counter' if self._counts[uuid] else 'power: the board has no energy counter'}"
        origin += f"; MIG: one figure for all {len(mig)} instances" if mig else ""
        return Channel(f"gpu{index}", "nvml", counter=self._counts[uuid], uuid=uuid, mig=mig, origin=origin)

    def _has_counter(self, handle: Any) -> bool:
        try:
            self._ask("nvmlDeviceGetTotalEnergyConsumption", handle)
        except NvmlFault as fault:
            if fault.code in (NOT_SUPPORTED, FUNCTION_NOT_FOUND):
                return False
            raise
        return True

    def _instances(self, handle: Any) -> list[str]:
        """UUIDs of the MIG instances of a board."""
        try:
            if not self._ask("nvmlDeviceGetMigMode", handle)[0]:
                return []
            most = self._ask("nvmlDeviceGetMaxMigDeviceCount", handle)
        except NvmlFault:
            return []  # before Ampere there is no MIG, and old libraries do not know the word
        return [uuid for uuid in (self._instance(handle, index) for index in range(most)) if uuid]

    def _instance(self, handle: Any, index: int) -> str:
        try:
            return _text(
                self._ask("nvmlDeviceGetUUID", self._ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, index))
            )
        except NvmlFault:
            return ""  # this place is not taken

    def read(self) -> list[Reading]:
        with self._lock:
            if self._broken and time.monotonic() >= self._again:
                self._open_anew()
            return [reading for gpu in self.gpus for reading in self._reading(gpu)]

    def _reading(self, gpu: Gpu) -> Sequence[Reading]:
        channel = gpu.channel
        try:
            if channel.counter:
                value = self._ask("nvmlDeviceGetTotalEnergyConsumption", gpu.handle) * UJ_PER_MJ
            else:
                value = self._ask("nvmlDeviceGetPowerUsage", gpu.handle)
        except NvmlFault as fault:
            self._failed(channel.name, fault)
            return ()
        t_ms = time.time_ns() // 1_000_000
        self.trouble.end(f"nvml {channel.name}")
        return (Reading(t_ms, channel.column, value),)

    def _failed(self, name: str, fault: NvmlFault) -> None:
        self.trouble.begin(f"nvml {name}", _words(fault))
        if fault.code in OPEN_ANEW and not self._broken:
            self._broken, self._again = True, time.monotonic() + self._wait_s

    def _open_anew(self) -> None:
        """After a fault that only this can cure; ever more rarely while it does not."""
        self._broken = False
        self.look()
        if not self._library or self._broken:
            self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
            self._broken, self._again = True, time.monotonic() + self._wait_s
        else:
            self._wait_s = FIRST_WAIT_S

    def processes(self) -> list[tuple[str, int]]:
        """UUID of the GPU, whole or split (MIG), and process id, of all that computes now."""
        with self._lock:
            return [pair for gpu in self.gpus for pair in self._computing(gpu)]

    def _computing(self, gpu: Gpu) -> list[tuple[str, int]]:
        try:
            found = []
            for handle in self._parts(gpu):
                running = self._ask("nvmlDeviceGetComputeRunningProcesses", handle)
                found += [(gpu.channel.uuid, one.pid) for one in running]
        except NvmlFault as fault:
            self.trouble.begin(f"nvml processes of {gpu.channel.name}", _words(fault))
            return []
        self.trouble.end(f"nvml processes of {gpu.channel.name}")
        return found

    def _parts(self, gpu: Gpu) -> list[Any]:
        """Handles of the board, or of the instances it is split into."""
        if not gpu.channel.mig:
            return [gpu.handle]
        most = self._ask("nvmlDeviceGetMaxMigDeviceCount", gpu.handle)
        places = [index for index in range(most) if self._instance(gpu.handle, index)]
        return [self._ask("nvmlDeviceGetMigDeviceHandleByIndex", gpu.handle, index) for index in places]

    def _ask(self, function: str, *arguments: Any) -> Any:
        return nvml_library.call(self._library, function, *arguments)

    def close(self) -> None:
        with self._lock:
            if self._library:
                nvml_library.close(self._library)
            self._library, self.gpus = None, []

    def hints(self) -> Sequence[str]:
        if "pynvml" not in sys.modules and not self._library:
            return ["pynvml is not there: take the single-file agent, or pip install nvidia-ml-py"]
        return ()


def _words(fault: NvmlFault) -> str:
    cure = CURES.get(fault.code)
    return f"{fault}: {cure}" if cure else str(fault)


def _text(value: str | bytes) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value
