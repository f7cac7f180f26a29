"""One node, or a meter above nodes, as its page shows it: power, ledger, gaps, channels, description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from django.db.models import Sum

from measurements.domain.quality import ratio
from measurements.domain.units import DAY_MS, HOUR_MS, MS_PER_S, US_PER_S, datetime_from_ms
from measurements.models import Node, NodeAlias, NodeConfig, NodeState
from measurements.selectors.energy import total
from measurements.selectors.meters import JobMeter, meters_of
from measurements.selectors.node_curve import Hole, NodeCurve, hours_between, node_curve, node_hours

NOT_YET_MS = 900_000  # so near to the newest sample nothing is called a gap in the list
WHOLE_HOUR_US = 3_599_000_000  # covered but for a second


@dataclass(frozen=True, slots=True)
class NodeLedger:
    """A window of a node, closed: metered = jobs + unallocated, wall = covered + off + gap."""

    metered_j: float
    unallocated_j: float
    covered_s: float
    off_s: float
    wall_s: float  # in service, up to now

    @property
    def jobs_j(self) -> float:
        """Energy that jobs held."""
        return self.metered_j - self.unallocated_j

    @property
    def gap_s(self) -> float:
        """Neither covered nor off."""
        return max(self.wall_s - self.covered_s - self.off_s, 0.0)

    @property
    def share_covered(self) -> float | None:
        """Covered ÷ wall time, 0 to 1."""
        return ratio(self.covered_s, self.wall_s)

    @property
    def mean_w(self) -> float | None:
        """Mean power while covered [W]."""
        return ratio(self.metered_j, self.covered_s)


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which the node was not measured, and what the batch system says of it."""

    start_ms: int
    end_ms: int
    missing_s: float
    off_s: float  # part of missing_s
    state: str
    reason: str

    @property
    def is_off(self) -> bool:
        """Whether it was switched off for most of it."""
        return self.off_s > self.missing_s / 2

    @property
    def started_at(self) -> datetime:
        """From when."""
        return datetime_from_ms(self.start_ms)

    @property
    def ended_at(self) -> datetime:
        """Until when."""
        return datetime_from_ms(self.end_ms)


@dataclass(frozen=True, slots=True)
class Child:
    """What lies directly below a meter."""

    name: str
    level: str
    energy_j: float | None
    covered_s: float

    @property
    def level_word(self) -> str:
        """The level in the reader's language."""
        return str(Node.Level(self.level).label)


@dataclass(frozen=True, slots=True)
class Below:
    """The children of a meter above nodes, and what of its energy none of them drew."""

    children: tuple[Child, ...]
    compared_s: float  # hours in which the meter was wholly measured
    metered_j: float  # in them
    children_j: float

    @property
    def other_j(self) -> float:
        """Parent minus children."""
        return self.metered_j - self.children_j


@dataclass(frozen=True, slots=True)
class NodeReport:
    """All that a node's page shows of a window, except the jobs on it."""

    node: Node
    start_ms: int
    end_ms: int
    curve: NodeCurve
    ledger: NodeLedger
    previous: NodeLedger  # as long before; its off time is not told apart
    gaps: tuple[Gap, ...]  # newest first
    state: NodeState | None  # what the batch system says now
    configs: tuple[NodeConfig, ...]  # newest first
    aliases: tuple[NodeAlias, ...]
    meters: tuple[JobMeter, ...]
    below: Below | None  # of meters above nodes

    @property
    def config(self) -> NodeConfig | None:
        """What is in force now."""
        return self.configs[0] if self.configs else None

    @property
    def last_sample_at(self) -> datetime | None:
        """Its newest sample."""
        return datetime_from_ms(self.node.last_sample_ms) if self.node.last_sample_ms is not None else None


def node_report(node: Node, start_ms: int, end_ms: int, now_ms: int) -> NodeReport:
    """A window [start, end) of whole UTC hours."""
    before_ms = 2 * start_ms - end_ms
    service = _service(node, start_ms, end_ms, now_ms)
    hours = node_hours(node, before_ms, end_ms)
    inside = hours[hours["at_ms"] >= start_ms]
    curve = node_curve(node, inside, (start_ms, end_ms), service)
    states = _states(node, start_ms, end_ms)
    gaps = [_gap(hole, states, now_ms) for hole in curve.holes]
    lasting = [s for s in _states(node, now_ms, now_ms + 1) if s.end_ms is None or s.end_ms > now_ms]
    configs = NodeConfig.objects.filter(node=node).select_related("node_type").order_by("-valid_from")
    return NodeReport(
        node=node,
        start_ms=start_ms,
        end_ms=end_ms,
        curve=curve,
        ledger=_ledger(inside, service, sum(gap.off_s for gap in gaps)),
        previous=_ledger(hours[hours["at_ms"] < start_ms], _service(node, before_ms, start_ms, now_ms), 0.0),
        gaps=tuple(gap for gap in reversed(gaps) if not _not_yet(gap, service[1])),
        state=lasting[-1] if lasting else None,
        configs=tuple(configs),
        aliases=tuple(NodeAlias.objects.filter(node=node)),
        meters=meters_of({node.pk: node.name}, start_ms, end_ms),
        below=_below(node, inside, start_ms, end_ms) if node.level != Node.Level.NODE else None,
    )


def _service(node: Node, start_ms: int, end_ms: int, now_ms: int) -> tuple[int, int]:
    """The part of [start, end) in which the node counts: from the UTC day of its first sample on, up to now."""
    if node.first_sample_ms is None:
        return start_ms, start_ms
    begin = max(start_ms, node.first_sample_ms // DAY_MS * DAY_MS)
    return min(begin, end_ms), max(min(begin, end_ms), min(end_ms, now_ms))


def _ledger(hours: pd.DataFrame, service: tuple[int, int], off_s: float) -> NodeLedger:
    return NodeLedger(
        metered_j=total(hours["energy_j"]),
        unallocated_j=total(hours["unallocated_j"]),
        covered_s=int(hours["covered_us"].sum()) / US_PER_S,
        off_s=off_s,
        wall_s=(service[1] - service[0]) / MS_PER_S,
    )


# --- Gaps ---------------------------------------------------------------------------------------


def _states(node: Node, start_ms: int, end_ms: int) -> list[NodeState]:
    """What the batch system says of [start, end), oldest first."""
    rows = NodeState.objects.filter(node=node, start_ms__lt=end_ms).exclude(end_ms__lte=start_ms)
    return list(rows.order_by("start_ms"))


def _gap(hole: Hole, states: Sequence[NodeState], now_ms: int) -> Gap:
    """A hole with the state that lasted longest in it."""
    overlaps = [(_overlap_ms(hole, state, now_ms), state) for state in states]
    longest = max(overlaps, key=lambda pair: pair[0], default=(0, None))
    said = longest[1] if longest[0] > 0 else None
    off_ms = _off_ms(hole, [s for ms, s in overlaps if ms > 0 and s.power == NodeState.Power.OFF])
    return Gap(
        start_ms=hole.start_ms,
        end_ms=hole.end_ms,
        missing_s=hole.missing_s,
        off_s=min(hole.missing_s, off_ms / MS_PER_S),
        state=said.state if said else "",
        reason=said.reason if said else "",
    )


def _overlap_ms(hole: Hole, state: NodeState, now_ms: int) -> int:
    end = max(now_ms, hole.end_ms) if state.end_ms is None else state.end_ms
    return max(min(end, hole.end_ms) - max(state.start_ms, hole.start_ms), 0)


def _off_ms(hole: Hole, states: Sequence[NodeState]) -> int:
    """How much of a hole lies in any of some states, which may overlap."""
    reached, found = hole.start_ms, 0
    for state in states:
        end = hole.end_ms if state.end_ms is None else min(state.end_ms, hole.end_ms)
        found += max(end - max(state.start_ms, reached), 0)
        reached = max(reached, end)
    return found


def _not_yet(gap: Gap, until_ms: int) -> bool:
    """Whether the next samples may still close it."""
    return gap.end_ms >= until_ms and gap.missing_s * MS_PER_S < NOT_YET_MS


# --- What lies below a meter --------------------------------------------------------------------


def _below(node: Node, hours: pd.DataFrame, start_ms: int, end_ms: int) -> Below:
    """Its children in the window, and the comparison over the hours in which the meter was wholly measured."""
    rows = hours_between(start_ms, end_ms).filter(node__parent=node).order_by()
    by_hour = {
        (day, hour): energy for day, hour, energy in rows.values_list("day", "hour").annotate(energy=Sum("energy_j"))
    }
    by_node = {pk: rest for pk, *rest in rows.values_list("node").annotate(Sum("energy_j"), Sum("covered_us"))}
    children = []
    for pk, name, level in Node.objects.filter(parent=node).order_by("name").values_list("pk", "name", "level"):
        energy_j, covered_us = by_node.get(pk, (0.0, 0))
        children.append(Child(name, level, energy_j if covered_us else None, covered_us / US_PER_S))
    whole = hours[hours["covered_us"].to_numpy(np.int64) >= WHOLE_HOUR_US]
    keys = list(zip(whole["day"], whole["hour"], strict=True))
    return Below(
        children=tuple(children),
        compared_s=len(keys) * HOUR_MS / MS_PER_S,
        metered_j=total(whole["energy_j"]),
        children_j=sum(by_hour.get(key, 0.0) for key in keys),
    )
