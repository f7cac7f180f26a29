"""A day's profile: joules by quarter hour and node-seconds by hour, summed over ledger rows.

What a zone's day begins with is a quarter hour of some UTC day, so that sums over quarters are the energy of any
zone's days, to the joule. Time is known by row: it is spread evenly from the row's begin over its elapsed time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from measurements.domain.units import HOUR_MS, QUARTERS_PER_DAY, US_PER_MS, US_PER_S, FloatArray, IntArray

HOURS_PER_DAY = 24
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


@dataclass(frozen=True, slots=True)
class Profiles:
    """One row a group."""

    energy_j: FloatArray  # [groups, 96]
    covered_s: FloatArray  # [groups, 24]
    elapsed_s: FloatArray  # [groups, 24]
    filled_j: FloatArray  # [groups, 24]
    reserved_s: FloatArray  # [groups, 24]


def profiles(rows: Rows, group: IntArray, groups: int) -> Profiles:
    """Sums over the rows of each group, added one after the other in the order of the rows."""
    joules = np.frombuffer(b"".join(map(bytes, rows.quarters)), "<f8") if len(rows.quarters) else np.zeros(0)
    lengths = np.array([len(data) // joules.itemsize for data in rows.quarters], np.int64)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    before = np.cumsum(lengths) - lengths
    quarter = rows.first_quarter[owner] + np.arange(len(owner)) - before[owner]
    energy = _added(group[owner] * QUARTERS_PER_DAY + quarter, joules, groups, QUARTERS_PER_DAY)
    share_us = _overlaps_us(rows.begin_us, rows.elapsed_us)
    elapsed = np.where(rows.elapsed_us > 0, rows.elapsed_us, 1)[:, None]
    parts = (
        share_us * (rows.covered_us[:, None] / elapsed) / US_PER_S,
        share_us / US_PER_S,
        share_us * (rows.filled_j[:, None] / elapsed),
        share_us * (rows.reserved_us[:, None] / elapsed) / US_PER_S,
    )
    hour = (group[:, None] * HOURS_PER_DAY + np.arange(HOURS_PER_DAY)).ravel()
    return Profiles(energy, *(_added(hour, part.ravel(), groups, HOURS_PER_DAY) for part in parts))


def _added(key: IntArray, values: FloatArray, groups: int, width: int) -> FloatArray:
    return np.bincount(key, values, groups * width).astype(np.float64, copy=False).reshape(groups, width)


def _overlaps_us(begin_us: IntArray, elapsed_us: IntArray) -> FloatArray:
    """How much of each hour each row lasts [rows, 24]."""
    begin, end = begin_us[:, None], (begin_us + elapsed_us)[:, None]
    inside = np.minimum(end, _EDGES_US[None, 1:]) - np.maximum(begin, _EDGES_US[None, :-1])
    return np.maximum(inside, 0).astype(np.float64)
