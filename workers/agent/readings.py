"""Words of the agent: a channel, and one reading of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

UJ_PER_J = 1_000_000
MW_PER_W = 1_000


@dataclass(frozen=True)
class Channel:
    """One measured series of this node, and what is known of it."""

    name: str  # gpu0
    source: str  # nvml, rapl, pm_counters, acpi, hwmon, ipmi_dcmi
    counter: bool  # values are an energy counter [µJ], else power [mW]
    interval_ms: int = 0  # between two readings
    uuid: str = ""  # of a GPU
    wrap_uj: int = 0  # where the counter starts again; 0: not known
    mig: tuple[str, ...] = ()  # UUIDs of the instances a GPU is split into; its energy is that of the whole GPU
    origin: str = ""  # in words, for --check

    @property
    def column(self) -> str:
        """The heading of its column in a power CSV."""
        return f"{self.name}_{'j' if self.counter else 'w'}"

    def every(self, interval_ms: int) -> Channel:
        """The channel, read at an interval [ms]."""
        return replace(self, interval_ms=interval_ms)

    def facts(self) -> dict[str, object]:
        """What the server is told of it."""
        said: dict[str, object] = {"source": self.source, "interval_ms": self.interval_ms}
        if self.uuid:
            said["uuid"] = self.uuid
        if self.wrap_uj:
            said["wrap_uj"] = self.wrap_uj
        if self.mig:
            said["mig"] = list(self.mig)
        return said


class Reading(NamedTuple):
    """What a channel showed at an instant."""

    t_ms: int  # since 1970, UTC: when it was read, not when it should have been
    column: str  # of its channel
    value: int  # µJ of a counter, mW else


def value_text(column: str, value: int) -> str:
    """A value as it stands in a CSV: joules to the µJ, or watts to the mW, exactly."""
    if column.endswith("_j"):
        return f"{value // UJ_PER_J}.{value % UJ_PER_J:06d}"
    return f"{value // MW_PER_W}.{value % MW_PER_W:03d}"


def time_text(t_ms: int) -> str:
    """Epoch seconds to the millisecond."""
    return f"{t_ms // 1000}.{t_ms % 1000:03d}"
