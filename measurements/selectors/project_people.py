"""Who ran what in which month of a project: what the rule of `measurements.selectors.project` counts; never shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
from django.db.models import Case, DateField, F, IntegerField, Max, Value, When
from django.db.models.functions import TruncMonth

from measurements.domain.blame import WASTED
from measurements.domain.disclosure import People
from measurements.models import UsageDay
from measurements.selectors.frames import frame_of
from measurements.selectors.usage import Dimension

WASTE = "wasted"  # a grouping besides the dimensions: came to nothing, or not
# In the order of their worth: what does not go together with an earlier one is coarsened.
GROUPINGS = (
    Dimension.NODE_TYPE.value,
    Dimension.PROJECT.value,
    WASTE,
    Dimension.STATE.value,
    Dimension.PARTITION.value,
    Dimension.PHASE.value,
    Dimension.WORKLOAD.value,
)
_FIELDS = ("username", "node_type__name", "account", "state", "partition", "phase", "workload", "excused")
_COLUMNS = ("at", "border", "username", "node_type", "project", "state", "partition", "phase", "workload", "excused")
DAY = timedelta(days=1)


def who_ran(projects: Sequence[str], first: date, last: date, zone: ZoneInfo) -> pd.DataFrame:
    """
    A row a month × person × group of each grouping, of days [first, last] of the zone; one query.

    A UTC day with the beginning of a month in it is in both months, and ``border``: what it holds exists in both,
    and nobody counts by it.
    """
    borders = _borders(first, last, zone)
    inside = UsageDay.objects.filter(account__in=projects, day__gte=_utc(first, zone), day__lte=_utc_last(last, zone))
    rows = inside.annotate(
        at=Case(When(day__in=borders, then=F("day")), default=TruncMonth("day"), output_field=DateField()),
        border=Case(When(day__in=borders, then=Value(1)), default=Value(0), output_field=IntegerField()),
    ).values_list("at", "border", *_FIELDS)
    sums = rows.annotate(c=Max("covered_us"), f=Max("filled_j"), i=Max("gpu_idle_j")).order_by()
    frame = frame_of(sums, (*_COLUMNS, "covered", "filled", "idle"))
    frame[WASTE] = (frame["state"].isin(WASTED) & ~frame["excused"].astype(bool)).map({True: "1", False: "0"})
    frame["month"] = [_months_of(at, border, zone) for at, border in zip(frame["at"], frame["border"], strict=True)]
    return frame.explode("month", ignore_index=True)


def _utc(day: date, zone: ZoneInfo) -> date:
    """The UTC day in which a day of the zone begins."""
    return datetime.combine(day, time.min, zone).astimezone(UTC).date()


def _utc_last(day: date, zone: ZoneInfo) -> date:
    return (datetime.combine(day + DAY, time.min, zone).astimezone(UTC) - timedelta(microseconds=1)).date()


def _borders(first: date, last: date, zone: ZoneInfo) -> list[date]:
    """The UTC days that belong to two months of the zone, and those cut by the ends of the time."""
    starts = [datetime.combine(day, time.min, zone).astimezone(UTC) for day in [*month_starts(first, last), first]]
    starts.append(datetime.combine(last + DAY, time.min, zone).astimezone(UTC))
    return sorted({start.date() for start in starts if start.time() != time.min})


def _months_of(at: date, border: bool, zone: ZoneInfo) -> list[date]:  # noqa: FBT001 - a column
    if not border:
        return [at.replace(day=1)]
    noon = [datetime.combine(at, moment, UTC).astimezone(zone).date() for moment in (time.min, time.max)]
    return sorted({day.replace(day=1) for day in noon})


def month_starts(first: date, last: date) -> list[date]:
    """The first days of the months that have a day in [first, last].

    >>> [day.isoformat() for day in month_starts(date(2026, 11, 3), date(2027, 1, 1))]
    ['2026-11-01', '2026-12-01', '2027-01-01']
    """
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    months = [first.year * 12 + first.month - 1 + i for i in range(max(count, 0))]
    return [date(month // 12, month % 12 + 1, 1) for month in months]


def others(frame: pd.DataFrame, viewer: str) -> pd.DataFrame:
    """Rows of everybody else."""
    return frame[frame["username"] != viewer]


def people_of(frame: pd.DataFrame, viewer: str) -> People:
    """As the rule takes them: whoever looks knows their own use and does not count, nor who was not measured."""
    codes = pd.factorize(frame["username"])[0]
    counted = (frame["username"] != viewer) & ~frame["border"].astype(bool) & (frame["covered"] > 0)
    return People(
        codes.astype("int64"),
        counted.to_numpy(bool),
        {name: frame[name].astype(str).to_numpy(object) for name in GROUPINGS},
    )


def heads(frame: pd.DataFrame, viewer: str, column: str) -> tuple[int, int]:
    """How many others have something in a column: those who surely do, and those who may."""
    found = others(frame, viewer)
    some = found[found[column] > 0]
    return some.loc[~some["border"].astype(bool), "username"].nunique(), some["username"].nunique()


def few_or_enough(frame: pd.DataFrame, viewer: str, column: str, k: int) -> bool:
    """Whether a sum over a column may be shown: it is of nobody but the viewer, or of k others."""
    sure, at_most = heads(frame, viewer, column)
    return at_most == 0 or sure >= k
