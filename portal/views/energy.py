"""`/`: a person's own energy by day."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.selectors.history import day_bounds_ms, energy_history
from measurements.selectors.joblist import Freshness, freshness, jobs_of_period
from measurements.selectors.setup import checklist, jobs_taken
from portal import charts, wording
from portal.checklist import lines
from portal.forms import LENGTHS, Period, PeriodForm
from portal.quantities import unit_for
from portal.views import front, setup


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
    """Show what the viewer's jobs drew in a period, and those jobs."""
    zone = ZoneInfo(timezone.get_default_timezone_name())
    today = timezone.localdate(timezone=zone)
    form = PeriodForm(request.GET)
    period = form.period(today)
    history = energy_history(request.user, period.first, period.last, zone)
    unit = unit_for(max((d.energy_j for d in history.days), default=0.0), "energy")
    start_ms, *_, end_ms = day_bounds_ms(period.first, period.last, zone).tolist()
    jobs = jobs_of_period(request.user, start_ms, end_ms, _place(request.GET.get("after", "")))
    known = freshness(request.user)
    heaviest_j = max((row.energy_j or 0.0 for row in jobs.rows), default=0.0)
    context = {
        "form": form,
        "period": period,
        "lengths": LENGTHS,
        "history": history,
        "sentences": wording.history_sentences(history),
        "coverage_sentence": wording.coverage_sentence(history),
        "chart": charts.energy_by_day(history, unit),
        "unit": unit,
        "jobs": jobs,
        "jobs_unit": unit_for(heaviest_j, "energy"),
        "paged": "after" in request.GET,
        "freshness": known,
        "today": today,
        "links": _links(period, today, jobs.next_key),
    }
    return render(request, "portal/energy.html", context | _set_up(request, known, bool(jobs.rows)))


def _set_up(request: HttpRequest, known: Freshness, has_jobs: bool) -> dict[str, Any]:  # noqa: FBT001 - a fact
    """What is missing, for operators of a site that is not complete. One that has power and jobs costs no query."""
    if not request.user.has_perm("measurements.view_operations"):
        return {}
    if known.newest_sample_at is not None and (has_jobs or jobs_taken().exists()):
        return {}
    return {"checklist": lines(checklist())}


def _place(text: str) -> tuple[int, int] | None:
    """Where in the list of jobs a page begins: start and id of the last job before it."""
    if not text:
        return None
    start, dash, pk = text.partition("-")
    if not (dash and start.isdecimal() and pk.isdecimal() and len(text) < 40):
        raise Http404("no such place in the list")
    return int(start), int(pk)


def _links(period: Period, today: date, next_key: tuple[int, int] | None) -> dict[str, Any]:
    """Addresses of the periods before and after, and of the next jobs."""
    later = period.shifted(1)
    return {
        "earlier": f"?{_query(period.shifted(-1))}",
        "later": f"?{_query(later)}" if later.first <= today else None,
        "newest": f"?{_query(period)}",
        "next_jobs": f"?{_query(period)}&after={next_key[0]}-{next_key[1]}" if next_key else None,
    }


def _query(period: Period) -> str:
    if period.length:
        return urlencode({"days": period.length})
    return urlencode({"first": period.first.isoformat(), "last": period.last.isoformat()})
