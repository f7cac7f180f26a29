"""Sums of hours' records over local days, weeks and months, and over groups."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import numpy as np

from measurements.domain.carbon import Part, PriceList
from measurements.domain.chain import slots
from measurements.domain.profiles import COVERED, ELAPSED, ENERGY, FILLED, IDLE, QUARTERS_PER_HOUR
from measurements.domain.units import QUARTER_MS, FloatArray, IntArray


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
    """What k rows of a roll-up hold, quarter hour by quarter hour [n]."""

    row: IntArray  # which row it is of
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


def quartered(owner: IntArray, first_hour: IntArray, records: FloatArray) -> Quartered:
    """
    Records of hours as quarter hours; time and filled joules are spread evenly in an hour.

    Parameters
    ----------
    owner : array of m
        The row each record is of, ascending.
    first_hour : array of k
        Number of the hour since 1970 with which each row begins.
    records : array of (m, 12)
        `measurements.domain.profiles`.
    """
    lengths = np.bincount(owner, minlength=len(first_hour))
    before = np.cumsum(lengths) - lengths
    hour = first_hour[owner] + np.arange(len(owner)) - before[owner]
    quarter = (hour[:, None] * QUARTERS_PER_HOUR + np.arange(QUARTERS_PER_HOUR)).ravel()
    part = {name: np.repeat(records[:, name] / QUARTERS_PER_HOUR, QUARTERS_PER_HOUR) for name in _EVEN}
    return Quartered(
        row=np.repeat(owner, QUARTERS_PER_HOUR),
        at=quarter,
        energy_j=records[:, ENERGY].ravel(),
        idle_j=records[:, IDLE].ravel(),
        covered_s=part[COVERED],
        elapsed_s=part[ELAPSED],
        filled_j=part[FILLED],
    )


_EVEN = (COVERED, ELAPSED, FILLED)


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


def cell_sums(
    found: Quartered,
    cell: IntArray,
    cells: int,
    failed: FloatArray,
    running: FloatArray,
    rates: dict[int, Rates],
    cluster: IntArray,
) -> dict[str, FloatArray]:
    """
    Sums of quarter hours by cell, each added one after the other in the order of the rows.

    Parameters
    ----------
    found : Quartered of n
    cell : array of n
        Which cell each quarter hour belongs to.
    failed : array of k rows
        1 where the row's jobs came to nothing and that is their user's, else 0.
    running : array of k rows
        1 where the row's jobs have not ended, else 0.
    rates : by cluster
    cluster : array of k rows

    Returns
    -------
    dict of arrays of ``cells``
        Joules, seconds, grams and money. An amount is nan where jobs ran and no energy of them is known, and where
        energy was drawn and no factor is known for any of it; where it is known for a part, it is that part's.
    """
    wasted = failed[found.row]
    node_j = found.energy_j + found.filled_j
    columns = {
        "energy_j": found.energy_j,
        "filled_j": found.filled_j,
        "covered_s": found.covered_s,
        "elapsed_s": found.elapsed_s,
        "failed_j": found.energy_j * wasted,
        "idle_j": found.idle_j * (1.0 - wasted),
        "running_s": found.elapsed_s * running[found.row],
    }
    priced = _priced(found, node_j, rates, cluster)
    columns["facility_j"] = priced.pop("facility_j")
    sums = {name: np.bincount(cell, values, cells).astype(np.float64) for name, values in columns.items()}
    drawn = np.bincount(cell, node_j != 0, cells)
    dark = (drawn == 0) & (sums["elapsed_s"] > 0) & (sums["covered_s"] == 0)
    for name, values in priced.items():
        lost = np.bincount(cell, (node_j != 0) & np.isnan(values), cells)
        total = np.bincount(cell, np.nan_to_num(values), cells).astype(np.float64)
        sums[name] = np.where(dark | ((drawn > 0) & (lost == drawn)), np.nan, total)
    return sums


def _priced(found: Quartered, node_j: FloatArray, rates: dict[int, Rates], cluster: IntArray) -> dict[str, FloatArray]:
    """Facility energy and amounts of each quarter hour [n]."""
    names = ("facility_j", *PRICED)
    result = {name: np.full(len(node_j), np.nan) for name in names}
    owner = cluster[found.row]
    for pk, rate in rates.items():
        mine = owner == pk
        place = found.at[mine] - rate.first
        for name in names:
            result[name][mine] = node_j[mine] * getattr(rate, name)[place]
    return result
