"""Leaderboards as people may see them: boards, editions, what they say, and one's own place.

While the site does not compare persons (BOARDS_OF_PERSONS), boards of persons are hidden here from everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Prefetch
from django.utils import timezone

from measurements.domain.board_document import Document, read
from measurements.domain.boards import Reason
from measurements.models import Board, BoardEvent, Edition, NameConsent, Objection, Seat
from measurements.models.boards import BoardQuerySet
from measurements.selectors.board_rows import compose
from measurements.selectors.seats import whose

Viewer = AbstractUser | AnonymousUser
State = Edition.State
PUBLIC_STATES = (State.PUBLISHED, State.CORRECTED, State.WITHDRAWN)
SEATED = (State.REVIEW, State.PUBLISHED, State.CORRECTED)
PERMISSION = "measurements.publish_boards"


@dataclass(frozen=True, slots=True)
class Listed:
    """A board in the list."""

    board: Board
    newest: Edition | None  # published
    open: tuple[Edition, ...]  # draft or in review: for who publishes boards


@dataclass(frozen=True, slots=True)
class Shown:
    """An edition as it is shown: the frozen document, and the names of those who want to be named."""

    document: Document
    sha256: str  # empty: a preview
    names: Mapping[str, str]  # by pseudonym; who is not in it has none

    def member(self, pseudonym: str) -> str:
        """As somebody is called."""
        return self.names.get(pseudonym, pseudonym)


@dataclass(frozen=True, slots=True)
class Own:
    """One's own figures in an edition; nobody else gets them."""

    pseudonym: str  # empty: not among those compared, see ``reasons``
    project: str  # of boards of projects: which
    band: str
    best: int | None
    worst: int | None
    of: int | None
    value: float | None  # in the edition's unit, not rounded; of projects: the project's, as everybody gets it
    low: float | None
    high: float | None
    jobs: int  # one's own
    excused: int  # one's own that the machine ended: left out
    energy_j: float  # one's own
    reasons: tuple[str, ...]  # `measurements.domain.boards.Reason`


@dataclass(frozen=True, slots=True)
class Review:
    """An edition in review that somebody is in."""

    edition: Edition
    own: tuple[Own, ...]
    objection: Objection | None


@dataclass(frozen=True, slots=True)
class Changed:
    """A line of what a correction changed; ``what`` as `measurements.domain.board_document.difference` says."""

    row: str
    what: str
    before: Any
    after: Any


# --- Which there are --------------------------------------------------------------------------------------------------


def publishes(viewer: Viewer) -> bool:
    """Whether somebody drafts, reviews and publishes boards."""
    return bool(viewer.is_active and viewer.has_perm(PERMISSION))


def visible_boards(viewer: Viewer, now: datetime) -> BoardQuerySet:
    """Those somebody may see; boards of persons only where the site compares persons."""
    boards = Board.objects.visible_to(viewer, _today(now))
    return boards if settings.BOARDS_OF_PERSONS else boards.exclude(scope=Board.Scope.USER)


def boards_for(viewer: Viewer, now: datetime) -> list[Listed]:
    """The boards somebody may see, with their newest edition; of others than publishers, only those that have one."""
    states = (State.PUBLISHED, State.DRAFT, State.REVIEW) if publishes(viewer) else (State.PUBLISHED,)
    light = Edition.objects.filter(state__in=states).defer("frozen").order_by("-last", "-number", "-revision")
    boards = visible_boards(viewer, now).select_related("project", "cluster")
    found = []
    for board in boards.prefetch_related(Prefetch("editions", light, to_attr="known")):
        known: list[Edition] = getattr(board, "known")  # noqa: B009 - set by the prefetch
        newest = next((one for one in known if one.state == State.PUBLISHED), None)
        waiting = tuple(one for one in known if one.state != State.PUBLISHED)
        if newest or publishes(viewer):
            found.append(Listed(board, newest, waiting))
    return found


def board_for(viewer: Viewer, slug: str, now: datetime) -> Board | None:
    """One of them, whether or not it has an edition yet."""
    return visible_boards(viewer, now).select_related("project", "cluster").filter(slug=slug).first()


def editions_for(viewer: Viewer, board: Board) -> list[Edition]:
    """Its editions and revisions that somebody may see, newest first: drafts and reviews are for publishers."""
    editions = board.editions.order_by("-number", "-revision").defer("frozen")
    return list(editions if publishes(viewer) else editions.filter(state__in=PUBLIC_STATES))


def edition_for(viewer: Viewer, slug: str, number: int, revision: int | None, now: datetime) -> Edition | None:
    """One edition (revision None: the published one, else the newest); also withdrawn ones, which answer 410."""
    editions = Edition.objects.filter(board__in=visible_boards(viewer, now), board__slug=slug, number=number)
    if not publishes(viewer):
        editions = editions.filter(state__in=PUBLIC_STATES)
    found = editions.select_related("board", "board__project", "board__cluster").order_by("-revision")
    if revision is not None:
        return found.filter(revision=revision).first()
    return found.filter(state=State.PUBLISHED).first() or found.first()


# --- What they say ----------------------------------------------------------------------------------------------------


def shown(edition: Edition) -> Shown:
    """What an edition says, of its frozen bytes alone; two queries at most.

    The caller has looked whether the viewer may see it (`edition_for`), and that it is not withdrawn.
    """
    return Shown(read(edition.frozen), edition.sha256, _names(edition))


def preview(edition: Edition, now: datetime) -> Shown:
    """What `services.editions.submit` would freeze now; pseudonyms are drawn anew each time."""
    return Shown(compose(edition, now).document, "", {})


def _names(edition: Edition) -> dict[str, str]:
    """Of those who want to be named on the board, by pseudonym."""
    board = edition.board
    if not (board.names and board.of_persons):
        return {}
    wanted = {whose(edition.pk, name): name for name in board.consents.values_list("username", flat=True)}
    seats = edition.seats.filter(whose__in=wanted).exclude(pseudonym="") if wanted else Seat.objects.none()
    return {pseudonym: wanted[owner] for owner, pseudonym in seats.values_list("whose", "pseudonym")}


def difference_of(edition: Edition) -> list[Changed]:
    """What a correction changed against the revision that was public before it."""
    return [Changed(**line) for line in edition.difference.get("lines", [])]


# --- One's own --------------------------------------------------------------------------------------------------------


def own_seat(edition: Edition, viewer: Viewer) -> tuple[Own, ...]:
    """The viewer's own place in an edition in review or published (of boards of projects: one a project)."""
    if not viewer.is_authenticated or edition.state not in SEATED or _hidden(edition.board):
        return ()
    username = viewer.get_username()
    seat = edition.seats.filter(whose=whose(edition.pk, username)).first()
    return _own(seat, edition, left_out=username in edition.left_out)


def _own(seat: Seat | None, edition: Edition, *, left_out: bool) -> tuple[Own, ...]:
    """Of a project no figure before it is published: two reviews held against each other would tell who left."""
    if left_out:
        nothing = dict.fromkeys(("best", "worst", "of", "value", "low", "high"))
        return (Own("", "", "", **nothing, jobs=0, excused=0, energy_j=0.0, reasons=(Reason.LEFT_OUT.value,)),)
    if seat is None:
        return ()
    names = set(Own.__slots__) - {"pseudonym", "reasons"}
    hidden: dict[str, Any] = {}
    if edition.state == State.REVIEW and edition.board.scope == Board.Scope.PROJECT:
        hidden = {"band": ""} | dict.fromkeys(("best", "worst", "of", "value", "low", "high"))
    return tuple(
        Own(
            **({name: each[name] for name in names} | hidden),
            pseudonym="" if each["reasons"] else seat.pseudonym,
            reasons=tuple(each["reasons"]),
        )
        for each in seat.own
    )


def reviews_for(viewer: Viewer, now: datetime) -> list[Review]:
    """Editions in review that the viewer is in and that are about persons or projects; two queries, three if any."""
    if not viewer.is_authenticated or not viewer.is_active:
        return []
    username = viewer.get_username()
    editions = Edition.objects.filter(state=State.REVIEW).exclude(board__scope=Board.Scope.NODE_TYPE)
    if not settings.BOARDS_OF_PERSONS:
        editions = editions.exclude(board__scope=Board.Scope.USER)
    found = {one.pk: one for one in editions.select_related("board").defer("frozen").order_by("review_until", "pk")}
    mine = Seat.objects.filter(whose__in=[whose(pk, username) for pk in found], edition__in=found)
    seats = {seat.edition_id: seat for seat in mine} if found else {}
    said = Objection.objects.filter(edition__in=seats, username=username) if seats else ()
    objected = {one.edition_id: one for one in said}
    return [
        Review(edition, _own(seats[pk], edition, left_out=False), objected.get(pk))
        for pk, edition in found.items()
        if pk in seats
    ]


def named(board: Board, viewer: Viewer) -> bool:
    """Whether the viewer wants to be named on it."""
    return viewer.is_authenticated and NameConsent.objects.filter(board=board, username=viewer.get_username()).exists()


def _hidden(board: Board) -> bool:
    return board.of_persons and not settings.BOARDS_OF_PERSONS


# --- For who publishes boards -----------------------------------------------------------------------------------------


def objections(edition: Edition) -> list[Objection]:
    """What people said against it."""
    return list(edition.objections.order_by("at", "pk"))


def events(board: Board, edition: Edition | None = None) -> list[BoardEvent]:
    """Who did what, oldest first."""
    rows = board.events.order_by("at", "pk")
    return list(rows if edition is None else rows.filter(number=edition.number))


def last_whole_period(now: datetime) -> tuple[date, date]:
    """The calendar quarter that is over: what a new draft proposes."""
    today = _today(now)
    last = today.replace(month=3 * ((today.month - 1) // 3) + 1, day=1) - timedelta(days=1)
    return last.replace(month=last.month - 2, day=1), last


def _today(now: datetime) -> date:
    return timezone.localdate(now, timezone.get_default_timezone())
