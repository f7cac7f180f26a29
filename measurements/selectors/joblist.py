"""Lists of jobs, newest first, page by page: those of a filter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Count, Exists, Max, OuterRef, Q

from measurements.domain.quality import ratio
from measurements.domain.units import DAY_MS, S_PER_HOUR, US_PER_S, datetime_from_ms
from measurements.models import DirtyJob, Job, JobQuerySet, Node
from measurements.selectors.jobfilter import Place, Selection

JOBS_PER_PAGE = 50
REQUEUED_WITHIN_MS = 30 * DAY_MS  # a requeued job spans its runs (docs/integration.md, rule 10)
MOST_MARKS = 10_000  # of jobs that wait to be booked, newest first


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job in a list; its figures are of the whole job, also where only a part of it lies in the period."""

    cluster: str
    job_id: str
    name: str
    username: str
    account: str
    partition: str
    workload: str
    phase: str
    state: str
    start_ms: int | None
    started_at: datetime | None
    ended_at: datetime | None
    energy_j: float | None  # metered; None: nothing was
    gpu_energy_j: float  # part of energy_j
    filled_j: float  # reported or estimated instead
    node_hours: float
    coverage: float | None
    quality: str
    id_used_again: bool  # other jobs of this cluster have the same id


@dataclass(frozen=True, slots=True)
class JobsPage:
    """Some jobs, newest first; ``next_key`` names the place to go on from, None at the end."""

    rows: tuple[JobRow, ...]
    next_key: Place | None
    looked_to: datetime | None = None  # as far back as was looked, where that ended the page


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far the figures reach."""

    newest_sample_at: datetime | None  # of any node of the clusters the person used, or of all
    jobs_being_booked: int


def jobs_page(selection: Selection, after: Place | None, floor_ms: int | None, size: int = JOBS_PER_PAGE) -> JobsPage:
    """Jobs of a filter from a place on; below the floor, the start of the last one that may be looked at, the next page
    goes on."""
    page = _page(selection.viewer, selection.matching(after, floor_ms), size)
    if page.next_key or floor_ms is None:
        return page
    return JobsPage(page.rows, (floor_ms, 0), datetime_from_ms(floor_ms))


def all_rows(selection: Selection, after: Place | None, most: int, at_once: int) -> Iterator[JobRow]:
    """The jobs of a filter from a place on, so many at most, read in lots."""
    while most > 0:
        page = jobs_page(selection, after, selection.floor_ms(after), min(at_once, most))
        yield from page.rows
        most -= len(page.rows)
        after = page.next_key
        if after is None:
            return


def _page(viewer: AbstractUser | AnonymousUser, jobs: JobQuerySet, size: int) -> JobsPage:
    found = list(jobs.select_related("cluster", "energy")[: size + 1])
    page = found[:size]
    last = page[-1] if len(found) > size else None
    again = _ids_used_again(viewer, page)
    rows = tuple(_job_row(job, id_used_again=(job.cluster_id, job.job_id) in again) for job in page)
    return JobsPage(rows, (last.start_ms, last.pk) if last and last.start_ms is not None else None)


def _ids_used_again(viewer: AbstractUser | AnonymousUser, jobs: Sequence[Job]) -> set[tuple[int, str]]:
    """(cluster, shown id) of those of some jobs that do not have theirs alone, as far as the viewer may see."""
    same = Job.objects.visible_to(viewer)
    same = same.filter(cluster__in={j.cluster_id for j in jobs}, job_id__in={j.job_id for j in jobs})
    pairs = same.order_by().values_list("cluster_id", "job_id").annotate(count=Count("pk")).filter(count__gt=1)
    return {(cluster, job_id) for cluster, job_id, _ in pairs}


def _job_row(job: Job, *, id_used_again: bool) -> JobRow:
    energy: Any = getattr(job, "energy", None)  # none until it is booked
    return JobRow(
        cluster=job.cluster.name,
        job_id=job.job_id,
        name=job.name,
        username=job.username,
        account=job.account,
        partition=job.partition,
        workload=job.workload,
        phase=job.phase,
        state=job.state,
        start_ms=job.start_ms,
        started_at=datetime_from_ms(job.start_ms) if job.start_ms is not None else None,
        ended_at=datetime_from_ms(job.end_ms) if job.end_ms is not None else None,
        energy_j=energy.energy_j if energy and energy.covered_us else None,
        gpu_energy_j=energy.gpu_energy_j if energy else 0.0,
        filled_j=energy.filled_j if energy else 0.0,
        node_hours=energy.elapsed_us / US_PER_S / S_PER_HOUR if energy else 0.0,
        coverage=ratio(energy.covered_us, energy.elapsed_us) if energy else None,
        quality=energy.quality if energy else "none",
        id_used_again=id_used_again,
    )


def freshness(viewer: AbstractUser | AnonymousUser) -> Freshness:
    """Up to when the machine was measured, and how many of the viewer's jobs wait to be booked."""
    username = viewer.get_username()
    newest = Node.objects.aggregate(newest=Max("last_sample_ms"))["newest"]
    mine = Exists(Job.objects.visible_to(viewer).filter(pk=OuterRef("job_id"), username=username))
    marks = DirtyJob.objects.annotate(mine=mine).order_by("-pk")[:MOST_MARKS]
    waiting = marks.aggregate(waiting=Count("pk", filter=Q(mine=True)))["waiting"]
    return Freshness(datetime_from_ms(newest) if newest is not None else None, waiting)
