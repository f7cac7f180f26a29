"""What a page of usage shows: period bar, tiles, chart with table, filters; for one person or for projects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from measurements.domain.units import ms_from_datetime
from measurements.selectors.equivalents import equivalents
from measurements.selectors.own_timing import own_timing
from measurements.selectors.usage import Dimension, Scope, Usage, usages
from portal import charts_carbon, wording_carbon, wording_usage
from portal.charts_usage import bars, jobs_address
from portal.forms import LENGTHS, Compare, Period, PeriodForm, Span
from portal.quantities import percent
from portal.usage_metric import comparable, in_words, known_share, total_of
from portal.usage_view import BARS, GROUPS, MOST_BARS, Metric, View, read_view
from portal.wording_carbon import FEW
from portal.wording_equivalents import equivalents_in_words

MOST_ONLIES = 12
_METHODS = (False, True)  # location-based, market-based


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure of the period; it leads to its bars."""

    metric: Metric
    label: str
    shown: str  # empty: not known
    why: str  # why it is not known
    change: str
    beside: str
    address: str
    current: bool


@dataclass(frozen=True, slots=True)
class Switch:
    """A choice among several, as links."""

    label: str
    address: str
    current: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that holds, and the address without it."""

    dimension: str
    value: str
    without: str


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """What a request asks of a scope."""

    view: View
    zone: ZoneInfo
    today: date
    form: PeriodForm


def question(request: HttpRequest) -> UsageQuestion:
    """Read an address."""
    zone = ZoneInfo(timezone.get_default_timezone_name())
    today = timezone.localdate(timezone=zone)
    form = PeriodForm(request.GET)
    return UsageQuestion(read_view(request, form, today), zone, today, form)


def usage_context(
    asked: UsageQuestion,
    scope: Scope,
    groups: Sequence[Dimension],
    jobs_url: str = "",
    newest_at: datetime | None = None,
) -> dict[str, Any]:
    """The page's parts; two queries.

    ``jobs_url``: the page that lists the jobs of a part, where there is one. ``newest_at``: up to when the machine was
    measured; a period that goes on is held against as much of the one before.
    """
    view, zone, today = asked.view, asked.zone, asked.today
    known_until = min(timezone.now(), newest_at) if newest_at else timezone.now()
    known_day = known_until.astimezone(zone).date()
    found, earlier = usages(scope, [view.asked(zone), view.before(zone, known_day, ms_from_datetime(known_until))])
    context: dict[str, Any] = {
        "view": view,
        "usage": found,
        "form": asked.form,
        "today": today,
        "zone": zone.key,
        "heading": wording_usage.period_name(view.period),
        "period_bar": period_bar(view, today),
        "chips": chips_of(view),
        "groups": [_switch(view, GROUPS[name], name is view.group, group=name) for name in groups],
    }
    if not found.elapsed_s:
        return context
    shown = bars(found, view, jobs_url)
    return context | {
        "tiles": _tiles(found, earlier, view),
        "bars": shown,
        "chart": shown.chart,
        "unit": shown.unit,
        "bar_lengths": _bar_lengths(view),
        "onlies": _onlies(found, view),
        "sentences": wording_usage.usage_sentences(found, earlier, view, known_day),
        "jobs_address": jobs_address(jobs_url, view),
        "coverage_sentence": wording_usage.coverage_sentence(found),
        "filled": bool(found.filled_j) and view.metric is Metric.ENERGY,
        **_emitted(found, earlier, replace(asked, today=known_day)),
    }


# --- Period bar -----------------------------------------------------------------------------------------


def period_bar(view: View, today: date) -> dict[str, Any]:
    """Addresses of the other periods, everything else kept."""
    period = view.period
    later = period.shifted(1)
    at = today if period.first <= today <= period.last else min(period.last, today)
    now = Period.of(period.span, today) if period.span else None
    return {
        "spans": [_switch(view, span.label, span is period.span, period=Period.of(span, at)) for span in Span],
        "lengths": [Switch(_days(n), "?" + _with_days(view, n), n == period.length) for n in LENGTHS],
        "earlier": view.but(period=period.shifted(-1)),
        "later": view.but(period=later) if later.first <= today else None,
        "now": view.but(period=now) if now and now.first != period.first else None,
        "compares": [_switch(view, kind.label, kind is view.compare, compare=kind) for kind in Compare],
        "kept": view.pairs(),
        "custom": not period.length and not period.span,
    }


def _days(count: int) -> str:
    return _("%(count)d days") % {"count": count}


def _with_days(view: View, days: int) -> str:
    """The address of so many days up to today: it stays "up to today" tomorrow."""
    return View(Period(view.period.first, view.period.last, days), **_all_but_period(view)).query


def _all_but_period(view: View) -> dict[str, Any]:
    return {name: getattr(view, name) for name in ("group", "metric", "bars", "compare", "filters", "market")}


def _switch(view: View, label: Any, current: bool, **changes: Any) -> Switch:  # noqa: FBT001 - a fact
    return Switch(str(label), view.but(**changes), current)


def chips_of(view: View) -> list[Chip]:
    return [
        Chip(
            str(GROUPS[name]),
            wording_usage.group_names(name, values),
            "?" + view.without_filter(name).query,
        )
        for name, values in view.filters.items()
    ]


def _onlies(found: Usage, view: View) -> list[Switch]:
    """Each of the groups as a filter, the largest first; none where there is but one."""
    if len(found.groups) < 2:
        return []
    return [
        Switch(
            wording_usage.group_name(view.group, name), "?" + view.with_filter(view.group, name).query, current=False
        )
        for name in found.groups[:MOST_ONLIES]
    ]


def _bar_lengths(view: View) -> list[Switch]:
    """Those of which there are neither too many bars nor only one."""
    days = view.period.days
    counts = {"hour": 24 * days, "day": days, "week": days / 7, "month": days / 28}
    return [
        _switch(view, label, name is view.granularity, bars=name)
        for name, label in BARS.items()
        if 1 < counts[name.value] <= MOST_BARS
    ]


# --- Tiles ----------------------------------------------------------------------------------------------


def _tiles(found: Usage, earlier: Usage, view: View) -> list[Tile]:
    shown = [Metric.ENERGY, Metric.EMISSIONS, Metric.COST, Metric.WASTE]
    return [_tile(metric, found, earlier, view) for metric in shown]


def _tile(metric: Metric, found: Usage, earlier: Usage, view: View) -> Tile:
    total = total_of(found, metric, market=view.market)
    fair = earlier.elapsed_s and comparable(found, earlier, metric, market=view.market)
    before = total_of(earlier, metric, market=view.market) if fair else None
    why = {
        Metric.EMISSIONS: _("no carbon intensity"),
        Metric.COST: _("no tariff"),
    }.get(metric if found.covered_s or found.filled_j else Metric.ENERGY, _("not measured"))
    return Tile(
        metric=metric,
        label=wording_usage.metric_name(metric, market=view.market),
        shown="" if total is None else in_words(total, metric, found.currency),
        why=why,
        change=wording_usage.change(total, before),
        beside=_beside(metric, found, market=view.market),
        address=view.but(metric=metric),
        current=metric is view.metric,
    )


def _beside(metric: Metric, found: Usage, *, market: bool) -> str:
    """What part of the energy a figure is, or is of."""
    if metric is Metric.WASTE:
        share = found.wasted_j / found.energy_j if found.energy_j > 0 else None
        return "" if share is None else _("%(share)s of the energy") % {"share": percent(share)}
    known = known_share(found, metric, market=market)
    return _("for %(share)s of the energy") % {"share": percent(known)} if 0 < known <= 1 - FEW else ""


# --- Emissions ------------------------------------------------------------------------------------------


def _emitted(found: Usage, earlier: Usage, asked: UsageQuestion) -> dict[str, Any]:
    """How the emissions come about, and the period's hours against the grid's."""
    view, figure = asked.view, found.footprint
    market = view.market and figure.market_g is not None
    when = wording_usage.before_words(view.compare, view.period, asked.today, earlier)
    context: dict[str, Any] = {
        "market": market,
        "methods": [(kind, view.but(market=kind), kind == market) for kind in _METHODS]
        if figure.market_g is not None
        else [],
        "grams": figure.market_g if market else figure.location_g,
        "emission_sentences": wording_carbon.own_sentences(figure, earlier.footprint, when, market=market),
        "equivalents": equivalents_in_words(equivalents(figure.facility_j, figure.location_g)),
    }
    own = own_timing(found.quarters, asked.zone, ms_from_datetime(timezone.now()))
    if own.timing is None:
        return context | {"no_hours": wording_carbon.no_hours_sentence() if figure.location_g is not None else ""}
    hours, unit = charts_carbon.by_hour(own)
    return context | {
        "hours": hours,
        "hours_unit": unit,
        "hour_rows": charts_carbon.hour_rows(own, unit),
        "timing_sentences": wording_carbon.own_timing_sentences(own.timing),
        "shift_sentences": wording_carbon.shift_sentences(own.shifts),
    }
