"""The one place where units are converted.

Stored: instants as int64 milliseconds since 1970-01-01T00:00Z, gauges as int64
milliwatts, counters as int64 microjoules. One mW held for one ms is one µJ, so the
integrals of stored samples are integers as well.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MS_PER_S = 1_000
S_PER_HOUR = 3_600
MW_PER_W = 1_000
UJ_PER_J = 1_000_000
US_PER_MS = 1_000
US_PER_S = 1_000_000
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
QUARTER_MS = 900_000
QUARTERS_PER_DAY = 96
J_PER_KWH = 3_600_000.0
EPOCH_DAY = date(1970, 1, 1)


class Kind(StrEnum):
    """What a channel's values are."""

    GAUGE = "gauge"  # power, stored in mW
    COUNTER = "counter"  # energy since some start, stored in µJ

    @property
    def unit(self) -> str:
        """In which a person gives and reads it."""
        return "J" if self is Kind.COUNTER else "W"

    @property
    def stored_per_unit(self) -> int:
        """How many of what is stored make one of the unit."""
        return UJ_PER_J if self is Kind.COUNTER else MW_PER_W


def ms_from_datetime(instant: datetime) -> int:
    """Milliseconds since the epoch of an aware instant; exact, rounded half to even below 1 ms."""
    if instant.tzinfo is None:
        raise ValueError(f"naive time {instant}: instants are aware UTC")
    delta = instant.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    micros = (delta.days * 86_400 + delta.seconds) * US_PER_S + delta.microseconds
    return round(micros / US_PER_MS)


def datetime_from_ms(ms: int) -> datetime:
    """The aware UTC instant of milliseconds since the epoch."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(ms))


def day_from_ms(ms: int) -> date:
    """The UTC day an instant lies in."""
    return EPOCH_DAY + timedelta(days=int(ms) // DAY_MS)


def day_start_ms(day: date) -> int:
    """The instant a UTC day begins at."""
    return (day - EPOCH_DAY).days * DAY_MS


def kwh_from_joules(joules: float) -> float:
    """1 kWh = 3 600 000 J."""
    return joules / J_PER_KWH
