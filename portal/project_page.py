"""What a project's page shows: usage as far as the viewer may see it (`measurements.selectors.project`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from measurements.domain.usage import Granularity
from measurements.selectors.drawn import DrawnJob
from measurements.selectors.project import SHOWN_GROUPS, Access, Sees
from measurements.selectors.project_list import ProjectSums
from measurements.selectors.project_members import Member, Members
from measurements.selectors.project_totals import Totals, shown_months, totals
from measurements.selectors.usage import Dimension, Usage, usage
from portal import wording_people, wording_usage
from portal.charts_usage import bars
from portal.forms import Compare, Period, Span
from portal.quantities import Unit, percent, unit_for
from portal.usage_metric import bare, in_words, total_of
from portal.usage_page import Switch, Tile, UsageQuestion, period_bar, question, usage_context
from portal.usage_view import GROUPS, Metric, View

MONTHS = 12  # shown if no time is asked for
LONG_SPANS = (Span.MONTH, Span.QUARTER, Span.YEAR)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WasteRow:
    """A month's energy for nothing, as the table shows it."""

    name: str
    failed: str  # empty: not shown
    idle: str
    energy: str


def project_context(request: HttpRequest, who: Access) -> dict[str, Any]:
    """The page's parts."""
    asked = question(request)
    context = _in_totals(request, who, asked) if who.sees is Sees.TOTALS else _in_detail(who, asked)
    return context | {
        "project": who,
        "access": wording_people.access_sentence(who) if who.sees is not Sees.NAMES else "",
        "about": wording_people.scope_sentence(who),
        "downloads": {"address": reverse("project-table", args=[who.name]), "query": context["view"].query},
        "members": who.sees is not Sees.TOTALS,
    }


def project_usage(request: HttpRequest, who: Access) -> tuple[Usage | None, View]:
    """What the page's bars show, for a table of it; None: nothing may be shown."""
    asked = question(request)
    if who.sees is Sees.TOTALS:
        view, months = _months(request, who, asked)
        found = totals(who, months, asked.zone, view.group, priced=_priced(view))
        return (found.usage if found else None), view
    view = _detail_view(who, asked)
    return (usage(who.scope, view.asked(asked.zone)) if view.period.first <= view.period.last else None), view


# --- Everything -----------------------------------------------------------------------------------------


def _detail_view(who: Access, asked: UsageQuestion) -> View:
    """The period, but no day before the role began."""
    view = asked.view
    if who.since is None or view.period.first >= who.since:
        return view
    return replace(view, period=Period(who.since, max(view.period.last, who.since)))


def _in_detail(who: Access, asked: UsageQuestion) -> dict[str, Any]:
    view = _detail_view(who, asked)
    context = usage_context(replace(asked, view=view), who.scope, SHOWN_GROUPS)
    context["clipped"] = view.period != asked.view.period
    earlier = view.period.before(view.compare, asked.today)
    if who.since is not None and earlier.first < who.since and "tiles" in context:
        context["tiles"] = [replace(tile, change="") for tile in context["tiles"]]
        context["sentences"] = wording_usage.own_sentences(context["usage"], view)
    found: Usage = context["usage"]
    months = [found.begins[i] for i in range(len(found.begins))]
    names = [wording_usage.bar_name(month, found.asked.granularity) for month in months]
    sums = (found.cells.failed_j.sum(axis=1), found.cells.idle_j.sum(axis=1), found.cells.energy_j.sum(axis=1))
    rows = [(name, *row) for name, *row in zip(names, *(part.tolist() for part in sums), strict=True) if row[2] > 0]
    return context | _waste(rows)


# --- Sums of months -------------------------------------------------------------------------------------


def _months(request: HttpRequest, who: Access, asked: UsageQuestion) -> tuple[View, list[date]]:
    """The months asked for that may be shown, and the view of them."""
    view = asked.view
    period = view.period
    if not {"days", "first", "last", "span"} & request.GET.keys() or not asked.form.is_valid():
        last = asked.today.replace(day=1) - DAY
        begin = last.year * 12 + last.month - MONTHS
        period = Period(date(begin // 12, begin % 12 + 1, 1), last)
    view = replace(
        view,
        period=period,
        bars=Granularity.MONTH,
        filters={},
        group=view.group if view.group in SHOWN_GROUPS else Dimension.NODE_TYPE,
        metric=Metric.ENERGY if view.metric is Metric.WASTE else view.metric,
    )
    return view, shown_months(who, period.first, period.last, asked.today)


def _priced(view: View) -> bool:
    return view.metric in (Metric.EMISSIONS, Metric.COST)


def _in_totals(request: HttpRequest, who: Access, asked: UsageQuestion) -> dict[str, Any]:
    view, months = _months(request, who, asked)
    context: dict[str, Any] = {
        "view": view,
        "form": asked.form,
        "today": asked.today,
        "zone": asked.zone.key,
        "heading": wording_usage.period_name(view.period),
        "period_bar": _long_periods(view, asked.today),
        "groups": [Switch(str(GROUPS[one]), view.but(group=one), one is view.group) for one in SHOWN_GROUPS],
        "months_only": True,
    }
    before = _before(who, view, months, asked.today) if months else []
    both = totals(who, [*before, *months], asked.zone, view.group, priced=_priced(view))
    if both is None:
        return context | {"nothing": wording_people.no_month_sentence()}
    found = both.between(months[0], months[-1])
    earlier = both.between(before[0], before[-1]) if before else None
    hidden = [month for month, shown in zip(found.months, found.shown, strict=True) if not shown]
    if not any(found.shown):
        return context | {"nothing": wording_people.hidden_months_sentence(hidden)}
    return context | _figures(found, earlier, view, asked) | {"hidden": wording_people.hidden_months_sentence(hidden)}


def _before(who: Access, view: View, months: list[date], today: date) -> list[date]:
    """The months to hold them against: as many, or none if some of them are not seen."""
    back = 12 if view.compare is Compare.YEAR else len(months)
    first = months[0].year * 12 + months[0].month - 1 - back
    found = [date((first + i) // 12, (first + i) % 12 + 1, 1) for i in range(len(months))]
    return found if shown_months(who, found[0], found[-1], today) == found else []


def _figures(found: Totals, earlier: Totals | None, view: View, asked: UsageQuestion) -> dict[str, Any]:
    comparable = earlier is not None and all(earlier.shown) and all(found.shown)
    shown = bars(found.usage, view)
    sentences = wording_usage.own_sentences(found.usage, view)
    if earlier is not None and comparable:
        sentences.append(wording_usage.against_sentence(found.usage, earlier.usage, view, asked.today))
    names = [str(date_format(month, pgettext("a month", "F Y"))) for month in found.months]
    energy = found.usage.cells.energy_j.sum(axis=1).tolist()
    rows = [row for row, show in zip(zip(names, found.failed_j, found.idle_j, energy, strict=True), found.shown,
                                     strict=True) if show]  # fmt: skip
    return {
        "usage": found.usage,
        "tiles": _tiles(found, earlier if comparable else None, view),
        "bars": shown,
        "chart": shown.chart,
        "unit": shown.unit,
        "sentences": [sentence for sentence in sentences if sentence],
        "coverage_sentence": wording_usage.coverage_sentence(found.usage),
        "filled": bool(found.usage.filled_j) and view.metric is Metric.ENERGY,
        "merged": found.merged,
        **_waste(rows),
    }


def _tiles(found: Totals, earlier: Totals | None, view: View) -> list[Tile]:
    tiles = []
    for metric in (Metric.ENERGY, Metric.EMISSIONS, Metric.COST):
        total = total_of(found.usage, metric, market=view.market)
        before = total_of(earlier.usage, metric, market=view.market) if earlier else None
        why = {Metric.EMISSIONS: _("not shown, or no carbon intensity"), Metric.COST: _("not shown, or no tariff")}
        tiles.append(
            Tile(
                metric=metric,
                label=wording_usage.metric_name(metric, market=view.market),
                shown="" if total is None else in_words(total, metric, found.usage.currency),
                why=why.get(metric, _("not measured")),
                change=wording_usage.change(total, before),
                beside="",
                address=view.but(metric=metric),
                current=metric is view.metric,
            )
        )
    return [*tiles, _waste_tile(found)]


def _waste_tile(found: Totals) -> Tile:
    """Over the months of which it may be said."""
    energy = found.usage.cells.energy_j.sum(axis=1).tolist()
    known = [(f + i, e) for f, i, e in zip(found.failed_j, found.idle_j, energy, strict=True)
             if f is not None and i is not None and e > 0]  # fmt: skip
    total, of = sum(w for w, _e in known), sum(e for _w, e in known)
    return Tile(
        metric=Metric.WASTE,
        label=str(Metric.WASTE.label),
        shown=in_words(total, Metric.WASTE, "") if known else "",
        why=_("too few people"),
        change="",
        beside=_("%(share)s of the energy") % {"share": percent(total / of)} if of > 0 else "",
        address="#unused",
        current=False,
    )


def _waste(rows: list[tuple[str, float | None, float | None, float]]) -> dict[str, Any]:
    """A table of what came to nothing, newest first."""
    largest = max((value for row in rows for value in row[1:] if value is not None), default=0.0)
    unit = unit_for(largest, "energy")

    def said(value: float | None) -> str:
        return "" if value is None else bare(value, unit)

    return {
        "waste_unit": unit,
        "waste_rows": [
            WasteRow(name, said(failed), said(idle), said(energy)) for name, failed, idle, energy in reversed(rows)
        ],
    }


def _long_periods(view: View, today: date) -> dict[str, Any]:
    """The period bar without what is shorter than a month."""
    whole = period_bar(view, today)
    at = min(view.period.last, today)
    spans = [
        Switch(str(span.label), view.but(period=Period.of(span, at)), span is view.period.span) for span in LONG_SPANS
    ]
    return whole | {"spans": spans, "lengths": [], "usual": "?" + _without_period(view)}


def _without_period(view: View) -> str:
    return view.query.removeprefix(view.period.query).removeprefix("&")


# --- Lists ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProjectLine:
    """A project in a list, every cell a text."""

    who: Access
    energy: str  # empty: not shown, and why
    why: str
    change: str
    waste: str
    has_budget: bool


def project_line(sums: ProjectSums) -> ProjectLine:
    """A project's sums in words."""
    known = sums.shown and sums.measured
    why = _("no job ran, or nothing was measured") if sums.shown else _("too few people, or before your role began")
    waste = _("%(share)s unused") % {"share": percent(sums.waste)} if sums.waste is not None else ""
    return ProjectLine(
        who=sums.access,
        energy=in_words(sums.energy_j, Metric.ENERGY, "") if known else "",
        why="" if known else why,
        change=wording_usage.change(sums.energy_j, sums.earlier_j) if known else "",
        waste=waste,
        has_budget=sums.has_budget,
    )


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member as the table shows it."""

    name: str
    own: bool
    roles: list[str]
    over: bool
    energy: str
    share: str
    waste: str


def members_context(
    asked: UsageQuestion, found: Members, jobs: Sequence[DrawnJob], first: date, last: date
) -> dict[str, Any]:
    """Members and largest jobs of a period, each column in one unit."""
    total = sum(row.energy_j or 0.0 for row in found.rows)
    unit = unit_for(max((row.energy_j or 0.0 for row in found.rows), default=0.0), "energy")
    view = replace(asked.view, period=Period(first, last, asked.view.period.length, asked.view.period.span))
    return {
        "view": view,
        "form": asked.form,
        "today": asked.today,
        "zone": asked.zone.key,
        "heading": wording_usage.period_name(view.period),
        "period_bar": period_bar(asked.view, asked.today),
        "too_few": wording_people.too_few_sentence() if found.too_few else "",
        "rows": [_member_row(row, unit, total) for row in found.rows],
        "total": bare(total, unit),
        "unit": unit,
        "jobs": jobs,
        "jobs_unit": unit_for(max((job.inside_j or 0.0 for job in jobs), default=0.0), "energy"),
    }


def _member_row(row: Member, unit: Unit, total: float) -> MemberRow:
    energy = "" if row.energy_j is None else bare(row.energy_j, unit)
    return MemberRow(
        name=row.name,
        own=row.own,
        roles=[wording_people.role_words(s.role, s.project, s.valid_from, s.valid_to) for s in row.spans],
        over=row.over,
        energy=energy or (_("not measured") if row.ran else "–"),
        share=percent(row.energy_j / total) if row.energy_j is not None and total > 0 else "–",
        waste=percent(row.wasted_j / row.energy_j) if row.energy_j else "–",
    )
