"""The days of a zone as instants."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from measurements.domain.units import IntArray, ms_from_datetime


def day_bounds_ms(first: date, last: date, zone: ZoneInfo) -> IntArray:
    """The instants at which the days of ``zone`` from first to last begin, and the last one ends."""
    days = [first + timedelta(days=i) for i in range((last - first).days + 2)]
    return np.array([ms_from_datetime(datetime.combine(day, time.min, zone)) for day in days], np.int64)
