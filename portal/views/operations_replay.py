"""`/operations/quarantine/replay/`: refused lines tried again, first without storing anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from measurements.models import Quarantine
from measurements.parsers.records import UnusableFile
from measurements.selectors.refused import reasons, replay_progress
from measurements.services.replay import ask_for, tried_of
from portal.noting import note_change
from portal.refused_page import Asked, asked
from portal.views.operators import operators_only

PERMISSION = "measurements.change_quarantine"
LINES_TRIED_HERE = 100_000
CHANGES_SHOWN = 10


@require_http_methods(["GET", "HEAD", "POST"])
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """Show what would be tried, try it without storing, or have workers do it."""
    said = asked(request)
    if request.method == "POST":
        if not request.user.has_perm(PERMISSION):
            raise Http404("no such page")
        if request.POST.get("do") == "replay":
            return _ask(request, said)
    return render(request, "portal/operations/replay.html", _context(request, said))


def _context(request: HttpRequest, said: Asked) -> dict[str, Any]:
    found = reasons(said.rows())
    tried: dict[str, Any] = {}
    fault, cut_short = "", False
    if request.method == "POST":
        try:
            tried, cut_short = tried_of(said.rows(), timezone.now(), LINES_TRIED_HERE)
        except UnusableFile as broken:  # a mapping file of the site's own
            fault = str(broken)
    return {
        "reasons": found,
        "table": [(row, tried.get(row.reason)) for row in found],
        "tried": bool(tried),
        "total": {name: sum(getattr(one, name) for one in tried.values()) for name in ("went_in", "moved")},
        "cut_short": cut_short,
        "looked_at": LINES_TRIED_HERE,
        "fault": fault,
        "query": said.query(),
        "progress": replay_progress(replace(said.wanted, state="")),
        "may_replay": request.user.has_perm(PERMISSION),
        "changes": LogEntry.objects.filter(
            content_type__app_label="measurements", content_type__model="quarantine"
        ).select_related("user")[:CHANGES_SHOWN],
    }


def _ask(request: HttpRequest, said: Asked) -> HttpResponse:
    """Have workers try all of it, and note who wanted it."""
    first: Quarantine | None = said.rows().defer("lines").order_by("pk").first()
    asked_for = ask_for(said.rows(), request.user.get_username())
    if first is not None and asked_for:
        words = ", ".join(f"{name}: {value}" for name, value in said.kept.items() if value)
        note_change(request, first, CHANGE, f"tried again: {words or 'all'} ({asked_for})")
        told = ngettext(
            "%(count)d reason of a batch is tried again.", "%(count)d reasons of batches are tried again.", asked_for
        )
        messages.success(request, told % {"count": asked_for})
    return redirect(f"{reverse('quarantine-replay')}?{said.query()}")
