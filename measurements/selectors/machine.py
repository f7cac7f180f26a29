"""A cluster as a whole: its energy, its wall time and its power over a period. Sums only, and nobody's name."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from django.db.models import Q, QuerySet

from measurements.domain.quality import ratio
from measurements.domain.units import (
    DAY_MS,
    HOUR_MS,
    MS_PER_S,
    QUARTER_MS,
    FloatArray,
    IntArray,
    datetime_from_ms,
    day_from_ms,
    ms_from_datetime,
)
from measurements.models import Cluster, TypeDay
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.inventory import Inventory, Other, inventory, other_energy
from measurements.selectors.type_days import SUMS, Quarters, TypeDays, type_day_frame, type_days_of

HOURLY_UP_TO_DAYS = 2  # so many days are shown hour by hour
_POWER_STEPS = (
    (2, QUARTER_MS),
    (8, HOUR_MS),
    (31, 3 * HOUR_MS),
    (92, 12 * HOUR_MS),
)  # up to so many days: one value each so long


@dataclass(frozen=True, slots=True)
class Closed:
    """Sums that close: metered = jobs + unallocated, wall = covered + off + gap."""

    metered_j: float
    unallocated_j: float
    other_j: float | None  # of meters above nodes less what lies below them; not part of metered_j. None: not known
    covered_s: float  # node-seconds, as all times here
    off_s: float
    wall_s: float

    @property
    def jobs_j(self) -> float:
        """Energy that jobs held."""
        return self.metered_j - self.unallocated_j

    @property
    def gap_s(self) -> float:
        """Neither covered nor off."""
        return max(self.wall_s - self.covered_s - self.off_s, 0.0)

    @property
    def coverage(self) -> float | None:
        """Covered ÷ wall time in which nodes were on, 0 to 1."""
        return ratio(self.covered_s, self.covered_s + self.gap_s)

    @property
    def unallocated_share(self) -> float | None:
        """Unallocated ÷ metered."""
        return ratio(self.unallocated_j, self.metered_j)

    @property
    def mean_node_w(self) -> float | None:
        """Mean power of one node while it was covered [W]."""
        return ratio(self.metered_j, self.covered_s)


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of the period: one of the site's days, or an hour."""

    start_ms: int
    end_ms: int
    day: date  # of the site's zone
    figures: Closed


@dataclass(frozen=True, slots=True)
class TypeFigures:
    """What the nodes of one type drew in the period."""

    name: str
    nodes: int  # most of any day
    measured_nodes: int
    figures: Closed


@dataclass(frozen=True, slots=True)
class PowerNow:
    """The last quarter hour that is wholly known."""

    start_ms: int
    end_ms: int
    power_w: float
    nodes: int  # those that have sent samples in it or since

    @property
    def started_at(self) -> datetime:
        """When it began."""
        return datetime_from_ms(self.start_ms)


@dataclass(frozen=True, slots=True)
class PowerSeries:
    """Metered power of all nodes between consecutive edges [W], nan where nothing was covered."""

    edges_ms: IntArray  # [n + 1]
    power_w: FloatArray  # [n]
    coverage: FloatArray  # [n] covered ÷ time in which nodes were on; nan where there is none


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """All that a cluster's page shows of a period; the days [first, last] are those of the zone."""

    first: date
    last: date
    zone: str
    hourly: bool  # slots are hours
    slots: tuple[Slot, ...]
    total: Closed
    known: Closed  # the period up to where it is known: what may be held against the one before
    previous: Closed  # as long a time of the period before
    previous_is_whole: bool
    types: tuple[TypeFigures, ...]  # most energy first
    power: PowerSeries
    now: PowerNow | None
    machine: Inventory
    rows: pd.DataFrame = field(repr=False, compare=False)  # what all of it is made of; emissions are as well

    @property
    def days(self) -> int:
        """How many days the period has."""
        return (self.last - self.first).days + 1


def cluster_report(cluster: Cluster, first: date, last: date, zone: ZoneInfo, now: datetime) -> ClusterReport:
    """The days [first, last] of the zone, from the roll-up by node type: no job and no node-day is read."""
    now_ms = ms_from_datetime(now)
    length = (last - first).days + 1
    days = day_bounds_ms(first, last, zone)
    start, end = int(days[0]), int(days[-1])
    before = int(day_bounds_ms(first - timedelta(days=length), first, zone)[0])
    frame = type_day_frame(_rows(cluster, before, end, now_ms))
    rows = type_days_of(frame, now_ms)
    every = rows.together()
    known_ms = _known_ms(every)
    machine = inventory(cluster)
    hourly = length <= HOURLY_UP_TO_DAYS
    edges = np.arange(start, end + 1, HOUR_MS) if hourly else days
    is_over = now_ms >= end + DAY_MS  # else what is not there may still come
    until = end if is_over else start if known_ms is None else min(max(known_ms, start), end)
    cut = min(before + until - start, start) // QUARTER_MS * QUARTER_MS
    other = other_energy(machine, every, before, end)
    slots = _slots(every, other, edges, zone)
    return ClusterReport(
        first=first,
        last=last,
        zone=zone.key,
        hourly=hourly,
        slots=slots,
        total=_closed(every, other, np.array([start, end]))[0],
        known=_closed(every, other, np.array([start, until]))[0],
        previous=_closed(every, other, np.array([before, start if until == end else cut]))[0],
        previous_is_whole=until == end,
        types=_types(rows, start, end),
        power=_power(every, _power_edges(days, length, until)),
        now=_power_now(every, known_ms, machine),
        machine=machine,
        rows=frame,
    )


def _rows(cluster: Cluster, start_ms: int, end_ms: int, now_ms: int) -> QuerySet[TypeDay]:
    period = Q(day__gte=day_from_ms(start_ms), day__lte=day_from_ms(end_ms))  # the day behind: is the last one whole?
    newest = Q(day__gte=day_from_ms(now_ms - DAY_MS))  # for the power now
    return TypeDay.objects.filter(period | newest, cluster=cluster)


def _known_ms(rows: Quarters) -> int | None:
    """Up to when all is booked that is measured: the beginning of the last quarter hour with any energy.

    That one may be half measured or half booked.
    """
    some = rows.at_ms[rows.metered_j != 0]
    return int(some.max()) if len(some) else None


def _closed(rows: Quarters, other: Other | None, edges: IntArray) -> list[Closed]:
    """Between consecutive edges."""
    place = _Places(rows.at_ms, edges)
    sums = {name: place.summed(getattr(rows, name)) for name in SUMS}
    other_j: list[float | None] = [None] * (len(edges) - 1)
    if other is not None:
        place = _Places(other.at_ms, edges)
        known = place.summed(np.ones(len(other.at_ms)))
        other_j = [joules if count else None for joules, count in zip(place.summed(other.joules), known, strict=True)]
    parts = [dict(zip(sums, values, strict=True)) for values in zip(*sums.values(), strict=True)]
    return [Closed(other_j=drawn, **part) for drawn, part in zip(other_j, parts, strict=True)]


class _Places:
    """Between which edges each of some ascending instants lies."""

    def __init__(self, at_ms: IntArray, edges: IntArray) -> None:
        self.count = len(edges) - 1
        self.inside = slice(*np.searchsorted(at_ms, edges[[0, -1]]).tolist())
        self.place = np.searchsorted(edges, at_ms[self.inside], side="right") - 1

    def summed(self, values: FloatArray) -> list[float]:
        """Sums of the instants' values between consecutive edges."""
        sums: list[float] = np.bincount(self.place, values[self.inside], self.count).tolist()
        return sums


def _slots(rows: Quarters, other: Other | None, edges: IntArray, zone: ZoneInfo) -> tuple[Slot, ...]:
    bounds = pairwise(edges.tolist())
    return tuple(
        Slot(start, end, datetime_from_ms(start).astimezone(zone).date(), figures)
        for (start, end), figures in zip(bounds, _closed(rows, other, edges), strict=True)
    )


def _types(rows: TypeDays, start_ms: int, end_ms: int) -> tuple[TypeFigures, ...]:
    """By node type, most energy first; those without a node in the period are left out."""
    inside = (rows.at_ms >= start_ms) & (rows.at_ms < end_ms)
    there = inside.any(axis=1)
    by_row = {name: np.where(inside, getattr(rows, name), 0.0).sum(axis=1) for name in SUMS}
    sums = {name: np.bincount(rows.kind, values, len(rows.types)).tolist() for name, values in by_row.items()}
    found = []
    for i, name in enumerate(rows.types):
        days = there & (rows.kind == i)
        if days.any():
            figures = Closed(other_j=None, **{of: values[i] for of, values in sums.items()})
            nodes, measured = int(rows.nodes[days].max()), int(rows.measured[days].max())
            found.append(TypeFigures(name, nodes, measured, figures))
    return tuple(sorted(found, key=lambda kind: (-kind.figures.metered_j, kind.name)))


def _power_edges(days: IntArray, length: int, until_ms: int) -> IntArray:
    """Edges of the power's values up to the instant to which it is known."""
    step = next((step for most, step in _POWER_STEPS if length <= most), None)
    edges = days if step is None else np.arange(days[0], days[-1] + 1, step)
    known = edges[edges < until_ms]
    return np.append(known, min(until_ms, int(days[-1]))) if len(known) else edges[:1]


def _power(rows: Quarters, edges: IntArray) -> PowerSeries:
    sums = _closed(rows, None, edges)
    energy, covered = np.array([s.metered_j for s in sums]), np.array([s.covered_s for s in sums])
    seconds = np.diff(edges) / MS_PER_S
    coverage = [np.nan if s.coverage is None else s.coverage for s in sums]
    power = np.divide(energy, seconds, out=np.full(len(sums), np.nan), where=covered > 0)
    return PowerSeries(edges, power, np.array(coverage, np.float64))


def _power_now(rows: Quarters, known_ms: int | None, machine: Inventory) -> PowerNow | None:
    if known_ms is None:
        return None
    start = known_ms - QUARTER_MS
    energy = float(rows.metered_j[rows.at_ms == start].sum())
    return PowerNow(start, known_ms, energy / (QUARTER_MS / MS_PER_S), machine.heard_since(start)) if energy else None
