"""Sums of hours' records over local days, weeks and months, and over groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import numpy as np
import pandas as pd

from measurements.domain.carbon import Part, PriceList
from measurements.domain.chain import slots
from measurements.domain.profiles import COVERED, ELAPSED, ENERGY, FILLED, IDLE, QUARTERS_PER_HOUR, RECORD
from measurements.domain.units import QUARTER_MS, BoolArray, FloatArray, IntArray


class Granularity(StrEnum):
    """How long a bar is."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"  # from Monday on
    MONTH = "month"


def first_days(first: date, last: date, granularity: Granularity) -> list[date]:
    """The days in [first, last] with which a bar begins; the first bar begins with the first day, whatever it is.

    >>> [day.day for day in first_days(date(2026, 3, 28), date(2026, 4, 7), Granularity.WEEK)]
    [28, 30, 6]
    >>> [day.month for day in first_days(date(2026, 1, 31), date(2026, 3, 1), Granularity.MONTH)]
    [1, 2, 3]
    """
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    if granularity is Granularity.WEEK:
        return [day for day in days if day == first or day.weekday() == 0]
    if granularity is Granularity.MONTH:
        return [day for day in days if day == first or day.day == 1]
    return days


@dataclass(frozen=True, slots=True)
class Quartered:
    """What rows of a roll-up hold, quarter hour by quarter hour [n]; rows of one kind are added up."""

    kind: IntArray
    at: IntArray  # number of the quarter hour since 1970
    energy_j: FloatArray
    idle_j: FloatArray
    covered_s: FloatArray
    elapsed_s: FloatArray
    filled_j: FloatArray

    def inside(self, first: int, end: int) -> Quartered:
        """Those of [first, end)."""
        keep = (self.at >= first) & (self.at < end)
        if keep.all():
            return self
        return Quartered(*(getattr(self, name)[keep] for name in self.__slots__))


def quartered(kind: IntArray, hour: IntArray, records: FloatArray, first: int, end: int) -> Quartered:
    """
    Records of hours as quarter hours of [first, end), those of one kind and hour added one after the other.

    Parameters
    ----------
    kind : array of m
        Numbers of kinds from 0 on, within which nobody asks for a row any more.
    hour : array of m
        Since 1970.
    records : array of (m, 12)
        `measurements.domain.profiles`; time and filled joules are spread evenly in an hour.
    first, end : int
        Quarter hours since 1970.
    """
    keep = (hour >= first // QUARTERS_PER_HOUR) & (hour * QUARTERS_PER_HOUR < end)
    if not keep.all():
        kind, hour, records = kind[keep], hour[keep], records[keep]
    kind, hour, sums = _added(kind, hour, records)
    quarter = (hour[:, None] * QUARTERS_PER_HOUR + np.arange(QUARTERS_PER_HOUR)).ravel()
    part = {name: np.repeat(sums[:, name] / QUARTERS_PER_HOUR, QUARTERS_PER_HOUR) for name in _EVEN}
    return Quartered(
        kind=np.repeat(kind, QUARTERS_PER_HOUR),
        at=quarter,
        energy_j=sums[:, ENERGY].ravel(),
        idle_j=sums[:, IDLE].ravel(),
        covered_s=part[COVERED],
        elapsed_s=part[ELAPSED],
        filled_j=part[FILLED],
    ).inside(first, end)


_EVEN = (COVERED, ELAPSED, FILLED)


def _added(kind: IntArray, hour: IntArray, records: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Kind, hour and sum of the records that agree in both, in the order in which each came first."""
    low = int(hour.min(initial=0)) if len(hour) else 0
    span = int(hour.max(initial=low)) - low + 1
    place, key = pd.factorize(kind * span + (hour - low))
    each = (place[:, None] * RECORD + np.arange(RECORD)).ravel()
    sums = np.bincount(each, records.ravel(), len(key) * RECORD).astype(np.float64).reshape(-1, RECORD)
    return key // span, key % span + low, sums


@dataclass(frozen=True, slots=True)
class Rates:
    """What a joule of the nodes gives in each quarter hour of a list [n]; nan: not known."""

    first: int  # number of the first quarter hour
    facility_j: FloatArray
    location_g: FloatArray
    market_g: FloatArray
    cost: FloatArray

    @classmethod
    def of(cls, prices: PriceList, currency: str = "") -> Rates:
        """Of a price list: `chain.slots` is linear in the energy. What costs another currency has no price."""
        one = slots(np.ones(len(prices.at_ms)), prices)
        other = [origin.unit.partition("/")[0] != currency for origin in prices.origins]
        cost = np.where(np.array([*other, True])[prices.origin[Part.TARIFF]], np.nan, one.cost)
        return cls(int(prices.at_ms[0]) // QUARTER_MS, one.facility_j, one.location_g, one.market_g, cost)


PRICED = ("location_g", "market_g", "cost")


def priced(found: Quartered, rates: Mapping[int, Rates], cluster: IntArray) -> dict[str, FloatArray]:
    """Facility energy and amounts of each quarter hour [n]; ``cluster``: of each kind."""
    node_j = found.energy_j + found.filled_j
    if len(rates) == 1:
        (rate,) = rates.values()
        return {name: node_j * getattr(rate, name)[found.at - rate.first] for name in ("facility_j", *PRICED)}
    result = {name: np.full(len(node_j), np.nan) for name in ("facility_j", *PRICED)}
    owner = cluster[found.kind]
    for pk, rate in rates.items():
        mine = owner == pk
        place = found.at[mine] - rate.first
        for name, values in result.items():
            values[mine] = node_j[mine] * getattr(rate, name)[place]
    return result


def cell_sums(
    found: Quartered,
    cell: IntArray,
    cells: int,
    failed: BoolArray,
    running: BoolArray,
    amounts: Mapping[str, FloatArray],
) -> dict[str, FloatArray]:
    """
    Sums of quarter hours by cell, each added one after the other in their order.

    Parameters
    ----------
    found : Quartered of n
    cell : array of n
        Which cell each quarter hour belongs to.
    failed : array of k kinds
        Where the jobs came to nothing and that is their user's.
    running : array of k kinds
        Where the jobs have not ended.
    amounts : dict of arrays of n
        As `priced` gives them.

    Returns
    -------
    dict of arrays of ``cells``
        Joules, seconds, grams and money. An amount is nan where jobs ran and no energy of them is known, and where
        energy was drawn and no factor is known for any of it; where it is known for a part, it is that part's.
    """
    wasted, goes_on = failed[found.kind], running[found.kind]
    columns = {
        "energy_j": found.energy_j,
        "filled_j": found.filled_j,
        "covered_s": found.covered_s,
        "elapsed_s": found.elapsed_s,
        "failed_j": np.where(wasted, found.energy_j, 0.0),
        "idle_j": np.where(wasted, 0.0, found.idle_j),
        "running_s": np.where(goes_on, found.elapsed_s, 0.0),
        "facility_j": amounts["facility_j"],
    }
    sums = {name: np.bincount(cell, values, cells).astype(np.float64) for name, values in columns.items()}
    some = found.energy_j + found.filled_j != 0
    drawn = np.bincount(cell[some], minlength=cells)
    dark = (drawn == 0) & (sums["elapsed_s"] > 0) & (sums["covered_s"] == 0)
    for name in PRICED:
        unknown = np.isnan(amounts[name])
        lost = np.bincount(cell[some & unknown], minlength=cells)
        total = np.bincount(cell, np.where(unknown, 0.0, amounts[name]), cells)
        sums[name] = np.where(dark | ((drawn > 0) & (lost == drawn)), np.nan, total)
    return sums
