"""Time-resolved carbon intensities as columns."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from measurements.domain.packing import unpacked
from measurements.domain.units import QUARTERS_PER_DAY, FloatArray, IntArray
from measurements.models import SlotDay


def slot_values(series: int, first: date, days: int) -> tuple[FloatArray, IntArray]:
    """A time-resolved series on some UTC days: g/kWh [n], nan where missing, and `SlotDay.kinds` [n]."""
    values, kinds = np.full((days, QUARTERS_PER_DAY), np.nan), np.zeros((days, QUARTERS_PER_DAY), np.int64)
    rows = SlotDay.objects.filter(series=series, day__gte=first, day__lt=first + timedelta(days=days))
    for day, packed, marks in rows.values_list("day", "g_per_kwh", "kinds"):
        values[(day - first).days] = unpacked(packed)
        kinds[(day - first).days] = np.frombuffer(bytes(marks), np.uint8)
    return values.ravel(), kinds.ravel()
