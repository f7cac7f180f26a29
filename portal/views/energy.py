"""`/`: a person's own energy by day."""

from __future__ import annotations

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.domain.units import ms_from_datetime
from measurements.selectors.equivalents import equivalents
from measurements.selectors.history import History, day_bounds_ms, energy_history
from measurements.selectors.joblist import Freshness, freshness, jobs_of_period
from measurements.selectors.own_timing import own_timing
from measurements.selectors.setup import checklist, jobs_taken
from portal import charts, charts_carbon, wording, wording_carbon
from portal.checklist import lines
from portal.forms import LENGTHS, Period, PeriodForm
from portal.quantities import unit_for
from portal.views import front, setup
from portal.views.carbon import address, chosen_method, method_links
from portal.wording_equivalents import equivalents_in_words


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
    method = chosen_method(request, history.footprint.market_g)
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
        "links": _links(period, today, jobs.next_key, method),
        "kept": method,
    }
    if history.elapsed_s:
        context |= _emitted(history, zone, period, method)
    return render(request, "portal/energy.html", context | _set_up(request, known, bool(jobs.rows)))


def _emitted(history: History, zone: ZoneInfo, period: Period, method: dict[str, str]) -> dict[str, Any]:
    """Emissions and cost of the period, and its hours against the grid's."""
    found, market = history.footprint, bool(method)
    own = own_timing(history.quarters, zone, ms_from_datetime(timezone.now()))
    context = {
        "market": market,
        "methods": method_links(found.market_g, method, period, method),
        "grams": found.market_g if market else found.location_g,
        "emission_sentences": wording_carbon.own_sentences(history, market=market),
        "equivalents": equivalents_in_words(equivalents(found.facility_j, found.location_g)),
        "day_grams": unit_for(max((d.market_g if market else d.location_g) or 0.0 for d in history.days), "emissions"),
    }
    if own.timing is None:
        return context | {"no_hours": wording_carbon.no_hours_sentence() if found.location_g is not None else ""}
    hours, hours_unit = charts_carbon.by_hour(own)
    return context | {
        "hours": hours,
        "hours_unit": hours_unit,
        "hour_rows": charts_carbon.hour_rows(own, hours_unit),
        "timing_sentences": wording_carbon.own_timing_sentences(own.timing),
        "shift_sentences": wording_carbon.shift_sentences(own.shifts),
    }


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


def _links(period: Period, today: date, next_key: tuple[int, int] | None, method: dict[str, str]) -> dict[str, Any]:
    """Addresses of the periods before and after, and of the next jobs."""
    later = period.shifted(1)
    return {
        "earlier": address(period.shifted(-1), method),
        "later": address(later, method) if later.first <= today else None,
        "newest": address(period, method),
        "next_jobs": address(period, method | {"after": f"{next_key[0]}-{next_key[1]}"}) if next_key else None,
    }
