"""What ledger rows drew by quarter hour, and which node-hours they reserved: what a price list is applied to.

For jobs, and for people where the roll-ups do not reach (a part of a day, a filter). Sums go in the order of the
ledger's rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from django.db.models import QuerySet

from measurements.domain.profiles import HOURS_PER_DAY
from measurements.domain.slot_sums import by_quarter, slot_sums, spread_evenly
from measurements.domain.units import (
    EPOCH_DAY,
    HOUR_MS,
    QUARTERS_PER_DAY,
    S_PER_HOUR,
    US_PER_MS,
    US_PER_S,
    FloatArray,
    IntArray,
    day_start_ms,
)
from measurements.models import AllocationEnergy, NodeConfig
from measurements.selectors.frames import frame_of

_NO_TYPE = -1
_FAR = np.int64(1) << 32  # days: no date is as far
_COLUMNS = ("node_id", "day", "first_quarter", "quarters", "reserved_us")


@dataclass(frozen=True, slots=True)
class EnergyQuarters:
    """Whole UTC days, the first of them ``first``."""

    first: date
    metered_j: FloatArray  # [96 · days]
    node_hours: dict[int, FloatArray]  # reserved, by node type [days]
    unknown_rows: int  # booked before reserved time was: no node-hours of them

    @property
    def days(self) -> int:
        """How many UTC days."""
        return len(self.metered_j) // QUARTERS_PER_DAY

    @property
    def last(self) -> date:
        """The last UTC day; the one before ``first`` if there is none."""
        return self.first + timedelta(days=self.days - 1)


def energy_quarters(
    rows: QuerySet[AllocationEnergy], first: date | None = None, last: date | None = None
) -> EnergyQuarters:
    """Metered energy of ledger rows by quarter hour of the UTC days [first, last], else of all days they have.

    Two queries. Without rows and days it is of no day.
    """
    frame = frame_of(rows.order_by("pk").values_list(*_COLUMNS), _COLUMNS)
    day = np.array([(each - EPOCH_DAY).days for each in frame["day"].tolist()], np.int64)
    low = int(day.min(initial=(1 << 40))) if first is None else (first - EPOCH_DAY).days
    high = int(day.max(initial=-1)) if last is None else (last - EPOCH_DAY).days
    if high < low:
        return EnergyQuarters(first or EPOCH_DAY, np.zeros(0), {}, 0)
    start = day * QUARTERS_PER_DAY + frame["first_quarter"].to_numpy(np.int64)
    days = high - low + 1
    inside = (day >= low) & (day <= high)
    reserved = pd.to_numeric(frame["reserved_us"]).to_numpy(np.float64)
    return EnergyQuarters(
        first=EPOCH_DAY + timedelta(days=low),
        metered_j=slot_sums(start, frame["quarters"].tolist(), low * QUARTERS_PER_DAY, days * QUARTERS_PER_DAY),
        node_hours=_node_hours(
            frame["node_id"].to_numpy(np.int64)[inside], (day - low)[inside], reserved[inside], low, days
        ),
        unknown_rows=int(np.isnan(reserved[inside]).sum()),
    )


def filled_quarters(allocations: pd.DataFrame, first: date, days: int, start_ms: int = 0) -> FloatArray:
    """Filled energy of allocations (`measurements.domain.figures.fill`) by quarter hour [96 · days].

    Spread evenly over the time that counts, which begins at ``start_ms`` for those that began before it; by hour,
    as the roll-ups know it, so that jobs add up to what their people and their cluster have in each quarter hour.
    """
    begin = np.maximum(allocations["start_ms"].to_numpy(np.int64), start_ms)
    end = begin + allocations["elapsed_us"].to_numpy(np.int64) // US_PER_MS
    filled_j = allocations["filled_j"].to_numpy(np.float64)
    some = filled_j != 0
    from_hour = day_start_ms(first) // HOUR_MS
    return by_quarter(spread_evenly(begin[some], end[some], filled_j[some], from_hour, days * HOURS_PER_DAY, HOUR_MS))


def _node_hours(node: IntArray, day: IntArray, reserved_us: FloatArray, low: int, days: int) -> dict[int, FloatArray]:
    """Reserved node-hours by the type that each node is on each day."""
    hours = np.nan_to_num(reserved_us) / US_PER_S / S_PER_HOUR
    node_type = _types(node, day + low)
    return {
        pk: np.bincount(day[node_type == pk], hours[node_type == pk], days).astype(np.float64, copy=False)
        for pk in np.unique(node_type).tolist()
        if pk != _NO_TYPE
    }


def _types(node: IntArray, day: IntArray) -> IntArray:
    """The node type in force, of a node not yet described then its first one."""
    configs = NodeConfig.objects.filter(node__in=np.unique(node).tolist()).order_by("node_id", "valid_from")
    columns = configs.values_list("node_id", "valid_from", "node_type_id")
    found = [(pk, (since - EPOCH_DAY).days, kind) for pk, since, kind in columns]
    owner, since, kind = np.array(found, np.int64).reshape(-1, 3).T
    # Sorted by node and day: as one number, the last one not after a row's own is in force.
    place = np.searchsorted(owner * _FAR + since, node * _FAR + day, side="right") - 1
    place = np.maximum(place, np.searchsorted(owner, node))
    described = np.append(owner, _NO_TYPE)[np.minimum(place, len(owner))] == node
    return np.where(described, np.append(kind, _NO_TYPE)[np.minimum(place, len(owner))], _NO_TYPE)
