"""`/mails/`: which mails a person gets, what they would say, how to end them."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import date

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from measurements.models import Digest
from measurements.selectors.digests import choice_of, kinds_sent, last_turn, latest_digests
from measurements.services.audit import Page
from measurements.services.digests import choose
from portal.digest import SPANS, compose, read_stop
from portal.forms import Period
from portal.middleware import POLICY
from portal.noting import note_projects
from portal.wording_usage import period_name

LABELS = {Digest.Kind.WEEKLY: gettext_lazy("Weekly mail"), Digest.Kind.MONTHLY: gettext_lazy("Monthly mail")}


@dataclass(frozen=True, slots=True)
class Offer:
    """A kind of mail, and the period that the next one's preview is of."""

    kind: Digest.Kind
    label: str
    period: str
    sent: bool  # does the site send it


@dataclass(frozen=True, slots=True)
class Row:
    """A mail that was due."""

    label: str
    period: str
    digest: Digest


class ChoiceForm(forms.Form):
    """Which mails, in which language."""

    weekly = forms.BooleanField(required=False)
    monthly = forms.BooleanField(required=False)
    language = forms.ChoiceField(choices=settings.LANGUAGES)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def page(request: HttpRequest) -> HttpResponse:
    """Show what the site sends and what was sent, and keep what the person wants."""
    name, sent = request.user.get_username(), kinds_sent()
    if request.method == "POST":
        return _chosen(request, name, sent)
    return _page(request)


def _page(request: HttpRequest, quiet: Offer | None = None) -> HttpResponse:
    name, today, sent = request.user.get_username(), timezone.localdate(), kinds_sent()
    choice = choice_of(name)
    context = {
        "offers": [(_offer(kind, today, sent), getattr(choice, kind.value)) for kind in Digest.Kind],
        "sends": sent,
        "language": choice.language or settings.DIGEST_LANGUAGE,
        "languages": settings.LANGUAGES,
        "address": request.user.email if isinstance(request.user, User) else "",
        "sender": settings.DEFAULT_FROM_EMAIL,
        "rows": [_row(digest) for digest in latest_digests(name)],
        "quiet": quiet,
    }
    return render(request, "portal/mails.html", context)


def _chosen(request: HttpRequest, name: str, sent: tuple[Digest.Kind, ...]) -> HttpResponse:
    form = ChoiceForm(request.POST)
    if form.is_valid():
        wanted = {kind.value: form.cleaned_data[kind.value] for kind in sent}  # no other is asked for
        choose(name, language=form.cleaned_data["language"], **wanted)
        messages.success(request, _("Saved."))
    return redirect("mails")


def _offer(kind: Digest.Kind, today: date, sent: tuple[Digest.Kind, ...]) -> Offer:
    return Offer(kind, str(LABELS[kind]), _period(kind, last_turn(kind, today).first), kind in sent)


def _row(digest: Digest) -> Row:
    kind = Digest.Kind(digest.kind)
    return Row(str(LABELS[kind]), _period(kind, digest.first), digest)


def _period(kind: Digest.Kind, first: date) -> str:
    return period_name(Period.of(SPANS[kind], first))


# --- Preview --------------------------------------------------------------------------------------


@require_safe
@login_required
def preview(request: HttpRequest, kind: str) -> HttpResponse:
    """The person's own mail of the last week or month as it would be: HTML, or with ?format=text the other part."""
    if kind not in Digest.Kind.values or not isinstance(request.user, User):
        raise Http404("no such mail")
    turn = last_turn(Digest.Kind(kind), timezone.localdate())
    letter = compose(request.user, turn.kind, turn.first)
    if letter is None:
        return _page(request, _offer(turn.kind, timezone.localdate(), kinds_sent()))
    note_projects(request, letter.projects, Page.MAIL)
    if request.GET.get("format") == "text":
        subject = _("Subject")
        said = f"{subject}: {letter.subject}\n\n{letter.text}"
        return HttpResponse(said, content_type="text/plain; charset=utf-8")
    response = HttpResponse(letter.html)
    response["Content-Security-Policy"] = f"{POLICY}; style-src {style_hash(letter.html)}"
    return response


def style_hash(html: str) -> str:
    """The one style sheet that a mail carries in itself, as a content security policy names it."""
    found = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = hashlib.sha256((found[1] if found else "").encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


# --- Ending it ------------------------------------------------------------------------------------


@csrf_exempt  # a mail program's button has no cookie; the signed token says who and what
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether a mail is to end, and end it; nobody needs to log in for that."""
    wanted = read_stop(token)
    if wanted is None:
        raise Http404("no such link")
    user = get_object_or_404(User, pk=wanted.user)
    stopped = request.method == "POST"
    if stopped:
        choose(user.get_username(), **{wanted.kind.value: False})
    context = {"kind": wanted.kind.value, "stopped": stopped}
    chosen = choice_of(user.get_username()).language or settings.DIGEST_LANGUAGE
    with translation.override(chosen):
        response = render(request, "portal/mails_stop.html", context)
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "no-store"
    return response
