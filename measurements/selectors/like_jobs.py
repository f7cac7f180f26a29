"""What a job would draw on other node types, from jobs of like work that ran there; never from what is rated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
from django.contrib.auth.models import AbstractUser, AnonymousUser

from measurements.domain.blocks import told
from measurements.domain.job_columns import Jobs
from measurements.domain.like_jobs import Prediction, prediction
from measurements.domain.quality import FULL_COVERAGE
from measurements.domain.units import DAY_MS, MS_PER_S, FloatArray
from measurements.domain.workload_groups import MEASURED, NO_UNIT, Cell, Kind, Whose
from measurements.models import Job, JobTags, WorkloadJob
from measurements.selectors.jobsums import SEVERAL, types_of_jobs
from measurements.selectors.workload_report import rows_for, type_labels

WITHIN_MS = 365 * DAY_MS  # before and after the job, of jobs that are alike by their name
MOST_JOBS = 2_000  # of a name, the newest
_COLUMNS = ("pk", "start_ms", "end_ms", "energy__energy_j", "energy__covered_us", "energy__elapsed_us")
Viewer = AbstractUser | AnonymousUser


class Basis(StrEnum):
    """What makes jobs alike, the strongest first."""

    WORK = "work"  # workload, phase, size, target; energy for each unit of work × this job's work
    WORKLOAD = "workload"  # the same without declared work: how much each did is not known
    NAME = "name"  # one's own jobs of the same name


class Missing(StrEnum):
    """Why nothing can be said of other node types."""

    WORKLOAD = "workload"  # it has none, and no jobs of its name are enough
    JOBS = "jobs"  # too few jobs of like work ran elsewhere, or none that may be shown


@dataclass(frozen=True, slots=True)
class OnType:
    """One node type; the predictions are None of fewer than three jobs."""

    node_type: str
    whose: str
    n: int
    energy_j: Prediction | None
    runtime_s: Prediction | None
    this: bool  # where the job itself ran


@dataclass(frozen=True, slots=True)
class LikeJobs:
    """By node type, the least energy first; what can't be predicted comes last."""

    basis: Basis
    cell: Cell
    work: float | None
    types: tuple[OnType, ...]

    @property
    def predicted(self) -> tuple[OnType, ...]:
        """Those with a prediction."""
        return tuple(kind for kind in self.types if kind.energy_j)

    @property
    def missing(self) -> Missing | None:
        """What there would have to be, if there is no other node type to speak of."""
        if any(kind for kind in self.predicted if not kind.this):
            return None
        return Missing.WORKLOAD if self.basis is Basis.NAME else Missing.JOBS


def like_jobs(job: Job, viewer: Viewer, now: datetime) -> LikeJobs:
    """The predictions for a job that the viewer may see: seven queries at most.

    Of others' jobs as `measurements.domain.workload_groups` releases them.
    """
    if not job.workload:
        return _by_name(job, viewer)
    tags = JobTags.objects.filter(job=job).first() or JobTags(job=job)
    unit = (tags.unit or NO_UNIT) if tags.work else ""
    cell = Cell(job.phase, tags.size, tags.target, unit)
    labels = type_labels()
    found = rows_for(viewer, job.workload, cell, now, labels)
    ran = WorkloadJob.objects.filter(pk=job.pk, node_type__isnull=False).values_list("node_type", flat=True)
    ran_on = next((labels.get(kind) for kind in ran if kind), None)
    others = found.where((found["kind"] == Kind.COMPARED) & (found["job"] != job.pk))
    by_type = [
        _of_like_work(name, of_type, tags.work or None, this=name == ran_on)
        for (name,), of_type in others.by("node_type")
    ]
    return LikeJobs(Basis.WORK if unit else Basis.WORKLOAD, cell, tags.work or None, _in_order(by_type))


def _of_like_work(name: str, jobs: Jobs, work: float | None, *, this: bool) -> OnType:
    """For so much work, where it is declared. Figures of a crowd are rounded for a unit of it, and only then scaled:
    who changes his job's work must not see where their rounding goes the other way."""
    whose = str(jobs["whose"][0])
    by = jobs.number("work") if work else np.ones(len(jobs))
    each = (prediction(jobs.number(column) / by) for column in ("energy_j", "runtime_s"))
    energy, runtime = (_times(found, work or 1.0, crowd=whose == Whose.CROWD) for found in each)
    return OnType(name, whose, len(jobs), energy, runtime, this)


def _times(found: Prediction | None, work: float, *, crowd: bool) -> Prediction | None:
    if found is None:
        return None
    low, median, high = (told(v) if crowd else v for v in (found.low, found.median, found.high))
    return Prediction(found.n, low * work, median * work, high * work)


def _on_type(name: str, whose: str, figures: tuple[FloatArray, FloatArray], *, this: bool) -> OnType:
    energy, runtime = (prediction(values) for values in figures)
    return OnType(name, whose, len(figures[0]), energy, runtime, this)


def _in_order(types: list[OnType]) -> tuple[OnType, ...]:
    return tuple(sorted(types, key=lambda kind: (kind.energy_j is None, kind.energy_j.median if kind.energy_j else 0)))


# --- By name ------------------------------------------------------------------------------------


def _by_name(job: Job, viewer: Viewer) -> LikeJobs:
    """The viewer's own jobs of the same name, on the same cluster, within a year; of other people's none."""
    types: list[OnType] = []
    if viewer.is_authenticated and viewer.get_username() == job.username and job.name and job.start_ms is not None:
        jobs = Job.objects.visible_to(viewer).filter(
            cluster=job.cluster_id,
            username=job.username,
            start_ms__gte=job.start_ms - WITHIN_MS,
            start_ms__lte=job.start_ms + WITHIN_MS,
            state="COMPLETED",
            energy__quality__in=MEASURED,
            workload="",
            name=job.name,
        )
        types = _named_types(job, list(jobs.order_by("-start_ms", "-pk").values_list(*_COLUMNS, _NODE)[:MOST_JOBS]))
    return LikeJobs(Basis.NAME, Cell("", "", "", ""), None, _in_order(types))


_NODE = "runs__allocations__node_id"


def _named_types(job: Job, rows: list[tuple[int, ...]]) -> list[OnType]:
    if not rows:
        return []
    ids, starts, ends, energies, covered, elapsed, nodes = zip(*rows, strict=True)
    types = types_of_jobs(ids, starts, nodes)
    figures = {
        pk: (energy, (end - start) / MS_PER_S)
        for pk, start, end, energy, part, whole in zip(ids, starts, ends, energies, covered, elapsed, strict=True)
        if whole and part >= FULL_COVERAGE * whole and end is not None and energy > 0 and end > start
    }
    own, found = types.get(job.pk), []
    for name in sorted(set(types.values()) - {SEVERAL}):
        of_type = np.array([figures[pk] for pk in figures if types.get(pk) == name]).reshape(-1, 2)
        if len(of_type):
            found.append(_on_type(name, Whose.OWN.value, (of_type[:, 0], of_type[:, 1]), this=name == own))
    return found
