"""How much of each node's day was measured: node × UTC day, the worst nodes first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import CharField
from django.db.models.functions import Cast

from measurements.domain.units import DAY_MS, US_PER_MS, US_PER_S, IntArray, day_from_ms, day_start_ms, ms_from_datetime
from measurements.models import Cluster, Node, NodeConfig, NodeDay
from measurements.selectors.states import off_times

WORTH_TELLING_US = 900 * US_PER_S


@dataclass(frozen=True, slots=True)
class Cell:
    """A node's day."""

    day: date
    wall_us: int  # of the day, up to now; 0: the node was not in service
    covered_us: int
    off_us: int

    @property
    def gap_us(self) -> int:
        """Neither covered nor off."""
        return self.wall_us - self.covered_us - self.off_us

    @property
    def share(self) -> float | None:
        """Covered ÷ the time in which the node was on; None where it was off or not in service throughout."""
        on_us = self.wall_us - self.off_us
        return self.covered_us / on_us if on_us > 0 else None


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node's days, oldest first."""

    node: str
    node_type: str
    total: Cell
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class CoverageMap:
    """Nodes × days; ``rows`` are those asked for of ``nodes``."""

    cluster: str
    days: tuple[date, ...]
    rows: tuple[NodeRow, ...]
    total: tuple[Cell, ...]  # of all nodes, by day
    whole: Cell  # of all nodes and days
    nodes: int  # in service at any time
    never: int  # without any sample up to the last day
    with_gaps: int  # longer than a quarter hour in all: the last minutes may still come in


def coverage_map(
    viewer: AbstractUser | AnonymousUser,
    cluster: Cluster,
    first: date,
    last: date,
    now: datetime,
    rows: slice = slice(None),
    *,
    by_name: bool = False,
) -> CoverageMap:
    """Of the nodes the viewer may see, those with the largest gaps first, or by name."""
    visible = Node.objects.visible_to(viewer).filter(cluster=cluster, level=Node.Level.NODE).order_by("name")
    nodes = list(visible.values_list("pk", "name", "first_sample_ms"))
    days = tuple(first + timedelta(days=i) for i in range((last - first).days + 1))
    end_ms = day_start_ms(last) + DAY_MS
    served = [node for node in nodes if node[2] is not None and node[2] < end_ms]
    grid = _Grid([node[0] for node in served], [node[2] or 0 for node in served], days, now)
    if served:
        grid.read(cluster, first, last)
    order = grid.worst_first() if not by_name else np.arange(len(served))
    chosen = order[rows].tolist()
    types = _types([served[i][0] for i in chosen], last)
    return CoverageMap(
        cluster=cluster.name,
        days=days,
        rows=tuple(grid.row(i, served[i][1], types.get(served[i][0], "")) for i in chosen),
        total=grid.together(),
        whole=grid.whole(last),
        nodes=len(served),
        never=len(nodes) - len(served),
        with_gaps=int((grid.gap_us().sum(axis=1) > WORTH_TELLING_US).sum()),
    )


def _types(nodes: list[int], day: date) -> dict[int, str]:
    """Each node's type on a day."""
    rows = NodeConfig.objects.filter(node__in=nodes, valid_from__lte=day).order_by("valid_from")
    return dict(rows.values_list("node_id", "node_type__name"))


class _Grid:
    """Wall, covered and off time [µs], one row a node and one column a day."""

    def __init__(self, nodes: list[int], first_ms: list[int], days: tuple[date, ...], now: datetime) -> None:
        self.days = days
        self.place = {pk: i for i, pk in enumerate(nodes)}
        starts = np.array([day_start_ms(day) for day in days], np.int64)
        length = np.clip(ms_from_datetime(now) - starts, 0, DAY_MS) * US_PER_MS
        begun = np.array([day_start_ms(day_from_ms(ms)) for ms in first_ms], np.int64)
        self.starts = starts
        self.wall_us: IntArray = np.where(begun[:, None] <= starts[None, :], length[None, :], 0)
        self.covered_us = np.zeros(self.wall_us.shape, np.int64)
        self.off_us = np.zeros(self.wall_us.shape, np.int64)

    def read(self, cluster: Cluster, first: date, last: date) -> None:
        """What the ledger has; nodes without any node-day of a day may have been off."""
        found = NodeDay.objects.filter(cluster=cluster, day__gte=first, day__lte=last).order_by()
        # Days as text: making 30,000 dates of them takes as long as all the rest of the page.
        rows = found.annotate(iso=Cast("day", CharField())).values_list("node_id", "iso", "covered_us", "off_us")
        nodes, isos, covered_us, off_us = zip(*rows, strict=True) if rows else ((), (), (), ())
        columns = {day.isoformat(): i for i, day in enumerate(self.days)}
        node = np.array([self.place.get(pk, -1) for pk in nodes], np.int64)
        day = np.array([columns[iso] for iso in isos], np.int64)
        known = node >= 0
        node, day = node[known], day[known]
        self.covered_us[node, day] = np.array(covered_us, np.int64)[known]
        self.off_us[node, day] = np.array(off_us, np.int64)[known]
        booked = np.zeros(self.wall_us.shape, bool)
        booked[node, day] = True
        self._off_where_nothing_is(~booked & (self.wall_us > 0))
        self.wall_us = np.maximum(self.wall_us, self.covered_us)  # a node-day may reach a little beyond now
        self.off_us = np.minimum(self.off_us, self.wall_us - self.covered_us)

    def _off_where_nothing_is(self, silent: np.ndarray) -> None:
        names = list(self.place)
        rows = np.flatnonzero(silent.any(axis=1)).tolist()
        if not rows:
            return
        spans = off_times([names[i] for i in rows], int(self.starts[0]), int(self.starts[-1]) + DAY_MS)
        for pk, times in spans.items():
            i, reached = self.place[pk], int(self.starts[0])
            for start, end in times:
                inside = np.minimum(self.starts + DAY_MS, end) - np.maximum(self.starts, max(start, reached))
                self.off_us[i] += np.where(silent[i], np.maximum(inside, 0) * US_PER_MS, 0)
                reached = max(reached, end)

    def gap_us(self) -> IntArray:
        """Neither covered nor off."""
        gap: IntArray = self.wall_us - self.covered_us - self.off_us
        return gap

    def worst_first(self) -> IntArray:
        """Most gap first, else by name."""
        order: IntArray = np.argsort(-self.gap_us().sum(axis=1), kind="stable")
        return order

    def row(self, i: int, name: str, node_type: str) -> NodeRow:
        """A node."""
        columns = zip(
            self.days, *(part[i].tolist() for part in (self.wall_us, self.covered_us, self.off_us)), strict=True
        )
        cells = tuple(Cell(*column) for column in columns)
        sums = (int(part[i].sum()) for part in (self.wall_us, self.covered_us, self.off_us))
        return NodeRow(name, node_type, Cell(self.days[-1], *sums), cells)

    def together(self) -> tuple[Cell, ...]:
        """All nodes, by day."""
        sums = (part.sum(axis=0).tolist() for part in (self.wall_us, self.covered_us, self.off_us))
        return tuple(Cell(*column) for column in zip(self.days, *sums, strict=True))

    def whole(self, last: date) -> Cell:
        """All nodes and days."""
        return Cell(last, *(int(part.sum()) for part in (self.wall_us, self.covered_us, self.off_us)))
