"""A day's profile: records of hours, summed over ledger rows.

What a zone's day begins with is a quarter hour of some UTC day, so that sums over quarters are the energy of any
zone's days, to the joule. Time is known by row: it is spread evenly from the row's begin over its elapsed time; what
was covered of a row with gaps, over those hours in which it has joules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from measurements.domain.slot_sums import expanded
from measurements.domain.units import HOUR_MS, QUARTER_MS, QUARTERS_PER_DAY, US_PER_MS, US_PER_S, FloatArray, IntArray

HOURS_PER_DAY = 24
QUARTERS_PER_HOUR = QUARTERS_PER_DAY // HOURS_PER_DAY

# A record of an hour: 12 float64.
ENERGY = slice(0, 4)  # metered joules of its quarter hours
IDLE = slice(4, 8)  # of them: of GPUs that were held and idle
COVERED, ELAPSED, FILLED, RESERVED = range(8, 12)  # node-seconds, node-seconds, joules, node-seconds × share held
RECORD = 12

_EDGES_US = np.arange(HOURS_PER_DAY + 1, dtype=np.int64) * HOUR_MS * US_PER_MS


@dataclass(frozen=True, slots=True)
class Rows:
    """Ledger rows of one UTC day, as columns."""

    first_quarter: IntArray
    quarters: Sequence[bytes | memoryview]  # packed joules from first_quarter on
    begin_us: IntArray  # after midnight
    elapsed_us: IntArray
    covered_us: IntArray
    reserved_us: IntArray
    filled_j: FloatArray
    idle_share: FloatArray  # of the row's joules: of idle GPUs, 0 to 1


def profiles(rows: Rows, group: IntArray, groups: int) -> FloatArray:
    """
    Records of the 24 hours of each group, its rows added one after the other in their order.

    Parameters
    ----------
    rows : Rows
        k ledger rows of one UTC day.
    group : array of k
        Which group each row belongs to, 0 to groups - 1.

    Returns
    -------
    array of (groups, 24, RECORD)

    Notes
    -----
    When a row's GPUs were idle is known as a sum of the day only: it is spread like the row's energy.
    """
    owner, quarter, joules = expanded(rows.first_quarter, rows.quarters)
    key = group[owner] * QUARTERS_PER_DAY + quarter
    found = np.zeros((groups, HOURS_PER_DAY, RECORD))
    found[:, :, ENERGY] = _added(key, joules, (groups, HOURS_PER_DAY, QUARTERS_PER_HOUR))
    found[:, :, IDLE] = _added(key, joules * rows.idle_share[owner], (groups, HOURS_PER_DAY, QUARTERS_PER_HOUR))
    share_us = _overlaps_us(rows.begin_us, rows.elapsed_us)
    elapsed = np.where(rows.elapsed_us > 0, rows.elapsed_us, 1)[:, None]
    hour = (group[:, None] * HOURS_PER_DAY + np.arange(HOURS_PER_DAY)).ravel()
    hourly = _added(owner * HOURS_PER_DAY + quarter // QUARTERS_PER_HOUR, joules, share_us.shape)
    parts = {
        COVERED: _covered_us(rows, share_us, hourly) / US_PER_S,
        ELAPSED: share_us / US_PER_S,
        FILLED: share_us * (rows.filled_j[:, None] / elapsed),
        RESERVED: share_us * (rows.reserved_us[:, None] / elapsed) / US_PER_S,
    }
    for column, part in parts.items():
        found[:, :, column] = _added(hour, part.ravel(), (groups, HOURS_PER_DAY))
    return found


def packed_hours(day: FloatArray) -> tuple[int, bytes]:
    """As a day's records [24, 12] are stored: the first hour that holds anything, and all up to the last that does."""
    some = np.flatnonzero((day != 0).any(axis=1))
    if not len(some):
        return 0, b""
    first, last = int(some[0]), int(some[-1])
    return first, day[first : last + 1].astype("<f8").tobytes()


def unpacked_hours(hours: Iterable[bytes | memoryview]) -> tuple[IntArray, FloatArray]:
    """What `packed_hours` packed of k days: the owner of each record [n], and the records [n, 12]."""
    data = [bytes(day) for day in hours]
    records = np.frombuffer(b"".join(data), "<f8").reshape(-1, RECORD)
    width = RECORD * records.itemsize
    return np.repeat(np.arange(len(data)), [len(day) // width for day in data]), records


def _added(key: IntArray, values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    return np.bincount(key, values, int(np.prod(shape))).astype(np.float64, copy=False).reshape(shape)


def _covered_us(rows: Rows, share_us: FloatArray, joules: FloatArray) -> FloatArray:
    """How much of each hour of each row was measured [rows, 24]: none of one without a joule, unless nothing lacks."""
    gaps = rows.elapsed_us - rows.covered_us >= QUARTER_MS * US_PER_MS
    measured_us = np.where(gaps[:, None] & (joules == 0), 0.0, share_us)
    whole_us = measured_us.sum(axis=1)
    short = whole_us < rows.covered_us  # what was measured is 0 W somewhere
    measured_us[short] = share_us[short]
    whole_us[short] = share_us[short].sum(axis=1)
    return measured_us * (rows.covered_us / np.where(whole_us > 0, whole_us, 1.0))[:, None]


def _overlaps_us(begin_us: IntArray, elapsed_us: IntArray) -> FloatArray:
    """How much of each hour each row lasts [rows, 24]."""
    begin, end = begin_us[:, None], (begin_us + elapsed_us)[:, None]
    inside = np.minimum(end, _EDGES_US[None, 1:]) - np.maximum(begin, _EDGES_US[None, :-1])
    return np.maximum(inside, 0).astype(np.float64)
