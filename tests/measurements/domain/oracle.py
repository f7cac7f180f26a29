"""A second, independent attribution: exact, slow and written so that it can be checked by reading.

Every instant at which anything changes is collected. Between two of them every power is a
straight line and every share a constant, so an energy is the mean of the two end powers
times the length. All numbers are fractions: nothing is ever rounded.

Times are ticks of half a millisecond, because half of a nominal interval of 15 001 ms is a
whole number of them; powers are mW and energies µJ, as stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from measurements.domain.attribution import Holdings, MeterPeriod, NodeDay, Policy, Series
from measurements.domain.units import DAY_MS, QUARTER_MS, QUARTERS_PER_DAY, Kind

TICKS_PER_MS = 2
US_PER_TICK = 500
UNDECLARED_CEILING_MW = 1_000_000_000  # 1 MW
ZERO = Fraction(0)


@dataclass(frozen=True)
class Piece:
    """A straight line of power over [start, end), both in ticks."""

    start: int
    end: int
    first_mw: Fraction
    last_mw: Fraction

    def at(self, tick: int) -> Fraction:
        """Power in mW at a tick of the piece, its end included."""
        slope = Fraction(tick - self.start, self.end - self.start)
        return self.first_mw + (self.last_mw - self.first_mw) * slope


@dataclass(frozen=True)
class Line:
    """Power at both ends of one elementary interval, in mW."""

    first: Fraction
    last: Fraction

    def __sub__(self, other: Line) -> Line:
        return Line(self.first - other.first, self.last - other.last)

    def energy_uj(self, ticks: Fraction | int) -> Fraction:
        return (self.first + self.last) / 2 * Fraction(ticks) / TICKS_PER_MS


@dataclass
class ExpectedAllocation:
    """What one holding must get within the window."""

    quarters_uj: list[Fraction]
    gpu_uj: Fraction = ZERO
    covered_us: int = 0
    elapsed_us: int = 0
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


def gauge_pieces(series: Series) -> list[Piece]:
    """Rule 1: lines between neighbours of a stretch, and half an interval held at its ends."""
    ticks = [int(t) * TICKS_PER_MS for t in series.t_ms]
    power = [Fraction(int(v)) for v in series.value]
    half = int(series.nominal_ms)  # in ticks
    pieces = []
    for i, tick in enumerate(ticks):
        if i == 0 or not _joined(series, i - 1):
            pieces.append(Piece(tick - half, tick, power[i], power[i]))
        if i + 1 < len(ticks) and _joined(series, i):
            pieces.append(Piece(tick, ticks[i + 1], power[i], power[i + 1]))
        else:
            pieces.append(Piece(tick, tick + half, power[i], power[i]))
    return pieces


def _joined(series: Series, i: int) -> bool:
    return int(series.t_ms[i + 1]) - int(series.t_ms[i]) <= series.max_gap_ms


def counter_step(series: Series, i: int, ceiling_mw: int) -> tuple[Fraction | None, int]:
    """Rule 2: mean power in mW from reading i to the next (None: a gap), and µJ known but not placed.

    A ceiling of -1 is not declared: then steps are held against 1 MW, and how soon the counter
    could wrap is not known.
    """
    length_ms = int(series.t_ms[i + 1]) - int(series.t_ms[i])
    rise_uj = int(series.value[i + 1]) - int(series.value[i])
    most_uj = length_ms * (ceiling_mw if ceiling_mw >= 0 else UNDECLARED_CEILING_MW)
    may_have_wrapped_unseen = ceiling_mw >= 0 and 0 < series.wrap_uj <= most_uj
    too_long = not _joined(series, i) or may_have_wrapped_unseen
    if rise_uj >= 0:
        if too_long or rise_uj > most_uj:
            return None, rise_uj
        return Fraction(rise_uj, length_ms), 0
    unwrapped_uj = rise_uj + series.wrap_uj
    if too_long or series.wrap_uj == 0 or not 0 <= unwrapped_uj <= most_uj:
        return None, 0
    return Fraction(unwrapped_uj, length_ms), 0


def counter_pieces(series: Series, ceiling_mw: int) -> list[Piece]:
    """Rule 2 as pieces of constant power."""
    pieces = []
    for i in range(len(series.t_ms) - 1):
        power, _ = counter_step(series, i, ceiling_mw)
        if power is not None:
            start, end = (int(t) * TICKS_PER_MS for t in series.t_ms[i : i + 2])
            pieces.append(Piece(start, end, power, power))
    return pieces


class _Node:
    """One node's input in exact form, with what can be asked of it about one interval."""

    def __init__(self, node: NodeDay) -> None:
        self.node = node
        self.series = {s.name: s for s in node.series}
        self.pieces = {
            s.name: gauge_pieces(s) if s.kind is Kind.GAUGE else counter_pieces(s, node.ceiling_mw) for s in node.series
        }
        held = node.holdings
        self.start = [int(t) * TICKS_PER_MS for t in held.start_ms]
        self.end = [int(t) * TICKS_PER_MS for t in held.end_ms]
        self.exclusive = [_is_exclusive(held, k, node.cpus) for k in range(len(self.start))]

    def line(self, name: str, start: int, end: int) -> Line | None:
        """Power of a channel over [start, end), which no piece's edge cuts; None: not covered."""
        for piece in self.pieces.get(name, ()):
            if piece.start <= start and end <= piece.end:
                return Line(piece.at(start), piece.at(end))
        return None

    def period(self, tick: int) -> MeterPeriod | None:
        begun = [p for p in self.node.meter if p.from_ms * TICKS_PER_MS <= tick]
        return begun[-1] if begun else None

    def meter_line(self, period: MeterPeriod, start: int, end: int) -> Line | None:
        """Rule 4: the sum of the meter's channels, where all of them are covered."""
        lines = [self.line(name, start, end) for name in period.channels]
        known = [line for line in lines if line is not None]
        if not known or len(known) < len(lines):
            return None
        return Line(sum((x.first for x in known), ZERO), sum((x.last for x in known), ZERO))

    def holders(self, start: int, end: int) -> list[int]:
        return [k for k in range(len(self.start)) if self.start[k] <= start and end <= self.end[k]]

    def cores(self, k: int) -> int:
        """Cores a holding counts with; on a node of unknown size an exclusive holding is one core like any other."""
        stated = int(self.node.holdings.cpus[k])
        if self.exclusive[k]:
            return self.node.cpus or 1
        return stated if stated >= 0 else 1

    def gpu_total(self, period: MeterPeriod) -> int:
        return max(self.node.gpus, len(period.gpus))

    def indices(self, k: int) -> set[int]:
        """GPU indices a holding states; an exclusive one is treated as stating none."""
        mask = 0 if self.exclusive[k] else int(self.node.holdings.gpu_mask[k])
        return {i for i in range(64) if mask >> i & 1}

    def gpu_count(self, k: int, period: MeterPeriod) -> int:
        """GPUs a holding without indices takes a share of."""
        if self.exclusive[k]:
            return self.gpu_total(period)
        return 0 if self.indices(k) else int(self.node.holdings.gpus[k])


def _is_exclusive(held: Holdings, k: int, node_cpus: int) -> bool:
    """Rule 7: says so, or says nothing and its cpus are missing or all of the node's."""
    if held.exclusive[k] != -1:
        return bool(held.exclusive[k] == 1)
    cpus = int(held.cpus[k])
    return cpus < 0 or (node_cpus > 0 and cpus == node_cpus)


def core_shares(node: _Node, holders: Sequence[int]) -> dict[int, Fraction]:
    """Rule 8: cores ÷ max(cpus of the node, Σ cores held)."""
    cores = {k: node.cores(k) for k in holders}
    divisor = max(node.node.cpus, sum(cores.values()), 1)  # 1: nobody holds a core of a node of unknown size
    return {k: Fraction(c, divisor) for k, c in cores.items()}


def gpu_shares(node: _Node, period: MeterPeriod, index: int, holders: Sequence[int]) -> dict[int, Fraction]:
    """Rule 8: a GPU to those who name it, else to those who hold some without naming them."""
    naming = [k for k in holders if index in node.indices(k)]
    if naming:
        return {k: Fraction(1, len(naming)) for k in naming}
    named = set().union(*(node.indices(k) for k in holders)) if holders else set()
    remaining = max(node.gpu_total(period) - len(named), 0)
    counts = {k: node.gpu_count(k, period) for k in holders}
    divisor = max(remaining, sum(counts.values()))
    return {k: Fraction(c, divisor) for k, c in counts.items() if c}


def wants_rates(node: _Node, holders: Sequence[int]) -> bool:
    """Whether policy hybrid would split the dynamic part by CPU rates if it knew them."""
    if node.node.policy is not Policy.HYBRID or node.node.idle_mw < 0 or not holders:
        return False
    return not any(node.exclusive[k] for k in holders)


def rate_shares(node: _Node, holders: Sequence[int]) -> dict[int, Fraction] | None:
    """Policy hybrid: CPU rates ÷ their sum; None where they cannot be used."""
    if not wants_rates(node, holders):
        return None
    rates = [float(node.node.holdings.cpu_rate[k]) for k in holders]
    if any(rate != rate for rate in rates) or sum(rates) <= 0:  # nan is not equal to itself
        return None
    total = sum((Fraction(rate) for rate in rates), ZERO)
    return {k: Fraction(rate) / total for k, rate in zip(holders, rates, strict=True)}


def split_at(line: Line, level: Fraction) -> list[tuple[Line, Fraction]]:
    """The line cut where it crosses a level: parts, each with its fraction of the length."""
    if (line.first - level) * (line.last - level) >= 0:
        return [(line, Fraction(1))]
    at = (level - line.first) / (line.last - line.first)
    return [(Line(line.first, level), at), (Line(level, line.last), 1 - at)]


def _breakpoints(node: _Node, start: int, end: int) -> list[int]:
    edges: set[int] = {start, end, *range(start, end, QUARTER_MS * TICKS_PER_MS)}
    edges.update(p.start for pieces in node.pieces.values() for p in pieces)
    edges.update(p.end for pieces in node.pieces.values() for p in pieces)
    edges.update(node.start + node.end)
    edges.update(p.from_ms * TICKS_PER_MS for p in node.node.meter)
    return sorted(edge for edge in edges if start <= edge <= end)


def expected_day(node_day: NodeDay, day_ms: int, days: int = 1) -> Expected:
    """Attribute [day, day + days) of one node, from nothing but the rules."""
    node = _Node(node_day)
    start, end = day_ms * TICKS_PER_MS, (day_ms + days * DAY_MS) * TICKS_PER_MS
    quarters = QUARTERS_PER_DAY * days
    result = Expected(
        [ZERO] * quarters, [ZERO] * quarters, [ExpectedAllocation([ZERO] * quarters) for _ in node.start]
    )
    edges = _breakpoints(node, start, end)
    for left, right in zip(edges, edges[1:], strict=False):
        _book(node, result, left, right, quarter=(left - start) // (QUARTER_MS * TICKS_PER_MS))
    for k, allocation in enumerate(result.allocations):
        _count_samples(node, k, allocation, start, end)
    result.unplaced_uj = _unplaced(node, start, end)
    return result


def _book(node: _Node, result: Expected, start: int, end: int, quarter: int) -> None:
    """Share out one elementary interval."""
    holders, period = node.holders(start, end), node.period(start)
    result.overcommitted_unmetered |= _is_overcommitted(node, period or MeterPeriod(0, ()), holders, metered=None)
    for k in holders:
        result.allocations[k].elapsed_us += (end - start) * US_PER_TICK
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
    result.overcommitted |= _is_overcommitted(node, period, holders, split_off)
    for k in holders:
        result.allocations[k].covered_us += (end - start) * US_PER_TICK


def _give_gpu(
    node: _Node,
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
    node: _Node, result: Expected, rest: Line, ticks: int, holders: Sequence[int], quarter: int
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


def _is_overcommitted(
    node: _Node, period: MeterPeriod, holders: Sequence[int], metered: set[int] | None
) -> bool:
    """More held than there is: cores, a GPU index twice, GPUs without index, or the whole node twice.

    With ``metered`` (GPU indices) only what changes somebody's joules counts.
    """
    named = [i for k in holders for i in node.indices(k)]
    counts = sum(node.gpu_count(k, period) for k in holders)
    remaining = max(node.gpu_total(period) - len(set(named)), 0)
    twice = {i for i in named if named.count(i) > 1}
    if metered is not None:
        twice &= metered
        counts = counts if metered - set(named) else 0
    cores_over = node.node.cpus > 0 and sum(node.cores(k) for k in holders) > node.node.cpus
    return cores_over or sum(node.exclusive[k] for k in holders) > 1 or bool(twice) or counts > remaining


def _count_samples(node: _Node, k: int, allocation: ExpectedAllocation, start: int, end: int) -> None:
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


def _unplaced(node: _Node, start: int, end: int) -> int:
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
