"""What jobs drew, emitted, cost and wasted: by bars of time × groups, of a scope, a period and filters.

One roll-up (`UsageDay`) answers every page, table, export, the interface and the command, so that their sums agree.
Local days are sums of quarter hours, of 23, 24 or 25 hours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from django.db.models import Q, QuerySet

from measurements.domain.carbon import PriceList
from measurements.domain.chain import Footprint
from measurements.domain.quality import ratio
from measurements.domain.units import EPOCH_DAY, HOUR_MS, QUARTER_MS, FloatArray, IntArray, day_from_ms
from measurements.domain.usage import Granularity, Quartered, Rates, cell_sums, first_days, priced, quartered
from measurements.models import UsageDay
from measurements.selectors.days import day_bounds_ms, merged_spans
from measurements.selectors.prices import price_lists_of
from measurements.selectors.usage_emissions import Quarters, footprint_of, main_currency, node_hours_of, quarters_of
from measurements.selectors.usage_rows import Labels, UsageRows, usage_rows


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
    rows = _rows(scope, questions, spans)
    days = {EPOCH_DAY + timedelta(days=day) for day in np.unique(rows.day).tolist()}
    lists = price_lists_of(np.unique(rows.cluster).tolist(), spans, days)
    return [
        _answer(asked, bounds_ms, rows.of_days(*span), prices, span)
        for asked, bounds_ms, span, prices in zip(questions, bounds, spans, lists, strict=True)
    ]


def _answer(asked: Asked, bounds: IntArray, rows: UsageRows, every: Mapping[int, PriceList], span: _Days) -> Usage:
    prices = {pk: every[pk] for pk in every if (rows.cluster == pk).any()}
    named = _names(rows, asked)
    kind, kinds = _kinds(rows, named)
    quarters = bounds // QUARTER_MS
    found = quartered(kind[rows.owner], rows.hour, rows.records, int(quarters[0]), int(quarters[-1]))
    cluster = rows.cluster[kinds]
    figure = footprint_of(rows, found, cluster, node_hours_of(rows, bounds, span), prices)
    currency = main_currency(figure)
    amounts = priced(found, {pk: Rates.of(price, currency) for pk, price in prices.items()}, cluster)
    groups, group = _groups(named, kinds, found)
    bar = np.searchsorted(quarters, found.at, side="right") - 1
    shape = (len(bounds) - 1, len(groups))
    cell = bar * len(groups) + group[found.kind]
    sums = cell_sums(found, cell, shape[0] * shape[1], rows.wasted[kinds], rows.running[kinds], amounts)
    return Usage(
        asked=asked,
        bounds_ms=bounds,
        begins=_begins(asked, bounds),
        groups=groups,
        cells=Cells(**{name: values.reshape(shape) for name, values in sums.items()}),
        footprint=figure,
        currency=currency,
        quarters=quarters_of(found, cluster, amounts["facility_j"], prices, bounds),
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


def _rows(scope: Scope, questions: Sequence[Asked], spans: Sequence[_Days]) -> UsageRows:
    """The rows that may have something in any of the periods, with what they are grouped by."""
    days = Q()
    for first, last in merged_spans(spans):
        days |= Q(day__gte=first, day__lte=last)
    rows = scope.rows().filter(days)
    for dimension, values in questions[0].filters.items():
        rows = rows.filter(_one_of(dimension, values))
    return usage_rows(rows, sorted({_FIELD[by] for asked in questions for by in (asked.group_by, asked.then_by) if by}))


def _names(rows: UsageRows, asked: Asked) -> Labels:
    """The name of each row's group."""
    if asked.group_by is None:
        return Labels(("",), np.zeros(len(rows.day), np.int64))
    one = rows.labels[_FIELD[asked.group_by]]
    if asked.then_by is None:
        return one
    other = rows.labels[_FIELD[asked.then_by]]
    pairs, code = np.unique(one.code * len(other.names) + other.code, return_inverse=True)
    found = (divmod(pair, len(other.names)) for pair in pairs.tolist())
    return Labels(tuple(f"{one.names[i]}{PAIR}{other.names[j]}" for i, j in found), code)


def _kinds(rows: UsageRows, named: Labels) -> tuple[IntArray, IntArray]:
    """Rows that agree in all that counts are of one kind: that of each row, and a row of each kind."""
    key = ((rows.cluster * max(len(named.names), 1) + named.code) * 2 + rows.wasted) * 2 + rows.running
    _key, place, kind = np.unique(key, return_index=True, return_inverse=True)
    return kind, place


def _one_of(dimension: Dimension, values: Sequence[str]) -> Q:
    return Q(**{f"{_FIELD[dimension]}__in": list(values)})


def _groups(named: Labels, kinds: IntArray, found: Quartered) -> tuple[tuple[str, ...], IntArray]:
    """Names of the groups that have any time in the period, most energy first, and the place of each kind's."""
    names, code = np.array(named.names, str), named.code[kinds]
    elapsed = np.bincount(code[found.kind], found.elapsed_s, len(names))
    energy = np.bincount(code[found.kind], found.energy_j + found.filled_j, len(names))
    order = [i for i in np.lexsort((names, -energy)).tolist() if elapsed[i] > 0 or energy[i] > 0]
    place = np.zeros(max(len(names), 1), np.int64)
    place[order] = np.arange(len(order))
    return tuple(named.names[i] for i in order) or ("",), place[code]
