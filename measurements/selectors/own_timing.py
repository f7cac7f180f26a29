"""When a person's jobs ran against when the grid was green; no query, all of it is in their history."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from measurements.domain.profiles import HOURS_PER_DAY
from measurements.domain.timeshift import Shift, Timing, shifted, timing
from measurements.domain.units import FloatArray, IntArray
from measurements.selectors.grid import REACHES_H, SLOTS_PER_H
from measurements.selectors.usage_emissions import Quarters


@dataclass(frozen=True, slots=True)
class OwnTiming:
    """The quarter hours of a period that have begun, also by the hour of the local day."""

    timing: Timing | None  # None: nothing can be said of hours
    shifts: tuple[Shift, ...]
    energy_j: FloatArray  # [24] of the facility; nan: the period has had no such hour yet
    grid_g_per_kwh: FloatArray  # [24] mean of the quarter hours of which it is known itself; nan: of none


def own_timing(quarters: Quarters, zone: ZoneInfo, now_ms: int) -> OwnTiming:
    """The grid is that of the cluster on which most was drawn, for all of the energy."""
    over = quarters.at_ms < now_ms
    energy_j, grid = np.nan_to_num(quarters.facility_j[over]), quarters.grid_g_per_kwh[over]
    resolved = quarters.grid_resolved[over]
    hour = _local_hours(quarters.at_ms[over], zone)
    times = np.bincount(hour[resolved], None, HOURS_PER_DAY)
    total = np.bincount(hour[resolved], grid[resolved], HOURS_PER_DAY)
    seen = np.bincount(hour, None, HOURS_PER_DAY)
    drawn = np.bincount(hour, energy_j, HOURS_PER_DAY).astype(np.float64)
    shifts = [shifted(energy_j, grid, resolved, hours * SLOTS_PER_H) for hours in REACHES_H]
    return OwnTiming(
        timing=timing(energy_j, grid, resolved),
        shifts=tuple(shift for shift in shifts if shift is not None),
        energy_j=np.where(seen > 0, drawn, np.nan),
        grid_g_per_kwh=np.divide(total, times, out=np.full(HOURS_PER_DAY, np.nan), where=times > 0),
    )


def _local_hours(at_ms: IntArray, zone: ZoneInfo) -> IntArray:
    instants = pd.DatetimeIndex(pd.to_datetime(at_ms, unit="ms", utc=True))
    found: IntArray = instants.tz_convert(zone).hour.to_numpy(np.int64)
    return found
