"""`/jobs/`: the jobs a person may see, by a filter in the address; `/jobs.csv`: the same as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.selectors.jobfilter import JobFilter, Place, Selection, machines
from measurements.selectors.joblist import JobRow, all_rows, jobs_page
from measurements.selectors.jobsums import MOST_SUMMED, job_sums
from portal import wording_jobs
from portal.csvs import Cell, csv_response
from portal.job_forms import Choices, JobFilterForm
from portal.quantities import unit_for

MOST_EXPORTED = 50_000
EXPORTED_AT_ONCE = 1_000
HEADER = [
    "cluster", "job_id", "name", "user", "account", "partition", "state", "start", "end", "node_hours",
    "energy_j", "gpu_energy_j", "filled_j", "coverage", "quality",
]  # fmt: skip


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """List jobs by a filter, newest first, with their sums if they are few enough."""
    form, selection = _asked(request)
    after = place(request.GET.get("after", ""))
    floor_ms = selection.floor_ms(after, MOST_SUMMED)
    found = jobs_page(selection, after, floor_ms)
    sums = job_sums(selection) if floor_ms is None and after is None else None
    context = {
        "form": form,
        "filtered": bool(form.changed_data),
        "jobs": found,
        "jobs_unit": unit_for(max((row.energy_j or 0.0 for row in found.rows), default=0.0), "energy"),
        "several_users": "user" in form.fields,
        "several_clusters": len(selection.clusters) > 1,
        "paged": after is not None,
        "sums": sums,
        "sentences": wording_jobs.sums_sentences(sums) if sums else [],
        "types": [(t, wording_jobs.type_name(t)) for t in sums.by_type] if sums else [],
        "types_unit": unit_for(max((t.median_j or 0.0 for t in sums.by_type), default=0.0) if sums else 0.0, "energy"),
        "most_exported": MOST_EXPORTED,
        "query": urlencode(_without_place(request)),
        "next": urlencode([*_without_place(request), ("after", "{}-{}".format(*found.next_key))])
        if found.next_key
        else "",
    }
    return render(request, "portal/jobs.html", context)


@login_required
@require_safe
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The newest jobs of a filter as CSV."""
    _form, selection = _asked(request)
    rows = all_rows(selection, place(request.GET.get("after", "")), MOST_EXPORTED, EXPORTED_AT_ONCE)
    return csv_response("jobs.csv", HEADER, _cells(rows))


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
    return [(name, value) for name, value in request.GET.items() if value and name != "after"]


def _cells(rows: Iterator[JobRow]) -> Iterator[list[Cell]]:
    for row in rows:
        yield [
            row.cluster, row.job_id, row.name, row.username, row.account, row.partition, row.state,
            row.started_at, row.ended_at, row.node_hours, row.energy_j, row.gpu_energy_j if row.energy_j is not None
            else None, row.filled_j, row.coverage, row.quality,
        ]  # fmt: skip
