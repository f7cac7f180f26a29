"""Scores of a leaderboard as columns: sums by UTC day and entity, their ratios, and intervals of those.

A block of the resampling is a UTC day of the calendar, the same days for everybody: a day on which somebody ran
nothing is a block of zeros. So nobody has more blocks by splitting jobs, and all intervals are drawn from the same
numbers. What the ranks do with the intervals: `measurements.domain.board_places`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from measurements.domain.comparison import DRAWS, LEVEL, SEED, Interval
from measurements.domain.units import DAY_MS, FloatArray, IntArray

_COLUMNS_AT_ONCE = 512  # entities whose draws are in memory together


@dataclass(frozen=True, slots=True)
class Intervals:
    """Ratios and the intervals they lie in, as columns [entities]; no upper bound: infinity."""

    value: FloatArray
    low: FloatArray
    high: FloatArray

    def at(self, place: int) -> Interval:
        """One of them."""
        return Interval(float(self.value[place]), float(self.low[place]), float(self.high[place]))


@dataclass(frozen=True, slots=True)
class Span:
    """The UTC days of a period."""

    first: int  # since 1970
    days: int


@dataclass(frozen=True, slots=True)
class Spread:
    """Which part of each job fell on which UTC day [parts]."""

    job: IntArray
    day: IntArray  # 0: the first day, and all before it
    share: FloatArray  # of the job's time; those of a job add up to 1
    days: int

    def sums(self, entity: IntArray, entities: int, values: FloatArray) -> FloatArray:
        """Of a column of the jobs, by day and entity [days, entities]."""
        key = self.day * entities + entity[self.job]
        found = np.bincount(key, values[self.job] * self.share, self.days * entities)
        return found.astype(np.float64, copy=False).reshape(self.days, entities)


def spread(start_ms: IntArray, end_ms: IntArray, span: Span) -> Spread:
    """
    Spread jobs evenly over the UTC days on which they ran.

    Parameters
    ----------
    start_ms, end_ms : array of n
        When they ran [ms since 1970].
    span : Span
        What lies outside counts to its first or last day.

    Examples
    --------
    >>> found = spread(np.array([DAY_MS - 10]), np.array([DAY_MS + 30]), Span(0, 2))
    >>> found.day.tolist(), found.share.tolist()
    ([0, 1], [0.25, 0.75])
    """
    first = start_ms // DAY_MS
    last = (np.maximum(end_ms, start_ms + 1) - 1) // DAY_MS
    count = last - first + 1
    job = np.repeat(np.arange(len(count)), count)
    day = first[job] + np.arange(len(job)) - (np.cumsum(count) - count)[job]
    inside = np.minimum(end_ms[job], (day + 1) * DAY_MS) - np.maximum(start_ms[job], day * DAY_MS)
    whole = (end_ms - start_ms)[job]
    share = np.divide(inside, whole, out=np.ones(len(job)), where=whole > 0)
    return Spread(job, np.clip(day - span.first, 0, span.days - 1), share, span.days)


@lru_cache(maxsize=8)
def draws_of(days: int, seed: int = SEED) -> FloatArray:
    """How often each of some days is drawn, draw by draw [DRAWS, days]; always the same."""
    generator = np.random.default_rng([seed, days])
    return generator.multinomial(days, np.full(days, 1 / days), DRAWS).astype(np.float64)


def ratios(parts: FloatArray, wholes: FloatArray, seed: int = SEED) -> Intervals:
    """
    Σ parts ÷ Σ wholes of each entity, with the percentile bootstrap's interval over the days.

    Parameters
    ----------
    parts, wholes : array of (days, entities)
        The sum of wholes of each entity is above 0.
    """
    drawn = draws_of(len(parts), seed)
    value = parts.sum(axis=0) / wholes.sum(axis=0)
    low, high = np.empty_like(value), np.empty_like(value)
    for begin in range(0, parts.shape[1], _COLUMNS_AT_ONCE):
        some = slice(begin, begin + _COLUMNS_AT_ONCE)
        low[some], high[some] = _bounds(drawn @ parts[:, some], drawn @ wholes[:, some])
    return Intervals(value, np.minimum(low, value), np.maximum(high, value))


@dataclass(frozen=True, slots=True)
class Ratio:
    """Σ parts ÷ Σ wholes, by day and entity [days, entities]."""

    parts: FloatArray
    wholes: FloatArray

    def whole(self) -> FloatArray:
        """What is divided by, of each entity."""
        return self.wholes.sum(axis=0)

    def each(self, keep: IntArray) -> Intervals:
        """Of some entities, one by one."""
        return ratios(self.parts[:, keep], self.wholes[:, keep])

    def together(self, members: IntArray) -> Interval:
        """Of some entities as if they were one."""
        parts, wholes = (table[:, members].sum(axis=1, keepdims=True) for table in (self.parts, self.wholes))
        return ratios(parts, wholes).at(0)


@dataclass(frozen=True, slots=True)
class Past:
    """
    What each entity drew, ÷ what its work would have drawn at its own energy per unit of work before.

    Notes
    -----
    S = Σ_c E_c ÷ Σ_c W_c · (E'_c ÷ W'_c) over the cells c (phase, size, target) in which there was work before, ' being
    the period before; the days of both are resampled, apart from each other.
    """

    energy: FloatArray  # of these cells [days, entities]
    entity: IntArray  # of each cell, ascending [cells]
    work: FloatArray  # [days, cells]
    energy_before: FloatArray  # [days before, cells]
    work_before: FloatArray  # above 0 in each cell

    def expected(self) -> FloatArray:
        """What the work of each cell would have drawn [days, cells]."""
        return self.work * (self.energy_before.sum(axis=0) / self.work_before.sum(axis=0))

    def whole(self) -> FloatArray:
        """What is divided by, of each entity."""
        found = np.bincount(self.entity, self.expected().sum(axis=0), self.energy.shape[1])
        return found.astype(np.float64, copy=False)

    def each(self, keep: IntArray) -> Intervals:
        """Of some entities, one by one."""
        expected = self.expected()
        edges = np.searchsorted(self.entity, np.stack([keep, keep + 1]))
        found = [
            self._of(np.array([one]), slice(*cells), expected)
            for one, cells in zip(keep.tolist(), edges.T.tolist(), strict=True)
        ]
        return Intervals(*(np.array([getattr(one, name) for one in found]) for name in ("value", "low", "high")))

    def together(self, members: IntArray) -> Interval:
        """Of some entities as if they were one; their cells stay apart."""
        return self._of(members, np.flatnonzero(np.isin(self.entity, members)), self.expected())

    def _of(self, members: IntArray, cells: slice | IntArray, expected: FloatArray) -> Interval:
        now, before = draws_of(len(self.energy)), draws_of(len(self.energy_before), SEED + 1)
        rate = _divided(before @ self.energy_before[:, cells], before @ self.work_before[:, cells])
        work = now @ self.work[:, cells]
        drawn = np.where(work > 0, work * np.where(work > 0, rate, 0.0), 0.0).sum(axis=1)
        energy = self.energy[:, members].sum(axis=1)
        value = float(energy.sum() / expected[:, cells].sum())
        low, high = _bounds((now @ energy)[:, None], drawn[:, None])
        return Interval(value, min(float(low[0]), value), max(float(high[0]), value))


def _divided(above: FloatArray, below: FloatArray) -> FloatArray:
    """By nothing: infinity."""
    return np.divide(above, below, out=np.full(above.shape, np.inf), where=below > 0)


def _bounds(above: FloatArray, below: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Quantiles of the ratios of draws [DRAWS, n], each of which is one that was drawn."""
    tail = (1 - LEVEL) / 2
    low, high = (max(int(np.ceil(level * len(above) - 1e-9)) - 1, 0) for level in (tail, 1 - tail))
    drawn = np.partition(_divided(above, below), [low, high], axis=0)
    return drawn[low], drawn[high]
