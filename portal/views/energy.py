"""`/`: a person's own energy."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.selectors.boards import reviews_for
from measurements.selectors.drawn import jobs_by_state
from measurements.selectors.joblist import Freshness, freshness
from measurements.selectors.people import has_account
from measurements.selectors.setup import checklist, jobs_taken
from measurements.selectors.usage import Dimension, Scope, usage
from portal.checklist import lines
from portal.exports import export_response
from portal.usage_page import question, usage_context
from portal.usage_sheet import usage_sheet
from portal.views import front, setup
from portal.wording_people import no_account_sentence

OWN_GROUPS = (
    Dimension.NODE_TYPE,
    Dimension.PROJECT,
    Dimension.WORKLOAD,
    Dimension.PHASE,
    Dimension.STATE,
    Dimension.PARTITION,
    Dimension.CLUSTER,
)


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show whoever is logged in their energy; anybody else a demo's front page, or how an empty site is set up."""
    if request.user.is_authenticated:
        return page(request)
    if settings.JOULEBOOK_DEMO:
        return front.page(request)
    if not User.objects.exists():
        return setup.page(request)
    return page(request)


@login_required
def page(request: HttpRequest) -> HttpResponse:
    """Show what the viewer's jobs drew in a period."""
    asked = question(request)
    known = freshness(request.user)
    scope = Scope(username=request.user.get_username())
    context = usage_context(asked, scope, OWN_GROUPS, reverse("energy-jobs"), known.newest_sample_at)
    downloads = {"address": reverse("energy-csv"), "query": asked.view.query}
    context |= {"freshness": known, "downloads": downloads} | _set_up(
        request, known, has_jobs=bool(context["usage"].elapsed_s)
    )
    if not context["usage"].elapsed_s:
        context["not_measured"] = _jobs_without_figures(scope, context)
    if not context["usage"].elapsed_s and not has_account(request.user):
        context["no_account"] = no_account_sentence()
    return render(request, "portal/energy.html", context)


@login_required
@require_safe
def table(request: HttpRequest) -> StreamingHttpResponse:
    """The bars as a table to take away."""
    asked = question(request)
    found = usage(Scope(username=request.user.get_username()), asked.view.asked(asked.zone))
    return export_response(request, "my-energy", usage_sheet(found, asked.view))


@login_required
@require_safe
def reviews(request: HttpRequest) -> HttpResponse:
    """Leaderboards under review that the viewer is on, as a part of a page; empty without one."""
    found = reviews_for(request.user, timezone.now())
    return render(request, "portal/partials/_board_reviews.html", {"reviews": found})


def _jobs_without_figures(scope: Scope, context: dict[str, Any]) -> int:
    """Jobs of the period of which nothing is in the sums: on unknown nodes, for no time, or not booked yet."""
    bounds = context["usage"].bounds_ms
    return sum(jobs_by_state(scope, context["view"].filters, int(bounds[0]), int(bounds[-1])).values())


def _set_up(request: HttpRequest, known: Freshness, *, has_jobs: bool) -> dict[str, Any]:
    """What is missing, for operators of a site that is not complete. One that has power and jobs costs no query."""
    if not request.user.has_perm("measurements.view_operations"):
        return {}
    if known.newest_sample_at is not None and (has_jobs or jobs_taken().exists()):
        return {}
    return {"checklist": lines(checklist())}
