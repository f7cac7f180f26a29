"""`/leaderboards/`: boards and their published editions, without a login where they are public; files, and the feed.

What is shown of a published edition comes from its frozen bytes alone. To whoever is not logged in no cookie is sent,
and nothing on the page depends on who reads it: it has an ETag, and a cache may keep it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers
from django.views.decorators.http import conditional_page, require_safe

from measurements.models import Board, Edition
from measurements.selectors.boards import reviews_for
from portal.board_page import (
    READABLE,
    NoBoard,
    board_cards,
    edition_context,
    found_board,
    found_edition,
    manages,
    newest_published,
)
from portal.board_sheet import edition_sheet
from portal.boards_feed import feed_xml
from portal.exports import export_response

GONE = 410
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def or_login(view: View[P]) -> View[P]:
    """Who is not logged in is led to the login, for a board that there is not as for one that is not theirs."""

    @require_safe
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except NoBoard:
            if request.user.is_authenticated:
                raise
            return redirect_to_login(request.get_full_path())

    return guarded


def for_everybody(view: View[P]) -> View[P]:
    """A page that a cache may keep if nobody is logged in, and asks about each time: it may be withdrawn."""

    @or_login
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.user.is_authenticated:
            response = view(request, *args, **kwargs)
            patch_cache_control(response, private=True)
            return response
        if request.GET.get("language") in dict(settings.LANGUAGES):
            return _with_language(request, request.GET["language"])
        response = conditional_page(view)(request, *args, **kwargs)
        patch_cache_control(response, public=True, no_cache=True)
        patch_vary_headers(response, ("Cookie", "Accept-Language"))
        return response

    return guarded


def _with_language(request: HttpRequest, language: str) -> HttpResponse:
    """The choice is kept in the cookie that it is always kept in; the address stays clean."""
    response = HttpResponseRedirect(request.path)
    response.set_cookie(settings.LANGUAGE_COOKIE_NAME, language, secure=settings.LANGUAGE_COOKIE_SECURE, samesite="Lax")
    return response


@for_everybody
def page(request: HttpRequest) -> HttpResponse:
    """List the boards that the viewer may see, and editions under review that they are in."""
    reviews = reviews_for(request.user, timezone.now()) if request.user.is_authenticated else []
    context = {"boards": board_cards(request.user), "reviews": reviews, "manages": manages(request)}
    return render(request, "portal/boards.html", context)


@for_everybody
def board(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the newest published edition of a board."""
    newest = newest_published(request.user, slug)
    return _shown(request, newest.board if newest else found_board(request.user, slug), newest)


@for_everybody
def edition(request: HttpRequest, slug: str, edition: str) -> HttpResponse:
    """Show one edition, for good under this address."""
    found = found_edition(request.user, slug, edition)
    if found.state == Edition.State.WITHDRAWN:
        return _gone(request, found)
    return _shown(request, found.board, found)


def _shown(request: HttpRequest, board: Board, edition: Edition | None) -> HttpResponse:
    return render(request, "portal/board_edition.html", edition_context(request, board, edition))


def _gone(request: HttpRequest, edition: Edition) -> HttpResponse:
    newest = newest_published(request.user, edition.board.slug)
    context = {"board": edition.board, "edition": edition, "newest": newest, "manages": manages(request)}
    return render(request, "portal/board_gone.html", context, status=GONE)


@or_login
def data(request: HttpRequest, slug: str, edition: str) -> HttpResponseBase:
    """The frozen bytes, as they were hashed."""
    found = _with_files(request, slug, edition)
    if found is None:
        return HttpResponse(status=GONE)
    response = frozen_response(request, found)
    response["Content-Disposition"] = f'attachment; filename="{_file_name(found)}.json"'
    return response


def frozen_response(request: HttpRequest, edition: Edition) -> HttpResponseBase:
    """The frozen bytes, or that they have not changed; also what the interface answers."""
    etag = f'"{edition.sha256}"'
    known = get_conditional_response(request, etag, None)
    response = known or HttpResponse(edition.frozen.encode(), content_type="application/json")
    response["ETag"] = etag
    public = edition.board.audience == Board.Audience.PUBLIC
    patch_cache_control(response, no_cache=True, **({"public": True} if public else {"private": True}))
    return response


@or_login
def table(request: HttpRequest, slug: str, edition: str) -> HttpResponseBase:
    """The rows of the page as a table to take away."""
    found = _with_files(request, slug, edition)
    if found is None:
        return HttpResponse(status=GONE)
    return export_response(request, _file_name(found), edition_sheet(found))


def _with_files(request: HttpRequest, slug: str, edition: str) -> Edition | None:
    """A published edition; None: it was withdrawn."""
    found = found_edition(request.user, slug, edition)
    if found.state == Edition.State.WITHDRAWN:
        return None
    if found.state not in READABLE:
        raise Http404("no such edition")
    return found


def _file_name(edition: Edition) -> str:
    return f"{edition.board.slug}-{edition.number}" + (f"-{edition.revision}" if edition.revision else "")


@require_safe
def feed(request: HttpRequest) -> HttpResponseBase:
    """Published editions of public boards, newest first (Atom): the same for everybody."""

    def answer(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(feed_xml(), content_type="application/atom+xml; charset=utf-8")

    response = conditional_page(answer)(request)
    patch_cache_control(response, public=True, no_cache=True)
    return response
