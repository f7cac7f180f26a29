"""The roll-up by node type: what the machine drew on a UTC day, and how much of its time is known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np

from measurements.domain.packing import packed, stacked
from measurements.domain.profiles import HOURS_PER_DAY
from measurements.domain.units import DAY_MS, US_PER_MS, US_PER_S, FloatArray, IntArray, day_start_ms
from measurements.models import Cluster, Node, NodeDay, NodeHour, TypeDay
from measurements.selectors.frames import frame_of
from measurements.selectors.states import off_times

_SUMS = ("metered_j", "jobs_j", "unallocated_j", "unplaced_j")
_HOUR_COLUMNS = ("node_id", "hour", "covered_us")
_COLUMNS = ("node_id", *_SUMS, "covered_us", "off_us", "metered_quarters", "unallocated_quarters")


def type_days(cluster: Cluster, day: date, types: dict[int, int]) -> list[TypeDay]:
    """The rows of one day; ``types`` gives each described node's type on it.

    A node counts from the day of its first sample on, and wherever the ledger has a node-day of it with jobs. (What
    a sample just after midnight holds of the day before is added, without making that day one of the node's.) All
    sums go by the nodes' names, so that they depend on no database id.
    """
    nodes = Node.objects.filter(cluster=cluster, level=Node.Level.NODE).order_by("name")
    first_sample_ms = dict(nodes.values_list("pk", "first_sample_ms"))
    rows = NodeDay.objects.filter(cluster=cluster, day=day, node__level=Node.Level.NODE)
    booked = frame_of(rows.order_by("node__name").values_list(*_COLUMNS), _COLUMNS)
    with_row = set(booked["node_id"].tolist())
    end_ms = day_start_ms(day) + DAY_MS
    silent = {
        pk for pk, first in first_sample_ms.items() if pk not in with_row and first is not None and first < end_ms
    }
    off_us = _off_us(silent, day)
    covered = NodeHour.objects.filter(node__cluster=cluster, day=day).order_by()
    hours = frame_of(covered.values_list(*_HOUR_COLUMNS), _HOUR_COLUMNS)
    before_first = {
        pk
        for pk, jobs_j in zip(booked["node_id"].tolist(), booked["jobs_j"].tolist(), strict=True)
        if not jobs_j and (first_sample_ms[pk] or 0) >= end_ms
    }
    counted = [pk for pk in first_sample_ms if pk in types and (pk in with_row or pk in silent)]
    columns = {name: booked[name].to_numpy() for name in _COLUMNS}
    hour_node, hour, hour_us = (hours[name].to_numpy(np.int64) for name in _HOUR_COLUMNS)
    found = []
    for node_type in sorted({types[pk] for pk in counted}):
        of_type = [pk for pk in counted if types[pk] == node_type]
        mine = np.isin(columns["node_id"], of_type)
        row = _summed({name: values[mine] for name, values in columns.items()})
        row.cluster, row.day, row.node_type_id = cluster, day, node_type
        row.nodes = len(set(of_type) - before_first)
        row.covered_hours = packed(_covered_hours(hour_node, hour, hour_us, of_type))
        row.off_us += sum(off_us.get(pk, 0) for pk in of_type)
        found.append(row)
    return found


def _covered_hours(node: IntArray, hour: IntArray, covered_us: IntArray, nodes: list[int]) -> FloatArray:
    """Covered node-seconds of each hour of the day: whole microseconds, so that their order does not matter."""
    mine = np.isin(node, nodes)
    total_us = np.zeros(HOURS_PER_DAY, np.int64)
    np.add.at(total_us, hour[mine], covered_us[mine])
    return total_us / US_PER_S


def _summed(rows: Mapping[str, np.ndarray[Any, Any]]) -> TypeDay:
    """Node-days added up one after the other."""
    return TypeDay(
        **{name: sum(rows[name].tolist(), 0.0) for name in _SUMS},
        measured_nodes=int((rows["covered_us"] > 0).sum()),
        covered_us=int(rows["covered_us"].sum()),
        off_us=int(rows["off_us"].sum()),
        metered_quarters=packed(stacked(rows["metered_quarters"]).sum(axis=0)),
        unallocated_quarters=packed(stacked(rows["unallocated_quarters"]).sum(axis=0)),
    )


def _off_us(nodes: set[int], day: date) -> dict[int, int]:
    """How long nodes without any node-day were off on a day."""
    start_ms = day_start_ms(day)
    total: dict[int, int] = {}
    for node, times in off_times(nodes, start_ms, start_ms + DAY_MS).items():
        reached = start_ms
        for start, end in times:
            total[node] = total.get(node, 0) + max(0, end - max(start, reached)) * US_PER_MS
            reached = max(reached, end)
    return total
