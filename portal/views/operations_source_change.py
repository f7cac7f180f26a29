"""`/operations/quarantine/source/`: which source wants to feed whose channels, and the change, for all of them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from measurements.domain.units import EPOCH_DAY
from measurements.services.channel_sources import (
    Asking,
    Chosen,
    NotChangeable,
    SourceChange,
    asking,
    change_source,
    first_open_day,
)
from measurements.services.judged import SECOND_SOURCE
from portal.noting import note_change
from portal.refused_page import Asked, asked
from portal.templatetags.quantities import day as day_word
from portal.views.operators import operators_only

# What the admin asks of whoever changes a channel's periods.
PERMISSIONS = (
    "measurements.change_channel",
    "measurements.add_channelperiod",
    "measurements.change_channelperiod",
)


class SourceForm(forms.Form):
    """From which day on; the rest names one of the changes that are offered."""

    day = forms.DateField(
        label=gettext_lazy("From the UTC day"),
        widget=forms.DateInput({"type": "date", "min": EPOCH_DAY.isoformat(), "max": "2100-12-31"}, "%Y-%m-%d"),
        input_formats=["%Y-%m-%d"],
    )
    cluster = forms.CharField(widget=forms.HiddenInput)
    source = forms.CharField(widget=forms.HiddenInput, max_length=32)
    feeder = forms.CharField(widget=forms.HiddenInput, max_length=32)


@require_http_methods(["GET", "HEAD", "POST"])
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """Show who wants to feed what, try a change without storing it, or declare it."""
    said = asked(request)
    found, whole = asking(said.rows(reason=SECOND_SOURCE))
    may_change = request.user.has_perms(PERMISSIONS)
    sent, done = None, None
    if request.method == "POST":
        if not may_change:
            raise Http404("no such page")
        sent = SourceForm(request.POST, label_suffix="", auto_id=False)
        one = _named(found, sent)
        if one is None:
            messages.info(request, _("Nothing of that is refused any more."))
            return _back(said)
        if sent.is_valid():
            done = _changed(request, one, sent)
            if done is not None and request.POST.get("do") == "declare":
                return _back(said)
    context = {
        "changes": [_offer(one, sent, done) for one in found if not one.ready],
        "ready": sum(one.lines for one in found if one.ready),
        "whole": whole,
        "may_change": may_change,
        "query": said.query(reason=SECOND_SOURCE),
    }
    return render(request, "portal/operations/source_change.html", context)


def _named(found: list[Asking], form: SourceForm) -> Asking | None:
    """The change that a form is about."""
    key = tuple(form.data.get(name, "") for name in ("cluster", "source", "feeder"))
    return next((one for one in found if not one.ready and key == _key(one)), None)


def _key(one: Asking) -> tuple[str, str, str]:
    return one.cluster.name, one.source, one.feeder


def _changed(request: HttpRequest, one: Asking, form: SourceForm) -> SourceChange | None:
    """Try a change, or declare and note it; None, and the form says why, where it cannot be."""
    day, chosen = form.cleaned_data["day"], Chosen(ids=one.channels)
    declare = request.POST.get("do") == "declare"
    try:
        with transaction.atomic():
            done = change_source(one.cluster, one.source, day, chosen, dry_run=not declare)
            if declare and done.changed:
                said = f"source: {one.source} from {day} on, {done.changed} channels, in place of {one.feeder}"
                note_change(request, one.cluster, CHANGE, said)
    except NotChangeable:
        said_first = {"first": day_word(first_open_day(one.cluster))}
        form.add_error("day", _("That day is sealed and never changes: take %(first)s or a later one.") % said_first)
        return None
    if declare and not done.changed:
        messages.info(request, _("From that day on it is declared so already."))
    elif declare:
        words = ngettext(
            "From %(day)s on %(source)s feeds %(count)d channel. What was refused of it can be tried again.",
            "From %(day)s on %(source)s feeds %(count)d channels. What was refused of them can be tried again.",
            done.changed,
        )
        messages.success(request, words % {"day": day_word(day), "source": one.source, "count": done.changed})
    return done


def _offer(one: Asking, sent: SourceForm | None, done: SourceChange | None) -> dict[str, Any]:
    """A change as the page shows it, with its form; of the one that was just tried, what it would do."""
    if sent is not None and _key(one) == tuple(sent.data.get(name, "") for name in ("cluster", "source", "feeder")):
        return {"asking": one, "form": sent, "done": done, "names": sorted(one.names)}
    first = max(one.first, first_open_day(one.cluster))
    filled = {"day": first, "cluster": one.cluster.name, "source": one.source, "feeder": one.feeder}
    return {
        "asking": one,
        "form": SourceForm(initial=filled, label_suffix="", auto_id=False),
        "done": None,
        "names": sorted(one.names),
    }


def _back(said: Asked) -> HttpResponse:
    return redirect(f"{reverse('quarantine-source')}?{said.query(reason=SECOND_SOURCE)}")
