"""What can be done to an edition, by its state: asked for on a page of its own, then done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from measurements.models import Edition
from measurements.services import editions
from portal.board_forms import ReasonForm
from portal.wording_boards import edition_number

State = Edition.State


@dataclass(frozen=True, slots=True)
class Action:
    """A step of the workflow: what it is called, asks and does."""

    name: str
    label: Any
    question: Any
    words: Any
    done: Any
    states: tuple[str, ...]
    form: type[forms.Form] = forms.Form


ACTIONS = {
    action.name: action
    for action in (
        Action(
            "submit",
            _("Put up for review"),
            _("Put it up for review?"),
            _(
                "The rows are frozen as they are now, with their SHA-256. Those who are in it see their own figures and"
                " may object; afterwards another admin than you approves it."
            ),
            _("The edition is under review, its rows are frozen."),
            (State.DRAFT,),
        ),
        Action(
            "approve",
            _("Approve and publish"),
            _("Approve and publish?"),
            _(
                "Its audience can read it from now on, under an address that stays. The rows never change again; what"
                " is wrong is corrected by a new revision, or withdrawn."
            ),
            _("The edition is published."),
            (State.REVIEW,),
        ),
        Action(
            "return",
            _("Send back to draft"),
            _("Send it back to draft?"),
            _("The frozen rows are dropped. The review begins anew when it is put up again."),
            _("The edition is a draft again."),
            (State.REVIEW,),
            ReasonForm,
        ),
        Action(
            "discard",
            pgettext_lazy("a draft", "Discard"),
            _("Discard the draft?"),
            _("The draft is gone; the history keeps that there was one."),
            _("The draft is discarded."),
            (State.DRAFT,),
        ),
        Action(
            "correct",
            pgettext_lazy("an edition", "Correct"),
            _("Correct it?"),
            _(
                "A new revision is made of the same days and goes through review and approval. This one stays readable;"
                " once the revision is published it says that there is a correction, why, and what it changed."
            ),
            _("A revision is drafted."),
            (State.PUBLISHED,),
            ReasonForm,
        ),
        Action(
            "withdraw",
            _("Withdraw"),
            _("Withdraw it?"),
            _("Its address then answers “gone” with the reason, and its figures are no longer shown. That is final."),
            _("The edition is withdrawn."),
            (State.PUBLISHED, State.CORRECTED),
            ReasonForm,
        ),
    )
}


def offered(edition: Edition) -> list[str]:
    """What its state allows, the next step first."""
    return [action.name for action in ACTIONS.values() if edition.state in action.states]


def run(action: Action, edition: Edition, by: User, reason: str) -> tuple[str, ...]:
    """Do it, and say which page to go on with; `BoardRefused` is the caller's to say."""
    now = timezone.now()
    done: dict[str, Callable[[], Any]] = {
        "submit": lambda: editions.submit(edition, by, now),
        "approve": lambda: editions.approve(edition, by, now),
        "return": lambda: editions.send_back(edition, by, now, reason),
        "discard": lambda: editions.discard(edition, by, now),
        "correct": lambda: editions.correct(edition, by, reason, now),
        "withdraw": lambda: editions.withdraw(edition, by, reason, now),
    }
    found = done[action.name]()
    if action.name == "discard":
        return ("board-manage", edition.board.slug)
    at = found if action.name == "correct" and isinstance(found, Edition) else edition
    return ("edition-review", edition.board.slug, edition_number(at))
