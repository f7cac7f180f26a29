"""Which node-days a period has: found in samples and allocations alone, so that a lost ledger can be rebuilt."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
from django.db.models import Max, Q
from django.db.models.functions import Coalesce
from numpy.typing import NDArray

from measurements.domain.integrate import GAP_INTERVALS, NOMINAL_WINDOW_MS
from measurements.domain.units import DAY_MS, EPOCH_DAY, day_start_ms
from measurements.models import Allocation, ChannelPeriod, Cluster, Node, Run, Segment
from measurements.store import SampleStore, Selection, days_between

NodeIds = NDArray[np.int32]
_ONE_DAY = timedelta(days=1)
_FAR = date(9999, 1, 1)


def held_node_days(cluster: Cluster, since: date | None, until: date | None) -> set[tuple[int, date]]:
    """The (node id, UTC day) pairs of [since, until) that samples or allocations reach into."""
    first, end = since or EPOCH_DAY, until or _FAR
    found = set(_allocated(cluster, first, end))
    sampled = _sampled(cluster, first - _ONE_DAY, end + (_ONE_DAY if until else timedelta()))
    for day, nodes in sorted(sampled.items()):
        found |= {(node, day) for node in nodes.tolist()}
    for day, nodes in sorted(sampled.items()):
        for neighbour in (day - _ONE_DAY, day + _ONE_DAY):
            if first <= neighbour < end:
                found |= set(_beside(cluster, day, neighbour, nodes, found))
    return {(node, day) for node, day in found if first <= day < end}


def begun_jobs(cluster: Cluster, since: date | None, until: date | None) -> set[int]:
    """The ids of jobs with a run that began, or was submitted and never began, in [since, until)."""
    begun = Run.objects.filter(job__cluster=cluster).alias(at_ms=Coalesce("start_ms", "submit_ms"))
    if since:
        begun = begun.filter(at_ms__gte=day_start_ms(since))
    if until:
        begun = begun.filter(at_ms__lt=day_start_ms(until))
    return set(begun.order_by().values_list("job_id", flat=True))


def _allocated(cluster: Cluster, first: date, end: date) -> Iterator[tuple[int, date]]:
    newest = dict(Node.objects.filter(cluster=cluster).values_list("pk", "last_sample_ms"))
    inside = Q(start_ms__lt=day_start_ms(end)) & (Q(end_ms__gt=day_start_ms(first)) | Q(end_ms__isnull=True))
    rows = Allocation.objects.filter(inside, node__cluster=cluster).order_by()
    spans: set[tuple[int, int, int]] = set()  # of many allocations few
    for node, start_ms, end_ms in rows.values_list("node_id", "start_ms", "end_ms").iterator(chunk_size=20_000):
        last = end_ms - 1 if end_ms is not None else (newest[node] or start_ms) + NOMINAL_WINDOW_MS
        if last >= start_ms:  # one of zero length reaches into no day
            spans.add((node, start_ms // DAY_MS, last // DAY_MS))
    for node, low, high in spans:
        days = days_between(max(EPOCH_DAY + timedelta(low), first), min(EPOCH_DAY + timedelta(high), end))
        yield from ((node, day) for day in days)


def _sampled(cluster: Cluster, first: date, end: date) -> dict[date, NodeIds]:
    """Per day the nodes with samples."""
    store = SampleStore()
    found: dict[date, NodeIds] = {}
    for segment in Segment.objects.filter(cluster=cluster, day__gte=first, day__lt=end).order_by("day", "pk"):
        nodes = store.node_ids(segment)
        found[segment.day] = np.union1d(found[segment.day], nodes) if segment.day in found else nodes
    return found


def _beside(
    cluster: Cluster, day: date, neighbour: date, nodes: NodeIds, known: set[tuple[int, date]]
) -> Iterator[tuple[int, date]]:
    """The nodes not known to have a day whose samples of the day beside it reach into it."""
    missing = [node for node in nodes.tolist() if (node, neighbour) not in known]
    if missing:
        reach, start = _reach_ms(cluster), day_start_ms(day)
        low = start if neighbour < day else start + DAY_MS - reach
        near = SampleStore().scan(cluster.pk, Selection(np.array(missing, np.int32), low, low + reach))
        yield from ((node, neighbour) for node in np.unique(near.node).tolist())


def _reach_ms(cluster: Cluster) -> int:
    """How far from midnight a sample may matter to the next day."""
    declared = ChannelPeriod.objects.filter(channel__node__cluster=cluster)
    most = declared.aggregate(gap=Max("max_gap_ms"), nominal=Max("nominal_ms"))
    gap, nominal = most["gap"] or 0, most["nominal"] or 0
    return min(max(NOMINAL_WINDOW_MS, gap + nominal, int((GAP_INTERVALS + 0.5) * nominal) + 1), DAY_MS)
