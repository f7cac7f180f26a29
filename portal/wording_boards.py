"""Leaderboards in words: what they ask and how it is answered, who may read them, states and numbers of editions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from measurements.models import Board, BoardEvent, Edition

Kind, Scope, State = Board.Kind, Board.Scope, Edition.State
STATUS = {  # of an edition: the shape of its word
    State.DRAFT: "off",
    State.REVIEW: "wait",
    State.PUBLISHED: "ok",
    State.CORRECTED: "warn",
    State.WITHDRAWN: "bad",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """A question of leaderboards, as the form of a new one explains it."""

    kind: str
    name: str
    question: str
    rule: str
    needs: str


def question(kind: str, scope: str) -> str:
    """What a board asks."""
    said = _of_projects() if scope == Scope.PROJECT else _of_persons()
    return said.get(Kind(kind), _("On which node types does the same work take the least energy?"))


def _of_persons() -> dict[Board.Kind, str]:
    return {
        Kind.ENERGY_PER_WORK: _("How much energy do people need for the same work?"),
        Kind.IMPROVEMENT: _("How much less energy than before do people need for the same work?"),
        Kind.IDLE_ACCELERATORS: _("What share of people's energy was drawn by accelerators that idled?"),
        Kind.FAILED_ENERGY: _("What share of people's energy went into jobs that came to nothing?"),
    }


def _of_projects() -> dict[Board.Kind, str]:
    return {
        Kind.ENERGY_PER_WORK: _("How much energy do projects need for the same work?"),
        Kind.IMPROVEMENT: _("How much less energy than before do projects need for the same work?"),
        Kind.IDLE_ACCELERATORS: _("What share of the projects' energy was drawn by accelerators that idled?"),
        Kind.FAILED_ENERGY: _("What share of the projects' energy went into jobs that came to nothing?"),
    }


def rule(kind: str) -> str:
    """How a figure is made, in words."""
    return {
        Kind.NODE_TYPES: _(
            "Energy of all jobs of this work on a node type ÷ the work they declared, failed jobs included: what was"
            " drawn counts, whether or not anything came of it. No person is compared."
        ),
        Kind.ENERGY_PER_WORK: _(
            "Energy of all of one's jobs of this work ÷ the work they declared. Failed jobs count, and so do jobs that"
            " declared no work: nothing is gained by leaving out."
        ),
        Kind.IMPROVEMENT: _(
            "Energy per unit of the same work in this period ÷ the same in the period of equal length before it. Below"
            " 1 is less than before. Everybody is compared with their own past only."
        ),
        Kind.IDLE_ACCELERATORS: _(
            "x ÷ (x + y): x is what accelerators drew while they were held and idle, y the energy of successful jobs"
            " above what their nodes draw idle. Sleeping, holding more or running slower never makes it smaller."
        ),
        Kind.FAILED_ENERGY: _(
            "x ÷ (x + y): x is the energy of jobs that failed, were cancelled or ran out of time or memory, y the"
            " energy of successful jobs above what their nodes draw idle. Padding jobs with idle time never makes it"
            " smaller."
        ),
    }[Kind(kind)]


def needs(kind: str) -> str:
    """What the form needs for a question."""
    if kind in (Kind.IDLE_ACCELERATORS, Kind.FAILED_ENERGY):
        return _("Needs no declared work. Compares persons or projects.")
    if kind == Kind.NODE_TYPES:
        return _("Needs a workload, and jobs that declare work in one unit. Compares node types: publish this first.")
    return _("Needs a workload, and jobs that declare work in one unit. Compares persons or projects.")


def explained() -> list[Explained]:
    """Every question there is, the one that names nobody first."""
    whom = {Kind.NODE_TYPES: Scope.NODE_TYPE}
    return [
        Explained(kind.value, str(kind.label), question(kind, whom.get(kind, Scope.PROJECT)), rule(kind), needs(kind))
        for kind in Kind
    ]


def audience(board: Board) -> str:
    """Who may read it."""
    if board.audience == Board.Audience.GROUP:
        return _("For members of %(project)s") % {"project": board.project}
    return {
        Board.Audience.SITE: _("For whoever is logged in"),
        Board.Audience.PUBLIC: pgettext("audience", "Public"),
    }[Board.Audience(board.audience)]


def not_for_appraisal() -> str:
    """What stands on every board of persons."""
    return _("Not for performance appraisal: it says how computing is done, not how well somebody works.")


def minute(at: datetime) -> str:
    """An instant, in the site's zone."""
    return date_format(localtime(at), pgettext("minute", "j M Y, H:i"))


def day(at: datetime) -> str:
    """The day of an instant."""
    return date_format(localtime(at), pgettext("day of an edition", "j M Y"))


def state_word(state: str) -> str:
    """An edition's state."""
    return str(State(state).label)


def state_shape(state: str) -> str:
    """The class of its word."""
    return STATUS[State(state)]


def event_word(event: BoardEvent) -> str:
    """What happened."""
    return str(BoardEvent.What(event.what).label)


def event_edition(event: BoardEvent) -> str:
    """An edition's number, of an event; a dash where it is of the board."""
    if event.number is None:
        return "–"
    return numbered(event.number, event.revision or 0)


def numbered(number: int, revision: int) -> str:
    """3, or 3.1: its first correction; as addresses have it."""
    return f"{number}.{revision}" if revision else str(number)


def edition_number(edition: Edition) -> str:
    """See `numbered`."""
    return numbered(edition.number, edition.revision)


def edition_period(edition: Edition) -> str:
    """Its days."""
    return period(edition.first, edition.last)


def period(first: date, last: date) -> str:
    """1 – 31 October 2026, as short as it can be said."""
    form = pgettext("day of an edition", "j M Y")
    if first == last:
        return date_format(first, form)
    return f"{date_format(first, form)} – {date_format(last, form)}"
