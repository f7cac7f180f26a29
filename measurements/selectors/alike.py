"""What a person's own jobs of the same kind drew on each node type: for the owner alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from django.contrib.auth.models import AbstractUser, AnonymousUser

from measurements.domain.quality import FULL_COVERAGE
from measurements.domain.units import DAY_MS, MS_PER_S
from measurements.models import Job, Quality
from measurements.selectors.jobsums import SEVERAL, types_of_jobs

FEWEST_JOBS = 3  # of a node type: no figures of fewer
MOST_JOBS = 2_000  # the newest
WITHIN_MS = 365 * DAY_MS  # before and after the job
_COLUMNS = ("pk", "start_ms", "end_ms", "energy__energy_j", "energy__covered_us", "energy__elapsed_us")
_MEASURED = (Quality.METERED, Quality.APPORTIONED, Quality.COARSE)


@dataclass(frozen=True, slots=True)
class OnType:
    """Jobs of the same kind on one node type; figures are quartiles and median, None of fewer than three jobs."""

    node_type: str
    jobs: int
    low_j: float | None
    median_j: float | None
    high_j: float | None
    runtime_s: float | None  # median
    this: bool  # the job itself ran on it


@dataclass(frozen=True, slots=True)
class Alike:
    """Of which kind, and by node type, the least median energy first."""

    workload: str  # declared; empty: jobs of the same name
    phase: str
    name: str
    types: tuple[OnType, ...]

    @property
    def compared(self) -> tuple[OnType, ...]:
        """Those with figures."""
        return tuple(kind for kind in self.types if kind.median_j is not None)


def alike(job: Job, viewer: AbstractUser | AnonymousUser) -> Alike | None:
    """Jobs of the viewer that declare the same workload and phase, else those of the same name; two queries.

    Only those that completed and were measured throughout count. None for other people's jobs, for a job of no kind,
    and where nothing can be compared.
    """
    mine = viewer.is_authenticated and viewer.get_username() == job.username
    if not mine or job.start_ms is None or not (job.workload or job.name):
        return None
    jobs = Job.objects.visible_to(viewer).filter(
        cluster=job.cluster_id,
        username=job.username,
        start_ms__gte=job.start_ms - WITHIN_MS,
        start_ms__lte=job.start_ms + WITHIN_MS,
        state="COMPLETED",
        energy__quality__in=_MEASURED,
    )
    if job.workload:
        jobs = jobs.filter(workload=job.workload, phase=job.phase)
    else:
        jobs = jobs.filter(workload="", name=job.name)
    rows = list(jobs.order_by("-start_ms", "-pk").values_list(*_COLUMNS, "runs__allocations__node_id")[:MOST_JOBS])
    types = _by_type(job, rows)
    if sum(kind.median_j is not None for kind in types) < 1 or len(types) < 2:
        return None
    return Alike(job.workload, job.phase, job.name, types)


def _by_type(job: Job, rows: list[tuple[int, ...]]) -> tuple[OnType, ...]:
    if not rows:
        return ()
    ids, starts, ends, energies, covered, elapsed, nodes = zip(*rows, strict=True)
    types = types_of_jobs(ids, starts, nodes)
    figures = {
        pk: (energy, (end - start) / MS_PER_S)
        for pk, start, end, energy, part, whole in zip(ids, starts, ends, energies, covered, elapsed, strict=True)
        if whole and part >= FULL_COVERAGE * whole and end is not None
    }
    own = types.get(job.pk)
    found = []
    for name in sorted(set(types.values()) - {SEVERAL}):
        of_type = [figures[pk] for pk in figures if types.get(pk) == name]
        if of_type:
            found.append(_on_type(name, np.array(of_type), this=name == own))
    return tuple(sorted(found, key=lambda kind: (kind.median_j is None, kind.median_j or 0.0)))


def _on_type(name: str, figures: np.ndarray[tuple[int, int], np.dtype[np.float64]], *, this: bool) -> OnType:
    count = len(figures)
    if count < FEWEST_JOBS:
        return OnType(name, count, None, None, None, None, this)
    low, middle, high = np.percentile(figures[:, 0], [25, 50, 75]).tolist()
    return OnType(name, count, low, middle, high, float(np.median(figures[:, 1])), this)
