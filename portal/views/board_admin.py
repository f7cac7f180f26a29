"""Making boards and leading an edition from draft to publication, and back; and what those in it may say to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from measurements.models import Board, Objection
from measurements.selectors import boards as selected
from measurements.services import editions
from measurements.services.editions import BoardRefused
from portal import wording_boards as wording
from portal.board_actions import ACTIONS, Action, offered, run
from portal.board_forms import AnswerForm, BoardChangeForm, BoardForm, ObjectionForm, PeriodForm, known_names
from portal.board_page import NoBoard, editions_of, found_board, found_edition, manages
from portal.board_review import review_context
from portal.wording_refusals import refusal

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
WIDE = ("title", "note")


def publishers_only(view: View[P]) -> View[P]:
    """A page that exists for holders of ``measurements.publish_boards`` alone."""

    @login_required
    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not manages(request):
            raise Http404("no such page")
        return view(request, *args, **kwargs)

    return guarded


@publishers_only
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A form for a board, each question explained."""
    form = BoardForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        board = _tried(request, form, lambda: editions.make_board(_me(request), timezone.now(), **form.cleaned_data))
        if board is not None:
            messages.success(request, _("The board is made. Draft its first edition."))
            return redirect("board-manage", board.slug)
    context = {"form": form, "explained": wording.explained(), "known": known_names(), "wide": WIDE}
    return render(request, "portal/board_new.html", context)


@publishers_only
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """A form for what may still be changed of a board; the change stands in its history."""
    board = found_board(request.user, slug)
    title = board.title  # the form writes into the board what is typed
    form = BoardChangeForm(board, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        held = Board.objects.get(pk=board.pk)
        if (
            _tried(request, form, lambda: editions.change_board(held, _me(request), timezone.now(), **typed))
            is not None
        ):
            messages.success(request, _("Changed. It stands in the board's history."))
            return redirect("board-manage", board.slug)
    has_editions = "kind" not in form.fields
    context = {"board": board, "title": title, "form": form, "known": known_names(), "wide": WIDE}
    return render(request, "portal/board_change.html", context | {"has_editions": has_editions})


@publishers_only
@require_http_methods(["GET", "HEAD", "POST"])
def manage(request: HttpRequest, slug: str) -> HttpResponse:
    """A board's editions, its history, and a form for the next edition."""
    board = found_board(request.user, slug)
    form = PeriodForm(
        request.POST if request.method == "POST" else None,
        initial=dict(zip(("first", "last"), selected.last_whole_period(timezone.now()), strict=True)),
    )
    if request.method == "POST" and form.is_valid():
        first, last = form.cleaned_data["first"], form.cleaned_data["last"]
        made = _tried(request, form, lambda: editions.draft(board, first, last, _me(request), timezone.now()))
        if made is not None:
            return redirect("edition", slug, wording.edition_number(made))
    context = {
        "board": board,
        "form": form,
        "question": wording.question(board.kind, board.scope),
        "audience": wording.audience(board),
        "editions": editions_of(request.user, board),
        "events": selected.events(board)[::-1],
    }
    return render(request, "portal/board_manage.html", context)


@login_required
@never_cache
@require_safe
def review(request: HttpRequest, slug: str, edition: str) -> HttpResponse:
    """One's own figures in an edition under review; to those who publish also objections and what comes next."""
    return render(request, "portal/board_review.html", review_context(request, slug, edition))


@login_required
@require_POST
def object_to(request: HttpRequest, slug: str, edition: str) -> HttpResponse:
    """Somebody in an edition under review says what is against it."""
    context = review_context(request, slug, edition)
    form = ObjectionForm(request.POST)
    if not context["may_object"]:
        raise Http404("no such page")
    if form.is_valid():
        said = form.cleaned_data["text"]
        done = _tried(
            request,
            form,
            lambda: editions.object_to(context["edition"], _me(request).get_username(), said, timezone.now()),
        )
        if done is not None:
            messages.success(request, _("Your objection is noted. The edition is not published before it is answered."))
            return redirect("edition-review", slug, edition)
    return render(request, "portal/board_review.html", context | {"objection_form": form}, status=422)


@publishers_only
@require_POST
def answer(request: HttpRequest, slug: str, edition: str, objection: int) -> HttpResponse:
    """Answer an objection."""
    found = found_edition(request.user, slug, edition)
    one = get_object_or_404(Objection, pk=objection, edition=found)
    form = AnswerForm(request.POST)
    if form.is_valid():
        said, upheld = form.cleaned_data["answer"], form.cleaned_data["upheld"] == "1"
        _tried(request, None, lambda: editions.answer(one, _me(request), said, timezone.now(), upheld=upheld))
    else:
        messages.error(request, _("An answer needs words and a decision."))
    return redirect("edition-review", slug, edition)


@publishers_only
@require_http_methods(["GET", "HEAD", "POST"])
def do(request: HttpRequest, slug: str, edition: str, action: str) -> HttpResponse:
    """Ask once more, then do it."""
    found = found_edition(request.user, slug, edition)
    asked: Action = ACTIONS.get(action) or _nothing()
    form: forms.Form = asked.form(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        reason = form.cleaned_data.get("reason", "")
        done = _tried(request, None, lambda: run(asked, found, _me(request), reason))
        if done is None:
            return redirect("edition-review", slug, edition)
        messages.success(request, str(asked.done))
        return redirect(*done)
    if asked.name not in offered(found):
        raise Http404("not now")
    context = {"board": found.board, "edition": found, "action": asked, "form": form}
    return render(request, "portal/board_confirm.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def name(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask whether one wants to be named on a board; POST: one does, or no longer."""
    board = _board_or_review(request, slug)
    if request.method != "POST":
        context = {"board": board, "consented": selected.named(board, request.user)}
        if not (board.names or context["consented"]):
            raise Http404("nobody is named")
        return render(request, "portal/board_name.html", context)
    named = request.POST.get("do") == "name"
    _tried(request, None, lambda: editions.consent(board, request.user.get_username(), timezone.now(), named=named))
    return redirect("board-name", slug) if board.names else redirect("board", slug)


def _board_or_review(request: HttpRequest, slug: str) -> Board:
    """A board that one may see, of which one is in an edition under review, or on which one is named: to end that."""
    for one in selected.reviews_for(request.user, timezone.now()):
        if one.edition.board.slug == slug:
            return one.edition.board
    try:
        return found_board(request.user, slug)
    except NoBoard:
        mine = Board.objects.filter(slug=slug, consents__username=request.user.get_username()).first()
        if mine is None or (mine.of_persons and not settings.BOARDS_OF_PERSONS):
            raise
        return mine


def _tried(request: HttpRequest, form: forms.BaseForm | None, act: Callable[[], Any]) -> Any:
    """What was done; None if it was refused, which the form or a message then says."""
    try:
        return act()
    except ValidationError as fault:
        if form is None:
            raise
        form.add_error(None, fault)
        return None
    except BoardRefused as fault:
        words = refusal(fault)
        if form is not None:
            form.add_error(None, words)
        else:
            messages.error(request, words)
        return None


def _me(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - logged in
    return request.user


def _nothing() -> Action:
    raise Http404("no such action")
