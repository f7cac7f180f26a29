"""Jobs of a workload as columns: all of a few, a fixed random sample of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from django.db.models import Count, Q, QuerySet

from measurements.domain.job_columns import Codes, Column, Jobs
from measurements.models import WorkloadJob
from measurements.models.workloads import LOTS
from measurements.selectors.frames import columns_of

MOST_OF_A_GROUP = 1_000  # jobs of a phase on a node type that a page looks at
_WORDS = ("username", "phase", "size", "target", "unit", "state", "quality")
_FLOATS = ("work", "runtime_s", "energy_j", "gpu_held_s", "gpu_idle_j", "estimate_j", "coverage")
_KINDS: dict[str, Any] = {
    **dict.fromkeys(_WORDS, object),
    **dict.fromkeys(_FLOATS, np.float64),  # nan where not known
    **dict.fromkeys(("job", "gpus", "end_ms", "scope"), np.int64),
    "excused": np.bool_,
    "node_type": object,  # its id; None: several
}
FIELDS = ["job_id" if name == "job" else name for name in _KINDS]


@dataclass(frozen=True, slots=True)
class Sampled:
    """Rows, and whether they are all that were asked for."""

    rows: Jobs
    whole: bool


def workload_jobs(jobs: QuerySet[WorkloadJob], most: int = MOST_OF_A_GROUP) -> Sampled:
    """The rows of some jobs, of each phase and node type about ``most`` at most: two queries.

    For jobs that are sought out otherwise than by workload and phase (`workload_sample.sample_of`): they are counted.
    Which of many are taken depends on the jobs' ids alone (`WorkloadJob.lot`), never on what they drew.
    """
    # All rows, not all ids: for those SQLite reads the jobs themselves.
    counted = jobs.order_by().values_list("phase", "node_type").annotate(n=Count("*"))
    groups = {(phase, kind): n for phase, kind, n in counted}
    if all(n <= most for n in groups.values()):
        return Sampled(frame(jobs), whole=True)
    return Sampled(_frame([jobs.filter(part) for part in _parts(groups, most)]), whole=False)


def _parts(groups: Mapping[tuple[str, int | None], int], most: int) -> list[Q]:
    """The large groups one by one, each along its index; the small ones together."""
    small, parts = Q(), []
    for (phase, kind), n in groups.items():
        part = Q(phase=phase, node_type=kind) if kind is not None else Q(phase=phase, node_type__isnull=True)
        if n > most:
            parts.append(part & Q(lot__lt=max(1, int(LOTS * most / n))))
        else:
            small |= part
    return [*parts, small] if small else parts


def frame(jobs: QuerySet[WorkloadJob]) -> Jobs:
    """One row a job, in the order of their ids."""
    return _frame([jobs])


def _frame(parts: Sequence[QuerySet[WorkloadJob]]) -> Jobs:
    """The rows of parts that have none in common, likewise; one query."""
    first, *others = (part.order_by().values_list(*FIELDS) for part in parts)
    return as_jobs(columns_of(first.union(*others, all=True) if others else first, len(FIELDS)))


def as_jobs(columns: Sequence[list[Any]]) -> Jobs:
    """The columns of `FIELDS` as jobs, in the order of their ids."""
    found: dict[str, Column] = {}
    codes: dict[str, Codes] = {}
    for name, values in zip(_KINDS, columns, strict=True):
        found[name] = np.array(values, _KINDS[name])
        if name in _WORDS and values:  # each word once, as plain objects: they are compared and counted many times
            code, words = codes[name] = pd.factorize(found[name])
            found[name] = np.asarray(words[code])
    return Jobs(found, codes).where(np.argsort(found["job"]))


def ended_between(jobs: QuerySet[WorkloadJob], start_ms: int, end_ms: int) -> QuerySet[WorkloadJob]:
    """Those that ended in [start, end)."""
    return jobs.filter(end_ms__gte=start_ms, end_ms__lt=end_ms)
