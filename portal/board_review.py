"""What the page of a review shows: to somebody in the edition their own figures, to an admin what comes next."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from measurements.models import Board, Edition
from measurements.selectors import boards as selected
from measurements.selectors.boards import Review
from portal import wording_boards as wording
from portal.board_actions import ACTIONS, offered
from portal.board_forms import AnswerForm, ObjectionForm
from portal.board_page import Notice, found_edition, manages
from portal.board_rows import own_place

State = Edition.State


def own_review(request: HttpRequest, slug: str, number: str) -> Review | None:
    """The review of this edition, if the viewer is in it."""
    for one in selected.reviews_for(request.user, timezone.now()):
        if one.edition.board.slug == slug and wording.edition_number(one.edition) == number:
            return one
    return None


def review_context(request: HttpRequest, slug: str, number: str) -> dict[str, Any]:
    """To whoever neither publishes boards nor is in the edition there is no such page."""
    mine, publishes = own_review(request, slug, number), manages(request)
    if mine is None and not publishes:
        raise Http404("no such review")
    edition = mine.edition if mine is not None else found_edition(request.user, slug, number)
    board = edition.board
    return {
        "board": board,
        "edition": edition,
        "question": wording.question(board.kind, board.scope),
        "audience": wording.audience(board),
        "manages": publishes,
        "notices": _notices(board),
        "objection_form": ObjectionForm(),
        **(_own(request, mine) if mine is not None else {}),
        **(_admin(request, edition) if publishes else {}),
    }


def _notices(board: Board) -> list[Notice]:
    if not board.of_persons:
        return []
    return [Notice(wording.not_for_appraisal(), warns=True)]


def _own(request: HttpRequest, mine: Review) -> dict[str, Any]:
    document = selected.shown(mine.edition).document
    return {
        "owned": [own_place(one, document) for one in mine.own],
        "objection": mine.objection,
        "may_object": mine.objection is None and any(not one.reasons for one in mine.own),
    }


def _admin(request: HttpRequest, edition: Edition) -> dict[str, Any]:
    objections = selected.objections(edition)
    unanswered = sum(not one.answer for one in objections)
    return {
        "objections": objections,
        "answer_form": AnswerForm(),
        "actions": [ACTIONS[name] for name in offered(edition)],
        "next_step": _next_step(request, edition, unanswered),
        "blocked": edition.state == State.REVIEW and (bool(unanswered) or _waits(edition) or _drew(request, edition)),
        "events": selected.events(edition.board, edition),
    }


def _next_step(request: HttpRequest, edition: Edition, unanswered: int) -> str:
    """Who has to do what."""
    if edition.state == State.DRAFT:
        return _("Look at the preview, then put it up for review.")
    if edition.state != State.REVIEW:
        return _("Nothing waits. A mistake is corrected by a new revision; what should not stand is withdrawn.")
    said = []
    if unanswered:
        said.append(_("Objections are open: answer them first."))
    if edition.review_until is not None and _waits(edition):
        said.append(_("Those in it may object until %(until)s.") % {"until": wording.minute(edition.review_until)})
    if _drew(request, edition):
        said.append(_("Then another admin than you approves it: you drafted it or put it up."))
    else:
        said.append(_("Then you may approve it: look at all of it first."))
    return " ".join(said)


def _waits(edition: Edition) -> bool:
    """Whether those in it may still object."""
    return edition.review_until is not None and edition.review_until > timezone.now()


def _drew(request: HttpRequest, edition: Edition) -> bool:
    """Whether it is the viewer's own draft."""
    return request.user.get_username() in (edition.drafted_by, edition.submitted_by)
