"""Energies added up by absolute quarter hour: number 0 begins at 1970-01-01T00:00Z, a UTC day has 96."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from measurements.domain.units import HOUR_MS, QUARTER_MS, FloatArray, IntArray, day_start_ms

QUARTERS_PER_HOUR = HOUR_MS // QUARTER_MS


def first_quarter_of(day: date) -> int:
    """The number of the quarter hour with which a UTC day begins."""
    return day_start_ms(day) // QUARTER_MS


def slot_sums(
    first_quarter: IntArray, quarters: Sequence[bytes | memoryview], from_quarter: int, count: int
) -> FloatArray:
    """
    Energy of ledger rows by quarter hour, added one after the other in their order.

    Parameters
    ----------
    first_quarter : array of k
        Absolute number of the quarter hour with which each row begins.
    quarters : sequence of k
        Joules of consecutive quarter hours, packed as little-endian float64.
    from_quarter, count : int
        The window; what lies outside of it is left out.

    Returns
    -------
    array of count
        [J]

    Examples
    --------
    >>> slot_sums(np.array([4, 5]), [np.array([1.0, 2.0]).tobytes(), np.array([10.0]).tobytes()], 4, 3).tolist()
    [1.0, 12.0, 0.0]
    """
    _row, quarter, joules = expanded(first_quarter, quarters)
    return _added(quarter - from_quarter, joules, count)


def expanded(first_quarter: IntArray, quarters: Sequence[bytes | memoryview]) -> tuple[IntArray, IntArray, FloatArray]:
    """
    Packed quarter hours of k rows one by one: which row each is of, its number, its joules [n].

    ``first_quarter`` numbers the first of each row, by whatever the caller counts.

    Examples
    --------
    >>> row, quarter, joules = expanded(np.array([4, 9]), [np.array([1.0, 2.0]).tobytes(), np.array([3.0]).tobytes()])
    >>> row.tolist(), quarter.tolist(), joules.tolist()
    ([0, 0, 1], [4, 5, 9], [1.0, 2.0, 3.0])
    """
    joules = np.frombuffer(b"".join(map(bytes, quarters)), "<f8")
    lengths = np.array([len(data) // joules.itemsize for data in quarters], np.int64)
    return np.repeat(np.arange(len(lengths)), lengths), consecutive(first_quarter, lengths), joules


def spread_evenly(
    start_ms: IntArray, end_ms: IntArray, joules: FloatArray, from_slot: int, count: int, slot_ms: int = QUARTER_MS
) -> FloatArray:
    """
    Energies of which nothing but begin and end is known, by slot: in proportion to time.

    Parameters
    ----------
    start_ms, end_ms : array of k
        [start, end) of each; one without length lies whole in the slot of its start.
    joules : array of k
        [J]
    from_slot, count : int
        The window, in slots since 1970; what lies outside of it is left out.
    slot_ms : int
        Length of a slot; slot 0 begins at 1970-01-01T00:00Z. [ms]

    Returns
    -------
    array of count
        [J]

    Examples
    --------
    Ten minutes, half of them after 00:15:

    >>> spread_evenly(np.array([600_000]), np.array([1_200_000]), np.array([10.0]), 0, 3).tolist()
    [5.0, 5.0, 0.0]
    """
    end_ms = np.maximum(end_ms, start_ms)
    own = start_ms // slot_ms
    first = np.maximum(own, from_slot)
    last = np.minimum(np.maximum(-(-end_ms // slot_ms), own + 1), from_slot + count)
    lengths = np.maximum(last - first, 0)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    slot = consecutive(first, lengths)
    begin = slot * slot_ms
    inside_ms = np.minimum(end_ms[owner], begin + slot_ms) - np.maximum(start_ms[owner], begin)
    whole_ms = (end_ms - start_ms)[owner]
    share = np.divide(inside_ms, whole_ms, out=np.ones(len(owner)), where=whole_ms > 0)
    return _added(slot - from_slot, joules[owner] * share, count)


def by_quarter(hours: FloatArray) -> FloatArray:
    """Energies of hours [..., n] as quarter hours [..., 4 n]: evenly, for nothing more is known of them."""
    return np.repeat(hours / QUARTERS_PER_HOUR, QUARTERS_PER_HOUR, axis=-1)


def consecutive(first: IntArray, lengths: IntArray) -> IntArray:
    """First, first + 1, … of each row, so many of each, row after row.

    >>> consecutive(np.array([4, 9]), np.array([2, 1])).tolist()
    [4, 5, 9]
    """
    before = np.cumsum(lengths) - lengths
    numbers: IntArray = np.repeat(first - before, lengths) + np.arange(int(lengths.sum()), dtype=np.int64)
    return numbers


def _added(place: IntArray, joules: FloatArray, count: int) -> FloatArray:
    inside = (place >= 0) & (place < count)
    return np.bincount(place[inside], joules[inside], count).astype(np.float64, copy=False)
