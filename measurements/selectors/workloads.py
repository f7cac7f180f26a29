"""Which workloads there are, as far as one may know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db import connection
from django.db.models import Count, Max, QuerySet, Sum

from measurements.domain.units import datetime_from_ms
from measurements.models import WorkloadJob
from measurements.selectors.workload_report import open_since_ms

_FROM_NAME_TO_NAME = """
WITH RECURSIVE found(name) AS (
    SELECT MIN(workload) FROM measurements_workloadjob
    UNION ALL
    SELECT (SELECT MIN(workload) FROM measurements_workloadjob WHERE workload > found.name)
    FROM found WHERE found.name IS NOT NULL
)
SELECT name FROM found WHERE name IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class WorkloadLine:
    """A workload; figures are of the jobs that the viewer may count, None where those are none."""

    name: str
    jobs: int | None
    energy_j: float | None  # metered
    phases: tuple[str, ...]
    units: tuple[str, ...]
    last_seen: datetime | None
    own: bool  # some of the jobs are the viewer's


def names_in_use() -> list[str]:
    """All names of which there are jobs, whoever asks: along an index, where DISTINCT would look at every job."""
    with connection.cursor() as cursor:
        cursor.execute(_FROM_NAME_TO_NAME)
        return [name for (name,) in cursor.fetchall()]


def workloads(viewer: AbstractUser | AnonymousUser, now: datetime) -> list[WorkloadLine]:
    """All of them for whoever may see all jobs, most energy first; else one's own, and the names of those that enough
    people run: two queries."""
    if not viewer.is_authenticated or not viewer.is_active:
        return []
    name = viewer.get_username()
    mine = WorkloadJob.objects.filter(job__username=name)
    if viewer.has_perm("measurements.view_all_jobs"):
        own = set(mine.order_by().values_list("workload", flat=True).distinct())
        return _lines(WorkloadJob.objects.all(), own)
    lines = _lines(mine, None)
    ended = WorkloadJob.objects.filter(end_ms__lt=open_since_ms(now))
    counted = ended.order_by().values("workload").annotate(people=Count("username", distinct=True))
    known = set(counted.filter(people__gte=settings.SMALLEST_GROUP).values_list("workload", flat=True))
    others = sorted(known - {line.name for line in lines})
    return lines + [WorkloadLine(other, None, None, (), (), None, own=False) for other in others]


def _lines(jobs: QuerySet[WorkloadJob], own: set[str] | None) -> list[WorkloadLine]:
    """By workload, most energy first; ``own`` None: all are the viewer's."""
    rows = jobs.order_by().values_list("workload", "phase", "unit")  # all that is asked for is in one index
    groups: dict[str, list[tuple[str, str, int, float, int]]] = {}
    for workload, *rest in rows.annotate(n=Count("*"), drawn=Sum("energy_j"), last=Max("end_ms")):
        groups.setdefault(workload, []).append(tuple(rest))
    lines = [_line(name, parts, own=own is None or name in own) for name, parts in groups.items()]
    return sorted(lines, key=lambda line: (-(line.energy_j or 0.0), line.name))


def _line(name: str, parts: list[tuple[str, str, int, float, int]], *, own: bool) -> WorkloadLine:
    phases, units, counts, drawn, last = zip(*sorted(parts), strict=True)
    return WorkloadLine(
        name, sum(counts), sum(drawn), _named(phases), _named(units), datetime_from_ms(max(last)), own=own
    )


def _named(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if value}))
