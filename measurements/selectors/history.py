"""A person's energy by day and node type, in the site's own days."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from django.contrib.auth.models import AbstractUser, AnonymousUser

from measurements.domain.carbon import Part
from measurements.domain.chain import Footprint, slots, together
from measurements.domain.packing import stacked
from measurements.domain.profiles import HOURS_PER_DAY
from measurements.domain.quality import ratio
from measurements.domain.timeshift import time_resolved
from measurements.domain.units import (
    QUARTER_MS,
    QUARTERS_PER_DAY,
    BoolArray,
    FloatArray,
    IntArray,
    day_from_ms,
    day_start_ms,
    ms_from_datetime,
)
from measurements.models import UserDay
from measurements.selectors.emissions import rolled_up
from measurements.selectors.prices import price_lists

_BY_DAY = ("energy_j", "filled_j", "covered_s", "elapsed_s")
_HOURS = ("filled_hours", "covered_hours", "elapsed_hours")
QUARTERS_PER_HOUR = QUARTERS_PER_DAY // HOURS_PER_DAY


@dataclass(frozen=True, slots=True)
class DayEnergy:
    """What a person's jobs drew on one of the site's days."""

    day: date
    energy_j: float  # metered
    filled_j: float  # estimated where nothing was metered; not part of energy_j
    covered_s: float  # node-seconds
    elapsed_s: float  # node-seconds; 0: no job ran
    by_type_j: tuple[float, ...]  # metered, in the order of the history's node types
    location_g: float | None = None  # operational emissions of energy_j and filled_j; None: no intensity is known
    market_g: float | None = None

    @property
    def coverage(self) -> float | None:
        """Covered ÷ elapsed, 0 to 1."""
        return ratio(self.covered_s, self.elapsed_s)


@dataclass(frozen=True, slots=True)
class Quarters:
    """The period by quarter hour [n]: when the jobs ran, and what the grid was like."""

    at_ms: IntArray
    facility_j: FloatArray  # of the person's jobs, with infrastructure and PUE
    location_g: FloatArray  # emitted by them; nan: not known
    market_g: FloatArray
    grid_g_per_kwh: FloatArray  # of the cluster on which most was drawn, location-based; nan: not known
    grid_resolved: BoolArray  # where that is known of the quarter hour itself, not as a mean of a longer time


@dataclass(frozen=True, slots=True)
class History:
    """Days [first, last] of a person, each of them, oldest first."""

    first: date
    last: date
    zone: str
    node_types: tuple[str, ...]  # most energy first
    days: tuple[DayEnergy, ...]
    previous_j: float  # metered in the period of the same length before
    previous_elapsed_s: float
    footprint: Footprint  # of the period, with all its steps
    previous: Footprint
    quarters: Quarters

    @property
    def energy_j(self) -> float:
        """Metered in the period."""
        return sum(d.energy_j for d in self.days)

    @property
    def filled_j(self) -> float:
        """Estimated in the period where nothing was metered."""
        return sum(d.filled_j for d in self.days)

    @property
    def elapsed_s(self) -> float:
        """Node-seconds of the period's jobs inside it."""
        return sum(d.elapsed_s for d in self.days)

    @property
    def coverage(self) -> float | None:
        """Covered ÷ elapsed of the whole period, 0 to 1."""
        return ratio(sum(d.covered_s for d in self.days), self.elapsed_s)


def energy_history(viewer: AbstractUser | AnonymousUser, first: date, last: date, zone: ZoneInfo) -> History:
    """The viewer's own energy on the days [first, last] of ``zone``, from the roll-up of user × UTC day × node type."""
    length = (last - first).days + 1
    bounds = day_bounds_ms(first - timedelta(days=length), last, zone)
    roll_up = _roll_up(viewer, day_from_ms(bounds[0]), day_from_ms(bounds[-1] - 1))
    rows = _by_local_day(roll_up, bounds)
    before, inside = rows[rows["place"] < length], rows[rows["place"] >= length]
    types = _labels(inside, roll_up)
    emitted = _emitted(roll_up, bounds, length)
    days = _days(inside.assign(place=inside["place"] - length), first, length, types)
    return History(
        first=first,
        last=last,
        zone=zone.key,
        node_types=tuple(types.values()),
        days=emitted.on(days),
        previous_j=float(before["energy_j"].sum()),
        previous_elapsed_s=float(before["elapsed_s"].sum()),
        footprint=emitted.footprint,
        previous=emitted.previous,
        quarters=emitted.quarters,
    )


def day_bounds_ms(first: date, last: date, zone: ZoneInfo) -> IntArray:
    """The instants at which the days of ``zone`` from first to last begin, and the last one ends."""
    days = [first + timedelta(days=i) for i in range((last - first).days + 2)]
    return np.array([ms_from_datetime(datetime.combine(day, time.min, zone)) for day in days], np.int64)


def _by_local_day(days: pd.DataFrame, bounds: IntArray) -> pd.DataFrame:
    """Place of the day, node type id and the sums: quarter hours of UTC days, put into the days they lie in."""
    count, types = len(bounds) - 1, np.unique(days["node_type_id"].to_numpy(np.int64))
    kind = np.searchsorted(types, days["node_type_id"].to_numpy(np.int64))
    first_quarter = np.array([day_start_ms(day) // QUARTER_MS for day in days["day"]], np.int64)
    quarter = first_quarter[:, None] + np.arange(QUARTERS_PER_DAY)
    place = np.searchsorted(bounds // QUARTER_MS, quarter, side="right") - 1
    inside = (place >= 0) & (place < count)
    key = (place * len(types) + kind[:, None])[inside]
    hours = [
        np.repeat(stacked(days[name], HOURS_PER_DAY) / QUARTERS_PER_HOUR, QUARTERS_PER_HOUR, axis=1) for name in _HOURS
    ]
    sums = {
        name: np.bincount(key, values[inside], count * len(types))
        for name, values in zip(_BY_DAY, (stacked(days["energy_quarters"]), *hours), strict=True)
    }
    frame = pd.DataFrame({"place": np.repeat(np.arange(count), len(types)), "node_type_id": np.tile(types, count)})
    frame = frame.assign(**sums)
    return frame[frame["elapsed_s"] > 0]


def _roll_up(viewer: AbstractUser | AnonymousUser, first: date, last: date) -> pd.DataFrame:
    """The viewer's rows of user × UTC day × node type, packed as they are."""
    names = ["cluster__name", "node_type__name"]
    columns = ["cluster_id", "day", "node_type_id", "energy_quarters", *_HOURS, "reserved_hours", *names]
    known = viewer.is_authenticated and viewer.is_active
    mine = UserDay.objects.filter(username=viewer.get_username()) if known else UserDay.objects.none()
    rows = mine.filter(day__gte=first, day__lte=last).order_by("day", "cluster_id", "node_type_id")
    return pd.DataFrame(rows.values_list(*columns), columns=columns)


def _labels(rows: pd.DataFrame, names: pd.DataFrame) -> dict[int, str]:
    """Measured node types by id, most energy first; with the cluster's name where there are several clusters."""
    weight = rows[rows["covered_s"] > 0].groupby("node_type_id")["energy_j"].sum()
    columns = ["node_type_id", "cluster__name", "node_type__name"]
    found = names[names["node_type_id"].isin(weight.index)][columns].drop_duplicates().values.tolist()
    several = len({cluster for _, cluster, _ in found}) > 1
    found.sort(key=lambda row: (-weight[row[0]], row[2]))
    return {pk: f"{cluster}/{name}" if several else name for pk, cluster, name in found}


def _days(rows: pd.DataFrame, first: date, count: int, types: dict[int, str]) -> tuple[DayEnergy, ...]:
    place = rows["place"].to_numpy(np.int64)
    sums = np.stack([np.bincount(place, rows[name].to_numpy(np.float64), count) for name in _BY_DAY], axis=1)
    by_type = np.zeros((count, len(types)))
    column = {pk: i for i, pk in enumerate(types)}
    measured = rows[rows["node_type_id"].isin(column)]
    kinds = np.array([column[pk] for pk in measured["node_type_id"]], np.int64)
    np.add.at(by_type, (measured["place"].to_numpy(np.int64), kinds), measured["energy_j"].to_numpy(np.float64))
    days = enumerate(zip(sums.tolist(), by_type.tolist(), strict=True))
    return tuple(
        DayEnergy(first + timedelta(days=i), energy_j, filled_j, covered_s, elapsed_s, tuple(parts))
        for i, ((energy_j, filled_j, covered_s, elapsed_s), parts) in days
    )


# --- Emissions ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Emitted:
    """What the energies of the period and of the one before emit."""

    footprint: Footprint
    previous: Footprint
    quarters: Quarters
    bounds: IntArray  # of the period's days

    def on(self, days: tuple[DayEnergy, ...]) -> tuple[DayEnergy, ...]:
        """The days with what was emitted on each."""
        place = np.searchsorted(self.bounds, self.quarters.at_ms, side="right") - 1
        location_g = _by_day(place, self.quarters.location_g, self.quarters.facility_j, len(days))
        market_g = _by_day(place, self.quarters.market_g, self.quarters.facility_j, len(days))
        pairs = zip(days, location_g, market_g, strict=True)
        return tuple(replace(day, location_g=location, market_g=market) for day, location, market in pairs)


def _by_day(place: IntArray, grams: FloatArray, joules: FloatArray, count: int) -> list[float | None]:
    """Sums of what is known; None where energy was drawn and nothing of it is known."""
    total = np.bincount(place, np.nan_to_num(grams), count)
    drawn = np.bincount(place, joules != 0, count)
    unknown = np.bincount(place, (joules != 0) & np.isnan(grams), count)
    rows = zip(total.tolist(), drawn.tolist(), unknown.tolist(), strict=True)
    return [None if some and some == lost else grams for grams, some, lost in rows]


def _emitted(rows: pd.DataFrame, bounds: IntArray, length: int) -> _Emitted:
    """The roll-ups of each cluster times its price list; one query."""
    first, last = day_from_ms(bounds[0]), day_from_ms(bounds[-1] - 1)
    prices = price_lists(sorted(set(rows["cluster_id"].tolist())), first, last, set(rows["day"]))
    energies = {pk: rolled_up(rows[rows["cluster_id"] == pk], first, last) for pk in prices}
    at_ms = day_start_ms(first) + QUARTER_MS * np.arange(((last - first).days + 1) * QUARTERS_PER_DAY, dtype=np.int64)
    now = (at_ms >= bounds[length]) & (at_ms < bounds[-1])
    before = (at_ms >= bounds[0]) & (at_ms < bounds[length])
    by_slot = {pk: slots(energies[pk].node_j, prices[pk]) for pk in prices}
    heaviest = max(prices, key=lambda pk: float(energies[pk].node_j[now].sum()), default=None)
    grid = np.full(len(at_ms), np.nan) if heaviest is None else prices[heaviest].part(Part.LOCATION)
    resolved = np.zeros(len(at_ms), bool) if heaviest is None else time_resolved(prices[heaviest])
    quarters = Quarters(
        at_ms[now],
        _known_sum([part.facility_j for part in by_slot.values()], len(at_ms))[now],
        _known_sum([part.location_g for part in by_slot.values()], len(at_ms))[now],
        _known_sum([part.market_g for part in by_slot.values()], len(at_ms))[now],
        grid[now],
        resolved[now],
    )
    figures = (together([energies[pk].priced(prices[pk], where) for pk in prices]) for where in (now, before))
    return _Emitted(next(figures), next(figures), quarters, bounds[length:])


def _known_sum(parts: list[FloatArray], count: int) -> FloatArray:
    """The sum of what is known; nan where nothing is."""
    if not parts:
        return np.full(count, np.nan)
    every = np.stack(parts)
    total: FloatArray = np.where(np.isnan(every).all(axis=0), np.nan, np.nansum(every, axis=0))
    return total
