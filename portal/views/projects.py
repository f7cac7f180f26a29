"""`/projects/`: projects that a leader, deputy or operator may see, and the pages of each."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.models import Project
from measurements.selectors.project import Access, Sees, access, accesses, undescribed
from measurements.selectors.project_list import accounts, project_sums, spans
from measurements.selectors.project_members import largest_jobs, members
from measurements.services.audit import Page
from portal import wording_people
from portal.budget_page import budget_context
from portal.exports import export_response
from portal.noting import note_jobs, note_projects
from portal.project_page import members_context, project_context, project_line, project_usage
from portal.usage_page import question
from portal.usage_sheet import usage_sheet

ROWS_A_PAGE = 24


@login_required
@require_safe
def projects(request: HttpRequest) -> HttpResponse:
    """List those the viewer may see; of a single one show its page; to whoever sees none there is no such page."""
    known = accesses(request.user)
    everything = request.user.has_perm("measurements.view_all_jobs")
    if len(known) == 1 and not everything:
        return redirect("project", next(iter(known)))
    listed = [*known.values(), *_undescribed(request, known)] if everything else list(known.values())
    if not listed and not everything:
        raise Http404
    shown = Paginator(sorted(listed, key=lambda who: who.name), ROWS_A_PAGE).get_page(request.GET.get("page"))
    zone = ZoneInfo(timezone.get_default_timezone_name())
    at = spans(Sees.NAMES if everything else listed[0].sees, timezone.localdate(timezone=zone))
    rows = project_sums(list(shown), at, zone)
    note_projects(request, [row.access.name for row in rows if row.shown], Page.PROJECT)
    return render(
        request, "portal/projects.html", {"rows": [project_line(row) for row in rows], "at": at, "page": shown}
    )


def _undescribed(request: HttpRequest, known: dict[str, Access]) -> list[Access]:
    """Accounts that only jobs name."""
    return [undescribed(request.user, name) for name in accounts() if name not in known]


@login_required
@require_safe
def project(request: HttpRequest, name: str) -> HttpResponse:
    """What a project used."""
    who = _access(request, name)
    context = project_context(request, who)
    note_projects(request, [name], Page.PROJECT)
    return render(request, "portal/project.html", context)


@login_required
@require_safe
def table(request: HttpRequest, name: str) -> StreamingHttpResponse:
    """The bars of the page as a table to take away."""
    who = _access(request, name)
    found, view = project_usage(request, who)
    if found is None:
        raise Http404
    note_projects(request, [name], Page.PROJECT_TABLE)
    return export_response(request, f"project-{name}", usage_sheet(found, view))


@login_required
@require_safe
def budget(request: HttpRequest, name: str) -> HttpResponse:
    """Its budgets."""
    who = _access(request, name)
    zone = ZoneInfo(timezone.get_default_timezone_name())
    described = Project.objects.filter(name=name).first()
    context: dict[str, Any] = {"budgets": []}
    if described is not None:
        context = budget_context(described, timezone.now(), zone, who)
    note_projects(request, [name], Page.PROJECT)
    return render(request, "portal/project_budget.html", context | _head(who))


@login_required
@require_safe
def people(request: HttpRequest, name: str) -> HttpResponse:
    """Its members, and its largest jobs; there is no such page where leaders see totals."""
    who = _access(request, name)
    if who.sees is Sees.TOTALS:
        raise Http404
    asked = question(request)
    period = asked.view.period
    first = max(period.first, who.since) if who.since else period.first
    last = max(period.last, first)
    jobs = largest_jobs(who, first, last, asked.zone)
    found = members(who, first, last, asked.zone, asked.today)
    note_projects(request, [name], Page.PROJECT)
    note_jobs(request, [*jobs, *(found.rows if who.sees is Sees.NAMES else ())], Page.PROJECT)
    return render(request, "portal/project_members.html", members_context(asked, found, jobs, first, last) | _head(who))


def _head(who: Access) -> dict[str, Any]:
    return {
        "project": who,
        "access": wording_people.access_sentence(who) if who.sees is not Sees.NAMES else "",
        "about": wording_people.scope_sentence(who),
        "members": who.sees is not Sees.TOTALS,
    }


def _access(request: HttpRequest, name: str) -> Access:
    """404 to everybody who may not see it, as for a project that is nowhere."""
    found = access(request.user, name)
    if found is None:
        raise Http404
    return found
