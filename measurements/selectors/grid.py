"""A cluster's grid over a period, the load over it, and what that emitted. Sums only, and nobody's name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from measurements.domain.carbon import Part, PriceList, Rung
from measurements.domain.chain import Footprint, slots, together
from measurements.domain.timeshift import Shift, Timing, shifted, time_resolved, timing
from measurements.domain.units import (
    DAY_MS,
    HOUR_MS,
    MS_PER_S,
    QUARTER_MS,
    BoolArray,
    FloatArray,
    IntArray,
    datetime_from_ms,
    day_from_ms,
    ms_from_datetime,
)
from measurements.models import Cluster, TypeDay
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.emissions import cluster_footprints
from measurements.selectors.prices import price_list
from measurements.selectors.type_days import Quarters, type_day_frame, type_days_of

REACHES_H = (12, 24)  # of the what-if
SLOTS_PER_H = HOUR_MS // QUARTER_MS
NOT_KNOWN = -1
Sums = NDArray[np.float64] | NDArray[np.intp]
RUNGS = tuple(Rung)  # the place in it is a rung's number; better ones first
_STEPS = ((2, QUARTER_MS), (8, HOUR_MS), (31, 3 * HOUR_MS), (92, 12 * HOUR_MS))  # up to so many days: so long


@dataclass(frozen=True, slots=True)
class GridCurve:
    """Means between consecutive edges; nan: not known."""

    edges_ms: IntArray  # [m + 1]
    g_per_kwh: FloatArray  # [m]
    rung: IntArray  # [m] place in RUNGS of what most of it was known by, NOT_KNOWN
    power_w: FloatArray  # [m] metered power of all nodes
    coverage: FloatArray  # [m] covered ÷ time in which nodes were on


@dataclass(frozen=True, slots=True)
class Extreme:
    """The greenest or least green quarter hour."""

    g_per_kwh: float
    at: datetime


@dataclass(frozen=True, slots=True)
class GridReport:
    """All that the page of a cluster's grid shows of a period, up to now; days are those of the zone."""

    first: date
    last: date
    zone: str
    end_ms: int
    prices: PriceList  # of the quarter hours of the period that have begun
    curve: GridCurve
    lowest: Extreme | None  # None: no intensity is known
    highest: Extreme | None
    mean_g_per_kwh: float | None  # over time
    resolved_share: float  # of the time: quarter hours of which the intensity itself is known
    jobs: Footprint  # of the cluster's jobs, metered and filled
    own: Footprint  # the cluster's own: unallocated
    whole: Footprint  # both
    timing: Timing | None  # of the metered load
    shifts: tuple[Shift, ...]  # what if, of the metered energy of jobs


@dataclass(frozen=True, slots=True)
class _Load:
    """By quarter hour of the prices [n]."""

    metered_j: FloatArray
    jobs_j: FloatArray
    covered_s: FloatArray
    on_s: FloatArray  # node-seconds in which nodes were on
    booked: BoolArray  # up to the last quarter hour with any energy, which may be half booked


def grid_report(cluster: Cluster, first: date, last: date, zone: ZoneInfo, now: datetime) -> GridReport:
    """The days [first, last] of the zone; two queries, where all prices are stored."""
    now_ms = ms_from_datetime(now)
    days = day_bounds_ms(first, last, zone)
    start_ms, end_ms = int(days[0]), int(days[-1])
    utc_days = day_from_ms(start_ms), day_from_ms(end_ms - 1)
    rows = type_day_frame(TypeDay.objects.filter(cluster=cluster, day__gte=utc_days[0], day__lte=utc_days[1]))
    every = price_list(cluster, *utc_days, set(rows["day"]))
    footprints = cluster_footprints(cluster, start_ms, end_ms, now_ms, every, rows)
    prices = every.between(start_ms, min(end_ms, now_ms))
    load = _load(type_days_of(rows, now_ms).together(), prices.at_ms, is_over=now_ms >= end_ms + DAY_MS)
    intensity = prices.part(Part.LOCATION)
    resolved = time_resolved(prices)
    counted = resolved & load.booked & (load.metered_j > 0)  # covered time is known by hour only
    facility_j = slots(load.jobs_j, prices).facility_j
    shifts = [shifted(facility_j, intensity, resolved, hours * SLOTS_PER_H) for hours in REACHES_H]
    lowest, highest = _extremes(prices)
    return GridReport(
        first=first,
        last=last,
        zone=zone.key,
        end_ms=end_ms,
        prices=prices,
        curve=_curve(prices, load, _edges(days, prices.at_ms)),
        lowest=lowest,
        highest=highest,
        mean_g_per_kwh=None if np.isnan(intensity).all() else float(np.nanmean(intensity)),
        resolved_share=float(resolved.mean()) if len(resolved) else 0.0,
        jobs=footprints.jobs,
        own=footprints.own,
        whole=together([footprints.jobs, footprints.own]),
        timing=timing(load.metered_j, intensity, counted),
        shifts=tuple(shift for shift in shifts if shift is not None),
    )


def _load(rows: Quarters, at_ms: IntArray, *, is_over: bool) -> _Load:
    """The roll-up in the quarter hours ``at_ms``; 0 where there is none. Of what is over nothing more may come."""
    found = np.zeros((4, len(at_ms)))
    if len(at_ms):
        place = (rows.at_ms - int(at_ms[0])) // QUARTER_MS
        inside = (place >= 0) & (place < len(at_ms))
        values = rows.metered_j, rows.metered_j - rows.unallocated_j, rows.covered_s, rows.wall_s - rows.off_s
        found[:, place[inside]] = np.stack(values)[:, inside]
    last = np.flatnonzero(found[0])[-1:].sum()
    metered_j, jobs_j, covered_s, on_s = found
    return _Load(metered_j, jobs_j, covered_s, on_s, np.full(len(at_ms), is_over) | (np.arange(len(at_ms)) < last))


def _extremes(prices: PriceList) -> tuple[Extreme | None, Extreme | None]:
    intensity = prices.part(Part.LOCATION)
    if np.isnan(intensity).all():
        return None, None
    places = int(np.nanargmin(intensity)), int(np.nanargmax(intensity))
    lowest, highest = (Extreme(float(intensity[i]), datetime_from_ms(int(prices.at_ms[i]))) for i in places)
    return lowest, highest


# --- Over time --------------------------------------------------------------------------------------


def _edges(days: IntArray, at_ms: IntArray) -> IntArray:
    """Edges of the curves' values, up to the end of the last quarter hour."""
    length = len(days) - 1
    step = next((step for most, step in _STEPS if length <= most), None)
    edges = days if step is None else np.arange(days[0], days[-1] + 1, step)
    until_ms = int(at_ms[-1]) + QUARTER_MS if len(at_ms) else int(days[0])
    return np.append(edges[edges < until_ms], until_ms)


def _curve(prices: PriceList, load: _Load, edges: IntArray) -> GridCurve:
    count = len(edges) - 1
    place = np.searchsorted(edges, prices.at_ms, side="right") - 1
    intensity = prices.part(Part.LOCATION)
    known = ~np.isnan(intensity)
    booked = load.booked
    covered_s, on_s, joules = (
        np.bincount(place[booked], values[booked], count) for values in (load.covered_s, load.on_s, load.metered_j)
    )
    booked_s = np.bincount(place[booked], np.full(booked.sum(), QUARTER_MS / MS_PER_S), count)
    return GridCurve(
        edges_ms=edges,
        g_per_kwh=_ratio(np.bincount(place[known], intensity[known], count), np.bincount(place[known], None, count)),
        rung=_rungs(prices, place, count),
        power_w=np.where(covered_s > 0, _ratio(joules, booked_s), np.nan),
        coverage=np.minimum(_ratio(covered_s, on_s), 1.0),
    )


def _ratio(above: Sums, below: Sums) -> FloatArray:
    """Nan where there is nothing to divide by."""
    found: FloatArray = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return found


def _rungs(prices: PriceList, place: IntArray, count: int) -> IntArray:
    """By which rung most of each part is known; of equally many the worse one."""
    number = np.array([RUNGS.index(origin.rung) for origin in prices.origins] + [NOT_KNOWN])
    of_slot = number[prices.origin[Part.LOCATION]]
    known = of_slot != NOT_KNOWN
    votes = np.bincount(place[known] * len(RUNGS) + of_slot[known], None, count * len(RUNGS))
    votes = votes.reshape(count, len(RUNGS))
    worst_first = len(RUNGS) - 1 - votes[:, ::-1].argmax(axis=1)
    return np.where(votes.any(axis=1), worst_first, NOT_KNOWN)
