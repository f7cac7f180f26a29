"""Price lists from factors and meters: which factor holds when, and that a change re-prices what was and no more."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.test import override_settings

from measurements.domain.carbon import Part, PriceList, Rung
from measurements.domain.packing import packed, unpacked
from measurements.domain.units import QUARTER_MS, ms_from_datetime
from measurements.models import (
    Cluster,
    IntensitySeries,
    NodeType,
    PriceDay,
    PublishedValue,
    SiteFactor,
    SlotDay,
    Supply,
    TypeDay,
    UsageDay,
)
from measurements.selectors.in_force import Candidate, build_prices
from measurements.selectors.prices import price_days, price_list
from measurements.services.pricing import add_site_factor, add_supply, reprice_series
from tests.portal import machine_world

NOW = datetime(2025, 6, 1, tzinfo=UTC)
NOW_MS = ms_from_datetime(NOW)
SPRING = date(2025, 3, 30)  # the clock is put forward in Berlin
pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster() -> Cluster:
    """One without meters."""
    return Cluster.objects.create(name="beta")


@pytest.fixture
def machine(tmp_path: Path) -> Cluster:
    """One with a facility meter (1000 W) above infrastructure (150 W) and three nodes (700 W)."""
    machine_world.build(tmp_path)
    return Cluster.objects.get()


def series(slug: str, **more: object) -> IntensitySeries:
    """A series of Germany."""
    fields = {"zone": "DE", "basis": "lifecycle", "mix": "consumption", "source_title": slug, "edition": "1"} | more
    return IntensitySeries.objects.create(slug=slug, **fields)


def year(of: IntensitySeries, start: int, value: float) -> None:
    PublishedValue.objects.create(series=of, resolution="year", start=date(start, 1, 1), g_per_kwh=value)


def supply(cluster: Cluster, **more: object) -> Supply:
    row = Supply(cluster=cluster, **more)
    add_supply(row, NOW)
    return row


def declare(cluster: Cluster, kind: str, value: float | None, since: date = date(1970, 1, 1), **more: object) -> None:
    row = SiteFactor(cluster=cluster, kind=kind, value=value, valid_from=since, source_title=f"{kind} {value}", **more)
    add_site_factor(row, NOW)


def slot_day(of: IntensitySeries, day: date, values: list[float], kinds: list[int]) -> None:
    """The first quarter hours of a day; the others are missing."""
    every = np.full(96, np.nan)
    every[: len(values)] = values
    marks = np.zeros(96, np.uint8)
    marks[: len(kinds)] = kinds
    SlotDay.objects.create(series=of, day=day, g_per_kwh=packed(every), kinds=marks.tobytes(), updated_at=NOW)


def at(prices: PriceList, part: Part, moment: datetime) -> tuple[Any, str]:
    """Value and rung of the quarter hour at an instant; "" where nothing is known."""
    place = (ms_from_datetime(moment) - int(prices.at_ms[0])) // QUARTER_MS
    origin = int(prices.origin[part, place])
    return float(prices.values[part, place]), prices.origins[origin].rung.value if origin >= 0 else ""


def test_a_quarter_hour_takes_the_best_rung_there_is(cluster: Cluster) -> None:
    """Measured, else estimated, else the month's, else the year's, else an earlier year's, and says so."""
    slots, months, years = series("slots"), series("months"), series("years")
    year(years, 2023, 400.0)
    PublishedValue.objects.create(series=months, resolution="month", start=date(2024, 3, 1), g_per_kwh=350.0)
    slot_day(slots, date(2024, 3, 31), [100.0, 110.0], [1, 2])
    supply(cluster, slots=slots, monthly=months, yearly=years)
    prices = price_list(cluster, date(2024, 3, 31), date(2024, 4, 1))
    midnight = datetime(2024, 3, 31, tzinfo=UTC)
    quarter = timedelta(minutes=15)
    found = [at(prices, Part.LOCATION, midnight + n * quarter) for n in (0, 1, 2, 96)]
    assert found == [(100.0, "measured"), (110.0, "estimated"), (350.0, "monthly"), (400.0, "earlier_year")]
    assert at(
        price_list(cluster, date(2023, 5, 1), date(2023, 5, 1)), Part.LOCATION, datetime(2023, 5, 1, tzinfo=UTC)
    ) == (
        400.0,
        "yearly",
    )
    before = price_list(cluster, date(2022, 5, 1), date(2022, 5, 1))
    assert np.isnan(before.part(Part.LOCATION)).all()  # no year is taken from the future
    earlier = next(o for o in prices.origins if o.rung is Rung.EARLIER_YEAR)
    assert earlier.since == "2023"


@override_settings(TIME_ZONE="Europe/Berlin")
def test_factors_change_at_local_midnight(cluster: Cluster) -> None:
    declare(cluster, "pue", 1.5)
    declare(cluster, "pue", 1.3, date(2025, 7, 1))
    prices = price_list(cluster, date(2025, 6, 30), date(2025, 7, 1))
    assert at(prices, Part.PUE, datetime(2025, 6, 30, 21, 45, tzinfo=UTC)) == (1.5, "declared")
    assert at(prices, Part.PUE, datetime(2025, 6, 30, 22, 0, tzinfo=UTC)) == (1.3, "declared")


@override_settings(TIME_ZONE="Asia/Kathmandu")
def test_and_where_midnight_is_at_a_quarter_past(cluster: Cluster) -> None:
    years = series("years")
    year(years, 2023, 400.0)
    year(years, 2024, 300.0)
    supply(cluster, yearly=years)
    prices = price_list(cluster, date(2023, 12, 31), date(2023, 12, 31))
    assert at(prices, Part.LOCATION, datetime(2023, 12, 31, 18, 0, tzinfo=UTC)) == (400.0, "yearly")
    assert at(prices, Part.LOCATION, datetime(2023, 12, 31, 18, 15, tzinfo=UTC)) == (300.0, "yearly")


def test_the_newest_row_of_a_date_holds_and_the_older_ones_stay(cluster: Cluster) -> None:
    declare(cluster, "pue", 1.5)
    declare(cluster, "pue", 1.4)
    day = date(2025, 1, 1)
    assert at(price_list(cluster, day, day), Part.PUE, datetime(2025, 1, 1, tzinfo=UTC))[0] == 1.4
    assert list(SiteFactor.objects.values_list("value", flat=True)) == [1.5, 1.4]
    declare(cluster, "pue", None, date(2025, 1, 1))
    assert at(price_list(cluster, day, day), Part.PUE, datetime(2025, 1, 1, tzinfo=UTC))[1] == ""


def test_location_and_market_are_two_ladders(cluster: Cluster) -> None:
    grid, contract = series("grid"), series("contract", method="market_based", mix="supplier")
    year(grid, 2024, 400.0)
    year(contract, 2024, 0.0)
    supply(cluster, yearly=grid)
    supply(cluster, yearly=contract, method="market_based")
    prices = price_list(cluster, date(2024, 5, 1), date(2024, 5, 1))
    assert at(prices, Part.LOCATION, datetime(2024, 5, 1, tzinfo=UTC)) == (400.0, "yearly")
    assert at(prices, Part.MARKET, datetime(2024, 5, 1, tzinfo=UTC)) == (0.0, "yearly")


@override_settings(TIME_ZONE="Europe/Berlin")
def test_time_of_use_follows_the_local_clock_over_its_change(cluster: Cluster) -> None:
    """Night from 22 to 06, also through the night in which the clock is put forward; a local oracle by datetime."""
    night = [{"days": [0, 1, 2, 3, 4, 5, 6], "start": 22 * 60, "end": 6 * 60, "price": 0.2}]
    sunday_noon = [{"days": [6], "start": 12 * 60, "end": 13 * 60, "price": 0.1}]
    declare(cluster, "tariff", 0.3, unit="EUR/kWh", detail={"bands": night + sunday_noon})
    prices = price_list(cluster, SPRING - timedelta(days=1), SPRING + timedelta(days=1))
    zone = ZoneInfo("Europe/Berlin")
    for ms, price in zip(prices.at_ms.tolist(), prices.part(Part.TARIFF).tolist(), strict=True):
        local = datetime.fromtimestamp(ms / 1000, zone)
        expected = 0.2 if local.hour >= 22 or local.hour < 6 else 0.3
        if local.weekday() == 6 and local.hour == 12:
            expected = 0.1
        assert price == expected, local


def test_pue_and_infrastructure_are_measured_where_meters_stand_above_all_nodes(machine: Cluster) -> None:
    """1000 W ÷ (700 + 150) W; 150 ÷ 700. On the 29th a1 (200 W) is silent for twelve hours: those are not counted."""
    prices = price_list(machine, date(2025, 3, 28), date(2025, 3, 31))
    noon = datetime(2025, 3, 28, 12, tzinfo=UTC)
    assert at(prices, Part.PUE, noon) == (pytest.approx(1000 / 850, rel=1e-9), "measured")
    assert at(prices, Part.INFRASTRUCTURE, noon) == (pytest.approx(150 / 700, rel=1e-9), "measured")
    silent = datetime(2025, 3, 29, 12, tzinfo=UTC)
    assert at(prices, Part.INFRASTRUCTURE, silent) == (pytest.approx(150 / 700, rel=1e-3), "estimated")
    assert at(prices, Part.PUE, silent) == (pytest.approx(1000 / 850, rel=1e-3), "measured")


def test_an_impossible_measured_pue_is_not_used_and_said(machine: Cluster) -> None:
    """The facility meter shows less than the nodes."""
    from measurements.models import Node, NodeDay

    hall = Node.objects.get(name="hall")
    for row in NodeDay.objects.filter(node=hall):
        NodeDay.objects.filter(pk=row.pk).update(metered_quarters=packed(unpacked(row.metered_quarters) * 0.5))
    declare(machine, "pue", 1.2)
    prices = price_list(machine, date(2025, 3, 28), date(2025, 3, 28))
    noon = datetime(2025, 3, 28, 12, tzinfo=UTC)
    assert at(prices, Part.PUE, noon) == (1.2, "declared")
    assert any("below 1" in origin.note for origin in prices.origins)


def test_a_new_factor_prices_stored_days_anew_and_touches_no_joule(machine: Cluster) -> None:
    joules = list(UsageDay.objects.order_by("pk").values_list("pk", "energy_j"))
    assert PriceDay.objects.count() == TypeDay.objects.count() / 2  # two node types
    years = series("years")
    year(years, 2025, 400.0)
    supply(machine, yearly=years)
    noon = datetime(2025, 3, 28, 12, tzinfo=UTC)
    assert at(price_list(machine, date(2025, 3, 28), date(2025, 3, 28)), Part.LOCATION, noon) == (400.0, "yearly")
    slots = series("slots")
    supply(machine, slots=slots, yearly=years, valid_from=date(2025, 3, 28))
    slot_day(slots, date(2025, 3, 28), [100.0] * 96, [1] * 96)
    assert reprice_series(slots, NOW, date(2025, 3, 28), date(2025, 3, 28)) == 1
    stored = price_list(machine, date(2025, 3, 27), date(2025, 3, 29))
    assert at(stored, Part.LOCATION, noon) == (100.0, "measured")
    assert at(stored, Part.LOCATION, noon + timedelta(days=1)) == (400.0, "yearly")
    assert list(UsageDay.objects.order_by("pk").values_list("pk", "energy_j")) == joules


def test_what_is_stored_is_what_would_be_built(machine: Cluster) -> None:
    years = series("years")
    year(years, 2024, 400.0)
    supply(machine, yearly=years)
    declare(machine, "wue", 0.4)
    kind = NodeType.objects.get(name="thin")
    declare(machine, "embodied", 1000.0, node_type=kind, low=800.0, high=1500.0, detail={"lifetime_years": 4})
    stored = price_list(machine, date(2025, 3, 28), date(2025, 3, 31))
    built = build_prices(machine, date(2025, 3, 28), date(2025, 3, 31), NOW_MS)
    assert np.array_equal(stored.values, built.values, equal_nan=True)
    for part in Part:
        for mine, theirs in zip(stored.origin[part].tolist(), built.origin[part].tolist(), strict=True):
            assert (mine < 0) == (theirs < 0)
            assert mine < 0 or stored.origins[mine] == built.origins[theirs]
    assert stored.embodied == built.embodied
    assert stored.embodied[0][kind.pk].central == pytest.approx(28.54, abs=0.005)


def test_a_dry_run_stores_nothing(machine: Cluster) -> None:
    row = SiteFactor(cluster=machine, kind="wue", value=0.5, source_title="what if")
    day = date(2025, 3, 28)
    tried = build_prices(machine, day, day, NOW_MS, Candidate(site_factors=[row]))
    assert (tried.part(Part.WATER) == 0.5).all()
    assert np.isnan(price_list(machine, day, day).part(Part.WATER)).all()
    assert not SiteFactor.objects.exists()


def test_what_a_later_supply_does_not_know_is_not_taken_from_the_one_before(cluster: Cluster) -> None:
    years, slots = series("years"), series("slots")
    year(years, 2024, 400.0)
    slot_day(slots, date(2024, 5, 2), [100.0], [1])
    supply(cluster, yearly=years)
    supply(cluster, slots=slots, valid_from=date(2024, 5, 2))
    prices = price_list(cluster, date(2024, 5, 1), date(2024, 5, 2))
    midnight = datetime(2024, 5, 2, tzinfo=UTC)
    assert at(prices, Part.LOCATION, midnight - timedelta(minutes=15)) == (400.0, "yearly")
    assert at(prices, Part.LOCATION, midnight) == (100.0, "measured")
    assert at(prices, Part.LOCATION, midnight + timedelta(minutes=15))[1] == ""


def test_days_in_a_row_are_read_as_each_alone(cluster: Cluster) -> None:
    """Stored with two sets of factors, not stored and wanted, not stored and not wanted."""
    add_site_factor(SiteFactor(cluster=cluster, kind="pue", value=1.2, unit="", source_title="one"), NOW)
    days = [SPRING + timedelta(days=i) for i in range(8)]
    stored, wanted = [days[i] for i in (0, 1, 3, 6)], [days[i] for i in (0, 1, 2, 3, 6)]
    built = build_prices(cluster, days[0], days[-1], NOW_MS)
    PriceDay.objects.filter(cluster=cluster).delete()
    rows = [row for row in price_days(cluster, built) if row.day in stored]
    for row in rows:
        row.priced_at = NOW
    PriceDay.objects.bulk_create(rows)
    PriceDay.objects.filter(day=days[3]).update(
        prices=np.full((len(Part), 96), 7.0).tobytes(), origins=PriceDay.objects.get(day=days[0]).origins + " "
    )
    together = price_list(cluster, days[0], days[-1], wanted)
    alone = [price_list(cluster, day, day, wanted) for day in days]
    assert np.array_equal(together.values, np.concatenate([each.values for each in alone], axis=1), equal_nan=True)
    assert together.at_ms.tolist() == [ms for each in alone for ms in each.at_ms.tolist()]
    pue = together.part(Part.PUE).reshape(8, 96)[:, 0]
    assert pue[[0, 1, 2, 3, 6]].tolist() == [1.2, 1.2, 1.2, 7.0, 1.2]
    assert np.isnan(pue[[4, 5, 7]]).all(), "nobody asked for them"
    said = [
        together.origins[k].title if k >= 0 else "" for k in together.origin[Part.PUE].reshape(8, 96)[:, 0].tolist()
    ]
    assert said == ["one", "one", "one", "one", "", "", "one", ""]
