"""`/energy/jobs/`: the jobs behind one's own bars, most energy first."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from measurements.domain.units import QUARTER_MS, datetime_from_ms
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.drawn import DrawnJob, drawn_jobs
from measurements.selectors.usage import Scope
from portal import wording_usage
from portal.exports import export_response
from portal.quantities import unit_for
from portal.usage_page import UsageQuestion, chips_of, question
from portal.usage_sheet import drawn_sheet

ROWS_A_PAGE = 100


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """List them; what they drew inside the time adds up to the bar."""
    asked = question(request)
    start_ms, end_ms = window(request, asked)
    found = drawn_jobs(Scope(username=request.user.get_username()), asked.view.filters, start_ms, end_ms)
    begin = place(request.GET.get("row", ""))
    if begin and begin >= len(found.jobs):
        raise Http404("no such row")
    rows = found.jobs[begin : begin + ROWS_A_PAGE]
    return render(request, "portal/energy_jobs.html", {
        "view": asked.view,
        "heading": wording_usage.period_name(asked.view.period),
        "chips": chips_of(asked.view),
        "from": datetime_from_ms(start_ms),
        "to": datetime_from_ms(end_ms),
        "whole": "from" not in request.GET,
        "downloads": {"address": reverse("energy-jobs-csv"), "query": request.GET.urlencode()},
        "found": found,
        "rows": rows,
        "unit": unit_for(max((row.inside_j or 0.0 for row in found.jobs), default=0.0), "energy"),
        "first_row": begin + 1,
        "last_row": begin + len(rows),
        "next": _address(request, begin + ROWS_A_PAGE) if begin + ROWS_A_PAGE < len(found.jobs) else "",
        "previous": _address(request, max(begin - ROWS_A_PAGE, 0)) if begin else "",
        **_states(found.jobs),
    })  # fmt: skip


@login_required
@require_safe
def table(request: HttpRequest) -> StreamingHttpResponse:
    """The same as a table to take away."""
    asked = question(request)
    start_ms, end_ms = window(request, asked)
    found = drawn_jobs(Scope(username=request.user.get_username()), asked.view.filters, start_ms, end_ms)
    said = {
        "from": datetime_from_ms(start_ms).isoformat(),
        "to": datetime_from_ms(end_ms).isoformat(),
        "filter": "; ".join(f"{chip.dimension}: {chip.value}" for chip in chips_of(asked.view)),
        "left_out": _("These are the newest 5,000 jobs of the time.") if found.cut_off else "",
    }
    return export_response(request, "jobs-of-a-time", drawn_sheet(found.jobs, _("Jobs of a time"), said))


def window(request: HttpRequest, asked: UsageQuestion) -> tuple[int, int]:
    """The time asked for: a part of the period on whole quarter hours, or all of it."""
    period = asked.view.period
    start_ms, *_, end_ms = day_bounds_ms(period.first, period.last, asked.zone).tolist()
    low, high = (request.GET.get(name, "") for name in ("from", "to"))
    if not low and not high:
        return start_ms, end_ms
    if not all(text.isascii() and text.isdecimal() and len(text) < 16 for text in (low, high)):
        raise Http404("no such time")
    found = max(int(low), start_ms), min(int(high), end_ms)
    if found[0] >= found[1] or any(at % QUARTER_MS for at in found):
        raise Http404("no such time")
    return found


def place(text: str) -> int:
    """From which row on."""
    if text and not (text.isascii() and text.isdecimal() and len(text) < 7):
        raise Http404("no such row")
    return int(text or 0)


def _address(request: HttpRequest, row: int) -> str:
    said = request.GET.copy()
    said["row"] = str(row)
    return f"?{said.urlencode()}"


def _states(jobs: tuple[DrawnJob, ...]) -> dict[str, Any]:
    """How many of them are not measured, and how many still run: neither is 0."""
    return {
        "unmeasured": sum(job.inside_j is None and not job.running for job in jobs),
        "running": sum(job.running for job in jobs),
    }
