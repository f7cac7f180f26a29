"""A price list while it is filled in, from the worst rung of each ladder to the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from measurements.domain.carbon import EmbodiedRate, Origin, Part, PriceList
from measurements.domain.units import (
    DAY_MS,
    EPOCH_DAY,
    QUARTER_MS,
    QUARTERS_PER_DAY,
    BoolArray,
    FloatArray,
    IntArray,
    datetime_from_ms,
    day_start_ms,
    ms_from_datetime,
)

ALWAYS_MS = -(1 << 62)
MINUTES_PER_DAY = 1_440
MINUTE_MS = 60_000


class Sheet:
    """Prices of the UTC days [first, last], written over by what is known better."""

    def __init__(self, first: date, last: date) -> None:
        self.first = first
        self.days = (last - first).days + 1
        self.at_ms = day_start_ms(first) + QUARTER_MS * np.arange(self.days * QUARTERS_PER_DAY, dtype=np.int64)
        self.values = np.full((len(Part), len(self.at_ms)), np.nan)
        self.origin = np.full((len(Part), len(self.at_ms)), -1, np.int64)
        self._places: dict[Origin, int] = {}

    def put(self, part: Part, where: BoolArray, values: FloatArray | float, origin: Origin) -> None:
        """Enter values [n], or one for all, where a mask [n] says so; nan enters nothing."""
        every = np.broadcast_to(np.asarray(values, np.float64), self.at_ms.shape)
        known = where & ~np.isnan(every)
        if known.any():
            self.values[part, known] = every[known]
            self.origin[part, known] = self._places.setdefault(origin, len(self._places))

    def clear(self, part: Part, where: BoolArray) -> None:
        """Nothing is known there any more."""
        self.values[part, where], self.origin[part, where] = np.nan, -1

    def annotate(self, part: Part, where: BoolArray, note: str) -> None:
        """Add a note to the origins of what is known there."""
        origins = list(self._places)
        for place in sorted(set(self.origin[part, where].tolist()) - {-1}):
            noted = replace(origins[place], note="; ".join(filter(None, [origins[place].note, note])))
            here = where & (self.origin[part] == place)
            self.origin[part, here] = self._places.setdefault(noted, len(self._places))

    def since(self, start_ms: int) -> BoolArray:
        """The quarter hours that begin at an instant or later."""
        return self.at_ms >= start_ms

    def between(self, start_ms: int, end_ms: int) -> BoolArray:
        """Those that begin in [start, end)."""
        return (self.at_ms >= start_ms) & (self.at_ms < end_ms)

    def price_list(self, embodied: Sequence[dict[int, EmbodiedRate]]) -> PriceList:
        """As it stands now."""
        return PriceList(self.at_ms, self.values, self.origin, tuple(self._places), tuple(embodied))


def local_start_ms(day: date, zone: ZoneInfo) -> int:
    """When a day begins in a zone; 1970-01-01 is before everything."""
    return ALWAYS_MS if day == EPOCH_DAY else ms_from_datetime(datetime.combine(day, time.min, zone))


def year_after(day: date) -> date:
    """The first day of the year after that of ``day``."""
    return date(day.year + 1, 1, 1)


def month_after(day: date) -> date:
    """The first day of the month after that of ``day``."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


# --- Time of use ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Band:
    """Hours of the week with a price of their own, in local time; [start, end) in minutes after midnight."""

    weekdays: frozenset[int]  # 0: Monday
    start_minute: int
    end_minute: int  # up to 1440; below or at the start: over midnight, of the day it began on
    price: float  # per kWh


def tariff_prices(at_ms: IntArray, base: float, bands: Sequence[Band], zone: ZoneInfo) -> FloatArray:
    """
    The price of each quarter hour [n], by the local time at which it begins.

    Bands may not overlap; outside of them the base price holds. A clock that is put back repeats its hours' prices.
    """
    local = at_ms + _offsets_ms(at_ms, zone)
    minute = local % DAY_MS // MINUTE_MS
    weekday = (local // DAY_MS + 3) % 7  # 1970-01-01 was a Thursday
    prices = np.full(len(at_ms), base)
    for band in bands:
        prices[_inside(band, weekday, minute)] = band.price
    return prices


def _inside(band: Band, weekday: IntArray, minute: IntArray) -> BoolArray:
    today = np.isin(weekday, sorted(band.weekdays))
    if band.start_minute < band.end_minute:
        inside: BoolArray = today & (minute >= band.start_minute) & (minute < band.end_minute)
        return inside
    yesterday = np.isin((weekday - 1) % 7, sorted(band.weekdays))
    return (today & (minute >= band.start_minute)) | (yesterday & (minute < band.end_minute))


def _offsets_ms(at_ms: IntArray, zone: ZoneInfo) -> IntArray:
    """Local minus UTC at each instant; asked per instant only where a day has two."""

    def offset_ms(ms: int) -> int:
        offset = datetime_from_ms(ms).astimezone(zone).utcoffset()
        assert offset is not None  # noqa: S101 - an aware time has one
        return round(offset.total_seconds() * 1000)

    found = np.empty(len(at_ms), np.int64)
    for low in range(0, len(at_ms), QUARTERS_PER_DAY):
        part = at_ms[low : low + QUARTERS_PER_DAY].tolist()
        first, last = offset_ms(part[0]), offset_ms(part[-1])
        found[low : low + len(part)] = first if first == last else [offset_ms(ms) for ms in part]
    return found
