"""A second, independent attribution: exact, slow and written so that it can be checked by reading.

Every instant at which anything changes is collected. Between two of them every power is a
straight line and every share a constant, so an energy is the mean of the two end powers
times the length. All numbers are fractions: nothing is ever rounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from measurements.domain.attribution import MeterPeriod, NodeDay
from measurements.domain.units import DAY_MS, QUARTER_MS, QUARTERS_PER_DAY, Kind
from tests.measurements.domain.oracle_power import TICKS_PER_MS, Line, counter_step, split_at
from tests.measurements.domain.oracle_shares import (
    ZERO,
    ExactNode,
    core_shares,
    gpu_shares,
    is_overcommitted,
    rate_shares,
    reserved_shares,
    wants_rates,
)

US_PER_TICK = 500


@dataclass
class ExpectedAllocation:
    """What one holding must get within the window."""

    quarters_uj: list[Fraction]
    gpu_uj: Fraction = ZERO
    covered_us: int = 0
    elapsed_us: int = 0
    reserved_us: Fraction = ZERO
    samples: int = 0
    expected_samples: Fraction = ZERO
    apportioned: bool = False
    fell_back: bool = False  # policy hybrid took cores for want of CPU rates
    fell_back_unmetered: bool = False  # or would have, had there been anything to share

    @property
    def energy_uj(self) -> Fraction:
        return sum(self.quarters_uj, ZERO)


@dataclass
class Expected:
    """What a node must come to within the window."""

    metered_uj: list[Fraction]
    unallocated_uj: list[Fraction]
    allocations: list[ExpectedAllocation]
    covered_us: int = 0
    unplaced_uj: int = 0
    gross_uj: Fraction = ZERO  # of all meter and GPU channels: what rounding errors are proportional to
    lowest_rest_mw: Fraction | None = None
    overcommitted: bool = False  # something was scaled because more was held than there is
    overcommitted_unmetered: bool = False  # or would have been, had it been metered


def _breakpoints(node: ExactNode, start: int, end: int) -> list[int]:
    edges: set[int] = {start, end, *range(start, end, QUARTER_MS * TICKS_PER_MS)}
    edges.update(p.start for pieces in node.pieces.values() for p in pieces)
    edges.update(p.end for pieces in node.pieces.values() for p in pieces)
    edges.update(node.start + node.end)
    edges.update(p.from_ms * TICKS_PER_MS for p in node.node.meter)
    return sorted(edge for edge in edges if start <= edge <= end)


def expected_day(node_day: NodeDay, day_ms: int, days: int = 1) -> Expected:
    """Attribute [day, day + days) of one node, from nothing but the rules."""
    node = ExactNode(node_day)
    start, end = day_ms * TICKS_PER_MS, (day_ms + days * DAY_MS) * TICKS_PER_MS
    quarters = QUARTERS_PER_DAY * days
    result = Expected([ZERO] * quarters, [ZERO] * quarters, [ExpectedAllocation([ZERO] * quarters) for _ in node.start])
    edges = _breakpoints(node, start, end)
    for left, right in pairwise(edges):
        _book(node, result, left, right, quarter=(left - start) // (QUARTER_MS * TICKS_PER_MS))
    for k, allocation in enumerate(result.allocations):
        _count_samples(node, k, allocation, start, end)
    result.unplaced_uj = _unplaced(node, start, end)
    return result


def _book(node: ExactNode, result: Expected, start: int, end: int, quarter: int) -> None:
    """Share out one elementary interval."""
    holders, period = node.holders(start, end), node.period(start)
    result.overcommitted_unmetered |= is_overcommitted(node, period or MeterPeriod(0, ()), holders, metered=None)
    reserved = reserved_shares(node, holders)
    for k in holders:
        result.allocations[k].elapsed_us += (end - start) * US_PER_TICK
        result.allocations[k].reserved_us += (end - start) * US_PER_TICK * reserved[k]
        result.allocations[k].fell_back_unmetered |= wants_rates(node, holders) and not rate_shares(node, holders)
    meter = node.meter_line(period, start, end) if period else None
    if period is None or meter is None:
        return
    given = ZERO
    rest = meter
    split_off = set()
    for name in period.gpus:
        line = node.line(name, start, end)
        if line is not None:
            rest -= line
            split_off.add(int(name.removeprefix("gpu")))
            given += _give_gpu(node, result, period, name, line.energy_uj(end - start), holders, quarter)
            result.gross_uj += abs(line.energy_uj(end - start))
    given += _give_rest(node, result, rest, end - start, holders, quarter)
    metered = meter.energy_uj(end - start)
    result.metered_uj[quarter] += metered
    result.unallocated_uj[quarter] += metered - given
    result.gross_uj += abs(metered)
    result.covered_us += (end - start) * US_PER_TICK
    lowest = min(rest.first, rest.last)
    result.lowest_rest_mw = lowest if result.lowest_rest_mw is None else min(result.lowest_rest_mw, lowest)
    result.overcommitted |= is_overcommitted(node, period, holders, split_off)
    for k in holders:
        result.allocations[k].covered_us += (end - start) * US_PER_TICK


def _give_gpu(
    node: ExactNode,
    result: Expected,
    period: MeterPeriod,
    name: str,
    energy_uj: Fraction,
    holders: Sequence[int],
    quarter: int,
) -> Fraction:
    """Book one GPU's energy; returns what somebody got."""
    given = ZERO
    for k, share in gpu_shares(node, period, int(name.removeprefix("gpu")), holders).items():
        result.allocations[k].quarters_uj[quarter] += share * energy_uj
        result.allocations[k].gpu_uj += share * energy_uj
        given += share * energy_uj
    return given


def _give_rest(
    node: ExactNode, result: Expected, rest: Line, ticks: int, holders: Sequence[int], quarter: int
) -> Fraction:
    """Book the meter without its GPUs; returns what somebody got."""
    by_cores, by_rate = core_shares(node, holders), rate_shares(node, holders)
    given = ZERO
    for part, fraction in split_at(rest, Fraction(node.node.idle_mw)) if by_rate else [(rest, Fraction(1))]:
        floor = _capped(part, Fraction(node.node.idle_mw)) if by_rate else part
        above = part - floor
        for k in holders:
            allocation = result.allocations[k]
            got = by_cores[k] * floor.energy_uj(ticks * fraction)
            if by_rate:
                got += by_rate[k] * above.energy_uj(ticks * fraction)
                allocation.apportioned |= by_rate[k] < 1 and above != Line(ZERO, ZERO)
            allocation.fell_back |= by_rate is None and wants_rates(node, holders)
            allocation.apportioned |= by_cores[k] < 1
            allocation.quarters_uj[quarter] += got
            given += got
    return given


def _capped(line: Line, level: Fraction) -> Line:
    """min(line, level) of a line that does not cross the level."""
    return Line(min(line.first, level), min(line.last, level))


def _count_samples(node: ExactNode, k: int, allocation: ExpectedAllocation, start: int, end: int) -> None:
    """Samples of the meter inside the holding: the fewest of any channel, meter period by meter period."""
    lower, upper = max(node.start[k], start), min(node.end[k], end)
    changes = [p.from_ms * TICKS_PER_MS for p in node.node.meter] + [upper]
    for i, period in enumerate(node.node.meter):
        left, right = max(lower, changes[i]), min(upper, changes[i + 1])
        if left >= right:
            continue
        series = [node.series[name] for name in period.channels if name in node.series]
        counts = [_samples_inside(s.t_ms, left, right) for s in series]
        allocation.samples += min(counts) if len(counts) == len(period.channels) else 0
        longest_ms = max((s.nominal_ms for s in series), default=0)
        if longest_ms:
            allocation.expected_samples += Fraction(right - left, longest_ms * TICKS_PER_MS)


def _samples_inside(t_ms: Iterable[int], start: int, end: int) -> int:
    return sum(1 for t in t_ms if start <= int(t) * TICKS_PER_MS < end)


def _unplaced(node: ExactNode, start: int, end: int) -> int:
    """Rule 2: joules of steps not placed whose later reading, of a channel of the meter then, lies in the window."""
    total = 0
    for series in node.node.series:
        if series.kind is Kind.GAUGE:
            continue
        for i in range(len(series.t_ms) - 1):
            later = int(series.t_ms[i + 1]) * TICKS_PER_MS
            period = node.period(later)
            if start <= later < end and period and series.name in period.channels:
                total += counter_step(series, i, node.node.ceiling_mw)[1]
    return total
