"""What a cluster has: how many nodes, how fresh their samples are, the meters above them, work that waits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from django.db.models import Count, Exists, Max, OuterRef, Subquery

from measurements.domain.packing import unpacked
from measurements.domain.units import QUARTER_MS, QUARTERS_PER_DAY, FloatArray, IntArray, day_from_ms, day_start_ms
from measurements.models import ChannelPeriod, Cluster, DirtyNodeDay, Node, NodeDay, NodeState
from measurements.selectors.type_days import Quarters, quarter_starts_ms

SILENT_INTERVALS = 10  # a node is silent when it missed so many samples


@dataclass(frozen=True, slots=True)
class MeterAbove:
    """A meter that stands above nodes."""

    pk: int
    name: str  # for those who may see nodes
    level: str
    parent: int | None


@dataclass(frozen=True, slots=True)
class Inventory:
    """The nodes of a cluster as numbers, and its meters above nodes."""

    nodes: int
    nodes_below: int  # those with a meter above them
    last_ms: IntArray  # newest sample of each node that ever had one, ascending
    off_ms: IntArray  # the same of those that are switched off now
    silent_after_ms: int
    node_days_waiting: int  # to be booked
    above: tuple[MeterAbove, ...]

    @property
    def newest_ms(self) -> int | None:
        """The newest sample of any node."""
        return int(self.last_ms[-1]) if len(self.last_ms) else None

    @property
    def never(self) -> int:
        """Nodes without any sample."""
        return self.nodes - len(self.last_ms)

    @property
    def silent(self) -> int:
        """Nodes that are not switched off and whose newest sample is far older than the newest of all."""
        if self.newest_ms is None:
            return 0
        before_ms = self.newest_ms - self.silent_after_ms
        return int(np.searchsorted(self.last_ms, before_ms) - np.searchsorted(self.off_ms, before_ms))

    def heard_since(self, at_ms: int) -> int:
        """How many nodes have sent samples at or after an instant."""
        return len(self.last_ms) - int(np.searchsorted(self.last_ms, at_ms))


def inventory(cluster: Cluster) -> Inventory:
    """One row a node is read here, and no more of it than when it was heard last; one query."""
    rows = Node.objects.filter(cluster=cluster).annotate(waiting=_waiting(cluster), longest_ms=_interval_ms(cluster))
    columns = ("pk", "name", "level", "parent_id", "last_sample_ms", "waiting", "longest_ms", "is_off")
    found = list(rows.annotate(is_off=is_off_now()).order_by("name").values_list(*columns))
    above = tuple(MeterAbove(*row[:4]) for row in found if row[2] != Node.Level.NODE)
    nodes = [(up, last, off) for _, _, level, up, last, *_, off in found if level == Node.Level.NODE]
    waiting, interval_ms = found[0][5:7] if found else (None, None)
    return Inventory(
        nodes=len(nodes),
        nodes_below=sum(up is not None for up, _, _ in nodes),
        last_ms=np.sort(np.array([last for _, last, _ in nodes if last is not None], np.int64)),
        off_ms=np.sort(np.array([last for _, last, off in nodes if last is not None and off], np.int64)),
        silent_after_ms=max(QUARTER_MS, SILENT_INTERVALS * (interval_ms or 0)),
        node_days_waiting=waiting or 0,
        above=above,
    )


def is_off_now() -> Exists:
    """Whether a node is switched off, as the batch system says: nobody expects a sample of it."""
    return Exists(NodeState.objects.filter(node=OuterRef("pk"), power=NodeState.Power.OFF, end_ms__isnull=True))


def _waiting(cluster: Cluster) -> Subquery:
    """Node-days to be booked: the same beside each node, and computed once."""
    rows = DirtyNodeDay.objects.filter(cluster=cluster).order_by().values("cluster")
    return Subquery(rows.annotate(count=Count("pk")).values("count"))


def _interval_ms(cluster: Cluster) -> Subquery:
    """Likewise the longest interval that is declared of a node's meter."""
    rows = ChannelPeriod.objects.filter(channel__node__cluster=cluster, channel__name="node").order_by()
    return Subquery(rows.values("channel__node__cluster").annotate(most=Max("nominal_ms")).values("most"))


# --- What is drawn outside of nodes -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Other:
    """Energy of meters above nodes less what lies below them, of the quarter hours in which both are known."""

    at_ms: IntArray
    joules: FloatArray


def other_energy(machine: Inventory, rows: Quarters, start_ms: int, end_ms: int) -> Other | None:
    """In [start, end); None where no such meter is known, or only a part of the nodes lies below them.

    Sums of parent minus children along a tree leave its roots minus its nodes. Where no node lies below any meter,
    those of infrastructure (cooling, say) count alone.
    """
    roots = [meter for meter in machine.above if meter.parent is None]
    if not machine.nodes_below:
        roots = [meter for meter in roots if meter.level == Node.Level.INFRASTRUCTURE]
    elif machine.nodes_below < machine.nodes:
        return None
    if not roots:
        return None
    drawn = _metered([meter.pk for meter in roots], start_ms, end_ms)
    nodes = _nodes_j(rows)
    nothing = np.zeros(QUARTERS_PER_DAY)
    at_ms = quarter_starts_ms(np.array(sorted(drawn), np.int64))
    joules, known = np.zeros(at_ms.shape), np.zeros(at_ms.shape, bool)
    for i, day_ms in enumerate(sorted(drawn)):
        parts = np.stack(drawn[day_ms])
        below = nodes.get(day_ms, nothing)
        whole = len(parts) == len(roots)
        known[i] = whole & (parts != 0).all(axis=0) & ((below != 0) | (machine.nodes_below == 0))
        joules[i] = parts.sum(axis=0) - (below if machine.nodes_below else nothing)
    return Other(at_ms[known], joules[known])


def _metered(meters: list[int], start_ms: int, end_ms: int) -> dict[int, list[FloatArray]]:
    """Per UTC day the quarter-hour joules of some meters."""
    rows = NodeDay.objects.filter(node__in=meters, day__gte=day_from_ms(start_ms), day__lte=day_from_ms(end_ms - 1))
    found: dict[int, list[FloatArray]] = {}
    for day, packed in rows.order_by("day", "node__name").values_list("day", "metered_quarters"):
        found.setdefault(day_start_ms(day), []).append(unpacked(packed))
    return found


def _nodes_j(rows: Quarters) -> dict[int, FloatArray]:
    """Per UTC day the quarter-hour joules of all nodes."""
    days = rows.at_ms[::QUARTERS_PER_DAY].tolist()
    return dict(zip(days, rows.metered_j.reshape(-1, QUARTERS_PER_DAY), strict=True))
