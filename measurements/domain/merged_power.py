"""A node's meter and GPUs on one grid of time, fine enough that each channel is linear or absent between its points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from measurements.domain.channel_names import gpu_index
from measurements.domain.idleness import IDLE_FACTOR, GpuIdleness
from measurements.domain.integrate import DAY_TICKS, US_PER_TICK, Steps, hold_edges, on_grid
from measurements.domain.nodeday import Flag, HourStatistics, NodeDay
from measurements.domain.span_power import HOUR_EDGES, HOUR_TICKS, Period, SpanPower, density_of, plain_power
from measurements.domain.units import BoolArray, FloatArray, IntArray

# A rest this little below zero is the rounding of a difference, no fault of a meter.
ROUNDING_MW = 1e-3

_Curve = tuple[FloatArray, FloatArray, BoolArray]  # at both ends of each piece of the grid, and whether it is covered


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Powers [mW] at both ends of each piece of a grid, and the energies [mW × ticks] of its GPUs."""

    meter: list[FloatArray]
    rest: list[FloatArray]  # without the GPUs
    covered: BoolArray
    gpus: dict[int, FloatArray]
    idle: dict[int, list[FloatArray]]


def merged_power(
    node: NodeDay, periods: Sequence[Period], steps: dict[str, Steps], edges: IntArray, *, split: bool
) -> SpanPower:
    """Meter, GPUs and rest of a node with several channels, between ``edges`` (ticks of the day), as `meter_spans`.

    Each channel is linear, or absent, between the points of the grid: its samples, the ends of what they hold for, and
    the edges. So sums and differences of channels are integrated exactly (docs/integration.md). ``split``: what is
    above the node's idle power as well.
    """
    grid = _grid(periods, steps, edges)
    length = np.diff(grid)
    span, spans = np.searchsorted(edges, grid[:-1], side="right") - 1, len(edges) - 1
    drawn = _drawn(node, periods, steps, grid)
    meter, rest, covered = drawn.meter, drawn.rest, drawn.covered
    energy = _add_up((meter[0] + meter[1]) * length, span, spans)
    remainder = _add_up((rest[0] + rest[1]) * length, span, spans)
    ticks = np.bincount(span, np.where(covered, length, 0), spans).astype(np.int64)
    power = plain_power(energy, remainder, ticks, _hours_of_grid(grid, meter, covered, length, periods, steps))
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


def _drawn(node: NodeDay, periods: Sequence[Period], steps: dict[str, Steps], grid: IntArray) -> _Drawn:
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
            index = gpu_index(name)
            if index is None or name not in curves:
                continue
            lower, upper, present = curves[name]
            gpu = lower, upper, whole & present
            _take_out(gpu, rest)
            _add(found.gpus, index, np.where(gpu[2], (lower + upper) * length, 0.0))
            if node.gpu_idle_mw >= 0:
                parts = _idle_parts(gpu, length, IDLE_FACTOR * node.gpu_idle_mw)
                before = found.idle.get(index)
                found.idle[index] = [new + old for new, old in zip(parts, before, strict=True)] if before else parts
    return found


def _add(sums: dict[int, FloatArray], index: int, energy: FloatArray) -> None:
    sums[index] = sums[index] + energy if index in sums else energy


def _grid(periods: Sequence[Period], steps: dict[str, Steps], edges: IntArray) -> IntArray:
    names = {name for p in periods for name in (*p.channels, *p.gpus)}
    parts = [edges]
    for name in sorted(names & steps.keys()):
        parts += [steps[name].t, hold_edges(steps[name])]
    grid = np.unique(np.concatenate(parts))
    return grid[(grid >= 0) & (grid <= DAY_TICKS)]


def _covered_by_all(channels: Sequence[str], curves: dict[str, _Curve], inside: BoolArray) -> BoolArray:
    whole = inside.copy()
    for name in channels:
        whole &= curves[name][2] if name in curves else False
    return whole


def _take_out(gpu: _Curve, rest: list[FloatArray]) -> None:
    """Take one GPU's power out of the rest wherever both the meter and the GPU are covered."""
    lower, upper, here = gpu
    rest[0] = np.where(here, rest[0] - lower, rest[0])
    rest[1] = np.where(here, rest[1] - upper, rest[1])


def _idle_parts(gpu: _Curve, length: IntArray, threshold_mw: float) -> list[FloatArray]:
    """Where one GPU is covered, how long of it it is idle, and what it draws then."""
    lower, upper, here = gpu
    below, above = np.minimum(lower, upper), np.maximum(lower, upper)
    rise = np.where(above > below, above - below, 1.0)
    share = np.where(above <= threshold_mw, 1.0, np.clip((threshold_mw - below) / rise, 0.0, 1.0))
    without_work = np.where(here, share * length, 0.0)
    return [np.where(here, length, 0), without_work, (below + np.minimum(above, threshold_mw)) * without_work]


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
    periods: Sequence[Period],
    steps: dict[str, Steps],
) -> HourStatistics:
    hour = grid[:-1] // HOUR_TICKS
    starts = np.searchsorted(hour, np.arange(24))
    low = np.where(covered, np.minimum(meter[0], meter[1]), np.nan)
    high = np.where(covered, np.maximum(meter[0], meter[1]), np.nan)
    ticks = np.bincount(hour, np.where(covered, length, 0), 24).astype(np.int64)
    density = density_of(periods, steps, {}, HOUR_EDGES)
    samples = sum((np.diff(p.counts, axis=1).min(axis=0) for p in density), np.zeros(24, np.int64))
    return HourStatistics(np.fmin.reduceat(low, starts), np.fmax.reduceat(high, starts), samples, ticks * US_PER_TICK)
