"""How a page of usage is asked for: period, groups, metric, bars, filters; all of it in the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.db import models
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext_lazy as _

from measurements.domain.units import QUARTER_MS
from measurements.domain.usage import Granularity
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.usage import Asked, Dimension
from portal.forms import Compare, Period, PeriodForm

MOST_VALUES = 20  # of a filter
LONGEST_VALUE = 255
HOURLY_UP_TO, DAILY_UP_TO, WEEKLY_UP_TO = 2, 100, 200  # days
MOST_BARS = 400
MARKET = "market"


class Metric(models.TextChoices):
    """What bars and tables show."""

    ENERGY = "energy", _("Energy")
    EMISSIONS = "emissions", _("Emissions")
    COST = "cost", _("Cost")
    WASTE = "waste", _("Unused energy")


GROUPS: dict[Dimension, Any] = {
    Dimension.NODE_TYPE: _("Node type"),
    Dimension.PROJECT: _("Project"),
    Dimension.WORKLOAD: _("Workload"),
    Dimension.PHASE: _("Phase"),
    Dimension.STATE: _("End state"),
    Dimension.PARTITION: _("Partition"),
    Dimension.CLUSTER: _("Cluster"),
}
BARS: dict[Granularity, Any] = {
    Granularity.HOUR: _("hours"),
    Granularity.DAY: _("days"),
    Granularity.WEEK: _("weeks"),
    Granularity.MONTH: _("months"),
}


@dataclass(frozen=True, slots=True)
class View:
    """What an address asks for; what makes no sense there is left out."""

    period: Period
    group: Dimension = Dimension.NODE_TYPE
    metric: Metric = Metric.ENERGY
    bars: Granularity | None = None  # None: what suits the period
    compare: Compare = Compare.PREVIOUS
    filters: Mapping[Dimension, tuple[str, ...]] = field(default_factory=dict)
    market: bool = False

    @property
    def granularity(self) -> Granularity:
        """The length of a bar; never more bars than a chart can show."""
        if self.bars and _bars(self.bars, self.period.days) <= MOST_BARS:
            return self.bars
        days = self.period.days
        if days <= HOURLY_UP_TO:
            return Granularity.HOUR
        if days <= DAILY_UP_TO:
            return Granularity.DAY
        return Granularity.WEEK if days <= WEEKLY_UP_TO else Granularity.MONTH

    def pairs(self) -> list[tuple[str, str]]:
        """The address without its period; what is usual is left out."""
        usual = View(self.period)
        found: list[tuple[str, str]] = []
        if self.group is not usual.group:
            found.append(("group", self.group.value))
        if self.metric is not usual.metric:
            found.append(("metric", self.metric.value))
        if self.bars:
            found.append(("bars", self.bars.value))
        if self.compare is not usual.compare:
            found.append(("compare", self.compare.value))
        if self.market:
            found.append(("method", MARKET))
        return found + [(name.value, value) for name, values in self.filters.items() for value in values]

    @property
    def query(self) -> str:
        """The whole address behind the question mark."""
        pairs = self.pairs()
        return self.period.query + (f"&{urlencode(pairs)}" if pairs else "")

    def but(self, **changes: Any) -> str:
        """The address of the same with something else."""
        return "?" + replace(self, **changes).query

    def with_filter(self, dimension: Dimension, value: str) -> View:
        """Only one value of a dimension."""
        return replace(self, filters={**self.filters, dimension: (value,)})

    def without_filter(self, dimension: Dimension) -> View:
        """All values of a dimension again."""
        return replace(self, filters={name: value for name, value in self.filters.items() if name is not dimension})

    def asked(self, zone: ZoneInfo) -> Asked:
        """As the selector takes it."""
        return Asked(self.period.first, self.period.last, zone, self.granularity, self.group, self.filters)

    def before(self, zone: ZoneInfo, today: date, known_until_ms: int | None = None) -> Asked:
        """The time that the period is held against; nothing of it is drawn.

        Of a period whose last day is only known up to an instant: up to the same time of the earlier last day.
        """
        earlier = self.period.before(self.compare, today)
        until_ms = None
        if known_until_ms is not None and self.period.first <= today <= self.period.last:
            midnight_ms = int(day_bounds_ms(today, today, zone)[0])
            last_ms = int(day_bounds_ms(earlier.last, earlier.last, zone)[0])
            if today - self.period.first == earlier.last - earlier.first:  # not the last of a shorter month
                until_ms = last_ms + (known_until_ms - midnight_ms) // QUARTER_MS * QUARTER_MS
        return Asked(earlier.first, earlier.last, zone, Granularity.MONTH, None, self.filters, until_ms=until_ms)


def _bars(granularity: Granularity, days: int) -> int:
    return {Granularity.HOUR: 24 * days, Granularity.DAY: days}.get(granularity, 0)


def read_view(request: HttpRequest, form: PeriodForm, today: date) -> View:
    """What an address asks for."""
    said: QueryDict = request.GET
    return View(
        period=form.period(today),
        group=_choice(Dimension, said.get("group"), Dimension.NODE_TYPE),
        metric=_choice(Metric, said.get("metric"), Metric.ENERGY),
        bars=_choice(Granularity, said.get("bars"), None),
        compare=_choice(Compare, said.get("compare"), Compare.PREVIOUS),
        filters=_filters(said),
        market=said.get("method") == MARKET,
    )


def _choice(kind: Any, value: str | None, usual: Any) -> Any:
    return kind(value) if value in {one.value for one in kind} else usual


def _filters(said: QueryDict) -> dict[Dimension, tuple[str, ...]]:
    found = {}
    for dimension in GROUPS:
        values = [value for value in said.getlist(dimension.value) if len(value) <= LONGEST_VALUE and "\0" not in value]
        if values:
            found[dimension] = tuple(dict.fromkeys(values[:MOST_VALUES]))
    return found
