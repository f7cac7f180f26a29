"""Which factors are in force when: the price list of a cluster's UTC days, made of factors and meters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from django.db.models import QuerySet
from django.utils import timezone

from measurements.domain.carbon import (
    EmbodiedRate,
    Method,
    Part,
    PriceList,
    Rung,
    embodied_rate_g_per_h,
)
from measurements.domain.overhead import daily_pue, infrastructure_share
from measurements.domain.sheet import (
    Band,
    Sheet,
    local_start_ms,
    month_after,
    tariff_prices,
    year_after,
)
from measurements.domain.slotting import ESTIMATED, MEASURED
from measurements.domain.units import QUARTERS_PER_DAY, BoolArray, FloatArray
from measurements.models import Cluster, IntensitySeries, PublishedValue, SiteFactor, Supply
from measurements.selectors.origins import declared_origin, meter_origin, series_origin
from measurements.selectors.overhead import measured_overhead
from measurements.selectors.slot_days import slot_values

IMPOSSIBLE_PUE = "the meters give a PUE below 1 or above 5: not used"
_YEAR, _MONTH = PublishedValue.Resolution.YEAR, PublishedValue.Resolution.MONTH
_Published = dict[tuple[int, str], list[PublishedValue]]  # by series and resolution, oldest first
_PARTS = {Method.LOCATION: Part.LOCATION, Method.MARKET: Part.MARKET}
_KINDS = {
    SiteFactor.Kind.INFRASTRUCTURE: Part.INFRASTRUCTURE,
    SiteFactor.Kind.PUE: Part.PUE,
    SiteFactor.Kind.TARIFF: Part.TARIFF,
    SiteFactor.Kind.WUE: Part.WATER,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """Rows that are not stored: what a dry run would add."""

    supplies: Sequence[Supply] = field(default=())
    site_factors: Sequence[SiteFactor] = field(default=())


NOTHING_MORE = Candidate()


def build_prices(
    cluster: Cluster, first: date, last: date, now_ms: int, candidate: Candidate = NOTHING_MORE
) -> PriceList:
    """The price list of the UTC days [first, last] from all that is declared, published and measured now."""
    zone = ZoneInfo(timezone.get_default_timezone_name())
    sheet = Sheet(first, last)
    declared = [*site_factors(cluster), *candidate.site_factors]
    _declare(sheet, declared, zone)
    _measure(sheet, cluster, now_ms)
    supplies = sorted([*supplies_of(cluster), *candidate.supplies], key=_order)
    for method, part in _PARTS.items():
        _supply(sheet, part, [supply for supply in supplies if supply.method == method], zone)
    return sheet.price_list(_embodied(declared, first, sheet.days))


def supplies_of(cluster: Cluster) -> QuerySet[Supply]:
    """In the order in which they hold: what comes later beats what comes before."""
    rows = Supply.objects.filter(cluster=cluster).select_related("slots", "monthly", "yearly")
    return rows.order_by("valid_from", "pk")


def site_factors(cluster: Cluster) -> QuerySet[SiteFactor]:
    """Likewise."""
    return SiteFactor.objects.filter(cluster=cluster).select_related("node_type").order_by("valid_from", "pk")


def _order(row: Supply | SiteFactor) -> tuple[date, float]:
    return row.valid_from, row.pk or np.inf


# --- Declared and measured ------------------------------------------------------------------------


def _declare(sheet: Sheet, rows: Iterable[SiteFactor], zone: ZoneInfo) -> None:
    for row in sorted(rows, key=_order):
        part = _KINDS.get(SiteFactor.Kind(row.kind))
        if part is None:
            continue
        where = sheet.since(local_start_ms(row.valid_from, zone))
        if row.value is None:
            sheet.clear(part, where)
        elif where.any():
            sheet.put(part, where, _declared_values(sheet, row, zone), declared_origin(row))


def _declared_values(sheet: Sheet, row: SiteFactor, zone: ZoneInfo) -> FloatArray | float:
    assert row.value is not None  # noqa: S101 - asked by the caller
    if row.kind != SiteFactor.Kind.TARIFF or not row.detail.get("bands"):
        return row.value
    return tariff_prices(sheet.at_ms, row.value, bands_of(row), zone)


def bands_of(row: SiteFactor) -> list[Band]:
    """The time-of-use bands of a tariff: {days: [0…6], start, end: minutes, price} each."""
    return [
        Band(frozenset(band["days"]), band["start"], band["end"], band["price"]) for band in row.detail.get("bands", [])
    ]


def _measure(sheet: Sheet, cluster: Cluster, now_ms: int) -> None:
    """What meters above the nodes say beats what is declared."""
    last = sheet.first + timedelta(days=sheet.days - 1)
    measured = measured_overhead(cluster, sheet.first, last, now_ms)
    if measured is None:
        return
    share = infrastructure_share(measured)
    all_day = np.ones(len(sheet.at_ms), bool)
    rest = meter_origin("infrastructure meters, the rest of the day", Rung.ESTIMATED)
    sheet.put(Part.INFRASTRUCTURE, all_day, _of_the_day(share), rest)
    sheet.put(Part.INFRASTRUCTURE, all_day, share, meter_origin("infrastructure meters", Rung.MEASURED))
    pue, impossible = daily_pue(measured, np.nan_to_num(sheet.values[Part.INFRASTRUCTURE]))
    sheet.put(
        Part.PUE, all_day, np.repeat(pue, QUARTERS_PER_DAY), meter_origin("facility and IT meters", Rung.MEASURED)
    )
    sheet.annotate(Part.PUE, np.repeat(impossible, QUARTERS_PER_DAY), IMPOSSIBLE_PUE)


def _of_the_day(share: FloatArray) -> FloatArray:
    """The mean of the quarter hours of the same day that are known."""
    by_day = share.reshape(-1, QUARTERS_PER_DAY)
    known = ~np.isnan(by_day)
    total, count = np.where(known, by_day, 0.0).sum(axis=1), known.sum(axis=1)
    mean = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return np.repeat(mean, QUARTERS_PER_DAY)


def _embodied(rows: Iterable[SiteFactor], first: date, days: int) -> list[dict[int, EmbodiedRate]]:
    """By UTC day the rates of the node types of which one is declared."""
    found: list[dict[int, EmbodiedRate]] = [{} for _ in range(days)]
    for row in sorted(rows, key=_order):
        if row.kind != SiteFactor.Kind.EMBODIED or row.node_type_id is None:
            continue
        for by_type in found[max((row.valid_from - first).days, 0) :]:
            by_type.pop(row.node_type_id, None)
            if row.value is not None:
                by_type[row.node_type_id] = embodied_rate(row)
    return found


def embodied_rate(row: SiteFactor) -> EmbodiedRate:
    """Of a declared total [kg] and its lifetime."""
    assert row.value is not None  # noqa: S101 - asked by the caller
    years = row.detail["lifetime_years"]
    low, high = (row.value if bound is None else bound for bound in (row.low, row.high))
    low_g, central_g, high_g = (embodied_rate_g_per_h(kg, years) for kg in (low, row.value, high))
    return EmbodiedRate(low_g, central_g, high_g, declared_origin(row))


# --- Carbon intensity -------------------------------------------------------------------------------


def _supply(sheet: Sheet, part: Part, supplies: Sequence[Supply], zone: ZoneInfo) -> None:
    """Climb the ladder of each supply, in the time in which it holds: years, months, slots."""
    published = _published({pk for s in supplies for pk in (s.monthly_id, s.yearly_id) if pk})
    resolved = sorted({s.slots_id for s in supplies if s.slots_id is not None})
    slots = {pk: slot_values(pk, sheet.first, sheet.days) for pk in resolved}
    for supply in supplies:
        where = sheet.since(local_start_ms(supply.valid_from, zone))
        if not where.any():
            continue
        sheet.clear(part, where)
        if supply.yearly:
            _put_years(sheet, part, where, supply.yearly, published, zone)
        if supply.monthly:
            _put_months(sheet, part, where, supply.monthly, published, zone)
        if supply.slots:
            values, kinds = slots[supply.slots.pk]
            for rung, kind in ((Rung.ESTIMATED, ESTIMATED), (Rung.MEASURED, MEASURED)):
                sheet.put(part, where & (kinds == kind), values, series_origin(supply.slots, rung))


def _put_years(
    sheet: Sheet, part: Part, where: BoolArray, series: IntensitySeries, published: _Published, zone: ZoneInfo
) -> None:
    """A year's own value; after it, until there is a newer one, the same, said so."""
    for value in published.get((series.pk, _YEAR), []):
        end_ms = local_start_ms(year_after(value.start), zone)
        own = sheet.between(local_start_ms(value.start, zone), end_ms)
        year = str(value.start.year)
        later = series_origin(series, Rung.EARLIER_YEAR, year, value.note)
        sheet.put(part, where & sheet.since(end_ms), value.g_per_kwh, later)
        sheet.put(part, where & own, value.g_per_kwh, series_origin(series, Rung.YEARLY, year, value.note))


def _put_months(
    sheet: Sheet, part: Part, where: BoolArray, series: IntensitySeries, published: _Published, zone: ZoneInfo
) -> None:
    for value in published.get((series.pk, _MONTH), []):
        inside = sheet.between(local_start_ms(value.start, zone), local_start_ms(month_after(value.start), zone))
        origin = series_origin(series, Rung.MONTHLY, f"{value.start:%Y-%m}", value.note)
        sheet.put(part, where & inside, value.g_per_kwh, origin)


def _published(series: Iterable[int]) -> _Published:
    found: _Published = {}
    for row in PublishedValue.objects.filter(series__in=list(series)).order_by("series", "start"):
        found.setdefault((row.series_id, row.resolution), []).append(row)
    return found
