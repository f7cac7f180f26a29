"""The oracle's second half: who holds what of a node at an instant, by integration rules 4, 7 and 8."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from measurements.domain.attribution import Holdings, MeterPeriod, NodeDay, Policy
from measurements.domain.units import Kind
from tests.measurements.domain.oracle_power import TICKS_PER_MS, Line, counter_pieces, gauge_pieces

ZERO = Fraction(0)


class ExactNode:
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
    """Rule 7: says so, or its cpus are missing or all of the node's."""
    cpus = int(held.cpus[k])
    return bool(held.exclusive[k] == 1) or cpus < 0 or (node_cpus > 0 and cpus == node_cpus)


def core_shares(node: ExactNode, holders: Sequence[int]) -> dict[int, Fraction]:
    """Rule 8: cores ÷ max(cpus of the node, Σ cores held)."""
    cores = {k: node.cores(k) for k in holders}
    divisor = max(node.node.cpus, sum(cores.values()), 1)  # 1: nobody holds a core of a node of unknown size
    return {k: Fraction(c, divisor) for k, c in cores.items()}


def gpu_shares(node: ExactNode, period: MeterPeriod, index: int, holders: Sequence[int]) -> dict[int, Fraction]:
    """Rule 8: a GPU to those who name it, else to those who hold some without naming them."""
    naming = [k for k in holders if index in node.indices(k)]
    if naming:
        return {k: Fraction(1, len(naming)) for k in naming}
    named = set().union(*(node.indices(k) for k in holders)) if holders else set()
    remaining = max(node.gpu_total(period) - len(named), 0)
    counts = {k: node.gpu_count(k, period) for k in holders}
    divisor = max(remaining, sum(counts.values()))
    return {k: Fraction(c, divisor) for k, c in counts.items() if c}


def reserved_shares(node: ExactNode, holders: Sequence[int]) -> dict[int, Fraction]:
    """Rule 12: the larger of cores and GPUs as a part of the node, scaled down where all of them are more than 1."""
    wanted = {k: _wanted(node, k) for k in holders}
    scale = max(Fraction(1), sum(wanted.values(), ZERO))
    return {k: part / scale for k, part in wanted.items()}


def _wanted(node: ExactNode, k: int) -> Fraction:
    if node.exclusive[k]:
        return Fraction(1)
    held, described = node.node.holdings, node.node
    cpus, mask = int(held.cpus[k]), int(held.gpu_mask[k])
    gpus = mask.bit_count() if mask else int(held.gpus[k])
    cores = Fraction(cpus, described.cpus) if described.cpus else Fraction(int(cpus > 0))
    cards = Fraction(gpus, described.gpus) if described.gpus else ZERO
    return min(max(cores, cards), Fraction(1))


def wants_rates(node: ExactNode, holders: Sequence[int]) -> bool:
    """Whether policy hybrid would split the dynamic part by CPU rates if it knew them."""
    if node.node.policy is not Policy.HYBRID or node.node.idle_mw < 0 or not holders:
        return False
    return not any(node.exclusive[k] for k in holders)


def rate_shares(node: ExactNode, holders: Sequence[int]) -> dict[int, Fraction] | None:
    """Policy hybrid: CPU rates ÷ their sum; None where they cannot be used."""
    if not wants_rates(node, holders):
        return None
    rates = [float(node.node.holdings.cpu_rate[k]) for k in holders]
    if any(rate != rate for rate in rates) or sum(rates) <= 0:  # nan is not equal to itself
        return None
    total = sum((Fraction(rate) for rate in rates), ZERO)
    return {k: Fraction(rate) / total for k, rate in zip(holders, rates, strict=True)}


def is_overcommitted(node: ExactNode, period: MeterPeriod, holders: Sequence[int], metered: set[int] | None) -> bool:
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
