"""The days of a zone as instants."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from measurements.domain.units import IntArray, ms_from_datetime


def day_bounds_ms(first: date, last: date, zone: ZoneInfo) -> IntArray:
    """The instants at which the days of ``zone`` from first to last begin, and the last one ends; not to be written."""
    return _bounds_ms(first, last, zone)


@lru_cache(maxsize=256)  # the same for ever
def _bounds_ms(first: date, last: date, zone: ZoneInfo) -> IntArray:
    days = [first + timedelta(days=i) for i in range((last - first).days + 2)]
    bounds = np.array([ms_from_datetime(datetime.combine(day, time.min, zone)) for day in days], np.int64)
    bounds.setflags(write=False)
    return bounds


def merged_spans(spans: Iterable[tuple[date, date]]) -> list[tuple[date, date]]:
    """Spans of days [first, last] in order, those that meet or overlap as one: a database reads fewer ranges.

    >>> [(first.day, last.day) for first, last in merged_spans([(date(2026, 3, 5), date(2026, 3, 9)),
    ...     (date(2026, 3, 1), date(2026, 3, 4)), (date(2026, 3, 11), date(2026, 3, 12))])]
    [(1, 9), (11, 12)]
    """
    found: list[tuple[date, date]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + timedelta(days=1):
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found
