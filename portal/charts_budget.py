"""What the chart of a budget is drawn from, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import floor, log10
from zoneinfo import ZoneInfo

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from measurements.models import Budget
from measurements.selectors.budgets import BudgetState, Fan
from measurements.selectors.days import day_bounds_ms
from portal.charts import DIGITS, Payload, time_ticks
from portal.quantities import TABLE, Unit, number, unit_for
from portal.wording_budget import QUANTITY, interval_name, whole

DASH = "–"
DAILY_UP_TO, WEEK = 100, 7  # days: beyond, a point a week
MONTHS_FROM = 60  # days: from here on an axis names months
ROUND = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0)
ROOM = 1.08  # above the highest line
MOST_OF_INTERVAL = 1.6  # the interval may reach out of the chart
DAY = timedelta(days=1)
Number = float | None


@dataclass(frozen=True, slots=True)
class Points:
    """The lines at the points of a chart, in base units; None: the line is not there."""

    days: list[date | None]  # to whose end; None: the begin of the period
    t: list[int]
    used: list[Number]
    with_filled: list[Number]
    central: list[Number]
    low: list[Number]
    high: list[Number]
    even: list[Number]


def points(state: BudgetState, zone: ZoneInfo) -> Points:
    """A point a day or a week, today's, the last complete day's and the last of the period."""
    budget, bounds = state.budget, day_bounds_ms(state.budget.first, state.budget.last, zone).tolist()
    count = len(bounds) - 1
    used, extra = _from_nothing(state.cumulated.tolist()), _from_nothing(state.cumulated_filled.tolist())
    if state.budget.count_filled:
        extra = [0.0] * len(extra)
    if state.limited and state.until is not None:
        end = (state.until - budget.first).days + 1
        used, extra = ([None] * end + [value] for value in (state.account.used, 0.0))
        if not budget.count_filled:
            extra[-1] = state.account.filled
    places = _places(state, count, len(used) - 1)
    fan = _fan(state, used)
    return Points(
        days=[None if at == 0 else budget.first + (at - 1) * DAY for at in places],
        t=[int(bounds[at]) for at in places],
        used=[_at(used, at) for at in places],
        with_filled=[_sum(_at(used, at), _at(extra, at)) for at in places],
        central=[fan.get(at, (None,) * 3)[0] for at in places],
        low=[fan.get(at, (None,) * 3)[1] for at in places],
        high=[fan.get(at, (None,) * 3)[2] for at in places],
        even=[state.account.available * at / count for at in places],
    )


def _from_nothing(values: list[float]) -> list[Number]:
    return [0.0, *values]


def _at(values: Sequence[Number], place: int) -> Number:
    return values[place] if place < len(values) else None


def _sum(value: Number, more: Number) -> Number:
    return None if value is None or more is None else value + more


def _places(state: BudgetState, count: int, until: int) -> list[int]:
    """Ends of days, counted from the begin of the period, of which there is a point."""
    complete = (state.complete_to - state.budget.first).days + 1
    marks = {0, until, complete, count}
    if not state.limited:
        marks |= set(range(0, count + 1, 1 if count <= DAILY_UP_TO else WEEK))
    return sorted(at for at in marks if 0 <= at <= count)


def _fan(state: BudgetState, used: Sequence[Number]) -> dict[int, tuple[float, float, float]]:
    """The forecast by place; it begins where the use that is sure ends."""
    fan = state.fan
    if not isinstance(fan, Fan):
        return {}
    begin = (fan.first - state.budget.first).days
    lines = zip(fan.central.tolist(), fan.low.tolist(), fan.high.tolist(), strict=True)
    found = {begin + 1 + i: line for i, line in enumerate(lines)}
    sure = _at(used, begin)
    return ({begin: (sure, sure, sure)} if sure is not None else {}) | found


# --- Payload ----------------------------------------------------------------------------------------------


def budget_chart(state: BudgetState, title: str, zone: ZoneInfo) -> tuple[Payload, Unit]:
    """Cumulated use against the budget, an even pace and the warning levels, with the forecast."""
    found = points(state, zone)
    top = _top(state, found)
    quantity = QUANTITY.get(Budget.Unit(state.budget.unit), "")
    unit = unit_for(top, quantity) if quantity else Unit(state.currency, 1.0)
    lines = [{"role": "used", "label": _("used"), "values": _values(found.used, unit)}]
    if state.account.filled > 0 and not state.budget.count_filled:
        lines.append(
            {"role": "filled", "label": _("with what is not metered"), "values": _values(found.with_filled, unit)}
        )
    if isinstance(state.fan, Fan):
        lines.append(
            {
                "role": "forecast",
                "label": _("forecast, with %(interval)s") % {"interval": interval_name()},
                "values": _values(found.central, unit),
                "low": _values(found.low, unit),
                "high": _values(found.high, unit),
            }
        )
    payload: Payload = {
        "title": title,
        "unit": unit.label,
        "size": unit.size,
        "quantity": quantity,
        "table": TABLE if quantity else {},
        "start": found.t[0],
        "end": found.t[-1],
        "ticks": ticks(state.budget, found.t[0], found.t[-1], zone),
        "t": found.t,
        "titles": [point_name(day, state) for day in found.days],
        "series": lines,
        "even": {"label": _("even pace"), "values": _values(found.even, unit)},
        "levels": [
            {"label": whole(level), "value": _short(level * state.account.available, unit), "full": level == 1}
            for level in sorted({*state.levels, 1.0})
        ],
        "most": _round_up(top / unit.size),
        "words": {"budget": _("budget"), "levels": _("warning levels"), "of": _("of the budget")},
        "available": _short(state.account.available, unit),
    }
    return payload, unit


def _top(state: BudgetState, found: Points) -> float:
    """The highest value that a chart must show; of a wide interval only a part."""
    known = [value for line in (found.used, found.with_filled, found.central) for value in line if value is not None]
    lowest = max([state.account.available * max(1.0, *state.levels), *known])
    high = max((value for value in found.high if value is not None), default=0.0)
    return max(lowest, min(high, MOST_OF_INTERVAL * lowest)) * ROOM


def _round_up(value: float) -> float:
    """To a number with which an axis ends well."""
    size = 10.0 ** floor(log10(value)) if value > 0 else 1.0
    return float(f"{size * next(step for step in ROUND if step * size >= value):.3g}")


def _values(values: Sequence[Number], unit: Unit) -> list[Number]:
    return [None if value is None else _short(value, unit) for value in values]


def _short(value: float, unit: Unit) -> float:
    return float(f"{value / unit.size:.{DIGITS}g}")


def ticks(budget: Budget, start_ms: int, end_ms: int, zone: ZoneInfo) -> list[Payload]:
    """Days of a short period; the months of a long one, of a very long one every third."""
    days = (budget.last - budget.first).days + 1
    if days < MONTHS_FROM:
        return time_ticks(start_ms, end_ms, zone)
    firsts = [day for i in range(days) if (day := budget.first + i * DAY).day == 1]
    every = -(-len(firsts) // 13)
    bounds = day_bounds_ms(budget.first, budget.last, zone).tolist()
    several = budget.first.year != budget.last.year
    label = pgettext("month on an axis", "M Y") if several else pgettext("month on an axis", "M")
    return [
        {"value": int(bounds[(day - budget.first).days]), "label": date_format(day, label)} for day in firsts[::every]
    ]


def point_name(day: date | None, state: BudgetState) -> str:
    """A point as a table and a tooltip name it."""
    if day is None:
        return _("Begin")
    name = str(date_format(day, pgettext("day of a budget in a table", "j M Y")))
    return _("%(day)s, so far") % {"day": name} if day == state.today and day == state.until else name


# --- Table ------------------------------------------------------------------------------------------------


def budget_rows(state: BudgetState, unit: Unit, zone: ZoneInfo) -> list[list[str]]:
    """The points of the chart: used, with what is not metered, forecast, its interval, even pace."""
    found = points(state, zone)
    filled = state.account.filled > 0 and not state.budget.count_filled
    columns = [found.used, *([found.with_filled] if filled else []), found.central, found.low, found.high, found.even]
    rows = zip(found.days, *columns, strict=True)
    return [[point_name(day, state), *(_cell(value, unit) for value in values)] for day, *values in rows if day]


def _cell(value: Number, unit: Unit) -> str:
    return DASH if value is None else number(value / unit.size)
