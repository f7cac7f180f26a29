"""How a project stands with its budgets: used, left, not metered, and the forecast to the end of the period.

All of it is read from the roll-up that every page of usage reads (`measurements.selectors.usage`), in one question
for all budgets of a project. Amounts are in base units: J, g CO2e, or the budget's currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from measurements.domain.budget import Account, CarryOver, carried_over, levels_of, passed, runs_out
from measurements.domain.forecast import Forecast, NoForecast, forecast
from measurements.domain.quality import ratio
from measurements.domain.units import J_PER_KWH, FloatArray, ms_from_datetime
from measurements.models import Budget, Project
from measurements.selectors.budget_use import DAY, Book, Daily, counted_states, daily_of, periods, shown_budgets
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.project import Access

G_PER_KG = 1000.0
SIZE = {Budget.Unit.KWH: J_PER_KWH, Budget.Unit.KG_CO2E: G_PER_KG, Budget.Unit.MONEY: 1.0}  # base units


class Phase(StrEnum):
    """Where in its period a budget is."""

    COMING = "coming"
    RUNNING = "running"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Fan:
    """Use since the first day, to the end of each day from ``first`` to the last of the period; what was used at
    least."""

    first: date
    central: FloatArray
    low: FloatArray
    high: FloatArray
    weeks: int  # of use that it was made of


@dataclass(frozen=True, slots=True)
class RunsOut:
    """The days on which nothing is left any more; None: not in this period."""

    since: date | None = None  # it has happened
    central: date | None = None
    earliest: date | None = None
    latest: date | None = None


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget at an instant."""

    budget: Budget
    phase: Phase
    account: Account
    currency: str  # of a budget of money: that of the tariff if it names none
    elapsed: float  # of the period's time, 0 to 1
    cumulated: FloatArray  # used, to the end of each day from the first to today; none where days are not shown
    cumulated_filled: FloatArray  # of it or besides: not metered
    coverage: float | None  # of the time of the counted jobs; None: none ran
    running: float  # of jobs that have not ended, where only named end states count; not part of anything
    carried_known: bool  # False: the period before is not shown, and counts for nothing
    unknown_days: int  # with use of which no amount is known: no factor, or another currency
    today: date
    until: date | None  # last day that is in it; None: what was used is not shown
    limited: bool  # the viewer sees the sum alone: no days, and a forecast of the mean pace
    complete_to: date  # last day of which everything is in
    fan: Fan | NoForecast
    runs_out: RunsOut
    levels: tuple[float, ...]

    @property
    def passed(self) -> tuple[float, ...]:
        """Warning levels that are reached."""
        return passed(self.account.share, self.levels) if self.phase is not Phase.COMING else ()

    @property
    def passed_with_filled(self) -> tuple[float, ...]:
        """Likewise with what is not metered."""
        return passed(self.account.share_with_filled, self.levels) if self.phase is not Phase.COMING else ()

    @property
    def at_end(self) -> tuple[float, float, float] | None:
        """What will have been used at the end: central, low, high."""
        if isinstance(self.fan, NoForecast):
            return None
        return float(self.fan.central[-1]), float(self.fan.low[-1]), float(self.fan.high[-1])

    @property
    def warns(self) -> bool:
        """Whether its owner should look: a level is reached, or it will run out before its end."""
        soon = self.runs_out.since or self.runs_out.central
        return bool(self.passed) or (self.phase is Phase.RUNNING and soon is not None)


def budget_states(project: Project, now: datetime, zone: ZoneInfo, who: Access | None = None) -> list[BudgetState]:
    """The budgets of a project that run, come or were over lately, those that run first; up to five queries.

    ``who`` is a leader: of what the project's page does not show them, the budget shows nothing either (and the
    queries are more). Without, all of it is there.
    """
    today = now.astimezone(zone).date()
    budgets = list(Budget.objects.filter(project=project).order_by("first", "unit", "pk"))
    shown = shown_budgets(budgets, today)
    if not shown:
        return []
    book = Book.read(with_all_below(project), budgets, today, zone, who)
    states = [_state(one, book, now) for one in shown]
    order = [Phase.RUNNING, Phase.COMING, Phase.OVER]
    return sorted(states, key=lambda state: order.index(state.phase))


def with_all_below(project: Project) -> tuple[str, ...]:
    """The names of a project and all its sub-projects; one query."""
    rows = list(Project.objects.order_by("name").values_list("pk", "name", "parent_id"))
    inside, size = {project.pk}, 0
    while size != len(inside):
        size = len(inside)
        inside |= {pk for pk, _, parent in rows if parent in inside}
    return tuple(name for pk, name, _ in rows if pk in inside)


# --- A budget's state -----------------------------------------------------------------------------------


def _state(budget: Budget, book: Book, now: datetime) -> BudgetState:
    phase, until = _phase(budget, book.today), book.until.get(budget.pk)
    daily = daily_of(budget, book.found)
    carried = _carried(budget, book)
    account = _account(budget, book, carried or 0.0)
    shown = book.shown(budget)
    days = slice(shown.start, shown.start) if book.limited else shown
    cumulated = np.cumsum(daily.used(count_filled=budget.count_filled)[days])
    fan = _fan(budget, book, daily, account.used) if phase is Phase.RUNNING and until else NoForecast.OVER
    counted, cells = counted_states(budget, book.found), book.found.cells
    covered, elapsed = (float(values[shown][:, counted].sum()) for values in (cells.covered_s, cells.elapsed_s))
    return BudgetState(
        budget=budget,
        phase=phase,
        account=account,
        currency=(budget.currency or book.found.currency) if budget.unit == Budget.Unit.MONEY else "",
        elapsed=_elapsed(budget, book, now),
        cumulated=cumulated,
        cumulated_filled=np.cumsum(daily.filled[days]),
        coverage=ratio(covered, elapsed),
        running=float(daily.running[shown].sum()),
        carried_known=carried is not None,
        unknown_days=int(daily.unknown[shown].sum()),
        today=book.today,
        until=until,
        limited=book.limited,
        complete_to=book.complete(budget),
        fan=fan,
        runs_out=_runs_out(budget, cumulated, fan, account.available),
        levels=levels_of(budget.warning_levels),
    )


def _phase(budget: Budget, today: date) -> Phase:
    if today < budget.first:
        return Phase.COMING
    return Phase.RUNNING if today <= budget.last else Phase.OVER


def _elapsed(budget: Budget, book: Book, now: datetime) -> float:
    """Share of the period's time that is over, or that is shown; its days may have 23 or 25 hours."""
    bounds = day_bounds_ms(budget.first, budget.last, book.found.asked.zone)
    at_ms, until = ms_from_datetime(now), book.until.get(budget.pk)
    if until is not None and until < min(budget.last, book.today):
        at_ms = int(bounds[(until - budget.first).days + 1])
    return float(np.clip((at_ms - bounds[0]) / (bounds[-1] - bounds[0]), 0.0, 1.0))


def _carried(budget: Budget, book: Book) -> float | None:
    """What the periods before left, the earliest first; None: one of them is not shown, or not over."""
    chain = periods(budget, book.before)[::-1]
    if any(book.until.get(one.pk) != one.last for one in chain[:-1]):
        return None
    carried = 0.0
    for one, after in pairwise(chain):
        carried = carried_over(CarryOver(after.carry_over), _account(one, book, carried).remaining)
    return carried


def _account(budget: Budget, book: Book, carried: float) -> Account:
    daily, days = daily_of(budget, book.found), book.shown(budget)
    return Account(
        amount=budget.amount * SIZE[Budget.Unit(budget.unit)],
        carried=carried,
        metered=float(daily.metered[days].sum()),
        filled=float(daily.filled[days].sum()),
        count_filled=budget.count_filled,
    )


def _fan(budget: Budget, book: Book, daily: Daily, used: float) -> Fan | NoForecast:
    """From the first day that is not complete on; days of which the amount is not known are not taken for nothing."""
    complete, habit = book.complete(budget), book.habit(budget)
    used_by_day = daily.used(count_filled=budget.count_filled)
    made = forecast(np.where(daily.unknown, np.nan, used_by_day)[habit], (budget.last - complete).days)
    if not isinstance(made, Forecast):
        return made
    lines = (made.central, made.low, made.high)
    early = max((budget.first - complete).days - 1, 0)  # days to come that are not yet the period's
    sure_by_day = used_by_day[book.place(budget.first) : habit.stop]
    if book.limited:
        lines = _even(lines, float(sure_by_day.mean()))
    central, low, high = (np.maximum(sure_by_day.sum() + _from(line, early), used) for line in lines)
    return Fan(complete + (early + 1) * DAY, central, low, high, made.weeks)


_Lines = tuple[FloatArray, FloatArray, FloatArray]


def _even(lines: _Lines, pace: float) -> _Lines:
    """Straight lines at the period's mean pace: a forecast that says nothing of single weeks."""
    central = pace * np.arange(1, len(lines[0]) + 1, dtype=np.float64)
    expected = float(lines[0][-1])
    low, high = (central * (float(line[-1]) / expected if expected else 1.0) for line in lines[1:])
    return central, low, high


def _from(line: FloatArray, early: int) -> FloatArray:
    return line if not early else line[early:] - line[early - 1]


def _runs_out(budget: Budget, cumulated: FloatArray, fan: Fan | NoForecast, available: float) -> RunsOut:
    done = runs_out(cumulated, available)
    if done is not None:
        return RunsOut(since=budget.first + done * DAY)
    if isinstance(fan, NoForecast):
        return RunsOut()
    places = (runs_out(line, available) for line in (fan.central, fan.high, fan.low))
    return RunsOut(None, *(None if place is None else fan.first + place * DAY for place in places))
