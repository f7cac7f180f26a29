"""Usage in words: how much, when, of what, against the time before, how sure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from django.utils.formats import date_format, time_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from measurements.domain.disclosure import ALL, REST
from measurements.domain.units import datetime_from_ms
from measurements.domain.usage import Granularity
from measurements.selectors.usage import Dimension, Usage
from portal.dates import day_in_words
from portal.forms import Compare, Period
from portal.quantities import format_quantity, number, percent
from portal.usage_metric import cells_of, comparable, in_words, known_share, total_of
from portal.usage_view import GROUPS, Metric, View
from portal.wording import compared
from portal.wording_carbon import FEW, not_compared
from portal.wording_jobs import state_name
from portal.wording_report import phase_word


def group_name(dimension: Dimension, value: str) -> str:
    """A group as a reader knows it; one that has no name says so."""
    nameless = {
        Dimension.WORKLOAD: _("no workload named"),
        Dimension.PHASE: _("no phase named"),
        Dimension.PROJECT: _("no project"),
        Dimension.PARTITION: _("no partition"),
    }
    if value in (REST, ALL):
        return _("others together") if value == REST else _("all together")
    if dimension is Dimension.STATE:
        return state_name(value)
    if dimension is Dimension.PHASE and value:
        return phase_word(value)
    return value or nameless.get(dimension, "–")


def group_names(dimension: Dimension, values: Iterable[str]) -> str:
    """Several of them."""
    return ", ".join(group_name(dimension, value) for value in values)


def filters_in_words(filters: Mapping[str, Iterable[str]]) -> str:
    """Which jobs count, as a frozen report says it; empty: all."""
    known = ((Dimension(name), values) for name, values in sorted(filters.items()))
    return "; ".join(f"{GROUPS[name]}: {group_names(name, values)}" for name, values in known)


def metric_name(metric: Metric, *, market: bool) -> str:
    """What bars show."""
    if metric is Metric.EMISSIONS:
        return _("Emissions, market-based") if market else _("Emissions, location-based")
    return str(metric.label)


def chart_title(view: View) -> str:
    """A chart's caption."""
    by = {
        Dimension.NODE_TYPE: _("by node type"),
        Dimension.PROJECT: _("by project"),
        Dimension.WORKLOAD: _("by workload"),
        Dimension.PHASE: _("by phase"),
        Dimension.STATE: _("by end state"),
        Dimension.PARTITION: _("by partition"),
        Dimension.CLUSTER: _("by cluster"),
        Dimension.USER: _("by person"),
    }[view.group]
    each = {
        Granularity.HOUR: _("hour by hour"),
        Granularity.DAY: _("day by day"),
        Granularity.WEEK: _("week by week"),
        Granularity.MONTH: _("month by month"),
    }[view.granularity]
    return f"{metric_name(view.metric, market=view.market)} {by}, {each}"


def period_name(period: Period) -> str:
    """A period as a heading."""
    if period.first == period.last:
        return str(date_format(period.first, pgettext("day of a chart", "l, j F Y")))
    if period.span and period.span.value == "month":
        return str(date_format(period.first, pgettext("a month", "F Y")))
    if period.span and period.span.value == "year":
        return str(period.first.year)
    short = pgettext("day", "D j M Y")
    return f"{date_format(period.first, short)} – {date_format(period.last, short)}"


def bar_name(begin: date, granularity: Granularity) -> str:
    """A day, week or month as a row of a table has it."""
    if granularity is Granularity.MONTH:
        return day_in_words(begin, pgettext("a month", "F Y"))
    return day_in_words(begin, pgettext("day", "D j M Y"))


def hour_name(usage: Usage, place: int) -> str:
    """When an hour's bar begins; the hour that a clock shows twice says which of the two it is."""
    at = localtime(datetime_from_ms(int(usage.bounds_ms[place])), usage.asked.zone)
    said = str(time_format(at.time(), pgettext("time on an axis", "H:i")))
    twice = at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset()
    return f"{said} {at.tzname()}" if twice else said


def before_words(compare: Compare, period: Period, today: date, earlier: Usage | None = None) -> str:
    """The time that a period is held against, at the beginning of a sentence."""
    days = period.before(compare, today).days
    words = ngettext("On the day before", "In the %(days)d days before", days)
    if period.before(compare, today).last < period.first - timedelta(days=1):
        words = ngettext(
            "On the first day of the period before", "In the first %(days)d days of the period before", days
        )
    if compare is Compare.YEAR:
        words = ngettext("On the same day a year before", "In the same %(days)d days a year before", days)
    when = words % {"days": days}
    if earlier is None or earlier.asked.until_ms is None:
        return when
    return _("%(when)s, up to the same time,") % {"when": when}


def change(value: float | None, earlier: float | None) -> str:
    """A tile's change, as short as it can be said; empty where there is nothing to hold it against."""
    if value is None or earlier is None or earlier <= 0:
        return ""
    share = value / earlier - 1
    if abs(share) < 0.005:
        return _("as much as before")
    values = {"share": percent(abs(share))}
    if share > 1:
        return _("%(times)s times as much") % {"times": number(value / earlier)}
    return _("%(share)s more") % values if share > 0 else _("%(share)s less") % values


def usage_sentences(usage: Usage, earlier: Usage, view: View, today: date) -> list[str]:
    """The chart in words: the largest bar, the largest group, and the time before."""
    against = against_sentence(usage, earlier, view, today)
    return [*own_sentences(usage, view), *([against] if against else [])]


def own_sentences(usage: Usage, view: View) -> list[str]:
    """The chart in words, without the time before; or why there is no figure."""
    total = total_of(usage, view.metric, market=view.market)
    if total is None:
        return [_not_known(usage, view.metric)]
    return [sentence for sentence in (_most(usage, view), _largest(usage, view, total)) if sentence]


def against_sentence(usage: Usage, earlier: Usage, view: View, today: date) -> str:
    """The time before, or why the two are not compared; empty where there is nothing to say."""
    total, before = (total_of(each, view.metric, market=view.market) for each in (usage, earlier))
    when = before_words(view.compare, view.period, today, earlier)
    if total is None:
        return ""
    if not earlier.elapsed_s:
        return _("%(when)s no job ran.") % {"when": when}
    if before is None:
        return _("%(when)s it is not known.") % {"when": when}
    if not comparable(usage, earlier, view.metric, market=view.market):
        return _unlike(usage, earlier, view, when)
    if view.metric is Metric.COST:
        return ""
    return compared(when, total, before, "emissions" if view.metric is Metric.EMISSIONS else "energy")


def _unlike(usage: Usage, earlier: Usage, view: View, when: str) -> str:
    """Why a time is not held against the one before; empty where the figure itself says what it lacks."""
    if view.metric in (Metric.ENERGY, Metric.WASTE):
        values = {"when": when, "before": percent(earlier.coverage), "now": percent(usage.coverage)}
        return _("%(when)s %(before)s of the jobs' time was measured, now %(now)s: the two are not compared.") % values
    now, before = (known_share(each, view.metric, market=view.market) for each in (usage, earlier))
    if view.metric is Metric.COST or 1.0 - now > FEW:
        return ""
    return not_compared(when, 1.0 - before)


def _not_known(usage: Usage, metric: Metric) -> str:
    if not usage.covered_s and not usage.filled_j:
        return _("Jobs ran, but nothing of it was measured.")
    if metric is Metric.COST:
        return _("No tariff is configured for this time.")
    if metric is Metric.EMISSIONS:
        return _("No carbon intensity is configured for this time.")
    return _("Jobs ran, but nothing of it was measured.")


def _most(usage: Usage, view: View) -> str:
    bars = cells_of(usage, view.metric, market=view.market)
    totals = [sum(value for value in row if value == value) for row in bars.tolist()]
    if len(totals) < 2 or max(totals) <= 0:
        return ""
    place = totals.index(max(totals))
    words = {
        Granularity.HOUR: _("The most in one hour was %(amount)s, on %(when)s."),
        Granularity.DAY: _("The most in one day was %(amount)s, on %(when)s."),
        Granularity.WEEK: _("The most in one week was %(amount)s, from %(when)s on."),
        Granularity.MONTH: _("The most in one month was %(amount)s, in %(when)s."),
    }[view.granularity]
    long = pgettext("day in a sentence", "l j F")
    begin = usage.begins[place]
    when = bar_name(begin, view.granularity) if view.granularity is Granularity.MONTH else date_format(begin, long)
    if view.granularity is Granularity.HOUR:
        when = f"{when}, {hour_name(usage, place)}"
    return words % {"amount": in_words(totals[place], view.metric, usage.currency), "when": when}


def _largest(usage: Usage, view: View, total: float) -> str:
    sums = [sum(v for v in column if v == v) for column in cells_of(usage, view.metric, market=view.market).T.tolist()]
    if len(sums) < 2 or total <= 0:
        return ""
    place = sums.index(max(sums))
    values = {"share": percent(sums[place] / total), "name": group_name(view.group, usage.groups[place])}
    return {
        Dimension.NODE_TYPE: _("%(share)s of it on nodes of type %(name)s."),
        Dimension.PROJECT: _("%(share)s of it for project %(name)s."),
        Dimension.STATE: _("%(share)s of it by jobs in state %(name)s."),
    }.get(view.group, _("%(share)s of it: %(name)s.")) % values


def coverage_sentence(usage: Usage) -> str:
    """How much of the energy is measured."""
    if usage.coverage is None:
        return ""
    said = _("%(coverage)s of the jobs' time was measured; what was not is left out, never filled in.") % {
        "coverage": percent(usage.coverage)
    }
    if usage.filled_j > 0:
        said += " " + _("For nodes without any measurement %(energy)s more are estimated from rated power.") % {
            "energy": format_quantity(usage.filled_j, "energy")
        }
    return said
