"""`/jobs/`: the jobs a person may see, by a filter in the address; `/jobs.csv`: the same as a table."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.selectors.job_tags import MANAGE
from measurements.selectors.jobfilter import JobFilter, Place, Selection, machines
from measurements.selectors.joblist import all_rows, jobs_page
from measurements.selectors.jobsums import MOST_SUMMED, job_sums
from measurements.services.audit import Page
from portal import wording_jobs
from portal.exports import MOST_ROWS, export_response
from portal.job_forms import Choices, JobFilterForm
from portal.job_sheet import filter_in_words, jobs_sheet
from portal.noting import note_jobs, noted
from portal.quantities import unit_for

EXPORTED_AT_ONCE = 1_000


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """List jobs by a filter, newest first, with their sums if they are few enough."""
    form, selection = _asked(request)
    after = place(request.GET.get("after", ""))
    floor_ms = selection.floor_ms(after, MOST_SUMMED)
    found = jobs_page(selection, after, floor_ms)
    note_jobs(request, found.rows, Page.JOBS)
    sums = job_sums(selection) if floor_ms is None and after is None else None
    context = {
        "form": form,
        "filtered": bool(form.changed_data),
        "asked": filter_in_words(form),
        "jobs": found,
        "jobs_unit": unit_for(max((row.energy_j or 0.0 for row in found.rows), default=0.0), "energy"),
        "several_users": "user" in form.fields,
        "several_clusters": len(selection.clusters) > 1,
        "paged": after is not None,
        "sums": sums,
        "taggable": request.user.has_perm(MANAGE) or any(r.username == request.user.get_username() for r in found.rows),
        "sentences": wording_jobs.sums_sentences(sums) if sums else [],
        "types": [(t, wording_jobs.type_name(t)) for t in sums.by_type] if sums else [],
        "types_unit": unit_for(max((t.median_j or 0.0 for t in sums.by_type), default=0.0) if sums else 0.0, "energy"),
        "most_exported": MOST_ROWS,
        "query": urlencode(_without_place(request)),
        "next": urlencode([*_without_place(request), ("after", "{}-{}".format(*found.next_key))])
        if found.next_key
        else "",
    }
    return render(request, "portal/jobs.html", context)


@login_required
@require_safe
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The newest jobs of a filter as a table: CSV, or what ``?format=`` asks for."""
    form, selection = _asked(request)
    one_to_see_more = MOST_ROWS + 1
    rows = all_rows(selection, place(request.GET.get("after", "")), one_to_see_more, EXPORTED_AT_ONCE)
    return export_response(request, "jobs", jobs_sheet(noted(request, rows, Page.JOBS_TABLE), filter_in_words(form)))


def place(text: str) -> Place | None:
    """Where in a list of jobs a page begins: start and id of the last job before it."""
    if not text:
        return None
    start, dash, pk = text.partition("-")
    if not (dash and start.isdecimal() and pk.isdecimal() and text.isascii() and len(start) < 16 and len(pk) < 19):
        raise Http404("no such place in the list")
    return int(start), int(pk)


def _asked(request: HttpRequest) -> tuple[JobFilterForm, Selection]:
    known = machines(request.user)
    form = JobFilterForm(request.GET, Choices(known, request.user.has_perm("measurements.view_all_jobs")))
    wanted: JobFilter = form.wanted(ZoneInfo(timezone.get_default_timezone_name()))
    return form, Selection(request.user, wanted, known)


def _without_place(request: HttpRequest) -> list[tuple[str, Any]]:
    """The filter as it stands in the address, empty fields left out."""
    return [(name, value) for name, value in request.GET.items() if value and name not in ("after", "format")]
