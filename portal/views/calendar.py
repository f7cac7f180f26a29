"""`/calendar/`: a year of one's own energy, a cell a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dates import MONTHS
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views.decorators.http import require_safe

from measurements.selectors.usage import Asked, Scope, Usage, usage
from portal.dates import day_in_words
from portal.forms import EARLIEST_YEAR, LATEST_YEAR
from portal.quantities import Unit, format_quantity, in_unit, unit_for

STEPS = 6  # of heat


@dataclass(frozen=True, slots=True)
class Day:
    """A cell; without an address it is no day of the month, or one that is not yet."""

    shown: str = ""
    style: str = ""
    said: str = ""
    address: str = ""


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Twelve months of days: how much, or why there is no figure."""
    zone = ZoneInfo(timezone.get_default_timezone_name())
    today = timezone.localdate(timezone=zone)
    year = _year(request.GET.get("year", ""), today)
    asked = Asked(date(year, 1, 1), date(year, 12, 31), zone, group_by=None)
    found = usage(Scope(username=request.user.get_username()), asked)
    energies = found.cells.energy_j[:, 0]
    unit = unit_for(float(energies.max(initial=0.0)), "energy")
    return render(request, "portal/calendar.html", {
        "year": year,
        "zone": zone.key,
        "earlier": year - 1,
        "later": year + 1 if year < today.year else None,
        "found": found,
        "unit": unit,
        "numbers": range(1, 32),
        "months": _months(found, unit, today),
        "sentence": _sentence(found),
        "steps": range(STEPS + 1),
    })  # fmt: skip


def _year(text: str, today: date) -> int:
    if not text:
        return today.year
    if not (text.isascii() and text.isdecimal() and len(text) == 4 and EARLIEST_YEAR <= int(text) < LATEST_YEAR):
        raise Http404("no such year")
    return int(text)


def _months(found: Usage, unit: Unit, today: date) -> list[tuple[str, list[Day]]]:
    rows: list[tuple[str, list[Day]]] = [(str(MONTHS[month]), [Day()] * 31) for month in range(1, 13)]
    cells = (found.cells.energy_j, found.cells.covered_s, found.cells.elapsed_s, found.cells.running_s)
    sums = zip(*(part.sum(axis=1).tolist() for part in cells), strict=True)
    most = float(found.cells.energy_j.max(initial=0.0))
    form, address = pgettext("day of a chart", "l, j F Y"), f"{reverse('energy')}?span=day&at="
    for day, figures in zip(found.begins, sums, strict=True):
        if day <= today:
            name = day_in_words(day, form)
            rows[day.month - 1][1][day.day - 1] = _day(name, f"{address}{day.isoformat()}", figures, most, unit)
    return rows


def _day(name: str, address: str, figures: tuple[float, ...], most: float, unit: Unit) -> Day:
    """A figure, 0, not measured, or no job: four different things; a day with running jobs says so besides."""
    energy_j, covered_s, elapsed_s, running_s = figures
    if not elapsed_s:
        return Day("·", "heat-none", f"{name}: {_('no jobs')}", address)
    if not covered_s:
        return Day("?", "heat-gap", f"{name}: {_('not measured')}", address)
    step = 0 if energy_j <= 0 or most <= 0 else max(1, min(STEPS, int(STEPS * energy_j / most + 0.999)))
    said = f"{name}: {format_quantity(energy_j, 'energy')}"
    if running_s:
        said += f"; {_('jobs still running')}"
    return Day(f"{in_unit(energy_j, unit)}{'+' if running_s else ''}", f"heat-{step}", said, address)


def _sentence(found: Usage) -> str:
    """The year in words."""
    energies: Any = found.cells.energy_j[:, 0]
    if not found.covered_s:
        return ""
    place = int(energies.argmax())
    days = int((found.cells.elapsed_s.sum(axis=1) > 0).sum())
    said = ngettext(
        "%(total)s on %(days)d day; the most was %(most)s, on %(day)s.",
        "%(total)s on %(days)d days; the most was %(most)s, on %(day)s.",
        days,
    )
    return said % {
        "total": format_quantity(found.energy_j, "energy"),
        "days": days,
        "most": format_quantity(float(energies[place]), "energy"),
        "day": day_in_words(found.begins[place], pgettext("day in a sentence", "l j F")),
    }
