"""A budget in words: how much is used after how much of the time, where it will end, what is not metered."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from math import floor

from django.utils.formats import date_format
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from measurements.domain.budget import passed
from measurements.domain.forecast import INTERVAL, NoForecast
from measurements.models import Budget
from measurements.selectors.budgets import BudgetState, Phase
from portal.quantities import NBSP, format_quantity, money, percent
from portal.wording_jobs import state_name

NARROW_NBSP = "\u202f"
QUANTITY = {Budget.Unit.KWH: "energy", Budget.Unit.KG_CO2E: "emissions"}
EARLY_UP_TO, MIDDLE_UP_TO = 10, 20  # days of a month


def amount(value: float, state: BudgetState) -> str:
    """An amount of a budget, in base units, with its unit."""
    quantity = QUANTITY.get(Budget.Unit(state.budget.unit))
    return format_quantity(value, quantity) if quantity else money(value, state.currency)


def whole(share: float | None) -> str:
    """A share in whole per cent, rounded down: what is not used up never looks used up."""
    return "–" if share is None else f"{floor(share * 100 + 1e-9)}{NBSP}%"


def about_amount(value: float, state: BudgetState) -> str:
    """An amount that is estimated."""
    return f"≈{NARROW_NBSP}{amount(value, state)}"


def from_to(low: float | None, high: float | None) -> str:
    """An interval of shares."""
    return _("%(low)s to %(high)s") % {"low": whole(low).removesuffix(f"{NBSP}%"), "high": whole(high)}


def interval_name() -> str:
    """The interval of a forecast."""
    return _("%(share)s interval") % {"share": whole(INTERVAL)}


# --- Time -----------------------------------------------------------------------------------------------


def of_the_period(first: date, last: date) -> str:
    """What the elapsed share is a share of."""
    ends = last + timedelta(days=1)
    months = 12 * (ends.year - first.year) + ends.month - first.month
    if first.day != 1 or ends.day != 1:
        return pgettext("after 50 %", "of the period")
    if months == 12 and first.month == 1:
        return pgettext("after 50 %", "of the year")
    if months == 3 and first.month % 3 == 1:
        return pgettext("after 50 %", "of the quarter")
    return pgettext("after 50 %", "of the month") if months == 1 else pgettext("after 50 %", "of the period")


def period_name(first: date, last: date) -> str:
    """A budget's period as a heading: 2026, June 2026, or from one day to the other."""
    if (first.month, first.day, last.month, last.day) == (1, 1, 12, 31) and first.year == last.year:
        return str(first.year)
    if first.day == 1 and last == date(first.year, first.month, monthrange(first.year, first.month)[1]):
        return str(date_format(first, pgettext("a month", "F Y")))
    begin = (
        date_format(first, pgettext("day of a budget, without its year", "j F")) if first.year == last.year else None
    )
    return f"{begin or _day(first)} – {_day(last)}"


def _day(day: date) -> str:
    return str(date_format(day, pgettext("day of a budget", "j F Y")))


def about(day: date, budget: Budget) -> str:
    """A third of a month: a forecast knows no days."""
    month = date_format(day, "F") if budget.first.year == budget.last.year else date_format(day, "F Y")
    if day.day <= EARLY_UP_TO:
        return _("early %(month)s") % {"month": month}
    return (_("mid-%(month)s") if day.day <= MIDDLE_UP_TO else _("late %(month)s")) % {"month": month}


# --- Sentences ------------------------------------------------------------------------------------------


def budget_sentence(state: BudgetState) -> str:
    """The one sentence: used, after how much of the time, and where it will end."""
    return nothing_sentence(state) or " ".join(filter(None, (_used(state), forecast_sentence(state))))


def nothing_sentence(state: BudgetState) -> str:
    """Why there is no figure; empty where there is one. Not known, not measured and nothing are different things."""
    if state.phase is Phase.COMING:
        return _("It begins on %(day)s.") % {"day": _day(state.budget.first)}
    if state.until is None:
        return _("What is used of it is not shown to you: it is of too few people, or began before your role did.")
    if state.until < state.budget.first:
        return _("Its first month is not over: what is used of it is shown by whole months.")
    if state.account.available <= 0:
        return _("Nothing is available: the period before was overdrawn by as much as this one has, or more.")
    if state.coverage is None:
        return _("None of the jobs that count has run in this period yet, as far as this site knows.")
    if state.unknown_days and not state.account.used_with_filled:
        return {
            Budget.Unit.KG_CO2E: _("Jobs ran, but no carbon intensity is known: the amount is not known."),
            Budget.Unit.MONEY: _("Jobs ran, but no tariff in this currency is known: the amount is not known."),
        }[Budget.Unit(state.budget.unit)]
    if not state.coverage and not state.account.filled:
        return _("Jobs ran, but nothing of it was measured.")
    return ""


def _used(state: BudgetState) -> str:
    values = {
        "share": whole(state.account.share),
        "elapsed": whole(state.elapsed),
        "period": of_the_period(state.budget.first, state.budget.last),
    }
    if state.phase is Phase.OVER:
        said = _("%(share)s was used.") % values
    else:
        said = _("%(share)s used after %(elapsed)s %(period)s.") % values
    if state.limited and state.until and state.phase is Phase.RUNNING:
        said += " " + _("That is up to the end of %(day)s.") % {"day": _day(state.until)}
    return said


def forecast_sentence(state: BudgetState) -> str:
    """Where it will end at this pace, and when it will be used up; or why nobody knows."""
    if state.phase is not Phase.RUNNING:
        return _since(state) if state.phase is Phase.OVER else ""
    if isinstance(state.fan, NoForecast):
        return " ".join(filter(None, (_since(state), no_forecast_sentence(state.fan))))
    central, low, high = (state.account.share_of(value) for value in state.at_end or ())
    values = {
        "central": whole(central),
        "interval": interval_name(),
        "range": from_to(low, high),
    }
    said = _("At this pace it ends at %(central)s (%(interval)s: %(range)s)") % values
    return f"{_since(state)} {said}." if _since(state) else f"{said}{_when(state)}."


def _since(state: BudgetState) -> str:
    since = state.runs_out.since
    if since is None:
        return _("It is used up.") if state.account.remaining <= 0 else ""
    return _("It was used up on %(day)s.") % {"day": _day(since)}


def _when(state: BudgetState) -> str:
    """The part of the sentence that says when it will be used up."""
    budget, out = state.budget, state.runs_out
    if out.central is None:
        if out.earliest is None:
            return ""
        return _(", and it may be used up from %(when)s on") % {"when": about(out.earliest, budget)}
    when = about(out.central, budget)
    if out.earliest is None or about(out.earliest, budget) == when:
        return _(", and is used up in %(when)s") % {"when": when}
    values = {"when": when, "earliest": about(out.earliest, budget)}
    return _(", and is used up in %(when)s, at the earliest in %(earliest)s") % values


def no_forecast_sentence(reason: NoForecast) -> str:
    """Why there is no forecast."""
    return {
        NoForecast.TOO_SHORT: _("There is no forecast yet: it needs two whole weeks of use."),
        NoForecast.NO_USE: _("There is no forecast: in the weeks before nothing was used."),
        NoForecast.NOT_KNOWN: _("There is no forecast: of the last days the amount is not known."),
        NoForecast.OVER: "",
    }[reason]


def not_metered_sentence(state: BudgetState) -> str:
    """What no meter saw, and where the budget would stand with it."""
    if state.account.filled <= 0:
        return ""
    values = {"amount": about_amount(state.account.filled, state), "share": whole(state.account.share_with_filled)}
    if state.account.count_filled:
        return _("%(amount)s of it was not metered, and is estimated.") % values
    return _("%(amount)s not metered besides: with it %(share)s would be used.") % values


def beside_sentences(state: BudgetState) -> list[str]:
    """What else a reader should know: levels, what is not metered, taken over, still running, not known."""
    found = [_levels(state), not_metered_sentence(state), _coverage(state), _taken_over(state)]
    if state.running > 0:
        found.append(
            _("Jobs that are still running have used %(amount)s; it counts when they end in a state that counts.")
            % {"amount": amount(state.running, state)}
        )
    if state.unknown_days and not nothing_sentence(state):
        found.append(
            ngettext(
                "Of one day the amount, or a part of it, is not known, and is left out.",
                "Of %(days)d days the amount, or a part of it, is not known, and is left out.",
                state.unknown_days,
            )
            % {"days": state.unknown_days}
        )
    return [sentence for sentence in found if sentence]


def _levels(state: BudgetState) -> str:
    if state.passed:
        return _("Warning level %(level)s is reached.") % {"level": whole(state.passed[-1])}
    with_filled = state.passed_with_filled
    if with_filled and state.until is not None:
        return _("With what is not metered, warning level %(level)s would be reached.") % {
            "level": whole(with_filled[-1])
        }
    return ""


def _coverage(state: BudgetState) -> str:
    if state.coverage is None or state.coverage >= 1:
        return ""
    return _("%(coverage)s of the jobs' time was measured.") % {"coverage": percent(state.coverage)}


def _taken_over(state: BudgetState) -> str:
    carried = state.account.carried
    if not state.carried_known:
        if state.phase is Phase.COMING:
            return _("What the period before leaves will be taken over.")
        return _("What the period before left is not shown here, and is not part of what is available.")
    values = {"amount": amount(abs(carried), state)}
    if carried < 0:
        return _("The period before was overdrawn by %(amount)s: that is taken off.") % values
    return _("%(amount)s is left from the period before, and added.") % values if carried > 0 else ""


# --- Facts ----------------------------------------------------------------------------------------------


def counted_words(state: BudgetState) -> str:
    """Which jobs count."""
    states = [state_name(name) for name in state.budget.counted_states]
    return get_text_list(states, _("and")) if states else _("all jobs, however they end")


def status(state: BudgetState) -> tuple[str, str]:
    """Class and word of a mark."""
    if state.phase is Phase.COMING:
        return "off", _("not begun")
    if state.until is None:
        return "gap", _("not shown")
    if nothing_sentence(state):
        return "gap", _("not known")
    if state.account.remaining <= 0:
        return "bad", _("used up")
    if state.phase is Phase.OVER:
        return "ok", _("kept")
    if state.runs_out.central is not None:
        return "warn", _("will be used up")
    if passed(state.account.share, state.levels):
        return "warn", _("warning level reached")
    if state.runs_out.earliest is not None:
        return "wait", _("may be used up")
    return "ok", _("within the budget")
