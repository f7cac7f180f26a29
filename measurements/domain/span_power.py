"""What a node drew in each span of a day, and of what: the shape in which metering hands it on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from measurements.domain.idleness import GpuIdleness
from measurements.domain.integrate import DAY_TICKS, TICKS_PER_MS, Steps
from measurements.domain.nodeday import HourStatistics
from measurements.domain.units import HOUR_MS, FloatArray, IntArray

HOUR_TICKS = HOUR_MS * TICKS_PER_MS
HOUR_EDGES = np.arange(0, DAY_TICKS + 1, HOUR_TICKS, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of the day with one meter: the channels that count, and the GPUs among what it holds."""

    start: int  # ticks
    end: int
    channels: tuple[str, ...]
    gpus: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeriodDensity:
    """How many samples a meter period gives and should give."""

    start: int  # ticks
    end: int
    nominal_ms: int  # the longest of its channels; 0: none of them has samples
    counts: IntArray  # [channel, edge] samples before the edge


@dataclass(slots=True)
class SpanPower:
    """Energies in quarter µJ, times in ticks, one value a span."""

    metered: FloatArray
    rest: FloatArray  # metered without the GPUs the meter covers; sign kept
    covered: IntArray
    periods: list[PeriodDensity]
    flags: IntArray
    hours: HourStatistics
    floor: FloatArray  # min(rest, idle), and what is above it: only if they are asked for
    dynamic: FloatArray
    gpus: dict[int, FloatArray] = field(default_factory=dict)
    idleness: dict[int, GpuIdleness] = field(default_factory=dict)  # empty if idle power is not known
    named_gpus: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))  # that the meter in force covers
    unplaced_uj: int = 0

    def samples_between(self, begin: IntArray, finish: IntArray) -> IntArray:
        """Samples of the meter from edge ``begin`` to edge ``finish``, the fewest of any of its channels."""
        total = np.zeros(len(begin), np.int64)
        for period in self.periods:
            total += (period.counts[:, finish] - period.counts[:, begin]).min(axis=0)
        return total

    def expected_between(self, start: IntArray, end: IntArray) -> FloatArray:
        """Samples expected at the nominal interval from tick ``start`` to tick ``end``."""
        total = np.zeros(len(start))
        for period in self.periods:
            if period.nominal_ms:
                inside = _clipped(end, period) - _clipped(start, period)
                total += inside / (TICKS_PER_MS * period.nominal_ms)
        return total


def plain_power(metered: FloatArray, rest: FloatArray, covered: IntArray, hours: HourStatistics) -> SpanPower:
    """Energies and coverage alone: no GPUs, no floor, nothing unplaced."""
    flags = np.zeros(len(metered), np.int64)
    return SpanPower(metered, rest, covered, [], flags, hours, floor=rest, dynamic=np.zeros(0))


def _clipped(ticks: IntArray, period: Period | PeriodDensity) -> IntArray:
    return np.minimum(np.maximum(ticks, period.start), period.end)


def density_of(
    periods: Sequence[Period], steps: dict[str, Steps], nominal: dict[str, int], edges: IntArray
) -> list[PeriodDensity]:
    """How many samples of each meter period's channels come before each edge."""
    found = []
    for period in periods:
        inside = _clipped(edges, period)
        empty = np.zeros(len(edges), np.int64)
        counts = [np.searchsorted(steps[c].t, inside) if c in steps else empty for c in period.channels]
        longest = max((nominal[name] for name in period.channels if name in nominal), default=0)
        found.append(PeriodDensity(period.start, period.end, longest, np.stack(counts)))
    return found
