"""Which node-days a period has: found in samples and allocations alone, so that a lost ledger can be rebuilt."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
from django.db.models import Max, Q
from django.db.models.functions import Coalesce
from numpy.typing import NDArray

from measurements.domain.integrate import GAP_INTERVALS, NOMINAL_WINDOW_MS
from measurements.domain.units import DAY_MS, day_from_ms, day_start_ms
from measurements.models import Allocation, ChannelPeriod, Cluster, Node, Run, Segment
from measurements.store import SampleStore, Selection, days_between

NodeIds = NDArray[np.int32]
_ONE_DAY = timedelta(days=1)
_FAR = date(9999, 1, 1)


def held_node_days(cluster: Cluster, since: date | None, until: date | None) -> set[tuple[int, date]]:
    """The (node id, UTC day) pairs of [since, until) that samples or allocations reach into."""
    first, end = since or date(1970, 1, 1), until or _FAR
    found = set(_allocated(cluster, first, end))
    sampled = _sampled(cluster, first - _ONE_DAY, end + (_ONE_DAY if until else timedelta()))
    for day, nodes in sorted(sampled.items()):
        found |= {(node, day) for node in nodes.tolist()}
    for day, nodes in sorted(sampled.items()):
        found |= set(_beside(cluster, day, nodes, found))
    return {(node, day) for node, day in found if first <= day < end}


def begun_jobs(cluster: Cluster, since: date | None, until: date | None) -> set[int]:
    """The ids of jobs with a run that began, or was submitted and never began, in [since, until)."""
    begun = Run.objects.filter(job__cluster=cluster).alias(at_ms=Coalesce("start_ms", "submit_ms"))
    if since:
        begun = begun.filter(at_ms__gte=day_start_ms(since))
    if until:
        begun = begun.filter(at_ms__lt=day_start_ms(until))
    return set(begun.values_list("job_id", flat=True))


def _allocated(cluster: Cluster, first: date, end: date) -> Iterator[tuple[int, date]]:
    newest = dict(Node.objects.filter(cluster=cluster).values_list("pk", "last_sample_ms"))
    inside = Q(start_ms__lt=day_start_ms(end)) & (Q(end_ms__gt=day_start_ms(first)) | Q(end_ms__isnull=True))
    rows = Allocation.objects.filter(inside, node__cluster=cluster).order_by()
    for node, start_ms, end_ms in rows.values_list("node_id", "start_ms", "end_ms").iterator(chunk_size=20_000):
        last = end_ms - 1 if end_ms is not None else (newest[node] or start_ms) + NOMINAL_WINDOW_MS
        if last >= start_ms:  # one of zero length reaches into no day
            low, high = max(day_from_ms(start_ms), first), min(day_from_ms(last), end)
            yield from ((node, day) for day in days_between(low, high))


def _sampled(cluster: Cluster, first: date, end: date) -> dict[date, NodeIds]:
    """Per day the nodes with samples."""
    store = SampleStore()
    found: dict[date, NodeIds] = {}
    for segment in Segment.objects.filter(cluster=cluster, day__gte=first, day__lt=end).order_by("day", "pk"):
        nodes = store.node_ids(segment)
        found[segment.day] = np.union1d(found[segment.day], nodes) if segment.day in found else nodes
    return found


def _beside(cluster: Cluster, day: date, nodes: NodeIds, known: set[tuple[int, date]]) -> Iterator[tuple[int, date]]:
    """The neighbour days that a day's samples reach into, of nodes that are not known to be there."""
    reach, start = _reach_ms(cluster), day_start_ms(day)
    edges = ((day - _ONE_DAY, start, start + reach), (day + _ONE_DAY, start + DAY_MS - reach, start + DAY_MS))
    for neighbour, low, high in edges:
        missing = [node for node in nodes.tolist() if (node, neighbour) not in known]
        if missing:
            near = SampleStore().scan(cluster.pk, Selection(np.array(missing, np.int32), low, high))
            yield from ((node, neighbour) for node in np.unique(near.node).tolist())


def _reach_ms(cluster: Cluster) -> int:
    """How far from midnight a sample may matter to the next day."""
    declared = ChannelPeriod.objects.filter(channel__node__cluster=cluster)
    most = declared.aggregate(gap=Max("max_gap_ms"), nominal=Max("nominal_ms"))
    gap, nominal = most["gap"] or 0, most["nominal"] or 0
    return min(max(NOMINAL_WINDOW_MS, gap + nominal, int((GAP_INTERVALS + 0.5) * nominal) + 1), DAY_MS)
