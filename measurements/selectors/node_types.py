"""Node types beside each other: mean power, what nobody held, coverage, meters, the spread among nodes, over time.

Mean power is no efficiency: it says nothing of what was computed. Nothing in here is ranked by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from django.db.models import QuerySet

from measurements.domain.comparison import Spread
from measurements.domain.quality import ratio
from measurements.domain.scopes import MeterScope
from measurements.domain.units import HOUR_MS, IntArray, day_from_ms, ms_from_datetime
from measurements.models import Cluster
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.machine import Closed
from measurements.selectors.node_kinds import Kind, Parts, Scopes, described_nodes, kinds, node_spreads
from measurements.selectors.type_sums import Gpus, TypeSum, type_sums

HOURLY_UP_TO_DAYS = 2
_NOTHING = Kind(cores=None, gpus=None, scopes={}, checks=Scopes())


@dataclass(frozen=True, slots=True)
class Reader:
    """What the one who asks may see."""

    nodes: bool  # single nodes, and so a type of any size, hour by hour
    gpus: bool  # what GPUs drew that jobs held: of free days it could be told person by person
    k: int  # who may not see nodes: the fewest of them behind a spread


@dataclass(frozen=True, slots=True)
class TypeReport:
    """The nodes of one type in the period."""

    drawn: TypeSum
    share: float | None  # of the metered energy of all types of its cluster
    kind: Kind
    spread: Spread | None  # mean power of its nodes [W]; None: too few to be shown
    gpus_held: Gpus | None  # that jobs held, as far as that is known and may be seen

    @property
    def name(self) -> str:
        """As it is described."""
        return self.drawn.name

    @property
    def figures(self) -> Closed:
        """Energy and wall time of the period."""
        return self.drawn.total

    @property
    def gpu_own_w(self) -> float | None:
        """Mean power of one GPU by its own meter while a job held it [W]."""
        return self.gpus_held.mean_w if self.gpus_held else None

    @property
    def scopes(self) -> Mapping[MeterScope, int]:
        """How many nodes' meters cover what."""
        return self.kind.scopes

    @property
    def core_w(self) -> float | None:
        """Mean power of the node for each of its cores [W]."""
        return self._by(self.kind.cores)

    @property
    def gpu_w(self) -> float | None:
        """Mean power of the whole node for each of its GPUs [W]."""
        return self._by(self.kind.gpus)

    def _by(self, parts: Parts | None) -> float | None:
        mean_w = self.figures.mean_node_w
        return None if parts is None or not parts.mean or mean_w is None else mean_w / parts.mean

    @property
    def unheld_share(self) -> float | None:
        """Of the time in which nodes were on: what no job held, 0 to 1."""
        on_s = self.figures.covered_s + self.figures.gap_s
        return min(max(1 - self.drawn.reserved_s / on_s, 0.0), 1.0) if on_s else None


@dataclass(frozen=True, slots=True)
class NodeTypes:
    """All types of some clusters, by cluster and name: never by what they draw."""

    first: date
    last: date
    zone: str
    hourly: bool
    edges_ms: IntArray  # of the slots, [n + 1]
    types: tuple[TypeReport, ...]
    looked_at: int  # UTC days that the spread among nodes is of
    fewest_nodes: int  # with a spread that is shown
    every_cluster: tuple[str, ...]  # there is to be chosen from

    @property
    def days(self) -> int:
        """How many days the period has."""
        return (self.last - self.first).days + 1

    @property
    def clusters(self) -> list[str]:
        """Those that have any type here."""
        return list(dict.fromkeys(each.drawn.cluster for each in self.types))


def node_types(
    clusters: QuerySet[Cluster],
    first: date,
    last: date,
    zone: ZoneInfo,
    now: datetime,
    reader: Reader,
    only: str = "",
) -> NodeTypes | None:
    """The days [first, last] of the zone, of all clusters or only of one; None if that has no described node.

    Four queries.
    """
    days = day_bounds_ms(first, last, zone)
    start, end, now_ms = int(days[0]), int(days[-1]), ms_from_datetime(now)
    hourly = reader.nodes and len(days) - 1 <= HOURLY_UP_TO_DAYS
    edges = np.arange(start, end + 1, HOUR_MS) if hourly else days
    nodes = described_nodes(clusters, day_from_ms(start), day_from_ms(end - 1))
    pks = [pk for pk, name in nodes.clusters.items() if only in ("", name)]
    if only and not pks:
        return None
    sums = type_sums(pks, edges, now_ms)
    made = kinds(nodes, pks, min(end, now_ms))
    spreads = node_spreads(nodes, pks, first, last)
    fewest = 1 if reader.nodes else reader.k
    whole = {name: sum(each.total.metered_j for each in sums if each.cluster == name) for name in _clusters(sums)}
    reports = tuple(
        TypeReport(
            drawn=each,
            share=ratio(each.total.metered_j, whole[each.cluster]),
            kind=made.get(each.pk, _NOTHING),
            spread=_shown(spreads.by_type.get(each.pk), fewest),
            gpus_held=each.gpus if reader.gpus else None,
        )
        for each in sums
    )
    every = tuple(nodes.clusters.values())
    return NodeTypes(first, last, zone.key, hourly, edges, reports, spreads.looked_at, fewest, every)


def _clusters(sums: Sequence[TypeSum]) -> set[str]:
    return {each.cluster for each in sums}


def _shown(spread: Spread | None, fewest: int) -> Spread | None:
    return spread if spread is not None and spread.n >= fewest else None
