"""Why something is not done to a leaderboard, in words, and the cure."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext_lazy, pgettext

from measurements.domain.board_document import Withheld
from measurements.models import Board, Edition
from measurements.services.editions import BoardRefused, Refusal
from portal.wording_boards import minute
from portal.wording_editions import reason

State = Edition.State


def refusal(fault: BoardRefused) -> str:
    """Why something was refused, and the cure."""
    said = {name: _plain(one) for name, one in fault.values.items()}
    return str(REFUSALS[fault.code]) % said


def _plain(one: Any) -> str:
    if isinstance(one, datetime):
        return minute(one)
    if isinstance(one, date):
        return date_format(one, pgettext("day of an edition", "j M Y"))
    if isinstance(one, list | tuple | set | frozenset):
        return ", ".join(dict.fromkeys(_named(part) for part in one))
    return str(State(one).label) if one in State.values else str(one)


def _named(part: Any) -> str:
    """Why something is withheld, or a field as the form has it."""
    if isinstance(part, Withheld):
        return reason(part.reason)
    return str(Board._meta.get_field(part).verbose_name)  # type: ignore[union-attr]


REFUSALS: dict[Refusal, Any] = {
    Refusal.NOT_ALLOWED: gettext_lazy("You may not publish leaderboards."),
    Refusal.PERSONS_OFF: gettext_lazy(
        "Boards of persons are switched off on this site (JOULEBOOK_BOARDS_OF_PERSONS). Compare projects or node types."
    ),
    Refusal.FIELDS_FIXED: gettext_lazy("An edition was put up already: these fields no longer change: %(fields)s."),
    Refusal.WRONG_STATE: gettext_lazy("The edition has moved on meanwhile (%(state)s): look at it again."),
    Refusal.PERIOD_BACKWARDS: gettext_lazy("The last day lies before the first."),
    Refusal.PERIOD_NOT_OVER: gettext_lazy("The period is not over: wait until the day after %(last)s."),
    Refusal.PERIOD_TOO_LONG: gettext_lazy("The period is too long: %(days)s days at most."),
    Refusal.DAYS_NOT_BOOKED: gettext_lazy(
        "%(days)s days of the period are not booked yet: wait for the workers, then draft it again."
    ),
    Refusal.OVERLAPS_EDITION: gettext_lazy(
        "Edition %(number)s has some of these days (%(first)s – %(last)s). Two editions that overlap would tell what"
        " neither of them says: choose days after it."
    ),
    Refusal.OVERLAPS_BOARD: gettext_lazy(
        "“%(board)s” asks the same, and its edition %(number)s has some of these days (%(first)s – %(last)s). Two that"
        " overlap would tell what neither of them says."
    ),
    Refusal.NOTHING_TO_SHOW: gettext_lazy("Everything would be withheld, so there is nothing to review: %(withheld)s."),
    Refusal.NOT_IN_IT: gettext_lazy("You are not in this edition."),
    Refusal.ALREADY_OBJECTED: gettext_lazy("You have objected already."),
    Refusal.NO_TEXT: gettext_lazy("Please say it in words."),
    Refusal.ALREADY_ANSWERED: gettext_lazy("This objection is answered already."),
    Refusal.OPEN_OBJECTIONS: gettext_lazy("Objections are open: %(count)s. Answer them first."),
    Refusal.SAME_PERSON: gettext_lazy(
        "Two admins are needed: nobody approves what they drafted or put up, or answers what they objected to."
    ),
    Refusal.IN_REVIEW_UNTIL: gettext_lazy("Those in it may object until %(until)s. It can be approved after that."),
    Refusal.NO_REASON: gettext_lazy("A reason is needed: readers will see it."),
    Refusal.REVISION_OPEN: gettext_lazy("Revision %(revision)s is being made already: publish or discard it first."),
    Refusal.NAMES_OFF: gettext_lazy("Nobody is named on this board."),
    Refusal.CHANGED_MEANWHILE: gettext_lazy("Something changed meanwhile: look at it again, and try again."),
    Refusal.FROZEN_CHANGED: gettext_lazy(
        "The stored rows are not those that were put up for review: their SHA-256 differs. Send the edition back to"
        " draft, and find out who changed the database."
    ),
}
