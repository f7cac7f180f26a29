"""Sums of a project over other days than whole months, such as a budget's use, beside what its months show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from zoneinfo import ZoneInfo

import pandas as pd
from django.conf import settings

from measurements.selectors.project import Access, Sees
from measurements.selectors.project_people import DAY, few_or_enough, heads, month_starts, who_ran
from measurements.selectors.project_totals import others_ever, releases, shown_months


def sum_shown_until(
    who: Access, first: date, last: date, zone: ZoneInfo, today: date, states: Sequence[str] = ()
) -> date | None:
    """Up to which day the project's sum over [first, last] may be shown, so that what months hide stays hidden.

    Together with the months that are shown it says what the other days of the sum drew: those must be of k people
    or of nobody. So it may end before the last month. A time that is not over ends with the last month that is: a sum
    up to yesterday would give away, from one day to the next, what a single person drew; while none is over, it is
    the day before the first. None: not at all. ``states``: if only these count.
    """
    end = min(last, today)
    if who.sees is not Sees.TOTALS or end < first:
        return end
    frame = who_ran(who.names, first, end, zone)
    frame = frame[frame["month"] >= first.replace(day=1)]  # a UTC day at the border lies in the month before as well
    if frame.empty or (set(frame["username"]) == {who.viewer} and not others_ever(who)):
        return end
    months = set(shown_months(who, first, end, today)) - ({first.replace(day=1)} if first.day > 1 else set())
    apart = months & releases(who, first, end, zone).keys() if months else set()
    over = [end] if last < today else []
    if not over and not any(month > first for month in month_starts(first, end)):
        return first - DAY  # none of its months is over yet
    ends = [*over, *(month - DAY for month in reversed(month_starts(first, end)) if month - DAY >= first)]
    return next((until for until in ends if _may_sum(who, frame[frame["month"] <= until], apart, states)), None)


def _may_sum(who: Access, rows: pd.DataFrame, apart: set[date], states: Sequence[str]) -> bool:
    k = settings.SMALLEST_GROUP
    if heads(rows, who.viewer, "covered")[0] < k:
        return False
    if not few_or_enough(rows[~rows["month"].isin(apart)], who.viewer, "covered", k):
        return False
    if not few_or_enough(rows, who.viewer, "filled", k):  # emissions, cost and what is not metered say it
        return False
    if not states:
        return True
    counted = rows["state"].isin(list(states))
    parts = (rows[counted], rows[~counted])
    return heads(parts[0], who.viewer, "covered")[0] >= k and few_or_enough(parts[1], who.viewer, "covered", k)
