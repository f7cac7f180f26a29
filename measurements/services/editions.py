"""The only writer of boards, editions, seats, objections, consents and their events: who did what, and when.

Each change holds the boards it is about until it is done, so that two at once come one after the other; what it
finds then is what counts. What is made of a million jobs is made before, without holding anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from measurements.domain.board_document import canonical, difference, read
from measurements.domain.statement import hash_of
from measurements.models import Board, BoardEvent, Edition, Objection, Seat
from measurements.selectors.board_overlaps import edition_in_the_way, waiting_days
from measurements.selectors.board_rows import Composed, compose
from measurements.selectors.seats import whose
from measurements.services.board_refusals import BoardRefused, Refusal, may_publish, note, persons_allowed
from measurements.services.boards import change_board, consent, forget_seats, make_board

__all__ = [
    "BoardRefused",
    "Refusal",
    "answer",
    "approve",
    "change_board",
    "consent",
    "correct",
    "discard",
    "draft",
    "forget_seats",
    "make_board",
    "object_to",
    "send_back",
    "submit",
    "withdraw",
]
State = Edition.State
What = BoardEvent.What
LONGEST_DAYS = 366


def draft(board: Board, first: date, last: date, by: AbstractUser, now: datetime) -> Edition:
    """Begin an edition of whole days of the site's zone that are over."""
    may_publish(by)
    _refuse_period(first, last, now)
    with transaction.atomic():
        # All of its kind: two that are alike may not get editions of the same time, whichever comes first.
        alike = Board.objects.select_for_update().filter(kind=board.kind, scope=board.scope).order_by("pk")
        held = {one.pk: one for one in alike}[board.pk]
        persons_allowed(held)
        _refuse_overlap(held, first, last)
        edition = Edition.objects.create(
            board=held,
            number=_next(held, "number"),
            first=first,
            last=last,
            drafted_by=by.get_username(),
            drafted_at=now,
        )
        note(held, What.DRAFTED, by.get_username(), now, edition)
    return edition


def submit(edition: Edition, by: AbstractUser, now: datetime) -> Edition:
    """Freeze its rows and put it up for review."""
    may_publish(by)
    seen = Edition.objects.select_related("board", "board__project", "board__cluster").get(pk=edition.pk)
    _refuse_state(seen, "submit", State.DRAFT)
    persons_allowed(seen.board)
    waiting = waiting_days(seen)
    if waiting:
        raise BoardRefused(Refusal.DAYS_NOT_BOOKED, days=waiting)
    composed = compose(seen, now)
    if not (composed.document.bands or composed.document.rows):
        raise BoardRefused(Refusal.NOTHING_TO_SHOW, withheld=composed.document.withheld)
    with _held(edition, "submit", State.DRAFT) as held:
        if held.left_out != seen.left_out:
            raise BoardRefused(Refusal.CHANGED_MEANWHILE)
        persons_allowed(held.board)
        _freeze(held, composed, by, now)
        note(held.board, What.SUBMITTED, by.get_username(), now, held)
    return held


def send_back(edition: Edition, by: AbstractUser, now: datetime, reason: str = "") -> Edition:
    """From review to draft: frozen rows and seats go."""
    may_publish(by)
    with _held(edition, "send_back", State.REVIEW) as held:
        _thaw(held)
        note(held.board, What.RETURNED, by.get_username(), now, held, reason)
    return held


def discard(edition: Edition, by: AbstractUser, now: datetime) -> None:
    """Remove a draft; what people said against it stays in the record only as that they did."""
    may_publish(by)
    with _held(edition, "discard", State.DRAFT) as held:
        note(held.board, What.DISCARDED, by.get_username(), now, held)
        held.delete()


def approve(edition: Edition, by: AbstractUser, now: datetime) -> Edition:
    """Publish it: another admin than who drafted and submitted it, after the review, with no objection open."""
    may_publish(by)
    with _held(edition, "approve", State.REVIEW) as held:
        _refuse_approval(held, by, now)
        held.state, held.approved_by, held.published_at = State.PUBLISHED, by.get_username(), now
        published = held.board.editions.filter(number=held.number, state=State.PUBLISHED).first()
        if published is not None:
            published.state = State.CORRECTED
            published.save(update_fields=["state"])
            held.difference = {"lines": difference(read(published.frozen), read(held.frozen))}
            note(held.board, What.CORRECTED, by.get_username(), now, published, held.reason)
        held.save()
        note(held.board, What.PUBLISHED, by.get_username(), now, held)
    return held


def correct(edition: Edition, by: AbstractUser, reason: str, now: datetime) -> Edition:
    """A new revision of a published edition, in draft; until it is published itself the edition stays as it is."""
    may_publish(by)
    with _held(edition, "correct", State.PUBLISHED) as held:
        persons_allowed(held.board)
        if not reason.strip():
            raise BoardRefused(Refusal.NO_REASON)
        begun = held.board.editions.filter(number=held.number, state__in=[State.DRAFT, State.REVIEW]).first()
        if begun is not None:
            raise BoardRefused(Refusal.REVISION_OPEN, revision=begun.revision)
        revision = Edition.objects.create(
            board=held.board,
            number=held.number,
            revision=_next(held.board, "revision", number=held.number),
            first=held.first,
            last=held.last,
            left_out=held.left_out,
            drafted_by=by.get_username(),
            drafted_at=now,
            reason=reason.strip()[:500],
        )
        note(held.board, What.DRAFTED, by.get_username(), now, revision, reason)
    return revision


def withdraw(edition: Edition, by: AbstractUser, reason: str, now: datetime) -> Edition:
    """Take an edition with all its revisions from everybody's sight; who was where in it is forgotten at once."""
    may_publish(by)
    with _held(edition, "withdraw", State.PUBLISHED, State.CORRECTED) as held:
        if not reason.strip():
            raise BoardRefused(Refusal.NO_REASON)
        for one in held.board.editions.filter(number=held.number):
            if one.state in (State.DRAFT, State.REVIEW):
                note(held.board, What.DISCARDED, by.get_username(), now, one)
                one.delete()
            else:
                one.state, one.reason = State.WITHDRAWN, reason.strip()[:500]
                one.save(update_fields=["state", "reason"])
                one.seats.all().delete()
                note(held.board, What.WITHDRAWN, by.get_username(), now, one, reason)
        held.refresh_from_db()
    return held


# --- What people in it can do -----------------------------------------------------------------------------------------


def object_to(edition: Edition, username: str, text: str, now: datetime) -> Objection:
    """Somebody in it says something against it, while it is in review."""
    with _held(edition, "object", State.REVIEW) as held:
        persons_allowed(held.board)
        if not held.seats.filter(whose=whose(held.pk, username)).exclude(pseudonym="").exists():
            raise BoardRefused(Refusal.NOT_IN_IT)
        if held.objections.filter(username=username).exists():
            raise BoardRefused(Refusal.ALREADY_OBJECTED)
        if not text.strip():
            raise BoardRefused(Refusal.NO_TEXT)
        found = Objection.objects.create(edition=held, username=username, at=now, text=text.strip()[:2_000])
        note(held.board, What.OBJECTED, username, now, held)
    return found


def answer(objection: Objection, by: AbstractUser, text: str, now: datetime, *, upheld: bool) -> Objection:
    """Answer an objection; upheld: the person is left out, and the edition goes back to draft."""
    may_publish(by)
    with _held(objection.edition, "answer", State.REVIEW, State.DRAFT) as held:
        found = held.objections.get(pk=objection.pk)
        if found.username == by.get_username():
            raise BoardRefused(Refusal.SAME_PERSON)
        if found.answered_at is not None:
            raise BoardRefused(Refusal.ALREADY_ANSWERED)
        if not text.strip():
            raise BoardRefused(Refusal.NO_TEXT)
        found.answer, found.answered_by, found.answered_at = text.strip(), by.get_username(), now
        found.upheld = upheld
        found.save()
        note(held.board, What.ANSWERED, by.get_username(), now, held, "upheld" if upheld else "not upheld")
        if upheld:
            held.left_out = sorted({*held.left_out, found.username})
            in_review = held.state == State.REVIEW
            _thaw(held)
            if in_review:
                note(held.board, What.RETURNED, by.get_username(), now, held)
    return found


# --- Within a change --------------------------------------------------------------------------------------------------


@contextmanager
def _held(edition: Edition, action: str, *states: Edition.State) -> Iterator[Edition]:
    """The edition as it is now, in one of these states, its board held until the change is done."""
    with transaction.atomic():
        board = Board.objects.select_for_update().get(pk=edition.board_id)
        held = Edition.objects.filter(pk=edition.pk).first()
        if held is None:
            raise BoardRefused(Refusal.WRONG_STATE, state="", action=action)
        held.board = board
        _refuse_state(held, action, *states)
        yield held


def _next(board: Board, name: str, **of: int) -> int:
    """A number that was never given, not to what is discarded either."""
    used = [rows.aggregate(top=Max(name))["top"] for rows in (board.editions.filter(**of), board.events.filter(**of))]
    return max((top for top in used if top is not None), default=0) + 1


def _freeze(held: Edition, composed: Composed, by: AbstractUser, now: datetime) -> None:
    board = held.board
    days = 0 if board.scope == Board.Scope.NODE_TYPE else settings.BOARDS_REVIEW_DAYS
    held.state, held.submitted_by, held.submitted_at = State.REVIEW, by.get_username(), now
    held.review_until, held.cutoff_at = now + timedelta(days=days), now
    held.frozen = canonical(composed.document)
    held.sha256 = hash_of(held.frozen)
    held.save()
    seats = [
        Seat(edition=held, whose=whose(held.pk, username), pseudonym=seat.pseudonym, own=list(seat.own))
        for username, seat in composed.seats.items()
    ]
    # Not in the order of their places, which ids would tell.
    Seat.objects.bulk_create(sorted(seats, key=lambda seat: seat.whose), 500)


def _thaw(held: Edition) -> None:
    held.seats.all().delete()
    held.state, held.frozen, held.sha256, held.submitted_by = State.DRAFT, "", "", ""
    held.submitted_at = held.review_until = held.cutoff_at = None
    held.save()


def _refuse_state(edition: Edition, action: str, *states: Edition.State) -> None:
    if edition.state not in states:
        raise BoardRefused(Refusal.WRONG_STATE, state=edition.state, action=action)


def _refuse_period(first: date, last: date, now: datetime) -> None:
    if last < first:
        raise BoardRefused(Refusal.PERIOD_BACKWARDS)
    if last >= timezone.localdate(now, timezone.get_default_timezone()):
        raise BoardRefused(Refusal.PERIOD_NOT_OVER, last=last)
    if (last - first).days >= LONGEST_DAYS:
        raise BoardRefused(Refusal.PERIOD_TOO_LONG, days=LONGEST_DAYS)


def _refuse_overlap(board: Board, first: date, last: date) -> None:
    other = edition_in_the_way(board, first, last)
    if other is None:
        return
    said = {"number": other.number, "first": other.first, "last": other.last}
    if other.board_id == board.pk:
        raise BoardRefused(Refusal.OVERLAPS_EDITION, **said)
    raise BoardRefused(Refusal.OVERLAPS_BOARD, board=other.board.title, **said)


def _refuse_approval(held: Edition, by: AbstractUser, now: datetime) -> None:
    persons_allowed(held.board)
    if by.get_username() in (held.drafted_by, held.submitted_by):
        raise BoardRefused(Refusal.SAME_PERSON)
    if held.review_until is None or now < held.review_until:
        raise BoardRefused(Refusal.IN_REVIEW_UNTIL, until=held.review_until)
    waiting = held.objections.filter(answered_at__isnull=True).count()
    if waiting:
        raise BoardRefused(Refusal.OPEN_OBJECTIONS, count=waiting)
    if hash_of(held.frozen) != held.sha256:
        raise BoardRefused(Refusal.FROZEN_CHANGED)
