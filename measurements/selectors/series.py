"""Series of carbon intensity: what there is of each, how whole it is, and editions beside each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np
from django.db.models import Count, Max, Min, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from measurements.domain.carbon import Method
from measurements.domain.slotting import ESTIMATED, MEASURED
from measurements.domain.units import QUARTERS_PER_DAY
from measurements.models import FactorImport, IntensitySeries, PublishedValue, SlotDay

IMPORTS_SHOWN = 30


@dataclass(frozen=True, slots=True)
class MonthOfSlots:
    """How much of a UTC month is known, 0 to 1, from its first stored day to its last."""

    first: date
    measured: float
    estimated: float
    mean_g_per_kwh: float | None

    @property
    def missing(self) -> float:
        """The rest."""
        return 1.0 - self.measured - self.estimated


@dataclass(frozen=True, slots=True)
class EditionRow:
    """A year as some series have it; None where one has not."""

    year: int
    values: tuple[float | None, ...]

    @property
    def spread(self) -> float | None:
        """Highest less lowest [g/kWh]; None where there are not two."""
        known = [value for value in self.values if value is not None]
        return max(known) - min(known) if len(known) > 1 else None


def every_series(zone: str = "") -> QuerySet[IntensitySeries]:
    """All of them, or those of a zone, with what there is of each; one query."""
    days = SlotDay.objects.filter(series=OuterRef("pk")).order_by().values("series")
    values = PublishedValue.objects.filter(series=OuterRef("pk")).order_by().values("series")
    rows = IntensitySeries.objects.select_related("pull").annotate(
        first_day=Subquery(days.annotate(found=Min("day")).values("found")),
        last_day=Subquery(days.annotate(found=Max("day")).values("found")),
        value_count=Coalesce(Subquery(values.annotate(found=Count("pk")).values("found")), 0),
        newest=Subquery(values.annotate(found=Max("start")).values("found")),
    )
    return (rows.filter(zone=zone) if zone else rows).order_by("zone", "slug")


def with_years(zone: str) -> QuerySet[IntensitySeries]:
    """Those of a zone's grid that have values of years; a contract is no account of the grid."""
    of_grid = IntensitySeries.objects.filter(zone=zone, method=Method.LOCATION)
    return of_grid.filter(values__resolution=PublishedValue.Resolution.YEAR).distinct().order_by("slug")


def months_of_slots(series: IntensitySeries) -> list[MonthOfSlots]:
    """Newest first."""
    rows = SlotDay.objects.filter(series=series).order_by("day").values_list("day", "g_per_kwh", "kinds")
    found: dict[date, list[tuple[bytes, bytes]]] = {}
    for day, values, kinds in rows.iterator():
        found.setdefault(day.replace(day=1), []).append((bytes(values), bytes(kinds)))
    return [_month(first, days) for first, days in sorted(found.items(), reverse=True)]


def _month(first: date, days: list[tuple[bytes, bytes]]) -> MonthOfSlots:
    kinds = np.frombuffer(b"".join(kind for _, kind in days), np.uint8)
    values = np.frombuffer(b"".join(value for value, _ in days), "<f8")
    whole = len(days) * QUARTERS_PER_DAY
    known = values[~np.isnan(values)]
    return MonthOfSlots(
        first,
        float((kinds == MEASURED).sum()) / whole,
        float((kinds == ESTIMATED).sum()) / whole,
        float(known.mean()) if len(known) else None,
    )


def latest_imports(series: IntensitySeries) -> list[FactorImport]:
    """The newest inputs."""
    return list(FactorImport.objects.filter(series=series)[:IMPORTS_SHOWN])


def editions(series: Iterable[IntensitySeries]) -> list[EditionRow]:
    """Yearly values of some series beside each other, newest year first; one query."""
    order = {row.pk: place for place, row in enumerate(series)}
    found: dict[int, list[float | None]] = {}
    yearly = PublishedValue.objects.filter(series__in=order, resolution=PublishedValue.Resolution.YEAR)
    for pk, start, value in yearly.values_list("series_id", "start", "g_per_kwh"):
        found.setdefault(start.year, [None] * len(order))[order[pk]] = value
    return [EditionRow(year, tuple(values)) for year, values in sorted(found.items(), reverse=True)]
