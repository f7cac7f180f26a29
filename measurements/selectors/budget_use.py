"""What budgets count, by day: one question to the roll-up of usage for all budgets of a project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from django.db.models import Max

from measurements.domain.budget import CarryOver
from measurements.domain.slurm import ENDED_BY_TIME, NOT_ENDED
from measurements.domain.units import BoolArray, FloatArray, datetime_from_ms
from measurements.domain.usage import Granularity
from measurements.models import Budget, Node
from measurements.selectors.project import Access, Sees
from measurements.selectors.project_sums import sum_shown_until
from measurements.selectors.usage import Asked, Dimension, Scope, Usage, usage

HABIT_DAYS = 26 * 7  # that a forecast is made of: weeks before count next to nothing
SHOWN_AFTER_DAYS = 31  # a budget that is over stays on the page so long
MOST_PERIODS_BEFORE = 3  # from which something is taken over
STILL_RUNNING = NOT_ENDED - ENDED_BY_TIME
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Book:
    """All that the budgets of a project need to know."""

    found: Usage
    before: Mapping[int, Budget]  # of a budget: the one of the period before
    today: date
    complete_to: date  # last day of which everything is in
    until: Mapping[int, date | None]  # of a budget: last day that is shown; None: withheld
    who: Access | None

    @classmethod
    def read(
        cls, names: tuple[str, ...], budgets: Sequence[Budget], today: date, zone: ZoneInfo, who: Access | None
    ) -> Book:
        """What the budgets that are shown need; three queries, and those that decide what a leader is shown."""
        before = {one.pk: other for one in budgets if (other := _before(one, budgets)) is not None}
        shown = [one for one in shown_budgets(budgets, today) if one.first <= today]
        needed = {each.pk: each for one in shown for each in periods(one, before)}
        firsts = [today, *(one.first for one in needed.values())]
        if _sees_all(who) and any(today <= one.last for one in shown):
            firsts.append(today - HABIT_DAYS * DAY)
        asked = Asked(min(firsts), today, zone, Granularity.DAY, Dimension.STATE)
        newest_ms = Node.objects.aggregate(newest=Max("last_sample_ms"))["newest"]
        newest = today if newest_ms is None else datetime_from_ms(newest_ms).astimezone(zone).date()
        complete = min(today, newest) - DAY
        # Whoever sees sums only never gets two that differ by a day: what is used is that of the forecast.
        limited = who is not None and who.sees is Sees.TOTALS
        until = _untils(needed.values(), who, zone, complete + DAY if limited else today)
        return cls(usage(Scope(projects=names), asked), before, today, complete, until, who)

    @property
    def limited(self) -> bool:
        """Whether the viewer sees sums only, and no days."""
        return self.who is not None and self.who.sees is Sees.TOTALS

    def shown(self, budget: Budget) -> slice:
        """The days of a budget that are over or run, as far as they are shown."""
        until = self.until.get(budget.pk)
        first = max(self.place(budget.first), 0)
        return slice(first, first if until is None else max(self.place(until) + 1, first))

    def complete(self, budget: Budget) -> date:
        """The last day from which a forecast is made."""
        return min(self.complete_to, self.until.get(budget.pk) or self.complete_to)

    def habit(self, budget: Budget) -> slice:
        """The days of which a forecast is made; for leaders none before the period, which may not be shown to them."""
        end = max(self.place(self.complete(budget)) + 1, 0)
        first = max(end - HABIT_DAYS, 0 if _sees_all(self.who) else self.place(budget.first), 0)
        return slice(first, max(end, first))

    def place(self, day: date) -> int:
        """Which day of the book."""
        return (day - self.found.asked.first).days


def shown_budgets(budgets: Sequence[Budget], today: date) -> list[Budget]:
    """Those that run, come, or were over lately."""
    return [one for one in budgets if one.last >= today - SHOWN_AFTER_DAYS * DAY]


def _sees_all(who: Access | None) -> bool:
    return who is None or (who.sees is not Sees.TOTALS and who.since is None)


def _untils(budgets: Iterable[Budget], who: Access | None, zone: ZoneInfo, today: date) -> dict[int, date | None]:
    """Up to which day their use is shown; leaders see nothing before their role began."""
    known: dict[tuple[date, date, tuple[str, ...]], date | None] = {}
    found = {}
    for one in budgets:
        asked = (one.first, one.last, tuple(sorted(one.counted_states)))
        if asked not in known:
            known[asked] = _until(*asked, who, zone, today)
        found[one.pk] = known[asked]
    return found


def _until(
    first: date, last: date, states: tuple[str, ...], who: Access | None, zone: ZoneInfo, today: date
) -> date | None:
    if who is None:
        return min(last, today)
    if who.since is not None and first < who.since:
        return None
    return sum_shown_until(who, first, last, zone, today, states)


def _before(budget: Budget, budgets: Sequence[Budget]) -> Budget | None:
    """The budget of the same kind that ends the day before this one begins."""
    same = (one for one in budgets if (one.unit, one.currency) == (budget.unit, budget.currency))
    return next((one for one in same if one.last == budget.first - DAY), None)


def periods(budget: Budget, before: Mapping[int, Budget]) -> list[Budget]:
    """The budget and those before from which something reaches it, latest first."""
    found = [budget]
    while len(found) <= MOST_PERIODS_BEFORE and found[-1].carry_over != CarryOver.NONE and found[-1].pk in before:
        found.append(before[found[-1].pk])
    return found


@dataclass(frozen=True, slots=True)
class Daily:
    """What a budget counts, by day of the book."""

    metered: FloatArray
    filled: FloatArray
    running: FloatArray
    unknown: BoolArray  # something of it is not known

    def used(self, *, count_filled: bool) -> FloatArray:
        """What counts."""
        return self.metered + (self.filled if count_filled else 0.0)


def daily_of(budget: Budget, found: Usage) -> Daily:
    """The days in the budget's unit.

    Emissions and money are split into metered and filled as the joules of that day and end state are.
    """
    metered, filled, unknown = _split(budget, found)
    counted = counted_states(budget, found)
    going = np.isin(found.groups, list(STILL_RUNNING)) & ~counted
    return Daily(
        metered=metered[:, counted].sum(axis=1),
        filled=filled[:, counted].sum(axis=1),
        running=metered[:, going].sum(axis=1),
        unknown=np.asarray(unknown[:, counted].any(axis=1)),
    )


def _split(budget: Budget, found: Usage) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Metered, not metered, and where the amount of what was drawn is not known [days, end states]."""
    cells = found.cells
    if budget.unit == Budget.Unit.KWH:
        return cells.energy_j, cells.filled_j, np.zeros(cells.energy_j.shape, bool)
    node_j = cells.energy_j + cells.filled_j
    drawn = node_j != 0
    amount = cells.location_g if budget.unit == Budget.Unit.KG_CO2E else cells.cost
    if budget.unit == Budget.Unit.MONEY and budget.currency not in ("", found.currency):
        amount = np.full_like(node_j, np.nan)
    known = np.where(drawn & ~np.isnan(amount), amount, 0.0)
    share = np.divide(cells.filled_j, node_j, out=np.zeros_like(node_j), where=drawn)
    return known * (1 - share), known * share, drawn & np.isnan(amount)


def counted_states(budget: Budget, found: Usage) -> BoolArray:
    """Which end states count; without a choice all do, and jobs that are running."""
    if not budget.counted_states:
        return np.ones(len(found.groups), bool)
    return np.isin(found.groups, list(budget.counted_states))
