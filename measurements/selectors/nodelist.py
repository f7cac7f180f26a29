"""The nodes of a cluster as operators see them: state, freshness and the newest day, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import OuterRef, Q, QuerySet, Subquery

from measurements.domain.quality import ratio
from measurements.domain.units import (
    DAY_MS,
    EPOCH_DAY,
    US_PER_MS,
    US_PER_S,
    datetime_from_ms,
    day_from_ms,
    day_start_ms,
)
from measurements.models import Node, NodeConfig, NodeDay, NodeState

NODES_PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node, or a meter above nodes, in a list."""

    name: str
    level: str
    node_type: str
    state: str  # what the batch system says of it other than that it is up; empty: nothing
    last_sample_at: datetime | None
    coverage: float | None  # of the newest day so far
    mean_w: float | None  # while covered

    @property
    def level_word(self) -> str:
        """The level in the reader's language."""
        return str(Node.Level(self.level).label)


@dataclass(frozen=True, slots=True)
class NodesPage:
    """Some nodes by name; ``next_name`` is the place to go on from, empty at the end."""

    rows: tuple[NodeRow, ...]
    next_name: str
    day: date | None  # the UTC day of the figures


def nodes_page(nodes: QuerySet[Node], newest_ms: int | None, now_ms: int, text: str = "", after: str = "") -> NodesPage:
    """Nodes of a visible set whose name has ``text`` in it, from the one behind ``after`` on; one query."""
    day = day_from_ms(newest_ms) if newest_ms is not None else None
    of_day = NodeDay.objects.filter(node=OuterRef("pk"), day=day or EPOCH_DAY)
    rows = (
        nodes.filter(name__icontains=text, name__gt=after)
        .order_by("name")
        .annotate(
            type_name=Subquery(_configs(now_ms).values("node_type__name")[:1]),
            state=Subquery(_states(now_ms).values("state")[:1]),
            covered_us=Subquery(of_day.values("covered_us")),
            metered_j=Subquery(of_day.values("metered_j")),
        )
        .values_list("name", "level", "type_name", "state", "last_sample_ms", "covered_us", "metered_j")
    )
    found = list(rows[: NODES_PER_PAGE + 1])
    elapsed_us = _elapsed_ms(day, now_ms) * US_PER_MS
    shown = tuple(
        NodeRow(
            name=name,
            level=level,
            node_type=type_name or "",
            state=state or "",
            last_sample_at=datetime_from_ms(last) if last is not None else None,
            coverage=ratio(covered_us or 0, elapsed_us),
            mean_w=ratio(metered_j or 0.0, (covered_us or 0) / US_PER_S),
        )
        for name, level, type_name, state, last, covered_us, metered_j in found[:NODES_PER_PAGE]
    )
    return NodesPage(shown, shown[-1].name if len(found) > NODES_PER_PAGE else "", day)


def _elapsed_ms(day: date | None, now_ms: int) -> int:
    return min(max(now_ms - day_start_ms(day), 0), DAY_MS) if day else 0


def _configs(now_ms: int) -> QuerySet[NodeConfig]:
    """Descriptions in force, newest first."""
    today = day_from_ms(now_ms)
    return NodeConfig.objects.filter(node=OuterRef("pk"), valid_from__lte=today).order_by("-valid_from")


def _states(now_ms: int) -> QuerySet[NodeState]:
    """States that last, newest first."""
    lasting = Q(end_ms__isnull=True) | Q(end_ms__gt=now_ms)
    return NodeState.objects.filter(lasting, node=OuterRef("pk"), start_ms__lte=now_ms).order_by("-start_ms")
