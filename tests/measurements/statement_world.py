"""The small machine of the pages with factors: what a statement says of it is worked out in plain Python."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from measurements.domain.units import HOUR_MS
from measurements.models import Cluster, IntensitySeries, NodeType, PublishedValue, SiteFactor, Supply
from measurements.parsers.intensity_records import IntensitySlots
from measurements.services.intensity import new_series, store_slots
from measurements.services.pricing import add_site_factor, add_supply
from tests.portal import machine_world

YEAR = 2025
AFTER = datetime(2026, 1, 10, tzinfo=UTC)
START_MS = machine_world.START_S * 1000


def build(folder: Path) -> Cluster:
    """Four days over the change of the clock, priced: intensities by hour on two of them, by year on the others."""
    machine_world.build(folder)
    cluster = Cluster.objects.get()
    slots, years, contract = (
        series("slots", "consumption"),
        series("years", "consumption"),
        series("contract", "supplier", "market_based"),
    )
    PublishedValue.objects.create(series=years, start=date(2025, 1, 1), g_per_kwh=400.0)
    PublishedValue.objects.create(series=contract, start=date(2025, 1, 1), g_per_kwh=30.0)
    begin = START_MS + HOUR_MS * np.arange(24, 72, dtype=np.int64)
    values = 200.0 + 10.0 * (np.arange(48, dtype=np.float64) % 24)
    store_slots(slots, IntensitySlots(begin, begin + HOUR_MS, values, np.zeros(48, bool)), AFTER, source="test")
    add_supply(Supply(cluster=cluster, slots=slots, yearly=years), AFTER)
    add_supply(Supply(cluster=cluster, yearly=contract, method="market_based"), AFTER)
    bands = [{"days": list(range(7)), "start": 22 * 60, "end": 6 * 60, "price": 0.2}]
    declare(cluster, "tariff", 0.3, unit="EUR/kWh", detail={"bands": bands})
    declare(cluster, "wue", 0.5, unit="L/kWh")
    declare(cluster, "renewable", 0.62)
    declare(cluster, "pue", 1.4, detail={"category": "PUE2"})
    thin = NodeType.objects.get(name="thin")
    declare(cluster, "embodied", 1000.0, node_type=thin, low=800.0, high=1500.0, detail={"lifetime_years": 4})
    return cluster


def series(slug: str, mix: str, method: str = "location_based") -> IntensitySeries:
    """A series of Germany."""
    return new_series(
        AFTER, slug=slug, zone="DE", basis="lifecycle", mix=mix, method=method, source_title=slug, edition="1"
    )


def declare(cluster: Cluster, kind: str, value: float | None, since: date = date(1970, 1, 1), **more: object) -> None:
    """A factor of the site."""
    row = SiteFactor(cluster=cluster, kind=kind, value=value, valid_from=since, source_title=f"{kind} {value}", **more)
    add_site_factor(row, AFTER)
