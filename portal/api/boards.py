"""Leaderboards for the interface: public ones without a login, others by their audience; frozen bytes as they are."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from ninja import Field, Router, Schema

from measurements.models import Board, Edition
from measurements.selectors.boards import boards_for
from portal.board_page import READABLE, editions_of, found_board, found_edition
from portal.views.boards import GONE, frozen_response
from portal.wording_boards import edition_number

router = Router(tags=["leaderboards"])
NUMBER = r"^[0-9]{1,6}(\.[0-9]{1,6})?$"


class BoardRow(Schema):
    """A board that one may see."""

    slug: str
    title: str
    kind: str
    scope: str
    audience: str
    newest: Annotated[str | None, Field(description="its newest published edition")]


class EditionRow(Schema):
    """An edition that was published; also one that was withdrawn since."""

    edition: Annotated[str, Field(description="3, or 3.1: its first correction")]
    state: str
    first: date
    last: date
    published_at: datetime | None
    sha256: Annotated[str, Field(description="of the bytes of the edition")]
    reason: Annotated[str, Field(description="of a correction or a withdrawal")]


class BoardEditions(BoardRow):
    """A board with its editions, newest first."""

    editions: list[EditionRow]


@router.get("/boards", response=list[BoardRow], auth=None)
def boards(request: HttpRequest) -> list[dict[str, Any]]:
    """The boards one may see; public ones without a login."""
    return [_board(one.board, one.newest) for one in boards_for(request.user, timezone.now())]


@router.get("/boards/{slug}", response=BoardEditions, auth=None)
def board(request: HttpRequest, slug: str) -> dict[str, Any]:
    """A board and its editions."""
    found = found_board(request.user, slug)
    shown = [one for one in editions_of(request.user, found) if one.state in (*READABLE, Edition.State.WITHDRAWN)]
    newest = next((one for one in shown if one.state == Edition.State.PUBLISHED), None)
    return _board(found, newest) | {"editions": [_edition(one) for one in shown]}


@router.get("/boards/{slug}/{edition}", auth=None, openapi_extra={"responses": {410: {"description": "withdrawn"}}})
def edition(request: HttpRequest, slug: str, edition: str) -> HttpResponseBase:
    """The frozen bytes of an edition: those whose SHA-256 stands on its page; 410 if it was withdrawn."""
    found = found_edition(request.user, slug, edition)
    if found.state == Edition.State.WITHDRAWN:
        return HttpResponse('{"detail": "withdrawn"}', status=GONE, content_type="application/json")
    if found.state not in READABLE:
        raise Http404("no such edition")
    return frozen_response(request, found)


def _board(board: Board, newest: Edition | None) -> dict[str, Any]:
    said = {name: getattr(board, name) for name in ("slug", "title", "kind", "scope", "audience")}
    return said | {"newest": edition_number(newest) if newest else None}


def _edition(edition: Edition) -> dict[str, Any]:
    withdrawn = edition.state == Edition.State.WITHDRAWN
    said = {name: getattr(edition, name) for name in ("state", "first", "last", "published_at", "reason")}
    return said | {"edition": edition_number(edition), "sha256": "" if withdrawn else edition.sha256}
