"""How long the slots of a series are that only says when each begins."""

from __future__ import annotations

import numpy as np

from measurements.domain.units import DAY_MS, HOUR_MS, BoolArray, IntArray

MINUTE_MS = 60_000
USUAL_MS = tuple(minutes * MINUTE_MS for minutes in (5, 10, 15, 20, 30, 60))
SETTLED = 8  # equal steps in a row; fewer longer ones are missing slots, not another length


class NoStep(ValueError):
    """The stamps do not say how long a slot is."""


def ends_of(start_ms: IntArray) -> IntArray:
    """
    Ends of slots from their beginnings.

    Parameters
    ----------
    start_ms : int64 [n]
        Ascending, each once.

    Returns
    -------
    int64 [n]
        The next beginning, but no further than the step that holds there: a missing slot is not bridged.

    Raises
    ------
    NoStep
        If no two neighbours are 5, 10, 15, 20, 30 or 60 minutes apart.

    Notes
    -----
    A step holds from where it comes `SETTLED` times in a row, until another does; before the first of these that one.
    So a file may go from 30 to 15 minutes, while two steps of 30 minutes among quarter hours are two missing quarters.
    Within a day of such a change either step may come (publishers change over hour by hour). A file too short to have
    a settled step has the one that it has most often.

    Examples
    --------
    Half hours, of which one is missing:

    >>> minutes = np.array([0, 30, 60, 120, 150])
    >>> (ends_of(minutes * MINUTE_MS) // MINUTE_MS).tolist()
    [30, 60, 90, 150, 180]
    """
    distance = np.diff(start_ms)
    if not np.isin(distance, USUAL_MS).any():
        apart = f"are {np.median(distance) / MINUTE_MS:g} minutes apart" if len(distance) else "come once"
        raise NoStep(f"its times {apart}: no step of at most an hour; give it with --step, in minutes")
    step = _both_near_changes(start_ms[:-1], distance, _step_that_holds(distance))
    return start_ms + np.append(np.minimum(distance, step), step[-1])


def _step_that_holds(distance: IntArray) -> IntArray:
    """For each distance the settled one that holds there."""
    run, first = _runs(distance)
    length = np.bincount(run)
    settled: BoolArray = np.isin(distance[first], USUAL_MS) & (length >= SETTLED)
    if not settled.any():
        usual = distance[np.isin(distance, USUAL_MS)]
        steps, count = np.unique(usual, return_counts=True)
        return np.full(len(distance), steps[np.argmax(count)])
    place = np.where(settled, np.arange(len(first)), -1)
    last = np.maximum.accumulate(place)
    last[last < 0] = np.flatnonzero(settled)[0]
    of_run: IntArray = distance[first][last]
    return of_run[run]


def _both_near_changes(start_ms: IntArray, distance: IntArray, step: IntArray) -> IntArray:
    """The same, and within a day of a change the other step where the distance is just that."""
    either = step.copy()
    for change in np.flatnonzero(np.diff(step)) + 1:
        first, last = np.searchsorted(start_ms, start_ms[change] + np.array([-DAY_MS, DAY_MS]))
        near = slice(first, last)
        known = np.isin(distance[near], step[change - 1 : change + 1])
        either[near] = np.where(known, distance[near], either[near])
    return either


def _runs(distance: IntArray) -> tuple[IntArray, IntArray]:
    """The number of the run of equal distances that each belongs to, and where each run begins."""
    begins = np.append(True, np.diff(distance) != 0)
    return np.cumsum(begins) - 1, np.flatnonzero(begins)


def nearest_end(start_ms: IntArray, end_ms: IntArray, fold_ms: IntArray) -> IntArray:
    """Ends that the clock shows twice: the first of both that is behind the beginning."""
    late = (end_ms <= start_ms) | (end_ms - start_ms > 24 * HOUR_MS)
    return end_ms + np.where(late, fold_ms, 0)
