"""What the pages of leaderboards show: a board or edition that the viewer may see, its rows, notices and own place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from measurements.models import Board, Edition
from measurements.selectors import boards as selected
from measurements.selectors.boards import Listed
from portal import wording_boards as wording
from portal import wording_editions as in_words
from portal.board_rows import edition_page, own_place
from portal.charts_boards import interval_chart

Viewer = User | AnonymousUser
State = Edition.State
FROZEN = (State.REVIEW, State.PUBLISHED, State.CORRECTED)
READABLE = (State.PUBLISHED, State.CORRECTED)


class NoBoard(Http404):
    """A board that there is not, or not for this viewer: who is not logged in may try after logging in."""


@dataclass(frozen=True, slots=True)
class Card:
    """A board in the list."""

    board: Board
    question: str
    audience: str
    newest: Edition | None
    waiting: tuple[Edition, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know before reading on."""

    text: str
    warns: bool = False
    address: str = ""
    link: str = ""


def manages(request: HttpRequest) -> bool:
    """Whether the viewer drafts, reviews and publishes."""
    return selected.publishes(request.user)


def board_cards(viewer: Viewer) -> list[Card]:
    """The boards that the viewer may see."""
    return [_card(listed) for listed in selected.boards_for(viewer, timezone.now())]


def _card(listed: Listed) -> Card:
    board = listed.board
    for edition in (listed.newest, *listed.open):
        if edition is not None:
            edition.board = board
    return Card(board, wording.question(board.kind, board.scope), wording.audience(board), listed.newest, listed.open)


def found_board(viewer: Viewer, slug: str) -> Board:
    """A board that the viewer may see; to others it does not exist."""
    found = selected.board_for(viewer, slug, timezone.now())
    if found is None:
        raise NoBoard("no such board")
    return found


def found_edition(viewer: Viewer, slug: str, number: str) -> Edition:
    """An edition that the viewer may see; ``number`` is 3, or 3.1: its first correction."""
    whole, _dot, revision = number.partition(".")
    found = selected.edition_for(viewer, slug, int(whole), int(revision or 0), timezone.now())
    if found is None:
        found_board(viewer, slug)
        raise Http404("no such edition")
    return found


def newest_published(viewer: Viewer, slug: str) -> Edition | None:
    """What stands at a board's own address, if the viewer may see the board."""
    boards = selected.visible_boards(viewer, timezone.now())
    found = Edition.objects.filter(board__in=boards, board__slug=slug, state=State.PUBLISHED)
    known = found.select_related("board", "board__project", "board__cluster")
    return known.order_by("-last", "-number", "-revision").first()


def editions_of(viewer: Viewer, board: Board) -> list[Edition]:
    """Those that the viewer may see, newest first, each knowing its board."""
    found = selected.editions_for(viewer, board)
    for edition in found:
        edition.board = board
    return found


# --- The page of an edition -----------------------------------------------------------------------


def edition_context(request: HttpRequest, board: Board, edition: Edition | None) -> dict[str, Any]:
    """What the template takes; of a published edition from its frozen bytes alone."""
    editions = editions_of(request.user, board)
    context: dict[str, Any] = {
        "board": board,
        "title": board.title,
        "edition": edition,
        "question": wording.question(board.kind, board.scope),
        "audience": wording.audience(board),
        "editions": [one for one in editions if one.state not in (State.DRAFT, State.REVIEW)],
        "manages": manages(request),
        "notices": notices(board, edition, editions),
    }
    return context | (_frozen(request, edition) if edition is not None else {})


def _frozen(request: HttpRequest, edition: Edition) -> dict[str, Any]:
    found = selected.shown(edition) if edition.state in FROZEN else selected.preview(edition, timezone.now())
    own = selected.own_seat(edition, request.user) if edition.state in READABLE else ()
    document = found.document
    page = edition_page(found, own)
    return {
        "title": document.board["title"],
        "question": wording.question(document.board["kind"], document.board["scope"]),
        "rule": wording.rule(document.board["kind"]),
        "page": page,
        "chart": interval_chart(document),
        "sentence": page.footnote,
        "period": wording.edition_period(edition),
        "published": wording.day(edition.published_at) if edition.published_at and edition.state in READABLE else "",
        "owned": [own_place(one, document) for one in own],
        "files": edition.state in READABLE,
        "differences": in_words.differences(selected.difference_of(edition), document.measure),
    }


def notices(board: Board, edition: Edition | None, editions: Sequence[Edition]) -> list[Notice]:
    """What has to be known first."""
    said = []
    if board.of_persons:
        said.append(Notice(wording.not_for_appraisal(), warns=True))
    if edition is None:
        return said
    if edition.state == State.DRAFT:
        said.append(
            Notice(
                _("A preview that only admins see. It moves with the data; pseudonyms are drawn anew each time."),
                warns=True,
            )
        )
    if edition.state == State.REVIEW:
        said.append(
            Notice(_("Under review: only admins see all of it, and those in it their own figures."), warns=True)
        )
    if edition.state == State.CORRECTED:
        said.append(_corrected(edition, editions))
    if edition.state in READABLE and edition.revision:
        said.append(_correction(edition, editions))
    return said


def _corrected(edition: Edition, editions: Sequence[Edition]) -> Notice:
    later = next((one for one in editions if one.number == edition.number and one.state == State.PUBLISHED), None)
    words = _("This edition was corrected, and stays readable as it was.")
    if later is None:
        return Notice(words, warns=True)
    words += " " + _("Reason: %(reason)s") % {"reason": later.reason}
    return Notice(
        words,
        warns=True,
        address=_address("edition", later),
        link=_("The correction: %(number)s") % {"number": wording.edition_number(later)},
    )


def _correction(edition: Edition, editions: Sequence[Edition]) -> Notice:
    before = next(
        (one for one in editions if (one.number, one.revision) == (edition.number, edition.revision - 1)), None
    )
    words = _("A correction. Reason: %(reason)s") % {"reason": edition.reason}
    if before is None:
        return Notice(words)
    return Notice(words, address=_address("edition", before), link=_("What it said before"))


def _address(route: str, edition: Edition) -> str:
    return reverse(route, args=[edition.board.slug, wording.edition_number(edition)])
