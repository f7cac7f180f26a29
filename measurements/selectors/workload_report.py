"""What a workload drew, by phase and node type, as far as one may see it: for the page, its files and the interface."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

import numpy as np
from django.conf import settings
from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from measurements.domain.job_columns import Jobs
from measurements.domain.units import ms_from_datetime
from measurements.domain.workload_figures import Comparison, compared
from measurements.domain.workload_findings import Beside, Flip, Front, beside_accelerators, flips, pareto
from measurements.domain.workload_groups import CELL, SEVERAL, Cell, Kind, Months, Whose, shown_to, sorted_out
from measurements.models import NodeType, WorkloadJob
from measurements.models.workloads import Phase
from measurements.selectors.workload_rows import Sampled, ended_between, workload_jobs
from measurements.selectors.workload_sample import sample_of

MOST_OF_A_GROUP = 400  # jobs of a phase on a node type: a median's interval is then some percent wide
MOST_CELLS = 24  # combinations of phase, size, target and unit
_FAR = 1 << 40  # months
_PHASES = {str(phase): place for place, phase in enumerate(Phase.values)}


class Span(StrEnum):
    """Times in which others' jobs may be looked at."""

    ALL = "all"
    THIS_YEAR = "this-year"
    LAST_YEAR = "last-year"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which jobs: of a span, or of days of the site's zone; of one size, target and unit, or of any (None)."""

    span: Span = Span.ALL
    first: date | None = None
    last: date | None = None
    size: str | None = None
    target: str | None = None
    unit: str | None = None

    @property
    def days(self) -> tuple[date, date] | None:
        """Both, if they are given."""
        return (self.first, self.last) if self.first and self.last else None

    def takes(self, cell: Cell) -> bool:
        """Whether a cell is asked for."""
        wanted = ((self.size, cell.size), (self.target, cell.target), (self.unit, cell.unit))
        return all(value is None or value == found for value, found in wanted)


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison with what it says."""

    comparison: Comparison
    flips: tuple[Flip, ...]
    beside: tuple[Beside, ...]
    front: Front | None

    @property
    def cell(self) -> Cell:
        """Phase, size, target, unit."""
        return self.comparison.cell


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Jobs that are in no comparison, of those that the viewer may count."""

    failed: int
    unmeasured: int
    several: int
    excused: int

    @property
    def any(self) -> bool:
        """Whether there are some."""
        return any((self.failed, self.unmeasured, self.several, self.excused))


@dataclass(frozen=True, slots=True)
class WorkloadReport:
    """All that a viewer may see of a workload; the parts with most jobs first, by phase."""

    name: str
    asked: Asked
    sees_all: bool
    own_only: bool
    smallest_group: int
    parts: tuple[Part, ...]
    left_out: LeftOut | None  # None: others' are not counted
    sample: bool  # of many jobs some, drawn by lot
    open_since: date  # others' jobs that ended from this day on are not shown


Viewer = AbstractUser | AnonymousUser


def workload_report(viewer: Viewer, name: str, asked: Asked, now: datetime) -> WorkloadReport | None:
    """The report; None of a workload of which this viewer may see nothing at all. Five queries at most."""
    if not viewer.is_authenticated or not viewer.is_active:
        return None
    jobs = WorkloadJob.objects.filter(workload=name)
    sees_all = viewer.has_perm("measurements.view_all_jobs")
    own_only = bool(asked.days) and not sees_all
    if sees_all:
        taken = _seen(name, asked, now)
        rows = _named(taken.rows, type_labels()).having(whose=Whose.ALL.value)
        known = len(rows) > 0 or jobs.exists()
    else:
        reader = _Reader(viewer.get_username(), now, type_labels())
        rows, taken = reader.own(jobs, asked) if own_only else reader.shown(name, asked)
        known = len(rows) > 0 or known_to(reader.username, jobs, now)
    if not known:
        return None
    return WorkloadReport(
        name=name,
        asked=asked,
        sees_all=sees_all,
        own_only=own_only,
        smallest_group=settings.SMALLEST_GROUP,
        parts=_parts(rows, asked),
        left_out=_left_out(rows) if sees_all or own_only else None,
        sample=not taken.whole if sees_all or own_only else True,  # how many others' there are is not told
        open_since=now.date().replace(day=1),
    )


def rows_for(viewer: Viewer, workload: str, cell: Cell, now: datetime, labels: Labels) -> Jobs:
    """The jobs of a workload's cell that figures for this viewer may be made of: four queries at most."""
    if viewer.has_perm("measurements.view_all_jobs"):
        rows = sample_of(workload, MOST_OF_A_GROUP, cell.phase).rows
        return _of_cell(_named(rows, labels).having(whose=Whose.ALL.value), cell)
    return _Reader(viewer.get_username(), now, labels).shown(workload, Asked(), cell)[0]


def _seen(workload: str, asked: Asked, now: datetime) -> Sampled:
    """For whoever may see all jobs."""
    if asked.span is Span.ALL and not asked.days:
        return sample_of(workload, MOST_OF_A_GROUP)
    return workload_jobs(_ended(WorkloadJob.objects.filter(workload=workload), asked, now), MOST_OF_A_GROUP)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Somebody who may not see all jobs."""

    username: str
    now: datetime
    labels: Labels

    def own(self, jobs: QuerySet[WorkloadJob], asked: Asked) -> tuple[Jobs, Sampled]:
        """The reader's own jobs of a time."""
        mine = jobs.filter(username=self.username, end_ms__gte=0)  # all have: for SQLite to take the index of both
        taken = workload_jobs(_ended(mine, asked, self.now), MOST_OF_A_GROUP)
        return _named(taken.rows, self.labels).having(whose=Whose.OWN.value), taken

    def shown(self, workload: str, asked: Asked, cell: Cell | None = None) -> tuple[Jobs, Sampled]:
        """Others' jobs as far as they are released, else own ones. Blocks are made of all jobs, whatever is asked;
        those of the month that is not over have no part in anything."""
        phase = cell.phase if cell else None
        jobs = WorkloadJob.objects.filter(workload=workload)
        own, _ = self.own(jobs if phase is None else jobs.filter(phase=phase), asked)
        taken = sample_of(workload, MOST_OF_A_GROUP, phase, halved=True)
        over = taken.rows.where(taken.rows["end_ms"] < open_since_ms(self.now))
        k = settings.SMALLEST_GROUP
        rows = _worth_a_look(_of_cell(_named(over, self.labels), cell), k)
        return shown_to(rows, _of_cell(own, cell), self.username, _months(asked.span, self.now), k), taken


def _of_cell(jobs: Jobs, cell: Cell | None) -> Jobs:
    if cell is None:
        return jobs
    wanted = zip(CELL, (cell.phase, cell.size, cell.target, cell.unit), strict=True)
    return jobs.where(np.logical_and.reduce([jobs[name] == value for name, value in wanted]))


def known_to(username: str, jobs: QuerySet[WorkloadJob], now: datetime) -> bool:
    """Whether somebody who may not see all jobs may learn that these are there: own ones, or those of enough people."""
    others = Count("username", distinct=True, filter=Q(end_ms__lt=open_since_ms(now)))
    counted = jobs.aggregate(people=others, mine=Count("pk", filter=Q(username=username)))
    return bool(counted["mine"]) or int(counted["people"]) >= settings.SMALLEST_GROUP


def open_since_ms(now: datetime) -> int:
    """Others' jobs that ended from here on are in no figure: the month is not over."""
    return _midnight_ms(now.date().replace(day=1), UTC)


def _worth_a_look(jobs: Jobs, k: int) -> Jobs:
    """Without the cells of too few people: anybody may name a size, and each would be looked at."""
    cell, person = jobs.codes(CELL), jobs.codes(["username"])
    people = int(person.max(initial=0)) + 1
    return jobs.where((np.bincount(np.unique(cell * people + person) // people, minlength=1) >= k)[cell])


def _ended(jobs: QuerySet[WorkloadJob], asked: Asked, now: datetime) -> QuerySet[WorkloadJob]:
    """Those of the time that is asked for."""
    if days := asked.days:
        zone = timezone.get_default_timezone()
        return ended_between(jobs, _midnight_ms(days[0], zone), _midnight_ms(days[1] + timedelta(days=1), zone))
    if asked.span is Span.ALL:
        return jobs
    year = now.year - (asked.span is Span.LAST_YEAR)
    return ended_between(jobs, *(_midnight_ms(date(each, 1, 1), UTC) for each in (year, year + 1)))


def _midnight_ms(day: date, zone: tzinfo) -> int:
    return ms_from_datetime(datetime.combine(day, time.min, zone))


def _months(span: Span, now: datetime) -> Months:
    current = 12 * (now.year - 1970) + now.month - 1
    if span is Span.ALL:
        return Months(-_FAR, _FAR, current)
    first = 12 * (now.year - 1970 - (span is Span.LAST_YEAR))
    return Months(first, first + 11, current)


Labels = Mapping[int, str]


def type_labels() -> Labels:
    """By its id what a node type is called beside others: with its cluster, where several use the name."""
    types = list(NodeType.objects.order_by("pk").values_list("pk", "cluster__name", "name"))
    used = Counter(kind for _, _, kind in types)
    return {pk: f"{kind} ({cluster})" if used[kind] > 1 else kind for pk, cluster, kind in types}


def _named(rows: Jobs, labels: Labels) -> Jobs:
    names = [labels.get(kind, SEVERAL) for kind in rows["node_type"].tolist()]
    return sorted_out(rows.having(node_type=np.array(names, object)))


def _parts(jobs: Jobs, asked: Asked) -> tuple[Part, ...]:
    """The comparisons that are asked for: by size, target and unit, those with most jobs first; then by phase."""
    groups = {Cell(*key): of_cell for key, of_cell in jobs.by(*CELL)}
    counted = {cell: int((of_cell["kind"] == Kind.COMPARED).sum()) for cell, of_cell in groups.items()}
    cells = sorted(counted, key=lambda cell: (-counted[cell], cell))[:MOST_CELLS]
    parts = [_part(cell, groups[cell]) for cell in cells if asked.takes(cell)]
    return tuple(sorted((part for part in parts if part), key=_order_by(counted)))


_Place = tuple[int, tuple[str, str, str], int]


def _order_by(counted: Mapping[Cell, int]) -> Callable[[Part], _Place]:
    together: dict[tuple[str, str, str], int] = {}
    for cell, number in counted.items():
        key = cell.size, cell.target, cell.unit
        together[key] = together.get(key, 0) + number

    def key_of(part: Part) -> _Place:
        key = part.cell.size, part.cell.target, part.cell.unit
        return -together[key], key, _PHASES.get(part.cell.phase, len(_PHASES))

    return key_of


def _part(cell: Cell, jobs: Jobs) -> Part | None:
    k = settings.SMALLEST_GROUP
    comparison = compared(cell, jobs, k)
    if comparison is None:
        return None
    front = pareto(comparison, jobs, k) if cell.unit else None
    return Part(comparison, flips(comparison), beside_accelerators(comparison, jobs), front)


def _left_out(jobs: Jobs) -> LeftOut:
    kinds = (Kind.FAILED, Kind.UNMEASURED, Kind.SEVERAL, Kind.EXCUSED)
    return LeftOut(*(int((jobs["kind"] == kind).sum()) for kind in kinds))
