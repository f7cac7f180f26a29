"""Jobs of a workload as a data frame: all of a few, a fixed random sample of many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from django.db.models import Count, Q, QuerySet

from measurements.models import WorkloadJob
from measurements.models.workloads import LOTS

MOST_OF_A_GROUP = 1_000  # jobs of a phase on a node type that a page looks at
_COLUMNS = {
    "job": "job_id",
    "node_type": "node_type__name",
    "node": "node_id",
    **{
        name: name
        for name in (
            *("cluster_id", "username", "account", "phase", "size", "target", "unit", "work", "state", "excused"),
            *("nodes", "cpus", "gpus", "start_ms", "end_ms", "runtime_s", "held_s", "energy_j", "gpu_energy_j"),
            *("gpu_held_s", "gpu_idle_s", "gpu_idle_j", "estimate_j", "coverage", "quality", "scope"),
        )
    },
}
_NUMBERS = ("work", "cpus", "estimate_j", "node")
SEVERAL = ""  # node type of jobs on nodes of several types


@dataclass(frozen=True, slots=True)
class Sampled:
    """Rows, and of how many jobs they are: by (phase, node type)."""

    rows: pd.DataFrame
    jobs: dict[tuple[str, str], int]

    @property
    def whole(self) -> bool:
        """Whether every job is among the rows."""
        return sum(self.jobs.values()) == len(self.rows)


def workload_jobs(jobs: QuerySet[WorkloadJob], most: int = MOST_OF_A_GROUP) -> Sampled:
    """The rows of some jobs, of each phase and node type about ``most`` at most: two queries.

    Which of many are taken depends on the jobs' ids alone (`WorkloadJob.lot`), never on what they drew.
    """
    counted = jobs.order_by().values_list("phase", "node_type", "node_type__name").annotate(n=Count("pk"))
    groups = {(phase, kind): (name or SEVERAL, n) for phase, kind, name, n in counted}
    large = Q()
    for (phase, kind), (_, n) in groups.items():
        if n > most:
            part = Q(phase=phase, node_type=kind) if kind is not None else Q(phase=phase, node_type__isnull=True)
            large |= part & Q(lot__gte=max(1, LOTS * most // n))
    rows = frame(jobs.exclude(large) if large else jobs)
    return Sampled(rows, {(phase, name): n for (phase, _), (name, n) in groups.items()})


def frame(jobs: QuerySet[WorkloadJob]) -> pd.DataFrame:
    """One row a job, in the order of their ids; nan where not known, node type SEVERAL if there are several."""
    rows = pd.DataFrame(list(jobs.order_by("pk").values_list(*_COLUMNS.values())), columns=list(_COLUMNS))
    rows[list(_NUMBERS)] = rows[list(_NUMBERS)].astype(np.float64)
    rows["node_type"] = rows["node_type"].fillna(SEVERAL)
    rows["excused"] = rows["excused"].astype(bool)
    return rows


def ended_between(jobs: QuerySet[WorkloadJob], start_ms: int, end_ms: int) -> QuerySet[WorkloadJob]:
    """Those that ended in [start, end)."""
    return jobs.filter(end_ms__gte=start_ms, end_ms__lt=end_ms)
