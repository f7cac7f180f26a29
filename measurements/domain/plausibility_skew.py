"""Clock skew: readings that fit only if all of them are moved by whole quarter hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from measurements.domain.plausibility import ChannelDay, Found, Rule, found_span
from measurements.domain.units import MS_PER_S, QUARTER_MS, QUARTERS_PER_DAY, FloatArray, IntArray, Kind

SKEW_MOST_QUARTERS = 56  # 14 hours: no two time zones are further apart on one day, one in UTC
SKEW_SHIFTS = tuple(range(-SKEW_MOST_QUARTERS, SKEW_MOST_QUARTERS + 1))
SKEW_LEAST_QUARTERS = 24  # that both know, once moved
SKEW_GOOD = 0.9  # correlation once moved
SKEW_BETTER = 0.5  # by how much it is less as they are dated
SKEW_ALONE = 0.1  # by how much it is less for any other shift
SKEW_APART = 2  # quarters from which on a shift is another one
SKEW_TURNS = 6  # times that the power crosses the middle of its range: one step fits anywhere
SKEW_LEAST_MW = 20_000  # by which both vary (standard deviation)
WINDOW_SLACK_MS = 60_000  # of a log's begin and end against those of the others, once it is moved
WINDOW_FEWEST = 2  # other logs, all of the same time


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a clock is behind (above 0) or ahead, and how that is known."""

    lag_ms: int
    known_by: str  # parts, below, window
    fit: float = 1.0
    fit_as_dated: float = 0.0


def quarter_means(day: ChannelDay, day_ms: int) -> FloatArray:
    """Mean power of the samples of each quarter hour [mW]; nan where there is none."""
    edges = np.searchsorted(day.t_ms, day_ms + np.arange(QUARTERS_PER_DAY + 1) * QUARTER_MS)
    count = np.diff(edges)
    means = np.full(QUARTERS_PER_DAY, np.nan)
    some = count > 0
    if some.any() and day.kind is Kind.GAUGE:
        means[some] = np.add.reduceat(day.value, edges[:-1][some]) / count[some]
    elif some.any():
        first, last = edges[:-1][some], np.minimum(edges[1:][some], len(day.t_ms) - 1)
        ms = np.maximum(day.t_ms[last] - day.t_ms[first], 1)
        rose = day.value[last] - day.value[first]
        means[some] = np.where((last > first) & (rose >= 0), rose / ms, np.nan)
    return means


def lag_of(own_mw: FloatArray, reference_mw: FloatArray, known_by: str) -> Lag | None:
    r"""
    By how much a channel's clock is behind that of a reference that must rise and fall with it.

    Parameters
    ----------
    own_mw, reference_mw : array of float
        Mean power of the quarter hours of a day, as each is dated; nan where not known. [mW]
    known_by : str
        What the reference is.

    Returns
    -------
    Lag or None
        None where they fit as they are dated, or nowhere well enough.

    Notes
    -----
    Pearson's r over all quarter hours that both know, for each shift of up to `SKEW_MOST_QUARTERS`. A lag is said if

    .. math:: r_k \ge SKEW\_GOOD, \quad r_k - r_0 \ge SKEW\_BETTER

    with at least `SKEW_LEAST_QUARTERS` in common, in which the reference crosses the middle of its range `SKEW_TURNS`
    times, no other shift fits as well within `SKEW_ALONE` (of a timetable that fits several ways one may leave too few
    crossings in common to be an answer: it is a rival yet), and both vary by `SKEW_LEAST_MW`. Wrong zones and summer
    time are whole quarter hours; a clock that is off by less is not found.

    What is true and may be found: two loads with the same timetable, hours apart, of which each meter holds one.

    Examples
    --------
    >>> watts, quarters = [100, 900, 300, 800, 200, 900, 100, 700, 100, 900], [3, 9, 5, 8, 2, 6, 14, 19, 11, 19]
    >>> power = np.repeat(watts, quarters) * 1e3
    >>> lag_of(np.append(power[20:], np.full(20, np.nan)), power, "parts").lag_ms // QUARTER_MS
    20
    """
    both = np.isfinite(own_mw) & np.isfinite(reference_mw)
    as_dated = _fit(own_mw[both], reference_mw[both]) if both.sum() >= SKEW_LEAST_QUARTERS else 0.0
    if as_dated > 1 - SKEW_BETTER or _spread(own_mw) < SKEW_LEAST_MW or _spread(reference_mw) < SKEW_LEAST_MW:
        return None
    every = [_fit_moved(own_mw, reference_mw, shift) for shift in SKEW_SHIFTS]
    fits = np.array([fit if turns >= SKEW_TURNS else 0.0 for fit, turns in every])
    rivals = np.array([fit for fit, _ in every])
    best = int(np.argmax(fits))
    apart = np.abs(np.array(SKEW_SHIFTS) - SKEW_SHIFTS[best]) > SKEW_APART
    fit = float(fits[best])
    if fit < SKEW_GOOD or fit - as_dated < SKEW_BETTER or fit - float(rivals[apart].max()) < SKEW_ALONE:
        return None
    shift = SKEW_SHIFTS[best]
    return Lag(shift * QUARTER_MS, known_by, fit, as_dated)


def _fit_moved(own_mw: FloatArray, reference_mw: FloatArray, shift: int) -> tuple[float, int]:
    """The correlation for one shift, and how much happens in what both know; nothing where that is too little."""
    own, reference = _moved(own_mw, reference_mw, shift)
    known = np.isfinite(own) & np.isfinite(reference)
    if not shift or known.sum() < SKEW_LEAST_QUARTERS:
        return 0.0, 0
    return _fit(own[known], reference[known]), _turns(reference[known])


def _moved(own: FloatArray, reference: FloatArray, shift: int) -> tuple[FloatArray, FloatArray]:
    """Both, if the own clock is ``shift`` quarters behind: what it dates 10:00 is the reference's 10:00 + shift."""
    if shift >= 0:
        return own[: len(own) - shift], reference[shift:]
    return own[-shift:], reference[:shift]


def _fit(own: FloatArray, reference: FloatArray) -> float:
    a, b = own - own.mean(), reference - reference.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0


def _spread(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.std()) if len(known) else 0.0


def _turns(values: FloatArray) -> int:
    above = values > (values.min() + values.max()) / 2
    return int((above[1:] != above[:-1]).sum())


def lags_of_windows(windows: Mapping[int, tuple[int, int]]) -> dict[int, Lag]:
    """
    Logs that lie beside those of all others, and on them once they are moved by whole quarter hours.

    Parameters
    ----------
    windows : mapping
        By channel its first and last sample of the day [ms since 1970, UTC].

    Returns
    -------
    dict
        Those that are beside, with their lag to the millisecond.

    Notes
    -----
    All others, `WINDOW_FEWEST` at least, have some time in common, and the log has none of it with any of them. Begin
    and end, moved by the same whole quarter hours (up to `SKEW_MOST_QUARTERS`), are within `WINDOW_SLACK_MS` of the
    medians of the others. So the log of a switch is found whose clock is 18 001 s behind those of its nodes.

    What is true and may be found: a node that ran the same work as the others, alone, whole quarter hours earlier.

    Examples
    --------
    >>> run = (1_715_259_936_730, 1_715_260_315_399)
    >>> lags_of_windows({1: run, 2: run, 3: run, 4: (run[0] - 18_001_000, run[1] - 18_001_000)})[4].lag_ms
    18001000
    """
    if len(windows) <= WINDOW_FEWEST:
        return {}
    ids = np.array(list(windows), np.int64)
    first = np.array([window[0] for window in windows.values()], np.int64)
    last = np.array([window[1] for window in windows.values()], np.int64)
    middle_first, middle_last = int(np.median(first)), int(np.median(last))
    beside = (last < middle_first) | (first > middle_last)
    if not beside.any() or (~beside).sum() < max(WINDOW_FEWEST, 2 * beside.sum()):
        return {}
    begin, end = int(first[~beside].max()), int(last[~beside].min())
    if begin > end:  # the others were not logged together either
        return {}
    low, high = int(first[~beside].min()), int(last[~beside].max())
    found = {}
    for at in np.flatnonzero(beside & ((last < low) | (first > high))).tolist():
        lag = _window_lag(first[at], last[at], int(np.median(first[~beside])), int(np.median(last[~beside])))
        if lag is not None:
            found[int(ids[at])] = Lag(lag, "window")
    return found


def _window_lag(first: IntArray, last: IntArray, begin: int, end: int) -> int | None:
    """How far a window is behind another one; None if not by whole quarter hours, or if it is of another length."""
    lags = begin - int(first), end - int(last)
    quarters = round(lags[0] / QUARTER_MS)
    if not 0 < abs(quarters) <= SKEW_MOST_QUARTERS:
        return None
    if max(abs(lag - quarters * QUARTER_MS) for lag in lags) > WINDOW_SLACK_MS:
        return None
    return lags[0]


def skewed(day: ChannelDay, lag: Lag) -> Found:
    """The finding: all of the channel's day."""
    detail = {
        "lag_s": lag.lag_ms / MS_PER_S,
        "known_by": lag.known_by,
        "fit": lag.fit,
        "fit_as_dated": lag.fit_as_dated,
    }
    return found_span(Rule.SKEW, day, 0, len(day.t_ms), sure=False, **detail)


def sum_of(parts: Sequence[FloatArray]) -> FloatArray:
    """Of several powers, where all are known."""
    return np.sum(np.stack(parts), axis=0) if parts else np.full(QUARTERS_PER_DAY, np.nan)
