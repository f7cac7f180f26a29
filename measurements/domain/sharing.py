"""Who gets which part of a node's energy in each span of its day.

A span is a stretch of the day in which the holders do not change. A cell is one
allocation in one span: all sums over cells are plain sums of terms of one sign, so that
no difference of large numbers spoils a short job.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from measurements.domain.integrate import DAY_TICKS, TICKS_PER_MS
from measurements.domain.nodeday import Flag, Holdings, NodeDay, Policy
from measurements.domain.span_power import SpanPower
from measurements.domain.units import QUARTER_MS, BoolArray, FloatArray, IntArray

QUARTER_TICKS = QUARTER_MS * TICKS_PER_MS
QUARTER_EDGES = np.arange(0, DAY_TICKS + 1, QUARTER_TICKS, dtype=np.int64)


@dataclass(slots=True)
class Spans:
    """The day cut at ``edges``; allocation i holds the spans [begin[i], finish[i])."""

    edges: IntArray  # [n + 1] ticks
    begin: IntArray
    finish: IntArray
    quarter: IntArray = field(init=False)  # [n] quarter hour of each span
    owner: IntArray = field(init=False)  # per cell: which allocation
    span: IntArray = field(init=False)  # per cell: which span

    def __post_init__(self) -> None:
        self.quarter = self.edges[:-1] // QUARTER_TICKS
        width = self.finish - self.begin
        self.owner = np.repeat(np.arange(len(width)), width)
        first = np.cumsum(width) - width
        self.span = np.arange(len(self.owner)) + (self.begin - first)[self.owner]

    def held(self, amount: IntArray) -> IntArray:
        """How much of an integer amount all allocations together hold in each span."""
        change = np.bincount(self.begin, amount, len(self.edges)) - np.bincount(self.finish, amount, len(self.edges))
        return np.cumsum(change)[:-1].astype(np.int64)

    def sum_int(self, per_span: IntArray) -> IntArray:
        """Per allocation: the exact sum over its spans."""
        upto = np.concatenate(([0], np.cumsum(per_span)))
        return upto[self.finish] - upto[self.begin]


@dataclass(slots=True)
class SpanShares:
    """The outcome of sharing: energies in quarter µJ."""

    energy: FloatArray  # per cell
    gpu_energy: FloatArray  # per cell, part of energy
    unallocated: FloatArray  # per span
    apportioned: BoolArray  # per allocation
    span_flags: IntArray  # per span


def share_out(node: NodeDay, spans: Spans, power: SpanPower) -> SpanShares:
    """Share the rest by cores (and rates), each GPU by its holders; what nobody holds is unallocated."""
    holdings = node.holdings
    exclusive = exclusive_holders(node)
    cores = _cores(node, exclusive)
    held = spans.held(cores)
    divisor = np.maximum(node.cpus, held)
    flags = np.where((node.cpus > 0) & (held > node.cpus), int(Flag.OVERCOMMITTED), 0)
    flags |= np.where(spans.held(exclusive.astype(np.int64)) > 1, int(Flag.OVERCOMMITTED), 0)
    by_rate, fell_back = _hybrid_spans(node, spans, exclusive)
    flags |= np.where(fell_back, int(Flag.RATE_UNKNOWN), 0)
    by_cores = np.where(by_rate, power.floor, power.rest)
    per_core = by_cores / np.maximum(divisor, 1)
    energy = cores[spans.owner] * per_core[spans.span]
    unallocated = np.where(divisor > 0, per_core * (divisor - held), by_cores)
    if by_rate.any():
        energy += _by_rate(spans, holdings, np.where(by_rate, power.dynamic, 0.0))
    gpu_energy = np.zeros(len(energy))
    if power.gpus:
        gpu_energy, unheld, gpu_overcommitted = _share_gpus(node, spans, power, exclusive)
        energy += gpu_energy
        unallocated += unheld
        flags |= np.where(gpu_overcommitted, int(Flag.OVERCOMMITTED), 0)
    apportioned = _apportioned(node, spans, cores, power.covered)
    apportioned |= _shared_by_rate(spans, holdings, np.where(by_rate & (power.floor < power.rest), power.covered, 0))
    return SpanShares(energy, gpu_energy, unallocated, apportioned, flags)


def exclusive_holders(node: NodeDay) -> BoolArray:
    """Says so, or its cpus are missing or all that the node has: whoever holds every core holds the node."""
    cpus = node.holdings.cpus
    return (node.holdings.exclusive == 1) | (cpus < 0) | ((node.cpus > 0) & (cpus == node.cpus))


def _cores(node: NodeDay, exclusive: BoolArray) -> IntArray:
    stated = np.where(node.holdings.cpus < 0, 1, node.holdings.cpus)
    whole = node.cpus if node.cpus > 0 else 1
    return np.where(exclusive, whole, stated)


def _apportioned(node: NodeDay, spans: Spans, cores: IntArray, covered: IntArray) -> BoolArray:
    """Whether an allocation's share of the rest is below 1 at some covered instant."""
    company = spans.held((cores > 0).astype(np.int64)) > 1
    metered = spans.sum_int(covered) > 0
    in_company = spans.sum_int(np.where(company, covered, 0)) > 0
    return metered & ((cores < node.cpus) | (cores == 0) | in_company)


def _shared_by_rate(spans: Spans, holdings: Holdings, covered: IntArray) -> BoolArray:
    """Whether an allocation gets less than all of a dynamic part; ``covered`` is 0 where there is none."""
    works = holdings.cpu_rate > 0
    company = spans.held(works.astype(np.int64)) > 1
    idle = ~works & (spans.sum_int(covered) > 0)
    return idle | (spans.sum_int(np.where(company, covered, 0)) > 0)


def _hybrid_spans(node: NodeDay, spans: Spans, exclusive: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Spans split by rate, and those where that was wanted but a rate is missing or all are zero."""
    none = np.zeros(len(spans.quarter), bool)
    if node.policy is not Policy.HYBRID or node.idle_mw < 0:
        return none, none
    rate = node.holdings.cpu_rate
    shared = (spans.held(exclusive.astype(np.int64)) == 0) & (spans.held(np.ones(len(rate), np.int64)) > 0)
    known = spans.held(np.isnan(rate).astype(np.int64)) == 0
    working = spans.held((rate > 0).astype(np.int64)) > 0
    return shared & known & working, shared & ~(known & working)


def _by_rate(spans: Spans, holdings: Holdings, dynamic: FloatArray) -> FloatArray:
    """The dynamic energy, per cell, in proportion to CPU rates."""
    rate = np.nan_to_num(holdings.cpu_rate)
    # Summed in an order that is a function of the values alone, so that the order of the
    # allocations does not show in the last bit.
    order = np.argsort(rate[spans.owner], kind="stable")
    total = np.bincount(spans.span[order], rate[spans.owner][order], len(dynamic))
    per_rate = dynamic / np.where(total > 0, total, 1.0)
    return rate[spans.owner] * per_rate[spans.span]


def _share_gpus(
    node: NodeDay, spans: Spans, power: SpanPower, exclusive: BoolArray
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Per cell: GPU energy; per span: GPU energy nobody holds, and whether more is held than there is."""
    installed = np.maximum(node.gpus, power.named_gpus)
    mask = np.where(exclusive, np.uint64(0), node.holdings.gpu_mask)
    count = np.where(~exclusive & (mask == 0), node.holdings.gpus, 0)
    cells = np.zeros(len(spans.owner))
    unindexed = np.zeros(len(spans.quarter))
    held_indices = np.zeros(len(spans.quarter), np.int64)
    crowded = np.zeros(len(spans.quarter), bool)
    for index in _indices(mask, power):
        holds = ((mask >> np.uint64(index)) & np.uint64(1)).astype(np.int64)
        holders = spans.held(holds)
        held_indices += holders > 0
        crowded |= holders > 1
        energy = power.gpus.get(index)
        if energy is not None:
            unindexed += np.where(holders == 0, energy, 0.0)
            each = np.where(holders > 0, energy, 0.0) / np.maximum(holders, 1)
            cells += holds[spans.owner] * each[spans.span]
    wanted = spans.held(count) + installed * spans.held(exclusive.astype(np.int64))
    remaining = np.maximum(installed - held_indices, 0)
    divisor = np.maximum(remaining, wanted)
    each = unindexed / np.maximum(divisor, 1)
    cells += np.where(exclusive[spans.owner], installed[spans.span], count[spans.owner]) * each[spans.span]
    unheld = np.where(divisor > 0, each * (divisor - wanted), unindexed)
    return cells, unheld, crowded | (wanted > remaining)


def _indices(mask: IntArray, power: SpanPower) -> list[int]:
    stated = int(np.bitwise_or.reduce(mask, initial=np.uint64(0)))
    return sorted(set(power.gpus) | {i for i in range(stated.bit_length()) if stated >> i & 1})
