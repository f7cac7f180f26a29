"""When jobs of other people may enter a figure: in blocks of whole months that each have a crowd of their own."""

from __future__ import annotations

import numpy as np

from measurements.domain.crowd import FEWEST_EVER, LARGEST_ONE, LARGEST_TWO
from measurements.domain.units import BoolArray, FloatArray, IntArray

NOT_YET = -1


def told(value: float) -> float:
    """A figure of a crowd as others are told it: two significant digits, so that none of them is one job's own.

    >>> told(1234.5), told(0.0987)
    (1200.0, 0.099)
    """
    return float(f"{value:.2g}")


def month_of(instants_ms: IntArray) -> IntArray:
    """UTC months since January 1970."""
    return instants_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)


def may_show_to_each(parts: FloatArray, k: int) -> bool:
    """
    Whether a figure over people who drew ``parts`` may be shown to anybody, also to any one of them.

    Who is among them can take his own part out: so it has to pass `may_show` without each one as well. That is worst
    without one of the three largest. It is the same for every reader, so that two of them together learn no more.

    Examples
    --------
    >>> may_show_to_each(np.ones(5), 5), may_show_to_each(np.ones(6), 5)
    (False, True)
    """
    held = np.sort(parts[parts > 0])[::-1]
    if len(held) <= max(k, FEWEST_EVER):
        return False
    whole, (first, second, third) = float(held.sum()), held[:3].tolist()
    return (
        _hidden(whole - first, second, third)  # most often the worst
        and _hidden(whole - second, first, third)
        and _hidden(whole - third, first, second)
        and _hidden(whole, first, second)
    )


def _hidden(rest: float, one: float, two: float) -> bool:
    """Whether the two largest don't make most of what is left."""
    return one <= LARGEST_ONE * rest and one + two <= LARGEST_TWO * rest


def crowd_blocks(person: IntArray, energy_j: FloatArray, month: IntArray, open_month: int, k: int) -> IntArray:
    """
    The block in which each job of a group may be shown to others, counted from 0; `NOT_YET` for those that may not.

    Parameters
    ----------
    person, energy_j, month : arrays [jobs]
        Whose each is, as a number from 0; what it drew [J]; in which month it ended.
    open_month : int
        The month that is not over: nothing of it is shown.
    k : int
        The fewest people behind a figure.

    Notes
    -----
    From the first month on, months are put together until a block passes `may_show_to_each`, by energy and by number
    of jobs; then the next block begins. Whatever is shown at any time, of any period made of whole blocks, is a union
    of blocks, and so is the difference of any two of them: at least one block, with k people besides the reader and
    none who makes most of it. (Shares of a union are means of its parts' shares.) What is over never changes by what
    comes later.

    Examples
    --------
    Two people a month: with k = 3 the second month completes the first block, the third one waits.

    >>> person, month = np.array([0, 1, 2, 3, 4, 5]), np.array([0, 0, 1, 1, 2, 2])
    >>> crowd_blocks(person, np.ones(6), month, 9, 3).tolist()
    [0, 0, 0, 0, -1, -1]
    """
    if not len(person):
        return np.empty(0, np.int64)
    months, place = np.unique(month, return_inverse=True)
    energy_by_month, jobs_by_month = _by_month(place, person, energy_j), _by_month(place, person, None)
    found, block, since = np.full(len(months), NOT_YET, np.int64), 0, 0
    energies, jobs = np.zeros_like(energy_by_month[0]), np.zeros_like(jobs_by_month[0])
    for current in range(int(np.searchsorted(months, open_month))):
        energies += energy_by_month[current]
        jobs += jobs_by_month[current]
        enough = np.count_nonzero(jobs) > max(k, FEWEST_EVER)  # quick to tell, and most often not so
        if enough and may_show_to_each(energies, k) and may_show_to_each(jobs, k):
            found[since : current + 1] = block
            block, since = block + 1, current + 1
            energies[:], jobs[:] = 0.0, 0.0
    return found[place]


def _by_month(place: IntArray, person: IntArray, weight: FloatArray | None) -> FloatArray:
    """Sums by month and person."""
    months, people = int(place.max()) + 1, int(person.max()) + 1
    return np.bincount(place * people + person, weight, months * people).astype(np.float64).reshape(months, people)


def whole_blocks(block: IntArray, month: IntArray, first_month: int, last_month: int) -> BoolArray:
    """Which jobs are in blocks that lie wholly in the months [first, last]."""
    inside = (month >= first_month) & (month <= last_month)
    if inside.all():
        return block != NOT_YET
    cut = np.unique(block[~inside])
    return inside & (block != NOT_YET) & ~np.isin(block, cut)
