"""What the simulated cluster's site declares: grid, contract, tariff, water, embodied emissions. All made up.

The PUE and the share of infrastructure are not declared: the simulated meters give them. A typed PUE stands in for
days on which they don't.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import numpy as np

from measurements.demo.cluster import NODE_MODELS
from measurements.demo.grid import intensity_g_per_kwh
from measurements.demo.note import Simulated
from measurements.domain.carbon import Basis, Method
from measurements.domain.units import (
    MS_PER_S,
    QUARTER_MS,
    QUARTERS_PER_DAY,
    day_from_ms,
    day_start_ms,
    ms_from_datetime,
)
from measurements.models import Cluster, IntensitySeries, NodeType, SiteFactor, Supply
from measurements.parsers.intensity_records import IntensitySlots
from measurements.services.factors import publish
from measurements.services.intensity import new_series, store_slots
from measurements.services.pricing import add_rows

GRID, CONTRACT = "simulated-grid", "simulated-contract"
AUTHOR = "simulation"
SOURCE = {"source_title": "Simulated: no measurement, no publication", "edition": "demo"}
CONTRACT_G_PER_KWH = {2024: 48.0, 2025: 42.0, 2026: 35.0}
EMBODIED_KG = {  # low, central, high of one node, made up
    "cpu": (900.0, 1_250.0, 1_900.0),
    "highmem": (2_100.0, 3_200.0, 5_000.0),
    "gpu4": (1_900.0, 2_900.0, 4_600.0),
    "mixed": (1_000.0, 1_450.0, 2_300.0),
}
LIFETIME_YEARS = 5.0
NIGHT = {"days": list(range(7)), "start": 21 * 60, "end": 6 * 60, "price": 0.19}
Kind = SiteFactor.Kind


def declare(cluster: Cluster, now: datetime) -> None:
    """Declare it all, once; a second call adds nothing."""
    if Supply.objects.filter(cluster=cluster).exists():
        return
    grid = _series(GRID, now, method=Method.LOCATION, mix=IntensitySeries.Mix.CONSUMPTION)
    contract = _series(CONTRACT, now, method=Method.MARKET, mix=IntensitySeries.Mix.SUPPLIER)
    publish(contract, {date(year, 1, 1): value for year, value in CONTRACT_G_PER_KWH.items()})
    supplies = [Supply(slots=grid), Supply(yearly=contract, method=Method.MARKET)]
    factors = list(_site_factors(cluster))
    for factor in factors:
        factor.source_title, factor.edition = SOURCE["source_title"], SOURCE["edition"]
    rows: list[Supply | SiteFactor] = [*supplies, *factors]
    for row in rows:
        row.cluster, row.author, row.reason = cluster, AUTHOR, "made up for the demo"
    add_rows(cluster, rows, now)


def blow(done: Simulated, now: datetime) -> None:
    """Let the grid's hours come in up to now; the one that is not over yet is its forecast."""
    grid = IntensitySeries.objects.filter(slug=GRID).first()
    if grid is None:  # a cluster that was simulated without electricity
        return
    before = day_from_ms(done.since_s * MS_PER_S) - timedelta(days=1)  # the first local day begins on it
    since = max(before, _last_day(grid))
    for first in _weeks(since, now.date()):
        days = [first + timedelta(days=i) for i in range(7)]
        store_slots(grid, _slots(done.seed, days, ms_from_datetime(now)), now, source="simulation", keep_quiet=True)


def _series(slug: str, now: datetime, **fields: str) -> IntensitySeries:
    return new_series(now, slug=slug, zone="DE", basis=Basis.LIFECYCLE, **fields, **SOURCE)


def _site_factors(cluster: Cluster) -> Iterator[SiteFactor]:
    yield SiteFactor(kind=Kind.PUE, value=1.3, detail={"category": "PUE2"})
    yield SiteFactor(kind=Kind.TARIFF, value=0.27, unit="EUR/kWh", detail={"bands": [NIGHT]})
    yield SiteFactor(kind=Kind.WUE, value=0.35, unit="L/kWh")
    yield SiteFactor(kind=Kind.RENEWABLE, value=0.62)
    kinds = {kind.name: kind for kind in NodeType.objects.filter(cluster=cluster)}
    for model in NODE_MODELS:
        low, value, high = EMBODIED_KG[model.name]
        detail = {"lifetime_years": LIFETIME_YEARS}
        kind = kinds[model.name]
        yield SiteFactor(
            kind=Kind.EMBODIED, node_type=kind, value=value, low=low, high=high, unit="kg CO2e", detail=detail
        )


def _last_day(grid: IntensitySeries) -> date:
    """The newest day that is stored; it may not be whole."""
    newest = grid.slot_days.order_by("-day").values_list("day", flat=True).first()
    return newest or date(1970, 1, 1)


def _weeks(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=7)


def _slots(seed: int, days: list[date], now_ms: int) -> IntensitySlots:
    starts = [day_start_ms(day) + QUARTER_MS * np.arange(QUARTERS_PER_DAY, dtype=np.int64) for day in days]
    start_ms = np.concatenate(starts)
    values = np.round(np.concatenate([intensity_g_per_kwh(seed, day) for day in days]), 2)
    begun = start_ms < now_ms
    start_ms, values = start_ms[begun], values[begun]
    return IntensitySlots(start_ms, start_ms + QUARTER_MS, values, start_ms + QUARTER_MS > now_ms)
