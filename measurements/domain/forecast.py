"""What will have been used at the end of a running period, with an interval: from the weeks so far."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from statistics import NormalDist

import numpy as np

from measurements.domain.units import FloatArray

WEEK = 7  # days
SHORTEST_DAYS = 2 * WEEK
INTERVAL = 0.9
HALF_LIFE_WEEKS = 13.0  # a week so long ago counts half: habits change
WEEKS_OF_A_YEAR = 52.0
WEEKS_OF_A_MONTH = 4.0

# What is assumed of a project that is not known yet; each gives way to what its own weeks say. Chosen so that intervals
# hold what they promise over simulated projects (tests/measurements/domain/test_forecast.py).
USUAL_SPREAD = 0.5  # variance of a week's use ÷ its mean², counts as two weeks
USUAL_PERSISTENCE = 0.3  # correlation of neighbouring weeks, counts as four weeks
USUAL_DRIFT = 0.5  # change of the level in a year, of its mean; counts as two months
PRIOR_WEEKS, PRIOR_PAIRS, PRIOR_MONTHS = 2.0, 4.0, 2.0
LARGEST_PERSISTENCE, LARGEST_DRIFT = 0.8, 1.0


class NoForecast(StrEnum):
    """Why there is none."""

    TOO_SHORT = "too_short"  # fewer than two weeks since the first use
    NO_USE = "no_use"
    NOT_KNOWN = "not_known"  # yesterday's amount is not known: no factor
    OVER = "over"  # nothing of the period is left


@dataclass(frozen=True, slots=True)
class Forecast:
    """Use from now to the end of each coming day [n], cumulated: it never falls."""

    central: FloatArray
    low: FloatArray
    high: FloatArray
    weeks: int  # whole weeks that it was made of


def habit(daily: FloatArray) -> FloatArray:
    """
    Give the days that say how a project is used: from its first use on, and since the last day that is not known.

    Parameters
    ----------
    daily : array of n
        Use by complete day, oldest first; nan: not known.

    Returns
    -------
    array of at most n
        The last of these days.

    Examples
    --------
    >>> habit(np.array([0.0, 0.0, 3.0, 0.0, 1.0])).tolist()
    [3.0, 0.0, 1.0]
    >>> habit(np.array([5.0, np.nan, 0.0, 2.0])).tolist()
    [2.0]
    """
    unknown = np.flatnonzero(np.isnan(daily))
    known = daily[unknown[-1] + 1 :] if len(unknown) else daily
    used = np.flatnonzero(known > 0)
    return known[used[0] :] if len(used) else known[:0]


def forecast(daily: FloatArray, ahead: int, interval: float = INTERVAL) -> Forecast | NoForecast:
    r"""
    Forecast the use of the coming days from the days so far.

    Parameters
    ----------
    daily : array of n
        Use by complete day up to yesterday, oldest first, in any unit; nan: not known. Days before the first use
        are no habit and count for nothing.
    ahead : int
        How many days are to come, today the first.
    interval : float
        Probability of the interval, 0 to 1.

    Returns
    -------
    Forecast or NoForecast
        Cumulated use of the coming days, in the unit of ``daily``, or the reason why there is none.

    Notes
    -----
    The days are cut into k weeks of seven that end yesterday, so that a day of the week stays what it is. A week that
    is a weeks old has the weight w = 2^(−a/13). The coming days are used like the mean week,

    .. math:: C(d) = \sum_{i<d} \bar u_{i \bmod 7}

    and the interval of m = d/7 weeks is C · exp(± z s), s² = ln(1 + ρ²), with

    .. math::
        \rho^2 = c^2 \frac{1 + r}{1 - r} \Bigl(\frac{1}{k'} + \frac{1}{m}\Bigr)
        + \Bigl(g \frac{m/2 + \bar a}{52}\Bigr)^2

    c²: variance of a week ÷ mean²; r: correlation of neighbouring weeks; k' = (Σw)²/Σw²: weeks that the mean is
    made of; g: change of the level in a year; ā: mean age of the weeks. The first term is chance, the second that
    habits change. c², r and g² are means of what is observed and what is usual (the constants above), each with its
    weight. Growth widens the interval on both sides; it is not continued into the future.

    The interval holds where the weeks to come are of the kind of those so far. It knows nothing of holidays, of
    deadlines, and of what the project has planned.

    Examples
    --------
    Four weeks of 10 on five days and 0 on the weekend, yesterday was a Sunday; to the end of Wednesday:

    >>> found = forecast(np.tile([10.0, 10, 10, 10, 10, 0, 0], 4), 3)
    >>> found.central.tolist()
    [10.0, 20.0, 30.0]
    >>> forecast(np.ones(13), 3)
    <NoForecast.TOO_SHORT: 'too_short'>
    """
    if ahead < 1:
        return NoForecast.OVER
    if len(daily) and np.isnan(daily[-1]):
        return NoForecast.NOT_KNOWN
    known = habit(daily)
    if not len(known):
        return NoForecast.NO_USE
    if len(known) < SHORTEST_DAYS:
        return NoForecast.TOO_SHORT
    weeks = known[len(known) % WEEK :].reshape(-1, WEEK)
    if not weeks.any():
        return NoForecast.NO_USE
    age = np.arange(len(weeks), dtype=np.float64)[::-1] + 0.5
    weight = 0.5 ** (age / HALF_LIFE_WEEKS)
    weight /= weight.sum()
    central = np.cumsum((weight @ weeks)[np.arange(ahead) % WEEK])
    spread = _spread(weeks.sum(axis=1), weight, age, np.arange(1, ahead + 1) / WEEK)
    reach = NormalDist().inv_cdf((1 + interval) / 2) * np.sqrt(np.log1p(spread))
    low, high = (np.maximum.accumulate(central * np.exp(sign * reach)) for sign in (-1, 1))
    return Forecast(central, low, high, len(weeks))


def _spread(totals: FloatArray, weight: FloatArray, age: FloatArray, weeks: FloatArray) -> FloatArray:
    """ρ² after so many weeks."""
    mean = float(weight @ totals)
    counted = 1 / float((weight**2).sum())
    observed = float(weight @ (totals - mean) ** 2) / mean**2 / (1 - 1 / counted)
    chance = _blended(observed, counted - 1, USUAL_SPREAD, PRIOR_WEEKS) * _runs(totals)
    drift = _drift(totals, mean) * (weeks / 2 + float(weight @ age)) / WEEKS_OF_A_YEAR
    return np.asarray(chance * (1 / counted + 1 / weeks) + drift**2)


def _runs(totals: FloatArray) -> float:
    """By how much more the mean varies because good and bad weeks come in runs: (1 + r) ÷ (1 − r)."""
    off = totals - totals.mean()
    square = float(off @ off)
    observed = float(off[1:] @ off[:-1]) / square if square > 0 else 0.0
    r = min(max(_blended(observed, len(totals), USUAL_PERSISTENCE, PRIOR_PAIRS), 0.0), LARGEST_PERSISTENCE)
    return (1 + r) / (1 - r)


def _drift(totals: FloatArray, mean: float) -> float:
    """Change of the level in a year, as a share of it: of the straight line through the weeks, and the usual."""
    years = (np.arange(len(totals)) - (len(totals) - 1) / 2) / WEEKS_OF_A_YEAR
    slope = float(years @ totals) / float(years @ years) / mean
    square = _blended(slope**2, len(totals) / WEEKS_OF_A_MONTH, USUAL_DRIFT**2, PRIOR_MONTHS)
    return min(sqrt(square), LARGEST_DRIFT)


def _blended(observed: float, count: float, usual: float, prior: float) -> float:
    return (observed * count + usual * prior) / (count + prior)
