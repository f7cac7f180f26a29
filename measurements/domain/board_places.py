"""Who stands where on a leaderboard, and which bands are shown: by what nobody can do anything about but drawing less.

Somebody who splits jobs, or declares work unevenly over the parts, changes their own interval as they like, at no
cost. So nobody's place depends on their own interval: of themselves their ratio alone counts, with the margin that the
others' intervals have. docs/leaderboards.md has the reasons, tests/measurements/domain/test_boards_gaming.py tries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from measurements.domain.board_scores import Intervals
from measurements.domain.comparison import BANDS
from measurements.domain.units import FloatArray, IntArray

MARGIN = 0.75  # quantile of the others' half-widths that counts as one's own
ROUNDING = 1e-9  # sums that are added up in another order may differ by less
DASH = "–"


@dataclass(frozen=True, slots=True)
class Places:
    """The least is first: no better than ``best``, no worse than ``worst`` [n]."""

    best: IntArray  # 1 + those proven less
    worst: IntArray  # n less those proven more

    def bands(self) -> IntArray:
        """0 to 4 for A to E, by the middle of what is possible; who can't be told from anybody is in C."""
        number = max(len(self.best), 1)
        place = ((self.best + self.worst) / 2 - 0.5) / number
        return np.minimum((place * len(BANDS)).astype(np.int64), len(BANDS) - 1)


def places(found: Intervals, *, relative: bool) -> Places:
    """
    Where each of some figures stands.

    Parameters
    ----------
    found : Intervals of n
    relative : bool
        Whether an interval is as wide as its value is large (a ratio), or not (a share).

    Notes
    -----
    j is proven less than i if j's interval lies wholly below v_i − m, and proven more if it lies wholly above v_i + M.
    m and M are the upper quartile of the half-widths of all but i, times v_i where they are relative. None of it but
    v_i depends on i's own jobs, and a larger v_i never gives a better place.

    Examples
    --------
    >>> far = Intervals(np.array([1.0, 2.0, 2.1]), np.array([0.9, 1.8, 2.0]), np.array([1.1, 2.2, 2.2]))
    >>> found = places(far, relative=True)
    >>> found.best.tolist(), found.worst.tolist()
    ([1, 2, 2], [1, 3, 3])
    """
    scale = found.value if relative else np.ones(len(found.value))
    less = found.value - _of_others(_half(found.value - found.low, scale)) * scale
    more = found.value + _of_others(_half(found.high - found.value, scale)) * scale
    best = 1 + np.searchsorted(np.sort(found.high), less - ROUNDING * np.abs(less), side="left")
    worst = np.searchsorted(np.sort(found.low), more * (1 + ROUNDING), side="right")
    return Places(best.astype(np.int64), worst.astype(np.int64))


def _half(width: FloatArray, scale: FloatArray) -> FloatArray:
    return np.divide(width, scale, out=np.zeros(len(width)), where=scale > 0)


def _of_others(widths: FloatArray) -> FloatArray:
    """The quantile `MARGIN` of all but one's own, the larger of two between which it lies; 0 of none."""
    others = len(widths) - 1
    if others < 1:
        return np.zeros(len(widths))
    order = np.argsort(widths, kind="stable")
    place = np.empty(len(widths), np.int64)
    place[order] = np.arange(len(widths))
    wanted = int(np.ceil(MARGIN * (others - 1) - ROUNDING))
    ordered = widths[order]
    return np.where(place > wanted, ordered[wanted], ordered[wanted + 1])


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbouring bands that are shown as one, and who is in them."""

    label: str  # "A", or "B–C"
    members: IntArray  # places, ascending


def groups(bands: IntArray, k: int) -> list[Group]:
    """
    The bands that are shown, the best first: none of fewer than k people.

    Bands are put together from the best on until there are k people in it; what is left over at the end joins the
    last. So whoever falls into a worse band is never shown in a better one than before.

    Examples
    --------
    >>> [(one.label, len(one.members)) for one in groups(np.array([0, 0, 0, 1, 2, 2, 2, 4]), 3)]
    [('A', 3), ('B–E', 5)]
    """
    if len(bands) < k:
        return []
    counts = np.bincount(bands, minlength=len(BANDS)).tolist()
    ends, people = [], 0
    for band, count in enumerate(counts):
        people += count
        if people >= k:
            ends.append(band)
            people = 0
    ends[-1] = len(BANDS) - 1
    found, begin = [], 0
    for end in ends:
        inside = [band for band in range(begin, end + 1) if counts[band]]
        label = BANDS[inside[0]] + (DASH + BANDS[inside[-1]] if len(inside) > 1 else "")
        found.append(Group(label, np.flatnonzero((bands >= begin) & (bands <= end))))
        begin = end + 1
    return found
