"""The simulated site's leaderboards, made by its two operators as a site's own would be: through the services.

One of node types is public. Its newest edition was published while a node's log of a day was still missing; when the
log came the edition was corrected. One of people is in review, and one of projects is a draft.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from django.contrib.auth.models import User
from django.db import transaction

from measurements.demo.people import OPERATOR, SECOND_OPERATOR
from measurements.demo.recipes import NNUNET
from measurements.demo.stories import SETTLED_S, Late
from measurements.models import Board, Edition
from measurements.services import editions

NODE_TYPES, PEOPLE, PROJECTS = "nnunet-inference", "failed-jobs", "idle-gpus"  # their addresses
OF_MONTHS = 100  # days: editions are of whole months
FORTNIGHT = timedelta(days=14)
TO_LAST = timedelta(days=13)  # from a fortnight's first day
REVIEW = timedelta(days=15)
Period = tuple[date, date]
LATE_REASON = "The log of one node came after the cut-off; all is computed anew with it."


@transaction.atomic
def publish_node_types(late: Late) -> None:
    """The public board: a fortnight, and the one that ends with the day whose log is still missing."""
    olga, omar = _operators()
    frozen_at = _at(late.day + timedelta(days=2))
    board = _board(
        olga,
        frozen_at - FORTNIGHT,
        slug=NODE_TYPES,
        title="nnU-Net inference: energy per case",
        kind=Board.Kind.NODE_TYPES,
        scope=Board.Scope.NODE_TYPE,
        audience=Board.Audience.PUBLIC,
        workload=NNUNET,
        phase="inference",
        size="liver",
        unit="cases",
        note="Simulated: no figure is a measurement.",
    )
    if board is None:
        return
    for last, at in ((late.day - FORTNIGHT, frozen_at - FORTNIGHT), (late.day, frozen_at)):
        _publish(editions.draft(board, last - TO_LAST, last, olga, at), olga, omar, at)


@transaction.atomic
def correct_node_types(late: Late) -> None:
    """The edition with the log that was missing; what stood there before stays to be read. Once."""
    olga, omar = _operators()
    edition = Edition.objects.filter(
        board__slug=NODE_TYPES, last=late.day, state=Edition.State.PUBLISHED, revision=0
    ).first()
    if edition is None:  # corrected already, or of a week that has no edition
        return
    at = datetime.fromtimestamp(late.due_s, UTC) + timedelta(minutes=5)
    _publish(editions.correct(edition, olga, LATE_REASON, at), olga, omar, at, at + timedelta(seconds=SETTLED_S - 300))


@transaction.atomic
def publish_people(since: date, until: datetime) -> None:
    """Energy of failed jobs by people: one edition published, and the one after it in review."""
    olga, omar = _operators()
    before, newest = _months(until.date()) if (until.date() - since).days >= OF_MONTHS else _fortnights(until.date())
    drafted = _at(before[1] + timedelta(days=1))
    board = _board(
        olga,
        drafted,
        slug=PEOPLE,
        title="Energy of jobs that came to nothing",
        kind=Board.Kind.FAILED_ENERGY,
        scope=Board.Scope.USER,
        audience=Board.Audience.SITE,
        names=True,
    )
    if board:
        _publish(editions.draft(board, *before, olga, drafted), olga, omar, drafted, drafted + REVIEW)
        editions.submit(editions.draft(board, *newest, olga, until), olga, until)


@transaction.atomic
def draft_projects(until: datetime) -> None:
    """What idle GPUs drew, by project: a draft of the newest days, those with GPU meters."""
    olga, _omar = _operators()
    board = _board(
        olga,
        until,
        slug=PROJECTS,
        title="Energy of idle GPUs",
        kind=Board.Kind.IDLE_ACCELERATORS,
        scope=Board.Scope.PROJECT,
        audience=Board.Audience.SITE,
    )
    if board:
        last = until.date() - timedelta(days=2)
        editions.draft(board, last - TO_LAST + timedelta(days=3), last, olga, until)


def _months(today: date) -> tuple[Period, Period]:
    """The last two calendar months that are over."""
    newest = today.replace(day=1) - timedelta(days=1)
    before = newest.replace(day=1) - timedelta(days=1)
    return (before.replace(day=1), before), (newest.replace(day=1), newest)


def _fortnights(today: date) -> tuple[Period, Period]:
    """Two weeks each, where there are no months; a review lies between the first of them and today."""
    ends = today - REVIEW - timedelta(days=3), today - timedelta(days=2)
    return (ends[0] - TO_LAST, ends[0]), (ends[1] - TO_LAST, ends[1])


def _board(by: User, at: datetime, **fields: object) -> Board | None:
    """A new one; None if it was made already."""
    if Board.objects.filter(slug=fields["slug"]).exists():
        return None
    return editions.make_board(by, at, **fields)


def _publish(edition: Edition, one: User, other: User, at: datetime, approved_at: datetime | None = None) -> None:
    """Four eyes: who submits is not who approves."""
    editions.approve(editions.submit(edition, one, at), other, approved_at or at + timedelta(hours=1))


def _operators() -> tuple[User, User]:
    return User.objects.get(username=OPERATOR), User.objects.get(username=SECOND_OPERATOR)


def _at(day: date) -> datetime:
    """An instant of a working day."""
    return datetime.combine(day, time(9), UTC)
