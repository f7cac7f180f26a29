"""Single-node jobs with declared work, node against node: which nodes draw more for the same work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db.models import Count, Q, QuerySet

from measurements.domain.outliers import Outlier, outliers
from measurements.domain.quality import FULL_COVERAGE
from measurements.models import Cluster, Node, WorkloadJob
from measurements.selectors.frames import frame_of
from measurements.selectors.workload_rows import ended_between

MOST_JOBS = 50_000  # the newest
_CELL = ("workload", "phase", "size", "target", "unit", "node_type")
_COLUMNS = (*_CELL, "node", "work", "energy_j")


@dataclass(frozen=True, slots=True)
class NamedOutlier:
    """A node that draws more."""

    name: str
    cluster: str
    node_type: str
    found: Outlier


@dataclass(frozen=True, slots=True)
class NodeOutliers:
    """What was found of the jobs that ended in a time."""

    found: tuple[NamedOutlier, ...]
    nodes: int  # looked at
    jobs: int  # looked at
    declared: int  # single-node jobs with work
    single: int  # single-node jobs of a workload


def node_outliers(clusters: Sequence[Cluster], start_ms: int, end_ms: int) -> NodeOutliers:
    """Of the jobs that ended in [start, end); four queries. It names nodes: for those who may see them."""
    every = WorkloadJob.objects.order_by().values_list("workload", flat=True).distinct()
    # Named one by one, so that the database goes along its index of workloads and instants.
    rows = ended_between(WorkloadJob.objects.filter(cluster__in=clusters, workload__in=list(every)), start_ms, end_ms)
    rows = rows.filter(nodes=1, node__isnull=False, excused=False)
    work = Q(work__gt=0, energy_j__gt=0, state="COMPLETED", coverage__gte=FULL_COVERAGE)
    count = rows.aggregate(single=Count("pk"), declared=Count("pk", filter=Q(work__gt=0)))
    frame = frame_of(rows.filter(work).order_by("-end_ms", "-pk").values_list(*_COLUMNS)[:MOST_JOBS], _COLUMNS)
    if frame.empty:
        return NodeOutliers((), 0, 0, count["declared"], count["single"])
    cell = frame.groupby(list(_CELL), dropna=False).ngroup().to_numpy(np.int64)
    energy_per_work = frame["energy_j"].to_numpy(np.float64) / frame["work"].to_numpy(np.float64)
    seen = outliers(cell, frame["node"].to_numpy(np.int64), energy_per_work)
    return NodeOutliers(_named(seen.found), seen.nodes, seen.jobs, count["declared"], count["single"])


def _named(found: Sequence[Outlier]) -> tuple[NamedOutlier, ...]:
    names = _names(Node.objects.filter(pk__in=[one.node for one in found]))
    return tuple(NamedOutlier(*names[one.node], found=one) for one in found)


def _names(nodes: QuerySet[Node]) -> dict[int, tuple[str, str, str]]:
    """Name, cluster and newest type of some nodes."""
    rows = nodes.order_by("pk", "configs__valid_from").values_list(
        "pk", "name", "cluster__name", "configs__node_type__name"
    )
    return {pk: (name, cluster, kind or "") for pk, name, cluster, kind in rows}
