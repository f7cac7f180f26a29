"""Jobs of a workload as a data frame: all of a few, a fixed random sample of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

import numpy as np
import pandas as pd
from django.db.models import Count, Q, QuerySet

from measurements.domain.units import IntArray
from measurements.models import WorkloadJob
from measurements.models.workloads import LOTS
from measurements.selectors.frames import columns_of

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
_WORDS = ("node_type", "username", "account", "phase", "size", "target", "unit", "state", "quality")
SEVERAL = ""  # node type of jobs on nodes of several types


@dataclass(frozen=True, slots=True)
class Sampled:
    """Rows, and of how many jobs they are: by phase and node type (its id; None: several)."""

    rows: pd.DataFrame
    jobs: dict[tuple[str, int | None], int]

    @property
    def whole(self) -> bool:
        """Whether every job is among the rows."""
        return sum(self.jobs.values()) == len(self.rows)


def workload_jobs(jobs: QuerySet[WorkloadJob], most: int = MOST_OF_A_GROUP, *, halved: bool = False) -> Sampled:
    """The rows of some jobs, of each phase and node type about ``most`` at most: two queries.

    Which of many are taken depends on the jobs' ids alone (`WorkloadJob.lot`), never on what they drew. ``halved``: a
    half, a quarter, … of them, so that a few more jobs do not change which of the others are taken.
    """
    # All rows, not all ids: for those SQLite reads the jobs themselves.
    counted = jobs.order_by().values_list("phase", "node_type").annotate(n=Count("*"))
    groups = {(phase, kind): n for phase, kind, n in counted}
    if all(n <= most for n in groups.values()):
        return Sampled(frame(jobs), groups)
    return Sampled(_frame([jobs.filter(part) for part in _parts(groups, most, halved=halved)]), groups)


def _parts(groups: Mapping[tuple[str, int | None], int], most: int, *, halved: bool) -> list[Q]:
    """The large groups one by one, each along its index; the small ones together."""
    small, parts = Q(), []
    for (phase, kind), n in groups.items():
        part = Q(phase=phase, node_type=kind) if kind is not None else Q(phase=phase, node_type__isnull=True)
        if n > most:
            share = 2.0 ** -ceil(log2(n / most)) if halved else most / n
            parts.append(part & Q(lot__lt=max(1, int(LOTS * share))))
        else:
            small |= part
    return [*parts, small] if small else parts


def frame(jobs: QuerySet[WorkloadJob]) -> pd.DataFrame:
    """One row a job, in the order of their ids; nan where not known, node type SEVERAL if there are several."""
    return _frame([jobs])


def _frame(parts: Sequence[QuerySet[WorkloadJob]]) -> pd.DataFrame:
    """The rows of parts that have none in common, likewise; one query."""
    first, *others = (part.order_by().values_list(*_COLUMNS.values()) for part in parts)
    columns = columns_of(first.union(*others, all=True) if others else first, len(_COLUMNS))
    found = dict(zip(_COLUMNS, columns, strict=True))
    found["node_type"] = [name or SEVERAL for name in found["node_type"]]
    order = np.argsort(np.array(found["job"], np.int64))
    return pd.DataFrame({name: _column(name, values, order) for name, values in found.items()})


def _column(name: str, values: list[Any], order: IntArray) -> pd.Series:
    """Words as plain objects: much faster than pandas' own."""
    kinds = dict.fromkeys(_WORDS, object) | dict.fromkeys(_NUMBERS, np.float64) | {"excused": bool}
    return pd.Series(np.array(values, kinds.get(name))[order], dtype=kinds.get(name))


def ended_between(jobs: QuerySet[WorkloadJob], start_ms: int, end_ms: int) -> QuerySet[WorkloadJob]:
    """Those that ended in [start, end)."""
    return jobs.filter(end_ms__gte=start_ms, end_ms__lt=end_ms)
