"""The meters above a cluster's nodes as pricing needs them: facility and shared infrastructure by quarter hour."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np

from measurements.domain.overhead import Measured
from measurements.domain.packing import unpacked
from measurements.domain.units import QUARTER_MS, QUARTERS_PER_DAY, FloatArray, day_start_ms
from measurements.models import Cluster, Node, NodeDay, TypeDay
from measurements.selectors.type_days import type_days

Level = Node.Level


def measured_overhead(cluster: Cluster, first: date, last: date, now_ms: int) -> Measured | None:
    """On the UTC days [first, last]; None where no meter above the nodes covers the whole cluster."""
    rows = Node.objects.filter(cluster=cluster).order_by("name").values_list("pk", "level", "parent_id")
    nodes = {pk: (level, parent) for pk, level, parent in rows}
    infrastructure = _tops(nodes, Level.INFRASTRUCTURE)
    facility = _tops(nodes, Level.FACILITY) if _covers_all(nodes) else []
    if not infrastructure and not facility:
        return None
    days = (last - first).days + 1
    drawn = _drawn([*infrastructure, *facility], first, last, days)
    together = type_days(TypeDay.objects.filter(cluster=cluster, day__gte=first, day__lte=last), now_ms).together()
    nodes_j, coverage = np.full(days * QUARTERS_PER_DAY, np.nan), np.zeros(days * QUARTERS_PER_DAY)
    start_ms = day_start_ms(first)
    place = (together.at_ms - start_ms) // QUARTER_MS
    nodes_j[place] = together.metered_j
    on_s = together.wall_s - together.off_s
    coverage[place] = np.divide(together.covered_s, on_s, out=np.zeros(len(on_s)), where=on_s > 0)
    at_ms = start_ms + QUARTER_MS * np.arange(days * QUARTERS_PER_DAY)
    return Measured(
        nodes_j=nodes_j,
        coverage=np.clip(coverage, 0.0, 1.0),
        infrastructure_j=_sum(drawn, infrastructure, days),
        facility_j=_sum(drawn, facility, days),
        over=(at_ms + QUARTER_MS <= now_ms).astype(np.float64),
    )


def _tops(nodes: Mapping[int, tuple[str, Any]], level: str) -> list[int]:
    """Meters of a level without another of the same level above them."""
    return [
        pk
        for pk, (own, _) in nodes.items()
        if own == level and not any(nodes[above][0] == level for above in _above(nodes, pk))
    ]


def _above(nodes: Mapping[int, tuple[str, Any]], pk: int) -> list[int]:
    found: list[int] = []
    while (parent := nodes[pk][1]) is not None and parent not in found and parent in nodes:
        found.append(parent)
        pk = parent
    return found


def _covers_all(nodes: Mapping[int, tuple[str, Any]]) -> bool:
    """Whether every node lies below a facility meter; a list that says nothing of parents means all of them."""
    of_nodes = [pk for pk, (level, _) in nodes.items() if level == Level.NODE]
    if all(nodes[pk][1] is None for pk in of_nodes):
        return True
    return all(any(nodes[above][0] == Level.FACILITY for above in _above(nodes, pk)) for pk in of_nodes)


def _drawn(meters: list[int], first: date, last: date, days: int) -> dict[int, FloatArray]:
    """By meter the joules of each quarter hour; nan where nothing was metered."""
    found = {pk: np.full((days, QUARTERS_PER_DAY), np.nan) for pk in meters}
    rows = NodeDay.objects.filter(node__in=meters, day__gte=first, day__lte=last)
    for node, day, packed in rows.values_list("node_id", "day", "metered_quarters"):
        joules = unpacked(packed)
        found[node][(day - first).days] = np.where(joules == 0, np.nan, joules)
    return found


def _sum(drawn: Mapping[int, FloatArray], meters: list[int], days: int) -> FloatArray:
    """Of some meters together; nan where one of them is not known, and where there is none."""
    if not meters:
        return np.full(days * QUARTERS_PER_DAY, np.nan)
    total: FloatArray = np.sum([drawn[pk] for pk in meters], axis=0)
    return total.ravel()
