"""The period of an edition, and which jobs a board is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from measurements.domain.board_scores import Span
from measurements.domain.units import DAY_MS
from measurements.models import Board, Edition, Project
from measurements.selectors.days import day_bounds_ms


@dataclass(frozen=True, slots=True)
class Period:
    """Days [first, last] of a zone, as instants [start, end)."""

    first: date
    last: date
    start_ms: int
    end_ms: int

    @property
    def span(self) -> Span:
        """The UTC days that it touches."""
        first = self.start_ms // DAY_MS
        return Span(first, (self.end_ms - 1) // DAY_MS - first + 1)

    def before(self) -> Period:
        """The equally long one before it."""
        length = timedelta(days=(self.last - self.first).days + 1)
        return period_of(self.first - length, self.first - timedelta(days=1))


def zone_name() -> str:
    """The site's zone, in whose days editions are."""
    return timezone.get_default_timezone_name()


def period_of(first: date, last: date) -> Period:
    """Days of the site's zone."""
    bounds = day_bounds_ms(first, last, ZoneInfo(zone_name()))
    return Period(first, last, int(bounds[0]), int(bounds[-1]))


def accounts_below(project: Project) -> list[str]:
    """A project and all below it; one query."""
    rows = list(Project.objects.values_list("pk", "name", "parent_id"))
    found = {project.pk: project.name}
    while more := {pk: name for pk, name, parent in rows if parent in found and pk not in found}:
        found |= more
    return sorted(found.values())


def about(edition: Edition) -> Q:
    """Jobs and rows of the roll-up that may count in an edition; what both tables name alike."""
    board = edition.board
    wanted = Q(cluster=board.cluster_id) if board.cluster_id else Q()
    if board.project is not None:
        wanted &= Q(account__in=accounts_below(board.project))
    if board.workload:
        wanted &= Q(workload=board.workload)
    if board.phase or board.kind in (Board.Kind.ENERGY_PER_WORK, Board.Kind.NODE_TYPES):
        wanted &= Q(phase=board.phase)
    if board.scope != Board.Scope.NODE_TYPE:
        wanted &= ~Q(username__in=["", *settings.BENCHMARK_USERS])
    if board.scope == Board.Scope.PROJECT:
        wanted &= ~Q(account="")
    return wanted & ~Q(username__in=edition.left_out) if edition.left_out else wanted
