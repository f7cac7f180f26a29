"""`/waste/`: what one's own jobs drew in vain or held unused, and what to do; `/waste/lines/`: its first lines."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from measurements.domain.advice_kinds import Kind
from measurements.services.dismissals import dismiss, restore
from portal import wording_usage
from portal.usage_page import period_bar, question
from portal.usage_view import View
from portal.waste_page import limits, waste_lines

FIRST_LINES = 3
LONGEST_NAME = 255
WRITES = {"dismiss", "restore"}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Show the lines of a period, or put one away or bring it back."""
    asked = question(request)
    view = View(asked.view.period)
    if request.method == "POST":
        return _put_away(request, view)
    context = waste_lines(request.user, view.period, asked.zone, asked.today)
    context |= {
        "view": view,
        "form": asked.form,
        "today": asked.today,
        "period_bar": period_bar(view, asked.today),
        "heading": wording_usage.period_name(view.period),
        "limits": limits(),
    }
    return render(request, "portal/waste.html", context)


@login_required
@require_safe
def lines(request: HttpRequest) -> HttpResponse:
    """The first lines of a period, as a part of a page."""
    asked = question(request)
    context = waste_lines(request.user, asked.view.period, asked.zone, asked.today, FIRST_LINES)
    return render(request, "portal/partials/_waste_lines.html", context)


def _put_away(request: HttpRequest, view: View) -> HttpResponse:
    """One row of the person's own; back to the same period."""
    kind, names, write = (request.POST.get(name, "") for name in ("advice", "subject", "do"))
    if kind not in {one.value for one in Kind} or write not in WRITES or len(names) > LONGEST_NAME or "\0" in names:
        return HttpResponseBadRequest("no such advice")
    owner = request.user.get_username()
    if write == "dismiss":
        dismiss(owner, Kind(kind), names, timezone.now())
    else:
        restore(owner, Kind(kind), names)
    return redirect(f"{reverse('waste')}?{view.query}")
