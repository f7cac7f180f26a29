"""Comparing groups of measured jobs: middle and spread, bootstrap intervals, and ranks that know what can't be told.

The resampling is seeded, so that the same jobs give the same interval, whoever asks; groups that are compared draw
their own numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np

from measurements.domain.units import FloatArray, IntArray

DRAWS = 1_000
LEVEL = 0.90  # of every interval that is shown
SEED = 20_221_212
MOST_AT_ONCE = 4_000_000  # values drawn in one go: bounds the memory
SIZES_KEPT = 512  # 16 kB each
BANDS = "ABCDE"


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the interval it lies in, at the level `LEVEL`."""

    value: float
    low: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        """Whether they share a value: then it can't be told which is less."""
        return self.low <= other.high and other.low <= self.high

    def below(self, other: Interval) -> bool:
        """Whether it lies wholly below another one: proven less."""
        return self.high < other.low


@dataclass(frozen=True, slots=True)
class Spread:
    """How some values lie: how many, median and quartiles (linear, as numpy's default), the median's interval."""

    n: int
    low: float  # first quartile
    median: float
    high: float  # third quartile
    interval: Interval | None  # of the median; None of fewer than two values


def spread(values: FloatArray, seed: int = SEED) -> Spread | None:
    """
    Of a group's values [n]; None of none.

    The median's interval is the percentile bootstrap's [1]_.

    References
    ----------
    .. [1] Efron and Tibshirani, An Introduction to the Bootstrap, Chapman & Hall, 1993, ch. 13.

    Examples
    --------
    >>> found = spread(np.array([1.0, 2.0, 3.0, 4.0]))
    >>> found.n, found.low, found.median, found.high
    (4, 1.75, 2.5, 3.25)
    """
    return spread_of(values, seed) if len(values) else None


def spread_of(values: FloatArray, seed: int = SEED) -> Spread:
    """`spread` of one value at least."""
    ordered = np.sort(values)
    low, middle, high = (_percentile(ordered, share) for share in (0.25, 0.5, 0.75))
    return Spread(len(ordered), low, middle, high, _of_ordered(ordered, seed) if len(ordered) > 1 else None)


def median_interval(values: FloatArray, seed: int = SEED) -> Interval | None:
    """The percentile bootstrap's interval of the median of values [n]; None of fewer than two."""
    return _of_ordered(np.sort(values), seed) if len(values) > 1 else None


def median_ratio(above: FloatArray, below: FloatArray, seed: int = SEED) -> Interval | None:
    """Median of some values ÷ median of others, each resampled by itself; None of fewer than two of either."""
    if len(above) < 2 or len(below) < 2:
        return None
    above, below = np.sort(above), np.sort(below)
    if _median(below) <= 0:
        return None
    return _interval(_median(above) / _median(below), _draws(above, seed) / _draws(below, seed + 1))


def _of_ordered(ordered: FloatArray, seed: int) -> Interval:
    return _interval(_median(ordered), _draws(ordered, seed))


def median_of(values: FloatArray) -> float:
    """As numpy's, without its overhead, which is many times the work for some hundred values.

    >>> median_of(np.array([3.0, 1.0, 2.0, 10.0]))
    2.5
    """
    return _median(np.sort(values))


def _median(ordered: FloatArray) -> float:
    half = len(ordered) // 2
    return float(ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2)


def _percentile(ordered: FloatArray, share: float) -> float:
    """The same of a percentile, linear between two values: to the last bit."""
    place = share * (len(ordered) - 1)
    before = int(place)
    part = place - before
    low, high = float(ordered[before]), float(ordered[min(before + 1, len(ordered) - 1)])
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


def median_draws(values: FloatArray, seed: int = SEED) -> FloatArray:
    r"""
    Medians of `DRAWS` resamples of values [n], without the resamples.

    Notes
    -----
    A resample takes the values at the places ⌈n U_i⌉ in order, for n numbers U_i that are uniform in (0, 1]. The place
    grows with U, so that the resample's middle values are those at the places of the middle U: one number drawn from
    the distribution of a uniform order statistic, U_(m) ~ Beta(m, n - m + 1), and for an even n a second one, the
    least of the n - m above it, instead of n [1]_. It is the same distribution, a thousand times as fast.

    References
    ----------
    .. [1] Devroye, Non-Uniform Random Variate Generation, Springer, 1986, ch. V.3.
    """
    return _draws(np.sort(values), seed)


def _draws(ordered: FloatArray, seed: int) -> FloatArray:
    places = _middle_places(len(ordered), seed)
    drawn = ordered[places[0]]
    return drawn if len(places) == 1 else (drawn + ordered[places[1]]) / 2


@lru_cache(SIZES_KEPT)
def _middle_places(size: int, seed: int) -> tuple[IntArray, ...]:
    """Where the middle values of the resamples are among the ordered ones: it depends on nothing but how many."""
    generator = np.random.default_rng([seed, size])
    middle = (size + 1) // 2  # from 1
    lower = generator.beta(middle, size - middle + 1, DRAWS)
    if size % 2:
        return (_places(lower, size),)
    rest = 1.0 - generator.random(DRAWS) ** (1.0 / (size - middle))
    upper = lower + (1.0 - lower) * rest
    return _places(lower, size), _places(upper, size)


def _places(uniform: FloatArray, size: int) -> IntArray:
    return np.clip(np.ceil(uniform * size).astype(np.int64) - 1, 0, size - 1)


def ratio_interval(parts: FloatArray, wholes: FloatArray, seed: int = SEED) -> Interval | None:
    """
    Σ parts ÷ Σ wholes over blocks [n], with the percentile bootstrap's interval over the blocks; None without wholes.

    Blocks are resampled together, so that what belongs to one (a day) stays together. Of one block the interval is
    as wide as can be: 0 to infinity.
    """
    total = float(wholes.sum())
    if total <= 0:
        return None
    value = float(parts.sum()) / total
    if len(parts) < 2:
        return Interval(value, 0.0, float("inf"))
    generator = np.random.default_rng([seed, len(parts)])
    drawn = []
    for draws in _lots(len(parts)):
        count = generator.multinomial(len(parts), np.full(len(parts), 1 / len(parts)), draws)
        above, below = count @ parts, count @ wholes
        drawn.append(np.divide(above, below, out=np.full(draws, np.inf), where=below > 0))
    return _interval(value, np.concatenate(drawn))


def _lots(size: int) -> list[int]:
    """How many draws at a time."""
    at_once = max(1, min(DRAWS, MOST_AT_ONCE // max(size, 1)))
    return [min(at_once, DRAWS - done) for done in range(0, DRAWS, at_once)]


def _interval(value: float, drawn: FloatArray) -> Interval:
    tail = (1 - LEVEL) / 2
    ends = [ceil(len(drawn) * share) - 1 for share in (tail, 1 - tail)]  # the inverse of the distribution function
    low, high = np.partition(drawn, ends)[ends].tolist()
    return Interval(value, min(low, value), max(high, value))


@dataclass(frozen=True, slots=True)
class Rank:
    """Where one of several stands, the least first: no better than ``best``, no worse than ``worst``."""

    best: int  # 1 + those proven less
    worst: int  # all but those proven more

    def band(self, number: int) -> str:
        """A to E by the middle of what is possible among so many; who can't be told from anybody is in C."""
        place = ((self.best + self.worst) / 2 - 0.5) / number
        return BANDS[min(int(place * len(BANDS)), len(BANDS) - 1)]


def ranks(intervals: Sequence[Interval]) -> list[Rank]:
    """
    The rank of each of some figures, the least being the first; those whose intervals overlap are not told apart.

    Examples
    --------
    >>> ranks([Interval(1, 0.9, 1.1), Interval(1.05, 1, 1.2), Interval(2, 1.9, 2.1)])
    [Rank(best=1, worst=2), Rank(best=1, worst=2), Rank(best=3, worst=3)]
    """
    lows, highs = (np.array([getattr(one, name) for one in intervals]) for name in ("low", "high"))
    return [
        Rank(1 + int((highs < low).sum()), len(intervals) - int((lows > high).sum()))
        for low, high in zip(lows.tolist(), highs.tolist(), strict=True)
    ]
