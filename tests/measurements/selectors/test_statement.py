"""The months of a statement against sums over ledger rows in plain Python, in zones whose months begin elsewhere."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings

from measurements.domain.carbon import Part
from measurements.domain.statement import StatementFigures, canonical, differences, read
from measurements.models import AllocationEnergy, Cluster, Node, NodeDay
from measurements.selectors.prices import price_list
from measurements.selectors.statement import statement_figures
from tests.measurements.statement_world import AFTER, YEAR, build, declare
from tests.portal.machine_world import START_S

ZONES = ["Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "UTC"]
KWH = 3.6e6
pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster(own_var: Path, tmp_path: Path) -> Cluster:
    """Four days in March, priced."""
    return build(tmp_path)


def quarters(day: date, data: bytes | memoryview, first: int = 0) -> Iterator[tuple[datetime, float]]:
    """When each quarter hour of a packed profile begins, and its joules."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    for i, (joules,) in enumerate(struct.iter_unpack("<d", bytes(data))):
        yield midnight + timedelta(minutes=15 * (first + i)), joules


def prices_of(cluster: Cluster) -> dict[datetime, list[float]]:
    """Each quarter hour's factors."""
    found = price_list(cluster, date(2025, 3, 26), date(2025, 4, 2))
    begins = [datetime.fromtimestamp(ms / 1000, UTC) for ms in found.at_ms.tolist()]
    return dict(zip(begins, found.values.T.tolist(), strict=True))


def by_month(cluster: Cluster, zone: str) -> dict[str, dict[int, float]]:
    """Job energy from allocation rows, unallocated from node-days, each priced where it was drawn."""
    prices = prices_of(cluster)
    sums: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    rows = AllocationEnergy.objects.values_list("day", "quarters", "first_quarter")
    parts = [("jobs_j", at, j) for day, data, first in rows for at, j in quarters(day, data, first)]
    nodes = NodeDay.objects.filter(node__level=Node.Level.NODE).values_list("day", "unallocated_quarters")
    parts += [("unallocated_j", at, j) for day, data in nodes for at, j in quarters(day, data)]
    for name, at, joules in parts:
        month = at.astimezone(ZoneInfo(zone)).month
        price = prices[at]
        share = 0.0 if price[Part.INFRASTRUCTURE] != price[Part.INFRASTRUCTURE] else price[Part.INFRASTRUCTURE]
        it_j = joules * (1 + share)
        facility_j = it_j * price[Part.PUE]
        for key, value in {
            name: joules,
            "infrastructure_j": joules * share,
            "plant_j": facility_j - it_j,
            "location_jobs_g" if name == "jobs_j" else "location_own_g": facility_j / KWH * price[Part.LOCATION],
            "water_l": it_j / KWH * price[Part.WATER],
        }.items():
            sums[key][month] += value
    return {key: dict(months) for key, months in sums.items()}


@pytest.mark.parametrize("zone", ZONES)
def test_months_are_the_sums_of_their_quarter_hours(cluster: Cluster, zone: str) -> None:
    with override_settings(TIME_ZONE=zone):
        figures = statement_figures(cluster, YEAR, AFTER)
        expected = by_month(cluster, zone)
    assert expected["jobs_j"].get(3, 0.0) > 0
    assert expected["unallocated_j"][4] > 0  # the edge of March lies inside of what was measured
    for name, months in expected.items():
        for number, month in enumerate(figures.months, 1):
            assert (getattr(month, name) or 0.0) == pytest.approx(months.get(number, 0.0), rel=1e-9, abs=1e-6), name
        assert getattr(figures.total, name) == pytest.approx(sum(months.values()), rel=1e-9)


@pytest.mark.parametrize(("zone", "hours"), [("Europe/Berlin", 94), ("Asia/Kolkata", 90.5), ("UTC", 96)])
def test_an_hour_belongs_to_the_month_of_the_local_clock(cluster: Cluster, zone: str, hours: float) -> None:
    """Three nodes in service since 28 March, 00:00 UTC; March is over at 22:00, 18:30 or 24:00 of the 31st."""
    with override_settings(TIME_ZONE=zone):
        march = statement_figures(cluster, YEAR, AFTER).months[2]
    assert march.wall_s == pytest.approx(3 * hours * 3600, rel=1e-12)
    assert march.covered_s + march.off_s + march.gap_s == pytest.approx(march.wall_s, rel=1e-9)
    assert march.off_s == pytest.approx(12 * 3600 - 300, rel=1e-3)
    assert march.coverage == pytest.approx(1 - (12 * 3600 - 300) / (3 * hours * 3600 - march.off_s), rel=1e-3)


@override_settings(TIME_ZONE="Europe/Berlin")
def test_the_facility_is_metered_where_its_meter_covers_and_every_line_closes(cluster: Cluster) -> None:
    """hall draws 1000 W; while a1 (200 W) is silent the ledger lacks it: that lies beyond the ledger."""
    figures = statement_figures(cluster, YEAR, AFTER)
    march = figures.months[2]
    assert march.facility_metered_j == pytest.approx(1000 * 94 * 3600, rel=1e-3)
    assert march.facility_metered_j > 0.999 * march.facility_j
    for period in (*figures.months, figures.total):
        parts = period.it_j + period.plant_j + period.beyond_j
        assert parts == pytest.approx(period.facility_j, rel=1e-9)
    assert march.beyond_j == pytest.approx(200 / 850 * 1000 * 12 * 3600 * 850 / 700, rel=0.05)
    emitted = [march.location_jobs_g, march.location_own_g, march.location_beyond_g]
    assert sum(g for g in emitted if g is not None) == pytest.approx(march.location_g, rel=1e-9)
    # 1000 ÷ 850, and 1.25 on the 30th, when a2 was off for half of the day; weighted by what the ledger has.
    assert march.pue == pytest.approx(90_571.4 / 75_785.7, rel=1e-3)
    assert march.pue_measured_share == 1.0
    assert march.infrastructure_measured_share > 0.999
    assert figures.pue_category == "PUE2"


@override_settings(TIME_ZONE="Europe/Berlin")
def test_ratios_of_the_standards(cluster: Cluster) -> None:
    march = statement_figures(cluster, YEAR, AFTER).months[2]
    assert march.wue_l_per_kwh == pytest.approx(0.5, rel=1e-9)
    assert march.renewable_share == march.ref == pytest.approx(0.62, rel=1e-9)
    ledger_g = (march.location_jobs_g or 0.0) + (march.location_own_g or 0.0)
    assert march.cue_kg_per_kwh == pytest.approx(ledger_g / 1000 / (march.it_j / KWH), rel=1e-9)
    assert march.market_g == pytest.approx(march.facility_j / KWH * 30, rel=1e-9)
    assert 0.2 < march.cost["EUR"] / (march.facility_j / KWH) < 0.3
    assert march.untariffed_j == march.unpriced_j == 0.0


@override_settings(TIME_ZONE="Europe/Berlin")
def test_embodied_goes_by_node_hours_of_jobs_and_of_nobody(cluster: Cluster) -> None:
    """Only thin nodes have a figure: 28.54 g an hour; 770001 holds a1 for 24 h, and no job a2.

    The last sample stands for a moment of 1 April, so that the nodes count on that UTC day too.
    """
    total = statement_figures(cluster, YEAR, AFTER).total
    jobs, own = total.embodied_jobs, total.embodied_own
    assert jobs is not None
    assert own is not None
    assert jobs.central_g == pytest.approx(24 * 28.5388, rel=1e-5)
    assert jobs.low_g / jobs.central_g == pytest.approx(0.8)
    assert own.central_g == pytest.approx((2 * 120 - 24) * 28.5388, rel=1e-5)
    assert jobs.node_hours + own.node_hours == pytest.approx(3 * 120)
    assert own.unknown_node_hours + jobs.unknown_node_hours == pytest.approx(120)


def test_what_is_not_supplied_is_not_a_number(own_var: Path, tmp_path: Path) -> None:
    from tests.portal import world

    world.build(tmp_path)
    cluster = Cluster.objects.get()
    total = statement_figures(cluster, YEAR, AFTER).total
    assert total.jobs_j > 0
    assert total.filled_j > 0  # dark1 has no meter
    missing = ("pue", "location_g", "market_g", "water_l", "cue_kg_per_kwh", "wue_l_per_kwh", "renewable_share", "ref")
    assert [getattr(total, name) for name in missing] == [None] * len(missing)
    assert (total.embodied_jobs, total.embodied_own, dict(total.cost)) == (None, None, {})
    assert total.unpriced_j == total.untariffed_j == pytest.approx(total.facility_j)
    assert total.facility_metered_j == 0.0
    declare(cluster, "wue", 0.4, date(2025, 6, 1))
    declare(cluster, "renewable", 0.5, date(2025, 6, 1))
    later = statement_figures(cluster, YEAR, AFTER).total
    assert (later.wue_l_per_kwh, later.renewable_share) == (None, None)  # not known of the energy that was drawn


def test_factors_name_their_source_and_the_share_that_they_priced(cluster: Cluster) -> None:
    figures = statement_figures(cluster, YEAR, AFTER)
    parts: dict[str, float] = {}
    for use in figures.factors:
        parts[use.part] = parts.get(use.part, 0.0) + use.share
        assert use.origin["title"]
    complete = ("pue", "location", "market", "tariff", "water", "renewable")
    assert {part: parts[part] for part in complete} == pytest.approx(dict.fromkeys(complete, 1.0))
    assert parts["embodied"] == pytest.approx(2 / 3)  # thin nodes
    rungs = {use.origin["rung"]: use.share for use in figures.factors if use.part == "location"}
    assert set(rungs) == {"measured", "yearly"}
    assert len(figures.factor_edition) == 12


def test_a_year_that_is_not_over_says_which_months_are(cluster: Cluster) -> None:
    with override_settings(TIME_ZONE="Europe/Berlin"):
        march_is_over = datetime(2025, 3, 31, 22, 0, tzinfo=UTC)
        figures = statement_figures(cluster, YEAR, march_is_over)
        before = statement_figures(cluster, YEAR, march_is_over - timedelta(seconds=1))
    assert [month.over for month in figures.months] == [True] * 3 + [False] * 9
    assert not before.months[2].over
    assert not figures.over
    assert figures.months[3].wall_s == 0.0  # the future is no gap
    assert figures.months[2].recorded_share == pytest.approx(94 / (31 * 24 - 1))
    assert figures.months[1].recorded_share == 0.0  # nor is what nobody recorded, but it is said


def test_what_is_read_back_is_what_was_written(cluster: Cluster) -> None:
    figures = statement_figures(cluster, YEAR, AFTER)
    text = canonical(figures)
    again: StatementFigures = read(text)
    assert again == figures
    assert canonical(again) == text
    assert differences(figures, again) == []


def test_another_machine_s_facility_is_not_metered_into_this_one(cluster: Cluster) -> None:
    """A meter with which no PUE between 1 and 5 comes out is not this cluster's: the typed PUE holds."""
    from measurements.domain.packing import packed, unpacked
    from measurements.services.pricing import reprice

    for row in NodeDay.objects.filter(node__name="hall"):
        NodeDay.objects.filter(pk=row.pk).update(metered_quarters=packed(unpacked(row.metered_quarters) * 9))
    reprice(cluster, AFTER)
    total = statement_figures(cluster, YEAR, AFTER).total
    assert total.facility_metered_j == total.beyond_j == 0.0
    assert total.pue == pytest.approx(1.4)
    assert (total.pue_measured_share, total.pue_declared_share) == (0.0, 1.0)


def test_the_oracle_s_start_is_the_machine_s() -> None:
    assert datetime.fromtimestamp(START_S, UTC) == datetime(2025, 3, 28, tzinfo=UTC)
