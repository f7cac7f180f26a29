"""What a node's meter, its GPUs and the rest drew in each span of a day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from measurements.domain.channel_names import gpu_index
from measurements.domain.integrate import (
    DAY_TICKS,
    TICKS_PER_MS,
    US_PER_TICK,
    Steps,
    between_edges,
    counter_steps,
    gauge_steps,
)
from measurements.domain.merged_power import merged_power
from measurements.domain.nodeday import HourStatistics, NodeDay, Policy, Series
from measurements.domain.span_power import HOUR_EDGES, HOUR_TICKS, Period, SpanPower, density_of, plain_power
from measurements.domain.units import IntArray, Kind


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
        power = merged_power(node, periods, steps, edges, split=split)
    nominal = {s.name: s.nominal_ms for s in node.series}
    power.unplaced_uj = sum(
        steps[name].unplaced_uj(p.start, p.end) for p in periods for name in p.channels if name in steps
    )
    power.named_gpus = _named_gpus(periods, edges)
    power.periods = density_of(periods, steps, nominal, edges)
    return power


def _named_gpus(periods: Sequence[Period], edges: IntArray) -> IntArray:
    count = np.zeros(len(edges) - 1, np.int64)
    for period in periods:
        indices = {gpu_index(name) for name in period.gpus} - {None}
        count[(edges[:-1] >= period.start) & (edges[:-1] < period.end)] = len(indices)
    return count


def _periods(node: NodeDay, day_ms: int) -> list[Period]:
    """The meter periods that reach into the day, clipped to it."""
    starts = [min(max((p.from_ms - day_ms) * TICKS_PER_MS, 0), DAY_TICKS) for p in node.meter]
    ends = [*starts, DAY_TICKS][1:]  # none, if there is no meter
    return [
        Period(start, end, p.channels, p.gpus)
        for p, start, end in zip(node.meter, starts, ends, strict=True)
        if start < end
    ]


def steps_of(series: Series, ceiling_mw: int, origin_ms: int) -> Steps:
    """A channel's samples as steps, in ticks since an instant."""
    t = (series.t_ms - origin_ms) * TICKS_PER_MS
    breaks = [(ms - origin_ms) * TICKS_PER_MS for ms in series.breaks_ms]
    if series.kind is Kind.COUNTER:
        begins = [(ms - origin_ms) * TICKS_PER_MS for ms in series.begins_ms]
        return counter_steps(
            t, series.value, series.max_gap_ms, ceiling_mw, series.wrap_uj, begins, breaks=breaks,
            wrap_limit_mw=series.wrap_limit_mw,
        )  # fmt: skip
    return gauge_steps(t, series.value, series.nominal_ms, series.max_gap_ms, breaks)


def _lone_channel(steps: Steps | None, edges: IntArray) -> SpanPower:
    spans = len(edges) - 1
    if steps is None:
        zero = np.zeros(spans)
        return plain_power(zero, zero, np.zeros(spans, np.int64), _no_hours())
    energy, covered = between_edges(steps, edges)
    hour_covered = np.bincount(edges[:-1] // HOUR_TICKS, covered, 24).astype(np.int64)
    return plain_power(energy, energy, covered, _hours_of_samples(steps, hour_covered))


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
