"""A person's own jobs of a period, newest first, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Count, Max, Q

from measurements.domain.quality import ratio
from measurements.domain.units import DAY_MS, S_PER_HOUR, US_PER_S, datetime_from_ms
from measurements.models import Cluster, DirtyJob, Job, Node

JOBS_PER_PAGE = 50
REQUEUED_WITHIN_MS = 30 * DAY_MS  # a requeued job spans its runs (docs/integration.md, rule 10)


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job in a list; its figures are of the whole job, also where only a part of it lies in the period."""

    cluster: str
    job_id: str
    name: str
    account: str
    state: str
    start_ms: int
    started_at: datetime
    ended_at: datetime | None
    energy_j: float | None  # metered; None: nothing was
    filled_j: float  # reported or estimated instead
    node_hours: float
    coverage: float | None
    quality: str
    id_used_again: bool  # other jobs of this cluster have the same id


@dataclass(frozen=True, slots=True)
class JobsPage:
    """Some jobs, newest first; ``next_key`` names the place to go on from, None at the end."""

    rows: tuple[JobRow, ...]
    next_key: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far the figures reach."""

    newest_sample_at: datetime | None  # of any node of the clusters the person used, or of all
    jobs_being_booked: int


def jobs_of_period(
    viewer: AbstractUser | AnonymousUser, start_ms: int, end_ms: int, after: tuple[int, int] | None = None
) -> JobsPage:
    """The viewer's own jobs that ran in [start, end), newest first, from the place ``after`` on."""
    longest = Cluster.objects.aggregate(longest=Max("longest_run_ms"))["longest"] or 0
    earliest = start_ms - longest - REQUEUED_WITHIN_MS
    jobs = (
        Job.objects.visible_to(viewer)
        .filter(username=viewer.get_username(), start_ms__lt=end_ms, start_ms__gte=earliest)
        .filter(Q(end_ms__gt=start_ms) | Q(end_ms__isnull=True) | Q(start_ms__gte=start_ms))
    )
    if after:
        jobs = jobs.filter(Q(start_ms__lt=after[0]) | Q(start_ms=after[0], pk__lt=after[1]))
    found = list(jobs.select_related("cluster", "energy").order_by("-start_ms", "-pk")[: JOBS_PER_PAGE + 1])
    page = found[:JOBS_PER_PAGE]
    last = page[-1] if len(found) > JOBS_PER_PAGE else None
    again = _ids_used_again(page)
    rows = tuple(_job_row(job, id_used_again=(job.cluster_id, job.job_id) in again) for job in page)
    return JobsPage(rows, (last.start_ms, last.pk) if last and last.start_ms is not None else None)


def _ids_used_again(jobs: Sequence[Job]) -> set[tuple[int, str]]:
    """(cluster, shown id) of those of some jobs that do not have theirs alone."""
    same = Job.objects.filter(cluster__in={j.cluster_id for j in jobs}, job_id__in={j.job_id for j in jobs})
    pairs = same.order_by().values_list("cluster_id", "job_id").annotate(count=Count("pk")).filter(count__gt=1)
    return {(cluster, job_id) for cluster, job_id, _ in pairs}


def _job_row(job: Job, *, id_used_again: bool) -> JobRow:
    energy: Any = getattr(job, "energy", None)  # none until it is booked
    return JobRow(
        cluster=job.cluster.name,
        job_id=job.job_id,
        name=job.name,
        account=job.account,
        state=job.state,
        start_ms=job.start_ms or 0,
        started_at=datetime_from_ms(job.start_ms or 0),
        ended_at=datetime_from_ms(job.end_ms) if job.end_ms is not None else None,
        energy_j=energy.energy_j if energy and energy.covered_us else None,
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
    waiting = DirtyJob.objects.filter(job__in=Job.objects.visible_to(viewer).filter(username=username)).count()
    return Freshness(datetime_from_ms(newest) if newest is not None else None, waiting)
