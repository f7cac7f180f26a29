"""What a node's meter, its GPUs and the rest drew in each span of a day."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from measurements.domain.idleness import IDLE_FACTOR, GpuIdleness
from measurements.domain.integrate import (
    DAY_TICKS,
    TICKS_PER_MS,
    US_PER_TICK,
    Steps,
    between_edges,
    counter_steps,
    gauge_steps,
    hold_edges,
    on_grid,
)
from measurements.domain.nodeday import Flag, HourStatistics, NodeDay, Policy, Series
from measurements.domain.units import HOUR_MS, BoolArray, FloatArray, IntArray, Kind

HOUR_TICKS = HOUR_MS * TICKS_PER_MS
# A rest this little below zero is the rounding of a difference, no fault of a meter.
ROUNDING_MW = 1e-3
HOUR_EDGES = np.arange(0, DAY_TICKS + 1, HOUR_TICKS, dtype=np.int64)
_GPU = re.compile(r"gpu(\d+)$")


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


def gpu_index(channel: str) -> int | None:
    """3 of gpu3; None of any other channel."""
    match = _GPU.fullmatch(channel)
    return int(match.group(1)) if match else None


def meter_spans(node: NodeDay, edges: IntArray, day_ms: int) -> SpanPower:
    """Meter, GPUs and rest of a node between ``edges`` (ticks of the day).

    A node whose meter is one channel that nothing must be split off from, which is most
    of them, is integrated on its samples; any other on the merged grid of all its channels.
    """
    periods = _periods(node, day_ms)
    steps = {s.name: steps_of(s, node.ceiling_mw, day_ms) for s in node.series if len(s.t_ms)}
    split = node.policy is Policy.HYBRID and node.idle_mw >= 0
    whole_day = len(periods) == 1 and periods[0].start == 0
    # A GPU counts where it has samples: that it has a channel says only that it was read some other day, maybe later.
    if whole_day and len(periods[0].channels) == 1 and steps.keys().isdisjoint(periods[0].gpus) and not split:
        power = _lone_channel(steps.get(periods[0].channels[0]), edges)
    else:
        power = _merged(node, periods, steps, edges, split=split)
    nominal = {s.name: s.nominal_ms for s in node.series}
    power.unplaced_uj = sum(
        steps[name].unplaced_uj(p.start, p.end) for p in periods for name in p.channels if name in steps
    )
    power.named_gpus = _named_gpus(periods, edges)
    power.periods = _density(periods, steps, nominal, edges)
    return power


def _named_gpus(periods: Sequence[_Period], edges: IntArray) -> IntArray:
    count = np.zeros(len(edges) - 1, np.int64)
    for period in periods:
        indices = {gpu_index(name) for name in period.gpus} - {None}
        count[(edges[:-1] >= period.start) & (edges[:-1] < period.end)] = len(indices)
    return count


@dataclass(frozen=True, slots=True)
class _Period:
    start: int  # ticks
    end: int
    channels: tuple[str, ...]
    gpus: tuple[str, ...]


def _periods(node: NodeDay, day_ms: int) -> list[_Period]:
    """The meter periods that reach into the day, clipped to it."""
    starts = [min(max((p.from_ms - day_ms) * TICKS_PER_MS, 0), DAY_TICKS) for p in node.meter]
    ends = [*starts, DAY_TICKS][1:]  # none, if there is no meter
    return [
        _Period(start, end, p.channels, p.gpus)
        for p, start, end in zip(node.meter, starts, ends, strict=True)
        if start < end
    ]


def steps_of(series: Series, ceiling_mw: int, origin_ms: int) -> Steps:
    """A channel's samples as steps, in ticks since an instant."""
    t = (series.t_ms - origin_ms) * TICKS_PER_MS
    if series.kind is Kind.COUNTER:
        begins = [(ms - origin_ms) * TICKS_PER_MS for ms in series.begins_ms]
        return counter_steps(t, series.value, series.max_gap_ms, ceiling_mw, series.wrap_uj, begins)
    return gauge_steps(t, series.value, series.nominal_ms, series.max_gap_ms)


def _lone_channel(steps: Steps | None, edges: IntArray) -> SpanPower:
    spans = len(edges) - 1
    if steps is None:
        zero = np.zeros(spans)
        return _power(zero, zero, np.zeros(spans, np.int64), _no_hours())
    energy, covered = between_edges(steps, edges)
    hour_covered = np.bincount(edges[:-1] // HOUR_TICKS, covered, 24).astype(np.int64)
    return _power(energy, energy, covered, _hours_of_samples(steps, hour_covered))


def _power(metered: FloatArray, rest: FloatArray, covered: IntArray, hours: HourStatistics) -> SpanPower:
    flags = np.zeros(len(metered), np.int64)
    return SpanPower(metered, rest, covered, [], flags, hours, floor=rest, dynamic=np.zeros(0))


def _no_hours() -> HourStatistics:
    empty = np.full(24, np.nan)
    zero = np.zeros(24, np.int64)
    return HourStatistics(empty, empty, zero, zero)


def _hours_of_samples(steps: Steps, covered: IntArray) -> HourStatistics:
    """Least and greatest sample of each hour (of a counter: mean power of a step that begins in it)."""
    bounds = np.searchsorted(steps.t, HOUR_EDGES)
    low, high = np.full(24, np.nan), np.full(24, np.nan)
    is_gauge = steps.hold > 0
    if is_gauge:
        value = np.append(steps.left, steps.last)
    else:
        value = np.append(np.where(steps.bridged, steps.left, np.nan), np.nan)
    some = bounds[1:] > bounds[:-1]
    if some.any():
        inside = value[bounds[0] : bounds[-1]]
        starts = (bounds[:-1] - bounds[0])[some]
        low[some] = np.fmin.reduceat(inside, starts)
        high[some] = np.fmax.reduceat(inside, starts)
    return HourStatistics(low, high, np.diff(bounds), covered * US_PER_TICK)


def _clipped(ticks: IntArray, period: _Period | PeriodDensity) -> IntArray:
    return np.minimum(np.maximum(ticks, period.start), period.end)


def _density(
    periods: Sequence[_Period], steps: dict[str, Steps], nominal: dict[str, int], edges: IntArray
) -> list[PeriodDensity]:
    found = []
    for period in periods:
        inside = _clipped(edges, period)
        empty = np.zeros(len(edges), np.int64)
        counts = [np.searchsorted(steps[c].t, inside) if c in steps else empty for c in period.channels]
        longest = max((nominal[name] for name in period.channels if name in nominal), default=0)
        found.append(PeriodDensity(period.start, period.end, longest, np.stack(counts)))
    return found


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Powers [mW] at both ends of each piece of a grid, and the energies [mW × ticks] of its GPUs."""

    meter: list[FloatArray]
    rest: list[FloatArray]  # without the GPUs
    covered: BoolArray
    gpus: dict[int, FloatArray]
    idle: dict[int, list[FloatArray]]


def _merged(
    node: NodeDay, periods: Sequence[_Period], steps: dict[str, Steps], edges: IntArray, *, split: bool
) -> SpanPower:
    """Powers of all channels on one grid, fine enough that each is linear or absent between its points."""
    grid = _grid(periods, steps, edges)
    length = np.diff(grid)
    span, spans = np.searchsorted(edges, grid[:-1], side="right") - 1, len(edges) - 1
    drawn = _drawn(node, periods, steps, grid)
    meter, rest, covered = drawn.meter, drawn.rest, drawn.covered
    energy = _add_up((meter[0] + meter[1]) * length, span, spans)
    remainder = _add_up((rest[0] + rest[1]) * length, span, spans)
    ticks = np.bincount(span, np.where(covered, length, 0), spans).astype(np.int64)
    power = _power(energy, remainder, ticks, _hours_of_grid(grid, meter, covered, length, periods, steps))
    negative = covered & (np.minimum(rest[0], rest[1]) < -ROUNDING_MW) & bool(drawn.gpus)
    power.flags |= np.where(np.bincount(span, negative, spans) > 0, int(Flag.NEGATIVE_REST), 0)
    power.gpus = {index: _add_up(e, span, spans) for index, e in drawn.gpus.items()}
    for index, parts in drawn.idle.items():
        known, without_work, energy_of = (_add_up(part, span, spans) for part in parts)
        power.idleness[index] = GpuIdleness(known.astype(np.int64), without_work, energy_of)
    if split:
        above = _above(rest, node.idle_mw, length)
        power.dynamic = _add_up(above, span, spans)
        power.floor = _add_up((rest[0] + rest[1]) * length - above, span, spans)
    return power


def _drawn(node: NodeDay, periods: Sequence[_Period], steps: dict[str, Steps], grid: IntArray) -> _Drawn:
    """What the channels say of each piece of the grid; nothing where one of a period's channels says nothing."""
    curves = {name: on_grid(s, grid) for name, s in steps.items()}
    length = np.diff(grid)
    meter, rest = ([np.zeros(len(length)), np.zeros(len(length))] for _ in range(2))
    found = _Drawn(meter, rest, np.zeros(len(length), bool), {}, {})
    for period in periods:
        inside = (grid[:-1] >= period.start) & (grid[:-1] < period.end)
        whole = _covered_by_all(period.channels, curves, inside)
        np.logical_or(found.covered, whole, out=found.covered)
        for side in (0, 1):
            total = sum((curves[c][side] for c in period.channels if c in curves), np.zeros(len(length)))
            meter[side] = np.where(whole, total, meter[side])
            rest[side] = np.where(whole, total, rest[side])
        for name in period.gpus:
            _split_off(name, curves, whole, length, rest, found.gpus)
            if node.gpu_idle_mw >= 0:
                _tell_idle(name, curves, whole, length, IDLE_FACTOR * node.gpu_idle_mw, found.idle)
    return found


def _grid(periods: Sequence[_Period], steps: dict[str, Steps], edges: IntArray) -> IntArray:
    names = {name for p in periods for name in (*p.channels, *p.gpus)}
    parts = [edges]
    for name in sorted(names & steps.keys()):
        parts += [steps[name].t, hold_edges(steps[name])]
    grid = np.unique(np.concatenate(parts))
    return grid[(grid >= 0) & (grid <= DAY_TICKS)]


_Curve = tuple[FloatArray, FloatArray, BoolArray]


def _covered_by_all(channels: Sequence[str], curves: dict[str, _Curve], inside: BoolArray) -> BoolArray:
    whole = inside.copy()
    for name in channels:
        whole &= curves[name][2] if name in curves else False
    return whole


def _split_off(
    name: str,
    curves: dict[str, _Curve],
    whole: BoolArray,
    length: IntArray,
    rest: list[FloatArray],
    gpus: dict[int, FloatArray],
) -> None:
    """Take one GPU's power out of the rest wherever both the meter and the GPU are covered."""
    index = gpu_index(name)
    if index is None or name not in curves:
        return
    lower, upper, present = curves[name]
    here = whole & present
    rest[0] = np.where(here, rest[0] - lower, rest[0])
    rest[1] = np.where(here, rest[1] - upper, rest[1])
    energy = np.where(here, (lower + upper) * length, 0.0)
    gpus[index] = gpus[index] + energy if index in gpus else energy


def _tell_idle(
    name: str,
    curves: dict[str, _Curve],
    whole: BoolArray,
    length: IntArray,
    threshold_mw: float,
    idle: dict[int, list[FloatArray]],
) -> None:
    """Where one GPU is covered, how long of it it is idle, and what it draws then."""
    index = gpu_index(name)
    if index is None or name not in curves:
        return
    lower, upper, present = curves[name]
    here = whole & present
    below, above = np.minimum(lower, upper), np.maximum(lower, upper)
    rise = np.where(above > below, above - below, 1.0)
    share = np.where(above <= threshold_mw, 1.0, np.clip((threshold_mw - below) / rise, 0.0, 1.0))
    without_work = np.where(here, share * length, 0.0)
    parts = [np.where(here, length, 0), without_work, (below + np.minimum(above, threshold_mw)) * without_work]
    before = idle.get(index)
    idle[index] = [new + old for new, old in zip(parts, before, strict=True)] if before else parts


def _add_up(values: FloatArray, span: IntArray, spans: int) -> FloatArray:
    return np.bincount(span, values, spans).astype(np.float64, copy=False)


def _above(rest: list[FloatArray], idle_mw: int, length: IntArray) -> FloatArray:
    """Energy of linear power above the idle power: a trapezoid, or the triangle that the crossing cuts off."""
    a, b = rest[0] - idle_mw, rest[1] - idle_mw
    top = np.maximum(a, b)
    crosses = (np.minimum(a, b) < 0) & (top > 0)
    rise = np.where(crosses, np.abs(b - a), 1.0)
    triangle = np.where(crosses, top * top / rise, 0.0)
    return np.where(crosses, triangle, np.maximum(a + b, 0.0)) * length


def _hours_of_grid(
    grid: IntArray,
    meter: list[FloatArray],
    covered: BoolArray,
    length: IntArray,
    periods: Sequence[_Period],
    steps: dict[str, Steps],
) -> HourStatistics:
    hour = grid[:-1] // HOUR_TICKS
    starts = np.searchsorted(hour, np.arange(24))
    low = np.where(covered, np.minimum(meter[0], meter[1]), np.nan)
    high = np.where(covered, np.maximum(meter[0], meter[1]), np.nan)
    ticks = np.bincount(hour, np.where(covered, length, 0), 24).astype(np.int64)
    density = _density(periods, steps, {}, HOUR_EDGES)
    samples = sum((np.diff(p.counts, axis=1).min(axis=0) for p in density), np.zeros(24, np.int64))
    return HourStatistics(np.fmin.reduceat(low, starts), np.fmax.reduceat(high, starts), samples, ticks * US_PER_TICK)
