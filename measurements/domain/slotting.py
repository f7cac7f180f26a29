"""Slots of any length on the quarter hours of UTC days, as carbon intensities are stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from measurements.domain.units import QUARTER_MS, BoolArray, FloatArray, IntArray

MISSING, MEASURED, ESTIMATED = 0, 1, 2  # kinds
_LONGEST_MS = 24 * 3_600_000  # a slot; a longer one is no hour of a grid


@dataclass(frozen=True, slots=True)
class Slotted:
    """Quarter hours, ascending and each once."""

    quarter: IntArray  # since 1970
    g_per_kwh: FloatArray
    kind: IntArray


def is_slot(start_ms: IntArray, end_ms: IntArray) -> BoolArray:
    """Which slots can be stored: whole quarter hours, or an equal part of one that does not cross its edge."""
    length = end_ms - start_ms
    whole = (start_ms % QUARTER_MS == 0) & (end_ms % QUARTER_MS == 0)
    inside = (length > 0) & (length < QUARTER_MS) & (start_ms // QUARTER_MS == (end_ms - 1) // QUARTER_MS)
    possible: BoolArray = (length > 0) & (length <= _LONGEST_MS) & (whole | inside)
    return possible


def on_quarters(start_ms: IntArray, end_ms: IntArray, g_per_kwh: FloatArray, estimated: BoolArray) -> Slotted:
    """
    Spread slots over quarter hours.

    Parameters
    ----------
    start_ms, end_ms : int64 [n]
        Slots for which `is_slot` holds.
    g_per_kwh : float64 [n]
    estimated : bool [n]

    Returns
    -------
    Slotted
        A slot of quarter hours has its value in each of them; of overlapping ones the shorter wins, of equally long
        ones the later row. Shorter slots are averaged by their length, where together they fill the quarter hour; it
        is estimated if one of them is.
    """
    length = end_ms - start_ms
    order = np.lexsort((np.arange(len(length)), -length))  # longest first: what comes later is written over it
    long = order[length[order] >= QUARTER_MS]
    count = length[long] // QUARTER_MS
    quarter = np.repeat(start_ms[long] // QUARTER_MS, count) + _within(count)
    value, kind = np.repeat(g_per_kwh[long], count), np.repeat(_kinds(estimated[long]), count)
    few = length < QUARTER_MS
    short = _of_short(start_ms[few], length[few], g_per_kwh[few], estimated[few])
    quarter, value, kind = (np.concatenate(pair) for pair in zip((quarter, value, kind), short, strict=True))
    last = len(quarter) - 1 - np.unique(quarter[::-1], return_index=True)[1]
    return Slotted(quarter[last], value[last], kind[last])


def _of_short(
    start_ms: IntArray, length: IntArray, value: FloatArray, estimated: BoolArray
) -> tuple[IntArray, FloatArray, IntArray]:
    """Means of the quarter hours that slots shorter than one fill; a start twice: the later row."""
    last = len(start_ms) - 1 - np.unique(start_ms[::-1], return_index=True)[1]
    start_ms, length, value, estimated = start_ms[last], length[last], value[last], estimated[last]
    quarter, group = np.unique(start_ms // QUARTER_MS, return_inverse=True)
    filled = np.bincount(group, length, len(quarter))
    mean = np.bincount(group, value * length, len(quarter)) / np.maximum(filled, 1)
    some = np.bincount(group, estimated, len(quarter)) > 0
    whole = filled == QUARTER_MS
    return quarter[whole], mean[whole], _kinds(some[whole])


def _within(count: IntArray) -> IntArray:
    """0, 1, …, count - 1 of each."""
    return np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)


def _kinds(estimated: BoolArray) -> IntArray:
    return np.where(estimated, ESTIMATED, MEASURED).astype(np.int64)
