"""`/workloads/` and `/workloads/<name>/`: what workloads drew, and their node types side by side."""

from __future__ import annotations

from datetime import date

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.selectors.workload_report import Asked, Span, WorkloadReport, workload_report
from measurements.selectors.workloads import workloads
from portal.exports import export_response
from portal.forms import PeriodForm
from portal.quantities import unit_for
from portal.workload_page import TOGETHER, context_of
from portal.workload_sheet import workload_sheet


@login_required
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """The workloads that one may know of."""
    lines = workloads(request.user, timezone.now())
    context = {
        "lines": [line for line in lines if line.jobs is not None],
        "others": [line for line in lines if line.jobs is None],
        "unit": unit_for(max((line.energy_j or 0.0 for line in lines), default=0.0), "energy"),
        "sees_all": request.user.has_perm("measurements.view_all_jobs"),
    }
    return render(request, "portal/workloads.html", context)


@login_required
@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    """One workload; to whom nothing of it may be shown it does not exist."""
    report = report_of(request, name)
    view = TOGETHER if request.GET.get("view") == TOGETHER else ""
    return render(request, "portal/workload.html", context_of(report, view, timezone.localdate()))


@login_required
@require_safe
def table(request: HttpRequest) -> StreamingHttpResponse:
    """The comparisons of the workload ``?name=`` as a file."""
    return export_response(request, "workload", workload_sheet(report_of(request, request.GET.get("name", ""))))


def report_of(request: HttpRequest, name: str) -> WorkloadReport:
    """The report that the address asks for."""
    if "\0" in name:  # PostgreSQL refuses it
        raise Http404("no such workload")
    report = workload_report(request.user, name, asked_for(request.GET), timezone.now())
    if report is None:
        raise Http404("no such workload")
    return report


def asked_for(said: QueryDict) -> Asked:
    """What an address asks for; what makes no sense counts as not said."""
    first, last = _days(said)
    chosen = {key: said.get(key) for key in ("size", "target", "unit")}
    try:
        span = Span(said.get("period", Span.ALL))
    except ValueError:
        span = Span.ALL
    return Asked(span, first, last, **chosen)


def _days(said: QueryDict) -> tuple[date | None, date | None]:
    form = PeriodForm({key: said[key] for key in ("first", "last") if key in said})
    found = form.cleaned_data if form.is_valid() else {}
    return found.get("first"), found.get("last")
