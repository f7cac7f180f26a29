"""What stands in the way of an edition: another one whose figures, held against it, would tell of single people."""

from __future__ import annotations

from datetime import date

from django.db.models import Exists, OuterRef, Q

from measurements.domain.units import day_from_ms
from measurements.models import Board, DirtyDay, DirtyJob, DirtyNodeDay, Edition, Job
from measurements.selectors.board_period import accounts_below, period_of

_EXACT = (Board.Kind.ENERGY_PER_WORK, Board.Kind.NODE_TYPES)


def edition_in_the_way(board: Board, first: date, last: date) -> Edition | None:
    """One of a time that overlaps, of the board or of one that counts some of the same jobs in the same way.

    A withdrawn one was public: of persons and projects its time is not published again.
    """
    rows = Edition.objects.filter(board__kind=board.kind, board__scope=board.scope, first__lte=last, last__gte=first)
    if board.scope == Board.Scope.NODE_TYPE:
        rows = rows.exclude(state=Edition.State.WITHDRAWN)
    found = rows.select_related("board", "board__project").order_by("board", "number", "revision")
    return next((one for one in found if one.board_id == board.pk or meet(board, one.board)), None)


def meet(one: Board, other: Board) -> bool:
    """Whether a job may count in both, whoever may see them: their audiences may have people in common."""
    if one.cluster_id and other.cluster_id and one.cluster_id != other.cluster_id:
        return False
    exact = one.kind in _EXACT
    names = ("workload", "phase", "size", "target") if exact else ("workload", "phase")
    for name in names:
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine != theirs and (exact or (mine and theirs)):
            return False
    if one.project is None or other.project is None:
        return True
    return bool(set(accounts_below(one.project)) & set(accounts_below(other.project)))


def waiting_days(edition: Edition) -> int:
    """How many UTC days of the period wait to be booked; jobs whose totals wait count as one; three queries."""
    period = period_of(edition.first, edition.last)
    inside = Q(day__gte=day_from_ms(period.start_ms), day__lte=day_from_ms(period.end_ms - 1))
    jobs = Job.objects.filter(pk=OuterRef("job"), end_ms__gte=period.start_ms, end_ms__lt=period.end_ms)
    if edition.board.cluster_id:
        inside &= Q(cluster=edition.board.cluster_id)
        jobs = jobs.filter(cluster=edition.board.cluster_id)
    days = {day for model in (DirtyNodeDay, DirtyDay) for day in _days(model, inside)}
    return len(days) or int(DirtyJob.objects.filter(Exists(jobs)).exists())  # not a join: it would pass all jobs


def _days(model: type[DirtyNodeDay | DirtyDay], inside: Q) -> set[date]:
    return set(model._default_manager.filter(inside).order_by().values_list("day", flat=True).distinct())
