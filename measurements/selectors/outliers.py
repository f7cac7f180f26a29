"""Single-node jobs with declared work, node against node: which nodes draw more for the same work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db.models import Count, Q, QuerySet

from measurements.domain.job_columns import Jobs
from measurements.domain.outliers import Outlier, outliers
from measurements.domain.quality import FULL_COVERAGE
from measurements.models import Cluster, Node, WorkloadJob
from measurements.selectors.frames import columns_of
from measurements.selectors.workload_rows import ended_between
from measurements.selectors.workloads import names_in_use

MOST_JOBS = 50_000  # the newest
_CELL = ("workload", "phase", "size", "target", "unit", "node_type")
_COLUMNS = (*_CELL, "node", "work", "energy_j")
_FIT = Q(work__gt=0, energy_j__gt=0, state="COMPLETED", coverage__gte=FULL_COVERAGE)


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
    # Named one by one, so that the database goes along its index of workloads and instants.
    named = WorkloadJob.objects.filter(cluster__in=clusters, workload__in=names_in_use())
    rows = ended_between(named, start_ms, end_ms).filter(nodes=1, node__isnull=False, excused=False)
    count = rows.aggregate(single=Count("pk"), declared=Count("pk", filter=Q(work__gt=0)), fit=Count("pk", filter=_FIT))
    fit = rows.filter(_FIT)
    if count["fit"] > MOST_JOBS:  # else they need not be put in an order, which takes as long as reading half of them
        fit = fit.order_by("-end_ms", "-pk")[:MOST_JOBS]
    *cells, node, done, energy_j = columns_of(fit.values_list(*_COLUMNS), len(_COLUMNS))
    if not node:
        return NodeOutliers((), 0, 0, count["declared"], count["single"])
    cell = Jobs({name: np.array(values, object) for name, values in zip(_CELL, cells, strict=True)}).codes(_CELL)
    seen = outliers(cell, np.array(node, np.int64), np.array(energy_j, np.float64) / np.array(done, np.float64))
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
