"""What attribution takes and gives back: one node's UTC day, its allocations, its ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag, StrEnum

import numpy as np
from numpy.typing import NDArray

from measurements.domain.units import QUARTERS_PER_DAY, BoolArray, FloatArray, IntArray, Kind


class Policy(StrEnum):
    """How the rest of a shared node's power (its meter without its GPUs) is split."""

    ALLOCATION = "allocation"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class Series:
    """One channel's samples around one day: ascending, unique instants."""

    name: str  # node, cpu0, dram1, gpu3
    kind: Kind
    t_ms: IntArray
    value: IntArray  # mW for a gauge, µJ for a counter
    nominal_ms: int
    max_gap_ms: int
    wrap_uj: int = 0  # modulus of a counter; 0 if none is known
    begins_ms: Sequence[int] = ()  # from when on it is another device's: a counter is not read across these
    breaks_ms: Sequence[int] = ()  # where readings were left out: nothing is bridged across these
    wrap_limit_mw: int = -1  # the most with which a counter can go round, asked without a ceiling; -1: not known


@dataclass(frozen=True, slots=True)
class MeterPeriod:
    """From an instant on: the channels that are the node's energy, and the GPU channels among what they cover."""

    from_ms: int
    channels: tuple[str, ...]
    gpus: tuple[str, ...] = ()  # names of gpu channels whose power is inside the meter


@dataclass(frozen=True, slots=True)
class Holdings:
    """The allocations on one node, as columns of equal length."""

    start_ms: IntArray
    end_ms: IntArray  # a running job's end is given as its node's last sample + half an interval
    cpus: IntArray  # -1: not stated; 0: holds no core
    gpus: IntArray  # 0: none
    gpu_mask: NDArray[np.uint64]  # bit i: holds GPU index i; 0: indices not known
    exclusive: NDArray[np.int8]  # 1 yes, 0 no, -1 not stated
    cpu_rate: FloatArray  # mean CPU seconds per second held; nan: unknown


@dataclass(frozen=True, slots=True)
class NodeDay:
    """One node, one UTC day: what attribution needs to know."""

    series: Sequence[Series]
    meter: Sequence[MeterPeriod]  # ascending by from_ms; before the first nothing is metered
    holdings: Holdings
    cpus: int = 0  # 0: not known
    gpus: int = 0
    idle_mw: int = -1  # of the node without its GPUs; -1: not known
    ceiling_mw: int = -1  # of its meter; -1: not known
    policy: Policy = Policy.ALLOCATION
    gpu_idle_mw: int = -1  # of one GPU without work; -1: not known
    off_ms: Sequence[tuple[int, int]] = ()  # [start, end) in which the node was switched off; may overlap


class Flag(IntFlag):
    """What a reader should know about a figure; kept with it."""

    OVERCOMMITTED = 1  # more cores or GPUs held than the node has: scaled
    NEGATIVE_REST = 2  # the GPUs drew more than the meter that covers them
    RATE_UNKNOWN = 4  # policy hybrid fell back to cores for want of a CPU rate


@dataclass(frozen=True, slots=True)
class AllocationEnergies:
    """What each allocation of one node drew on the day: columns in the order of its holdings."""

    energy_uj: FloatArray
    gpu_uj: FloatArray
    first_quarter: IntArray
    offsets: IntArray  # [k + 1] into quarters_uj
    quarters_uj: FloatArray
    covered_us: IntArray
    elapsed_us: IntArray
    samples: IntArray
    expected_samples: FloatArray
    apportioned: BoolArray
    gpu_held_us: IntArray  # GPU-time held of which it is known whether it was idle
    gpu_idle_us: IntArray  # part of gpu_held_us
    gpu_idle_uj: FloatArray  # part of gpu_uj
    reserved_us: IntArray  # time × share of the node that is reserved; all of them together: the wall time at most
    flags: IntArray  # of Flag

    def quarter_uj(self, i: int) -> FloatArray:
        """Energy of allocation ``i`` in each of the day's 96 quarter hours [µJ]."""
        day = np.zeros(QUARTERS_PER_DAY)
        values = self.quarters_uj[self.offsets[i] : self.offsets[i + 1]]
        day[self.first_quarter[i] : self.first_quarter[i] + len(values)] = values
        return day


@dataclass(frozen=True, slots=True)
class HourStatistics:
    """The metered power of each of the day's 24 hours; nan where nothing is covered."""

    min_mw: FloatArray
    max_mw: FloatArray
    samples: IntArray
    covered_us: IntArray


@dataclass(frozen=True, slots=True)
class NodeLedger:
    """One node, one UTC day, closed: metered = Σ allocations + unallocated."""

    metered_uj: FloatArray  # [96]
    unallocated_uj: FloatArray  # [96]
    covered_us: int
    off_us: int  # not covered, and the node was off; the remainder of the day is a gap
    unplaced_uj: int
    flags: Flag
    hours: HourStatistics
    allocations: AllocationEnergies

    @property
    def negative_rest(self) -> bool:
        """Whether the GPUs drew more than the meter at some instant."""
        return Flag.NEGATIVE_REST in self.flags

    @property
    def overcommitted(self) -> bool:
        """Whether more was held than the node has at some instant."""
        return Flag.OVERCOMMITTED in self.flags
