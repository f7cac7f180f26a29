"""The simulated cluster's electricity: a made-up grid's carbon intensity by quarter hour. No figure is a measurement.

Wind comes and goes over days, the sun over the day and the year; demand has its weekdays, mornings and evenings. What
they leave over, the rest of the power stations burn.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from measurements.domain.units import EPOCH_DAY, MS_PER_S, QUARTER_MS, QUARTERS_PER_DAY, FloatArray, day_start_ms

YEAR_DAYS = 365.25
_GRID = 11  # part of a seed
_FOSSIL_G, _OTHER_G, _WIND_G, _SUN_G = 780.0, 60.0, 12.0, 42.0  # lifecycle emission factors, made up
_DEMAND, _OTHER = 1.0, 0.22  # in the grid's mean demand; what always runs
_WIND_MEAN, _SUN_PEAK = 0.36, 0.62
_SOFT = 0.16  # how gently the last fossil station goes off
_CHANGE_S = 5 * 3_600  # from a weekday to a weekend
_WIND_HOURS = 30  # over which it changes


def intensity_g_per_kwh(seed: int, day: date) -> FloatArray:
    """Lifecycle carbon intensity of the quarter hours of a UTC day [96]; the same for the same seed and day."""
    at = np.arange(QUARTERS_PER_DAY) * (QUARTER_MS / MS_PER_S)
    hour = (at / 3_600 + 1) % 24  # roughly local
    season = np.cos(2 * np.pi * (day.timetuple().tm_yday - 172) / YEAR_DAYS)  # 1 at midsummer
    sun = _SUN_PEAK * (0.55 + 0.45 * season) * np.clip(np.sin(np.pi * (hour - 6 + season) / (12 + 2 * season)), 0, None)
    sun = sun * _cloud(seed, day)
    wind = _WIND_MEAN * (1 - 0.25 * season) * np.exp(0.6 * _wind(seed, day) - 0.18)
    weekend = np.interp(at, [0, _CHANGE_S], [_of_weekday(day - timedelta(days=1)), _of_weekday(day)])
    peaks = 0.10 * np.exp(-(((hour - 9) / 3) ** 2)) + 0.14 * np.exp(-(((hour - 19) / 2.5) ** 2))
    demand = _DEMAND * weekend * (0.86 + 0.08 * -season + peaks)
    clean = _OTHER + wind + sun
    fossil = _SOFT * np.logaddexp(0.0, (demand - clean) / _SOFT)  # some of it always runs
    total = clean + fossil
    intensity: FloatArray = (fossil * _FOSSIL_G + _OTHER * _OTHER_G + wind * _WIND_G + sun * _SUN_G) / total
    return intensity


def _of_weekday(day: date) -> float:
    return 0.88 if day.weekday() >= 5 else 1.0


def _cloud(seed: int, day: date) -> float:
    rng = np.random.default_rng((seed, _GRID, 1, (day - EPOCH_DAY).days))
    return float(rng.uniform(0.35, 1.0))


def _wind(seed: int, day: date) -> FloatArray:
    """Smooth noise of unit size: interpolated between knots that every day computes alike."""
    start_h = day_start_ms(day) / MS_PER_S / 3_600
    hours = start_h + np.arange(QUARTERS_PER_DAY) / 4
    first = int(hours[0] // _WIND_HOURS)
    knots = np.array([_knot(seed, first + i) for i in range(4)])
    place = hours / _WIND_HOURS - first
    low = place.astype(np.int64)
    share = (1 - np.cos(np.pi * (place - low))) / 2
    return knots[low] * (1 - share) + knots[low + 1] * share


@lru_cache(maxsize=1_024)
def _knot(seed: int, number: int) -> float:
    return float(np.random.default_rng((seed, _GRID, 2, number)).normal())
