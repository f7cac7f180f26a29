"""From samples and allocations of some nodes on one UTC day to joules, booked once.

Everything here is a pure function of its arguments, the same bit for bit however the
nodes are grouped into calls. docs/integration.md states the rules with worked cases.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from measurements.domain.idle import held_idle
from measurements.domain.integrate import DAY_TICKS, QUARTER_UJ_PER_UJ, TICKS_PER_MS, US_PER_TICK
from measurements.domain.metering import meter_spans
from measurements.domain.nodeday import (
    AllocationEnergies,
    Flag,
    Holdings,
    HourStatistics,
    MeterPeriod,
    NodeDay,
    NodeLedger,
    Policy,
    Series,
)
from measurements.domain.reserved import reserved_us
from measurements.domain.sharing import QUARTER_EDGES, Spans, SpanShares, exclusive_holders, share_out
from measurements.domain.span_power import SpanPower
from measurements.domain.units import QUARTERS_PER_DAY, FloatArray, IntArray

__all__ = [
    "AllocationEnergies",
    "Flag",
    "Holdings",
    "HourStatistics",
    "MeterPeriod",
    "NodeDay",
    "NodeLedger",
    "Policy",
    "Series",
    "attribute_block",
    "attribute_node",
]


def attribute_block(nodes: Sequence[NodeDay], day_ms: int) -> list[NodeLedger]:
    """Book the energy of each node's UTC day, which begins at ``day_ms``."""
    return [attribute_node(node, day_ms) for node in nodes]


def attribute_node(node: NodeDay, day_ms: int) -> NodeLedger:
    """Book one node's energy on the UTC day that begins at ``day_ms``.

    The day is cut at quarter hours, meter changes and wherever an allocation or an off-time begins
    or ends; within such a span the holders do not change, so that powers may be shared out as energies.
    """
    start = _ticks(node.holdings.start_ms, day_ms)
    end = np.maximum(_ticks(node.holdings.end_ms, day_ms), start)
    changes = _ticks(np.array([p.from_ms for p in node.meter], np.int64), day_ms)
    off = _ticks(np.array(node.off_ms, np.int64).reshape(-1, 2), day_ms)
    edges = np.unique(np.concatenate((QUARTER_EDGES, start, end, changes, off.ravel())))
    spans = Spans(edges, np.searchsorted(edges, start), np.searchsorted(edges, end))
    power = meter_spans(node, edges, day_ms)
    shares = share_out(node, spans, power)
    return NodeLedger(
        metered_uj=_by_quarter(spans, power.metered),
        unallocated_uj=_by_quarter(spans, shares.unallocated),
        covered_us=int(power.covered.sum()) * US_PER_TICK,
        off_us=_off_ticks(edges, off, power.covered) * US_PER_TICK,
        unplaced_uj=power.unplaced_uj,
        flags=Flag(int(np.bitwise_or.reduce(power.flags | shares.span_flags, initial=0))),
        hours=power.hours,
        allocations=_allocations(node, spans, power, shares),
    )


def _off_ticks(edges: IntArray, off: IntArray, covered: IntArray) -> int:
    """Ticks in which the node was off and nothing was measured; what is measured is covered whatever is said."""
    switched_off = np.zeros(len(edges) - 1, bool)
    for start, end in off.tolist():
        switched_off |= (edges[:-1] >= start) & (edges[:-1] < end)
    return int((np.diff(edges) - covered)[switched_off].sum())


def _ticks(ms: IntArray, day_ms: int) -> IntArray:
    return np.minimum(np.maximum((ms - day_ms) * TICKS_PER_MS, 0), DAY_TICKS)


def _by_quarter(spans: Spans, energy: FloatArray) -> FloatArray:
    return np.bincount(spans.quarter, energy, QUARTERS_PER_DAY) / QUARTER_UJ_PER_UJ


def _allocations(node: NodeDay, spans: Spans, power: SpanPower, shares: SpanShares) -> AllocationEnergies:
    """Add the cells (allocation × span) up to quarter hours and to the day."""
    first, last = spans.begin, np.maximum(spans.finish - 1, spans.begin)
    present = spans.finish > spans.begin
    safe = np.minimum(np.stack((first, last)), len(spans.quarter) - 1)
    first_quarter = np.where(present, spans.quarter[safe[0]], 0)
    width = np.where(present, spans.quarter[safe[1]] - first_quarter + 1, 0)
    offsets = np.concatenate(([0], np.cumsum(width)))
    slot = (offsets[:-1] - first_quarter)[spans.owner] + spans.quarter[spans.span]
    quarters = np.bincount(slot, shares.energy, int(offsets[-1])) / QUARTER_UJ_PER_UJ
    count = len(first)
    owner = np.repeat(np.arange(count), width)
    gpu_uj = np.zeros(count)
    if power.gpus:
        gpu_uj = np.bincount(spans.owner, shares.gpu_energy, count) / QUARTER_UJ_PER_UJ
    exclusive = exclusive_holders(node)
    idle = held_idle(spans, node.holdings, exclusive, power.idleness)
    return AllocationEnergies(
        energy_uj=np.bincount(owner, quarters, count).astype(np.float64, copy=False),
        gpu_uj=gpu_uj,
        first_quarter=first_quarter,
        offsets=offsets,
        quarters_uj=quarters,
        covered_us=spans.sum_int(power.covered) * US_PER_TICK,
        elapsed_us=(spans.edges[spans.finish] - spans.edges[spans.begin]) * US_PER_TICK,
        samples=power.samples_between(spans.begin, spans.finish),
        expected_samples=power.expected_between(spans.edges[spans.begin], spans.edges[spans.finish]),
        apportioned=shares.apportioned,
        gpu_held_us=idle.known * US_PER_TICK,
        gpu_idle_us=np.rint(idle.idle * US_PER_TICK).astype(np.int64),
        gpu_idle_uj=idle.energy / QUARTER_UJ_PER_UJ,
        reserved_us=reserved_us(node, spans, exclusive),
        flags=_flags(spans, power.flags | shares.span_flags),
    )


def _flags(spans: Spans, span_flags: IntArray) -> IntArray:
    """The flags of all spans of each allocation."""
    flags = np.zeros(len(spans.begin), np.int64)
    if span_flags.any():
        for flag in Flag:
            hit = spans.sum_int((span_flags & flag != 0).astype(np.int64)) > 0
            flags |= np.where(hit, int(flag), 0)
    return flags
