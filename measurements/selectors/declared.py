"""What prices the energy of each cluster: the factors in force, and all rows that ever were."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from django.db.models import Count, Max, Min, OuterRef, Subquery

from measurements.domain.carbon import Origin, origin_from_json
from measurements.models import (
    Cluster,
    IntensitySeries,
    PriceDay,
    PublishedValue,
    ReferenceFactor,
    SiteFactor,
    SlotDay,
    Supply,
)
from measurements.selectors.holding import holding

METER = "meter"  # as `measurements.selectors.origins` names it
_Row = TypeVar("_Row", Supply, SiteFactor)
_RESOLUTIONS = (("monthly", PublishedValue.Resolution.MONTH), ("yearly", PublishedValue.Resolution.YEAR))


@dataclass(frozen=True, slots=True)
class SeriesInForce:
    """A rung of a supply: a series, and what there is of it."""

    series: IntensitySeries
    rung: str  # slots, monthly, yearly
    values: tuple[PublishedValue, ...] = field(default=())  # of months or years, newest first
    first: date | None = None  # of the UTC days with slots
    last: date | None = None
    days: int = 0


@dataclass(frozen=True, slots=True)
class SupplyInForce:
    """Which series price a cluster's energy under one method, best first; none of them: no intensity."""

    supply: Supply
    rungs: tuple[SeriesInForce, ...]


@dataclass(frozen=True, slots=True)
class ClusterFactors:
    """A cluster's factors of today, and the rows that ever were, newest first."""

    name: str
    supplies: tuple[SupplyInForce, ...]
    declared: tuple[SiteFactor, ...]  # without those that say that nothing is declared any more
    history: tuple[Supply | SiteFactor, ...]
    metered: tuple[Origin, ...] = field(default=())  # what meters gave on the last day that is priced
    metered_on: date | None = None

    @property
    def zones(self) -> tuple[str, ...]:
        """Of the grids that supply it."""
        found = (rung.series.zone for supply in self.supplies for rung in supply.rungs)
        return tuple(dict.fromkeys(found))


def factors_of_clusters(today: date) -> list[ClusterFactors]:
    """All clusters by name; five queries, however many rows there are."""
    supplies = list(Supply.objects.select_related("slots", "monthly", "yearly").order_by("valid_from", "pk"))
    declared = list(SiteFactor.objects.select_related("node_type").order_by("valid_from", "pk"))
    known = _known({pk for supply in supplies for pk in _series_of(supply)})
    return [
        ClusterFactors(
            name=name,
            supplies=tuple(_ladder(row, known) for row in holding(_mine(supplies, pk), today).values()),
            declared=tuple(row for row in holding(_mine(declared, pk), today).values() if row.value is not None),
            history=_newest_first([*_mine(supplies, pk), *_mine(declared, pk)]),
            metered=_metered(origins),
            metered_on=day,
        )
        for pk, name, day, origins in _clusters()
    ]


def _clusters() -> list[tuple[int, str, date | None, str | None]]:
    """Id, name, and the newest day of the price lists with its origins."""
    newest = PriceDay.objects.filter(cluster=OuterRef("pk")).order_by("-day")
    days, origins = (Subquery(newest.values(name)[:1]) for name in ("day", "origins"))
    rows = Cluster.objects.order_by("name").annotate(priced_on=days, priced_with=origins)
    return list(rows.values_list("pk", "name", "priced_on", "priced_with"))


def _newest_first(rows: list[Supply | SiteFactor]) -> tuple[Supply | SiteFactor, ...]:
    return tuple(sorted(rows, key=lambda row: (row.created_at, row.valid_from), reverse=True))


def _metered(origins: str | None) -> tuple[Origin, ...]:
    found = map(origin_from_json, json.loads(origins or "[]"))
    return tuple(origin for origin in found if origin.factor == METER)


def reference_factors() -> list[ReferenceFactor]:
    """Fuels and equivalents: of each key and basis the newest row."""
    rows = ReferenceFactor.objects.order_by("kind", "key", "basis", "pk")
    return list({(row.kind, row.key, row.basis): row for row in rows}.values())


def _mine(rows: Iterable[_Row], cluster: int) -> list[_Row]:
    return [row for row in rows if row.cluster_id == cluster]


# --- What there is of a series --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
    values: dict[tuple[int, str], tuple[PublishedValue, ...]]  # by series and resolution, newest first
    slots: dict[int, tuple[date, date, int]]  # first and last day, number of days


def _known(series: set[int]) -> _Known:
    values: dict[tuple[int, str], list[PublishedValue]] = {}
    for value in PublishedValue.objects.filter(series__in=series).order_by("-start"):
        values.setdefault((value.series_id, value.resolution), []).append(value)
    days = SlotDay.objects.filter(series__in=series).order_by().values("series")
    spans = days.annotate(first=Min("day"), last=Max("day"), days=Count("pk"))
    return _Known(
        {key: tuple(found) for key, found in values.items()},
        {row["series"]: (row["first"], row["last"], row["days"]) for row in spans},
    )


def _series_of(supply: Supply) -> Sequence[int]:
    return [pk for pk in (supply.slots_id, supply.monthly_id, supply.yearly_id) if pk is not None]


def _ladder(supply: Supply, known: _Known) -> SupplyInForce:
    rungs = []
    if supply.slots is not None:
        first, last, days = known.slots.get(supply.slots.pk, (None, None, 0))
        rungs.append(SeriesInForce(supply.slots, "slots", first=first, last=last, days=days))
    for rung, resolution in _RESOLUTIONS:
        series = getattr(supply, rung)
        if series is not None:
            rungs.append(SeriesInForce(series, rung, known.values.get((series.pk, resolution), ())))
    return SupplyInForce(supply, tuple(rungs))
