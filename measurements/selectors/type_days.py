"""The roll-up cluster × UTC day × node type as columns: energy, wall time and what was covered, by quarter hour.

A cluster's page reads nothing else of a thousand nodes. Covered time is known by hour and off time by day: inside
them covered time is spread evenly, off time over what was not covered, so that every quarter hour closes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from django.db.models import QuerySet

from measurements.domain.packing import stacked, unpacked
from measurements.domain.units import (
    MS_PER_S,
    QUARTER_MS,
    QUARTERS_PER_DAY,
    US_PER_S,
    FloatArray,
    IntArray,
    day_start_ms,
)
from measurements.models import TypeDay
from measurements.selectors.frames import frame_of

HOURS_PER_DAY = 24
QUARTERS_PER_HOUR = 4
SUMS = ("metered_j", "unallocated_j", "wall_s", "covered_s", "off_s")
_COLUMNS = (
    "day",
    "node_type__name",
    "nodes",
    "measured_nodes",
    "off_us",
    "covered_hours",
    "metered_quarters",
    "unallocated_quarters",
)
_OF_EMISSIONS = ("node_type_id", "filled_hours", "reserved_hours")


@dataclass(frozen=True, slots=True)
class TypeDays:
    """Rows as columns, oldest first; what ends in ``[k, 96]`` is by quarter hour of the row's UTC day."""

    types: tuple[str, ...]  # names, in order
    kind: IntArray  # [k] place in types
    nodes: IntArray  # [k]
    measured: IntArray  # [k]
    at_ms: IntArray  # [k, 96] when each quarter hour begins
    metered_j: FloatArray  # [k, 96]
    unallocated_j: FloatArray  # [k, 96]
    wall_s: FloatArray  # [k, 96] node-seconds up to now
    covered_s: FloatArray  # [k, 96]
    off_s: FloatArray  # [k, 96]

    def together(self) -> Quarters:
        """All types together, day by day."""
        begins = np.flatnonzero(np.diff(self.at_ms[:, 0], prepend=-1))
        if not len(begins):
            return Quarters(np.zeros(0, np.int64), *(np.zeros(0) for _ in SUMS))
        sums = {name: np.add.reduceat(getattr(self, name), begins, axis=0).ravel() for name in SUMS}
        return Quarters(at_ms=self.at_ms[begins].ravel(), **sums)


@dataclass(frozen=True, slots=True)
class Quarters:
    """Sums by quarter hour, oldest first."""

    at_ms: IntArray
    metered_j: FloatArray
    unallocated_j: FloatArray
    wall_s: FloatArray
    covered_s: FloatArray
    off_s: FloatArray


def quarter_starts_ms(day_ms: IntArray) -> IntArray:
    """When each quarter hour of some UTC days begins, one row a day."""
    return day_ms[:, None] + QUARTER_MS * np.arange(QUARTERS_PER_DAY, dtype=np.int64)


def type_days(rows: QuerySet[TypeDay], now_ms: int) -> TypeDays:
    """Some rows of one cluster; time after ``now_ms`` is no gap."""
    return type_days_of(frame_of(_ordered(rows).values_list(*_COLUMNS), _COLUMNS), now_ms)


def type_day_frame(rows: QuerySet[TypeDay]) -> pd.DataFrame:
    """Some rows of one cluster with all that `type_days_of` and `emissions.cluster_footprints` need; one query."""
    return frame_of(_ordered(rows).values_list(*_COLUMNS, *_OF_EMISSIONS), (*_COLUMNS, *_OF_EMISSIONS))


def _ordered(rows: QuerySet[TypeDay]) -> QuerySet[TypeDay]:
    return rows.order_by("day", "node_type__name")


def type_days_of(frame: pd.DataFrame, now_ms: int) -> TypeDays:
    """Rows of `type_day_frame` as columns."""
    found = list(frame[list(_COLUMNS)].itertuples(index=False, name=None))
    days, names, nodes, measured, off, covered, metered, unallocated = zip(*found, strict=True) if found else [()] * 8
    types = tuple(sorted(set(names)))
    place = {name: i for i, name in enumerate(types)}
    count = np.array(nodes, np.int64)
    at_ms = quarter_starts_ms(np.array([day_start_ms(day) for day in days], np.int64))
    wall_s = count[:, None] * (np.clip(now_ms - at_ms, 0, QUARTER_MS) / MS_PER_S)
    by_hour = wall_s.reshape(-1, HOURS_PER_DAY, QUARTERS_PER_HOUR)
    hours = unpacked(b"".join(map(bytes, covered))).reshape(-1, HOURS_PER_DAY)
    covered_s = spread(hours, by_hour).reshape(wall_s.shape)
    uncovered_s = np.maximum(wall_s - covered_s, 0.0)
    return TypeDays(
        types=types,
        kind=np.array([place[name] for name in names], np.int64),
        nodes=count,
        measured=np.array(measured, np.int64),
        at_ms=at_ms,
        metered_j=stacked(metered),
        unallocated_j=stacked(unallocated),
        wall_s=wall_s,
        covered_s=covered_s,
        off_s=spread(np.minimum(np.array(off) / US_PER_S, uncovered_s.sum(axis=1)), uncovered_s),
    )


def spread(sums: FloatArray, weights: FloatArray) -> FloatArray:
    """Each row's sum over its columns in proportion to their weights; evenly where all of them are 0."""
    total = weights.sum(axis=-1, keepdims=True)
    shares = np.divide(weights, total, out=np.full(weights.shape, 1 / weights.shape[-1]), where=total > 0)
    parts: FloatArray = sums[..., None] * shares
    return parts
