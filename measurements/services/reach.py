"""What new samples touch: the node-days to book anew, and each node's first and last sample."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import numpy as np
from django.db.models import Max

from measurements.domain.integrate import GAP_INTERVALS, NOMINAL_WINDOW_MS
from measurements.domain.samples import Samples
from measurements.domain.units import DAY_MS, EPOCH_DAY, day_from_ms, day_start_ms
from measurements.models import Allocation, ChannelPeriod, Cluster, DirtyNodeDay, Node, NodeDay
from measurements.services.bulk import assign
from measurements.services.marks import mark_node_days, mark_rolled_up_days
from measurements.services.meters import choose_meters
from measurements.store import days_between

Reach = dict[tuple[int, int], tuple[int, int]]  # (node id, day's number) → first and last instant of what is new


def note_reach(reach: Reach, samples: Samples, day_number: int) -> None:
    """Per node and day the first and last instant of what is new: how near midnight it comes."""
    starts = np.flatnonzero(np.append(True, samples.node[1:] != samples.node[:-1]))
    first = np.minimum.reduceat(samples.t_ms, starts)
    last = np.maximum.reduceat(samples.t_ms, starts)
    for node, low, high in zip(samples.node[starts].tolist(), first.tolist(), last.tolist(), strict=True):
        before = reach.get((node, day_number), (low, high))
        reach[node, day_number] = (min(low, before[0]), max(high, before[1]))


def mark_reached(cluster: Cluster, reach: Reach) -> None:
    """In the transaction that stores new samples, the cluster's row locked: give nodes a meter, mark their days."""
    if not reach:
        return
    nodes = sorted({node for node, _ in reach})
    choose_meters(nodes)
    mark_node_days(cluster, touched(reach, cluster, nodes))
    _move_first_and_last_samples(reach, cluster, nodes)


def touched(reach: Reach, cluster: Cluster, nodes: list[int]) -> Iterable[tuple[int, date]]:
    """The node-days that new samples change: their own, and a neighbour that reads as far as to them."""
    own = {(node, EPOCH_DAY + timedelta(days=day)) for node, day in reach}
    beside = {day + timedelta(days=step) for _, day in own for step in (-1, 1)}
    margins = {(node, day): NOMINAL_WINDOW_MS for node in nodes for day in beside}
    declared = _declared_margins(nodes)
    recorded = NodeDay.objects.filter(cluster=cluster, day__in=beside, margin_ms__gt=NOMINAL_WINDOW_MS)
    for node, day, margin in recorded.values_list("node_id", "day", "margin_ms"):
        margins[node, day] = margin
    # What is dirty already may be under way, with an older reading of its margin: it is marked anew.
    dirty = set(DirtyNodeDay.objects.filter(cluster=cluster, day__in=beside).values_list("node_id", "day"))
    touched = set(own)
    for (node, number), (first, last) in reach.items():
        day = EPOCH_DAY + timedelta(days=number)
        start = day_start_ms(day)
        distances = ((day - timedelta(days=1), first - start), (day + timedelta(days=1), start + DAY_MS - last))
        for neighbour, distance in distances:
            margin = max(margins.get((node, neighbour), NOMINAL_WINDOW_MS), declared.get(node, 0))
            if distance <= margin or (node, neighbour) in dirty:
                touched.add((node, neighbour))
    return touched


def _declared_margins(nodes: list[int]) -> dict[int, int]:
    """How far the declared gaps and intervals of a node's channels reach [ms]."""
    rows = ChannelPeriod.objects.filter(channel__node_id__in=nodes).values_list("channel__node_id")
    margins: dict[int, int] = {}
    for node, gap, nominal in rows.annotate(Max("max_gap_ms"), Max("nominal_ms")):
        by_interval = int((nominal or 0) * (GAP_INTERVALS + 0.5))
        margins[node] = max(margins.get(node, 0), (gap or 0) + (nominal or 0) // 2 + 1, by_interval + 1)
    return margins


def _move_first_and_last_samples(reach: Reach, cluster: Cluster, nodes: list[int]) -> None:
    """Note each node's oldest and newest sample; days that a running job now fills are marked."""
    oldest: dict[int, int] = {}
    newest: dict[int, int] = {}
    for (node, _), (low, high) in reach.items():
        oldest[node] = min(low, oldest.get(node, low))
        newest[node] = max(high, newest.get(node, high))
    rows = list(Node.objects.select_for_update(no_key=True).filter(pk__in=nodes))
    _move_first_samples(cluster, rows, oldest)
    moved = [row for row in rows if row.last_sample_ms is None or newest[row.pk] > row.last_sample_ms]
    open_from: dict[int, int] = {}
    running = Allocation.objects.filter(node_id__in=[row.pk for row in moved], end_ms__isnull=True)
    for node, start in running.values_list("node_id", "start_ms"):
        open_from[node] = min(start, open_from.get(node, start))
    marks: list[tuple[int, date]] = []
    for row in moved:
        before, row.last_sample_ms = row.last_sample_ms, newest[row.pk]
        if row.pk in open_from:
            since = max(open_from[row.pk], before if before is not None else 0)
            first = EPOCH_DAY + timedelta(days=since // DAY_MS)
            marks += [
                (row.pk, day) for day in days_between(first, EPOCH_DAY + timedelta(days=newest[row.pk] // DAY_MS))
            ]
    assign(Node, "last_sample_ms", [(row.last_sample_ms, row.pk) for row in moved])
    mark_node_days(cluster, marks)


def _move_first_samples(cluster: Cluster, rows: list[Node], oldest: dict[int, int]) -> None:
    """From the day of its first sample on a node counts as in service: earlier roll-ups learn of it."""
    moved = [row for row in rows if row.first_sample_ms is None or oldest[row.pk] < row.first_sample_ms]
    if not moved:
        return
    assign(Node, "first_sample_ms", [(oldest[row.pk], row.pk) for row in moved])
    known = [row.first_sample_ms for row in moved]
    latest = max((ms for ms in known if ms is not None), default=None)
    before = None if None in known or latest is None else day_from_ms(latest) + timedelta(days=1)
    mark_rolled_up_days(cluster, day_from_ms(min(oldest[row.pk] for row in moved)), before)
