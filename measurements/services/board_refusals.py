"""Why something is not done to a leaderboard, and the record of what is."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser

from measurements.models import Board, BoardEvent, Edition


class Refusal(StrEnum):
    """Why something is not done."""

    NOT_ALLOWED = "not_allowed"  # lacks measurements.publish_boards
    PERSONS_OFF = "persons_off"  # BOARDS_OF_PERSONS is off
    FIELDS_FIXED = "fields_fixed"  # values: fields. The board has an edition
    WRONG_STATE = "wrong_state"  # values: state (empty: discarded meanwhile), action
    PERIOD_BACKWARDS = "period_backwards"  # the last day is before the first
    PERIOD_NOT_OVER = "period_not_over"  # values: last
    PERIOD_TOO_LONG = "period_too_long"  # values: days (the most)
    DAYS_NOT_BOOKED = "days_not_booked"  # values: days (how many): attribute first
    OVERLAPS_EDITION = "overlaps_edition"  # values: number, first, last
    OVERLAPS_BOARD = "overlaps_board"  # values: board (title), number, first, last
    NOTHING_TO_SHOW = "nothing_to_show"  # values: withheld (tuple of Withheld)
    CHANGED_MEANWHILE = "changed_meanwhile"  # try again
    NOT_IN_IT = "not_in_it"
    ALREADY_OBJECTED = "already_objected"
    NO_TEXT = "no_text"
    ALREADY_ANSWERED = "already_answered"
    OPEN_OBJECTIONS = "open_objections"  # values: count
    SAME_PERSON = "same_person"  # who drafted or submitted cannot approve, who objected cannot answer
    IN_REVIEW_UNTIL = "in_review_until"  # values: until
    NO_REASON = "no_reason"
    REVISION_OPEN = "revision_open"  # values: revision
    NAMES_OFF = "names_off"  # nobody is named on the board
    FROZEN_CHANGED = "frozen_changed"  # the stored rows are not those that were put up for review


class BoardRefused(ValueError):
    """Something is not done, and why; ``values`` are for the sentence."""

    def __init__(self, code: Refusal, **values: Any) -> None:
        super().__init__(f"{code.value} {values}" if values else code.value)
        self.code = code
        self.values = values


def may_publish(by: AbstractUser) -> None:
    """Whether somebody may draft, review and publish."""
    if not by.is_active or not by.has_perm("measurements.publish_boards"):
        raise BoardRefused(Refusal.NOT_ALLOWED)


def persons_allowed(board: Board) -> None:
    """Whether the site compares persons, where the board does."""
    if board.of_persons and not settings.BOARDS_OF_PERSONS:
        raise BoardRefused(Refusal.PERSONS_OFF)


def note(
    board: Board, what: BoardEvent.What, username: str, now: datetime, edition: Edition | None = None, said: str = ""
) -> None:
    """Write down what is done, in its transaction."""
    BoardEvent.objects.create(
        board=board,
        number=edition.number if edition else None,
        revision=edition.revision if edition else None,
        at=now,
        username=username,
        what=what,
        note=said.strip()[:500],
    )
