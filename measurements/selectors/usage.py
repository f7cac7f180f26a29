"""What jobs drew, emitted, cost and wasted: by bars of time × groups, of a scope, a period and filters.

One roll-up (`UsageDay`) answers every page, table, export, the interface and the command, so that their sums agree.
Local days are sums of quarter hours, of 23, 24 or 25 hours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from django.db.models import Q, QuerySet

from measurements.domain.blame import WASTED
from measurements.domain.carbon import Part, PriceList
from measurements.domain.chain import Footprint, embodied_of, footprint, together
from measurements.domain.profiles import HOURS_PER_DAY, RESERVED, unpacked_hours
from measurements.domain.quality import ratio
from measurements.domain.slurm import ENDED_BY_TIME, NOT_ENDED
from measurements.domain.timeshift import time_resolved
from measurements.domain.units import (
    HOUR_MS,
    QUARTER_MS,
    S_PER_HOUR,
    BoolArray,
    FloatArray,
    IntArray,
    day_from_ms,
    day_start_ms,
)
from measurements.domain.usage import Granularity, Quartered, Rates, cell_sums, first_days, quartered
from measurements.models import UsageDay
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.frames import frame_of
from measurements.selectors.prices import price_lists_of


class Dimension(StrEnum):
    """What usage can be grouped and filtered by."""

    NODE_TYPE = "node_type"
    PROJECT = "project"
    WORKLOAD = "workload"
    PHASE = "phase"
    STATE = "state"
    PARTITION = "partition"
    CLUSTER = "cluster"
    USER = "user"


_FIELD = {
    Dimension.NODE_TYPE: "node_type__name",
    Dimension.PROJECT: "account",
    Dimension.WORKLOAD: "workload",
    Dimension.PHASE: "phase",
    Dimension.STATE: "state",
    Dimension.PARTITION: "partition",
    Dimension.CLUSTER: "cluster__name",
    Dimension.USER: "username",
}
PAIR = "\x1f"
_Days = tuple[date, date]  # UTC, both included
_COLUMNS = ("cluster_id", "day", "node_type_id", "state", "excused", "first_hour", "hours")


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose: a user's, those of projects, or (with neither) nobody's."""

    username: str | None = None
    projects: tuple[str, ...] | None = None

    def rows(self) -> QuerySet[UsageDay]:
        """All rows of it."""
        rows = UsageDay.objects.all()
        if self.username is None and self.projects is None:
            return rows.none()
        if self.username is not None:
            rows = rows.filter(username=self.username)
        return rows if self.projects is None else rows.filter(account__in=self.projects)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: days [first, last] of a zone, bars, groups, and of each filtered dimension the values that count."""

    first: date
    last: date
    zone: ZoneInfo
    granularity: Granularity = Granularity.DAY
    group_by: Dimension | None = Dimension.NODE_TYPE
    filters: Mapping[Dimension, tuple[str, ...]] = field(default_factory=dict)
    then_by: Dimension | None = None  # names of groups are pairs then, with PAIR in between
    until_ms: int | None = None  # on a quarter hour: nothing from then on counts, as if the last day ended there

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class Quarters:
    """The period by quarter hour [n]: when the jobs ran, and what the grid was like."""

    at_ms: IntArray
    facility_j: FloatArray  # of the jobs, with infrastructure and PUE
    grid_g_per_kwh: FloatArray  # of the cluster on which most was drawn, location-based; nan: not known
    grid_resolved: BoolArray  # where that is known of the quarter hour itself, not as a mean of a longer time


@dataclass(frozen=True, slots=True)
class Cells:
    """Sums [bars, groups]. Joules are metered but ``filled_j``; amounts are of metered and filled; nan: not known."""

    energy_j: FloatArray
    filled_j: FloatArray
    covered_s: FloatArray  # node-seconds
    elapsed_s: FloatArray  # node-seconds; 0: no job ran
    failed_j: FloatArray  # of jobs that came to nothing, and not by the machine's fault
    idle_j: FloatArray  # of idle GPUs that other jobs held
    running_s: FloatArray  # of elapsed_s: of jobs that have not ended
    facility_j: FloatArray
    location_g: FloatArray
    market_g: FloatArray
    cost: FloatArray

    @property
    def wasted_j(self) -> FloatArray:
        """Of jobs that came to nothing, and of idle GPUs of the others: no joule counts twice."""
        return self.failed_j + self.idle_j


@dataclass(frozen=True, slots=True)
class Usage:
    """The answer."""

    asked: Asked
    bounds_ms: IntArray  # [bars + 1]
    begins: tuple[date, ...]  # [bars]; of bars of hours: the day each is of
    groups: tuple[str, ...]  # most energy first; one without a name if nothing is grouped
    cells: Cells
    footprint: Footprint
    currency: str  # of cells.cost; empty: no tariff
    quarters: Quarters

    @property
    def energy_j(self) -> float:
        """Metered."""
        return float(self.cells.energy_j.sum())

    @property
    def filled_j(self) -> float:
        """Reported or estimated where nothing was metered."""
        return float(self.cells.filled_j.sum())

    @property
    def wasted_j(self) -> float:
        """Metered, and for nothing."""
        return float(self.cells.wasted_j.sum())

    @property
    def elapsed_s(self) -> float:
        """Node-seconds of jobs; 0: none ran."""
        return float(self.cells.elapsed_s.sum())

    @property
    def covered_s(self) -> float:
        """Of them: measured."""
        return float(self.cells.covered_s.sum())

    @property
    def coverage(self) -> float | None:
        """Covered ÷ elapsed, 0 to 1; None: no job ran."""
        return ratio(self.covered_s, self.elapsed_s)

    @property
    def cost(self) -> float | None:
        """In `currency`; None: no tariff."""
        return self.footprint.cost.get(self.currency) if self.currency else None


def usage(scope: Scope, asked: Asked) -> Usage:
    """Answer a question; two queries."""
    return usages(scope, [asked])[0]


def usages(scope: Scope, questions: Sequence[Asked]) -> list[Usage]:
    """Answer several questions of one scope with the same filters; still two queries."""
    bounds = [_bounds_ms(asked) for asked in questions]
    spans = [(day_from_ms(int(each[0])), day_from_ms(int(each[-1]) - 1)) for each in bounds]
    frame = _rows(scope, questions, spans)
    lists = price_lists_of(sorted(set(frame["cluster_id"].tolist())), spans, set(frame["day"]))
    found = []
    for asked, bounds_ms, span, prices in zip(questions, bounds, spans, lists, strict=True):
        mine = frame if len(questions) == 1 else frame[frame["day"].between(*span)]
        clusters = set(mine["cluster_id"].tolist())
        found.append(_answer(asked, bounds_ms, span, mine, {pk: prices[pk] for pk in prices if pk in clusters}))
    return found


def _answer(asked: Asked, bounds: IntArray, span: _Days, frame: pd.DataFrame, prices: Mapping[int, PriceList]) -> Usage:
    owner, records = unpacked_hours(frame["hours"])
    midnight = np.array([day_start_ms(day) // HOUR_MS for day in frame["day"]], np.int64)
    first_hour = midnight + frame["first_hour"].to_numpy(np.int64)
    found = quartered(owner, first_hour, records).inside(int(bounds[0]) // QUARTER_MS, int(bounds[-1]) // QUARTER_MS)
    figure = _footprint(frame, found, _reserved_h(owner, first_hour, records, bounds), prices, span)
    currency = _main_currency(figure)
    groups, group = _groups(_names(frame, asked), found)
    bar = np.searchsorted(bounds // QUARTER_MS, found.at, side="right") - 1
    shape = (len(bounds) - 1, len(groups))
    sums = cell_sums(
        found,
        bar * len(groups) + group[found.row],
        shape[0] * shape[1],
        (frame["state"].isin(WASTED) & ~frame["excused"].astype(bool)).to_numpy(np.float64),
        frame["state"].isin(NOT_ENDED - ENDED_BY_TIME).to_numpy(np.float64),
        {pk: Rates.of(price, currency) for pk, price in prices.items()},
        frame["cluster_id"].to_numpy(np.int64),
    )
    return Usage(
        asked=asked,
        bounds_ms=bounds,
        begins=_begins(asked, bounds),
        groups=groups,
        cells=Cells(**{name: values.reshape(shape) for name, values in sums.items()}),
        footprint=figure,
        currency=currency,
        quarters=_quarters(frame, found, prices, bounds),
    )


def _bounds_ms(asked: Asked) -> IntArray:
    """Where bars begin, and the last one ends."""
    days = day_bounds_ms(asked.first, asked.last, asked.zone)
    if asked.granularity is Granularity.HOUR:
        return np.append(np.arange(int(days[0]), int(days[-1]), HOUR_MS, dtype=np.int64), days[-1])
    starts = [(day - asked.first).days for day in first_days(asked.first, asked.last, asked.granularity)]
    bounds = days[[*starts, len(days) - 1]]
    return bounds if asked.until_ms is None else np.minimum(bounds, max(asked.until_ms, int(bounds[0]) + QUARTER_MS))


def _begins(asked: Asked, bounds: IntArray) -> tuple[date, ...]:
    if asked.granularity is not Granularity.HOUR:
        return tuple(first_days(asked.first, asked.last, asked.granularity))
    days = pd.to_datetime(bounds[:-1], unit="ms", utc=True).tz_convert(asked.zone)
    return tuple(days.date.tolist())


def _rows(scope: Scope, questions: Sequence[Asked], spans: Sequence[_Days]) -> pd.DataFrame:
    """The rows that may have something in any of the periods, with what they are grouped by; in a fixed order."""
    days = Q()
    for first, last in spans:
        days |= Q(day__gte=first, day__lte=last)
    rows = scope.rows().filter(days)
    for dimension, values in questions[0].filters.items():
        rows = rows.filter(_one_of(dimension, values))
    labels = sorted({by for asked in questions for by in (asked.group_by, asked.then_by) if by})
    fields = [_FIELD[by] for by in labels]
    # An order that depends on content alone, so that sums do; the rows of a day are written in it.
    rows = rows.order_by("day", "cluster__name", "pk")
    return frame_of(rows.values_list(*_COLUMNS, *fields), (*_COLUMNS, *(f"by_{by.value}" for by in labels)))


def _names(frame: pd.DataFrame, asked: Asked) -> pd.Series:
    """The name of each row's group."""
    if asked.group_by is None:
        return pd.Series("", index=frame.index)
    names = frame[f"by_{asked.group_by.value}"].astype(str)
    return names if asked.then_by is None else names + PAIR + frame[f"by_{asked.then_by.value}"].astype(str)


def _one_of(dimension: Dimension, values: Sequence[str]) -> Q:
    return Q(**{f"{_FIELD[dimension]}__in": list(values)})


def _groups(labels: pd.Series, found: Quartered) -> tuple[tuple[str, ...], IntArray]:
    """Names of the groups that have any time in the period, most energy first, and the place of each row's."""
    names, code = np.unique(labels.to_numpy(object), return_inverse=True)
    elapsed = np.bincount(code[found.row], found.elapsed_s, len(names))
    energy = np.bincount(code[found.row], found.energy_j + found.filled_j, len(names))
    order = [i for i in np.lexsort((names.astype(str), -energy)).tolist() if elapsed[i] > 0 or energy[i] > 0]
    place = np.zeros(max(len(names), 1), np.int64)
    place[order] = np.arange(len(order))
    return tuple(str(names[i]) for i in order) or ("",), place[code]


# --- Emissions ------------------------------------------------------------------------------------------

_Reserved = tuple[IntArray, IntArray, FloatArray]  # row, UTC day since 1970, node-hours


def _reserved_h(owner: IntArray, first_hour: IntArray, records: FloatArray, bounds: IntArray) -> _Reserved:
    """Node-hours that each record's jobs held inside the period."""
    before = np.searchsorted(owner, np.arange(len(first_hour)))
    hour = first_hour[owner] + np.arange(len(owner)) - before[owner] if len(owner) else np.zeros(0, np.int64)
    start, end = hour * HOUR_MS, (hour + 1) * HOUR_MS
    inside = np.clip(np.minimum(end, bounds[-1]) - np.maximum(start, bounds[0]), 0, HOUR_MS) / HOUR_MS
    return owner, hour // HOURS_PER_DAY, records[:, RESERVED] * inside / S_PER_HOUR


def _footprint(
    frame: pd.DataFrame, found: Quartered, reserved: _Reserved, prices: Mapping[int, PriceList], days: _Days
) -> Footprint:
    """The period's figure with every step."""
    clusters, kinds = (frame[name].to_numpy(np.int64) for name in ("cluster_id", "node_type_id"))
    day = reserved[1] - day_start_ms(days[0]) // HOUR_MS // HOURS_PER_DAY
    count = (days[1] - days[0]).days + 1
    figures = []
    for pk, price in prices.items():
        mine, first = clusters[found.row] == pk, int(price.at_ms[0]) // QUARTER_MS
        place = found.at[mine] - first
        metered_j, filled_j = (
            np.bincount(place, values[mine], len(price.at_ms)).astype(np.float64)
            for values in (found.energy_j, found.filled_j)
        )
        node_hours: dict[int, FloatArray] = {}
        for kind in np.unique(kinds[clusters == pk]).tolist():
            of_kind = (kinds == kind)[reserved[0]]
            node_hours[kind] = np.bincount(day[of_kind], reserved[2][of_kind], count).astype(np.float64)
        figures.append(footprint(metered_j, filled_j, price, embodied_of(node_hours, price.embodied)))
    return together(figures)


def _main_currency(figure: Footprint) -> str:
    """The one in which most of the energy is priced: amounts of two currencies can't be held against each other."""
    drawn_j: dict[str, float] = {}
    for share in figure.shares.get(Part.TARIFF, ()):
        name = share.origin.unit.partition("/")[0]
        drawn_j[name] = drawn_j.get(name, 0.0) + share.weight_j
    return max(sorted(drawn_j), key=lambda name: drawn_j[name], default="")


def _quarters(frame: pd.DataFrame, found: Quartered, prices: Mapping[int, PriceList], bounds: IntArray) -> Quarters:
    """The period's quarter hours against the grid of the cluster on which most was drawn."""
    first, end = int(bounds[0]) // QUARTER_MS, int(bounds[-1]) // QUARTER_MS
    at_ms = np.arange(first, end, dtype=np.int64) * QUARTER_MS
    node_j = found.energy_j + found.filled_j
    clusters = frame["cluster_id"].to_numpy(np.int64)[found.row]
    facility_j = np.zeros(end - first)
    for pk, price in prices.items():
        mine, rate = clusters == pk, Rates.of(price)
        place = found.at[mine]
        facility_j += np.bincount(place - first, node_j[mine] * rate.facility_j[place - rate.first], end - first)
    drawn = {pk: float(node_j[clusters == pk].sum()) for pk in prices}
    heaviest = max(drawn, key=lambda pk: drawn[pk], default=None)
    if heaviest is None:
        return Quarters(at_ms, facility_j, np.full(len(at_ms), np.nan), np.zeros(len(at_ms), bool))
    price = prices[heaviest]
    place = slice(first - int(price.at_ms[0]) // QUARTER_MS, end - int(price.at_ms[0]) // QUARTER_MS)
    return Quarters(at_ms, facility_j, price.part(Part.LOCATION)[place], time_resolved(price)[place])
