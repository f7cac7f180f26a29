"""set_factors: what a site declares, from when, and what it refuses; a dry run says what would change."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from measurements.domain.carbon import Part, Rung
from measurements.models import Cluster, IntensitySeries, PriceDay, SiteFactor, Supply
from measurements.parsers.intensity_records import IntensitySlots
from measurements.selectors.prices import price_list
from measurements.services.factors import load_package
from measurements.services.intensity import new_series, store_slots
from tests.measurements.parsers.test_factor_package import SERIES, SOURCE

NOW = datetime(2025, 6, 2, tzinfo=UTC)
DAY = date(2025, 6, 1)
NODES = "node,node_type,cpus\nn1,thin,4\n"
JOBS = """job_id,user,account,state,start,end,nodes,cpus
1,alice,physics,COMPLETED,2025-06-01T10:00:00Z,2025-06-01T11:00:00Z,n1,4
"""
TYPED = ("--source", "annual report 2024")
pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster(own_var: Path, tmp_path: Path) -> Cluster:
    """n1 draws 1 kW all day; the package is loaded."""
    lines = ["timestamp,node,watts", *(f"{1_748_736_000 + 60 * minute},n1,1000" for minute in range(1, 24 * 60 - 1))]
    for name, text in {"nodes.csv": NODES, "jobs.csv": JOBS, "power.csv": "\n".join(lines) + "\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for command in ("load_nodes nodes", "ingest_power power", "ingest_jobs jobs"):
        verb, name = command.split()
        call_command(verb, str(tmp_path / f"{name}.csv"), "--cluster", "beta", stdout=StringIO(), stderr=StringIO())
    call_command("attribute", stdout=StringIO(), stderr=StringIO())
    load_package(NOW)
    return Cluster.objects.get()


def declare(*words: str) -> str:
    out, said = StringIO(), StringIO()
    call_command("set_factors", "--cluster", "beta", *words, stdout=out, stderr=said)
    return out.getvalue() + said.getvalue()


def answer(*words: str) -> dict[str, Any]:
    out = StringIO()
    call_command("set_factors", "--cluster", "beta", *words, "--json", stdout=out, stderr=StringIO())
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def price(cluster: Cluster, part: Part, hour: int = 12, day: date = DAY) -> float:
    return float(price_list(cluster, day, day).part(part)[4 * hour])


def hours(values: list[float], **fields: str) -> IntensitySeries:
    """A time-resolved series of the first hours of the day, by name ``hours``."""
    known = {"slug": "hours", "zone": "DE", "basis": "lifecycle", "mix": "consumption", "source_title": "test"}
    series = new_series(NOW, **(known | fields))
    start = 1_748_736_000_000 + 3_600_000 * np.arange(len(values), dtype=np.int64)
    store_slots(
        series,
        IntensitySlots(start, start + 3_600_000, np.array(values), np.zeros(len(values), bool)),
        NOW,
        source="test",
    )
    return series


# --- Carbon intensity ---------------------------------------------------------------------------------


def test_a_zone_takes_the_packaged_series_with_upstream(cluster: Cluster) -> None:
    assert "declared: carbon intensity location_based, from the beginning: yearly uba-2025-ghg-upstream-de" in declare(
        "--zone", "DE"
    )
    prices = price_list(cluster, DAY, DAY)
    assert price(cluster, Part.LOCATION) == 427
    assert prices.origins[prices.origin[Part.LOCATION, 0]].rung == Rung.EARLIER_YEAR, "2025 is not published"
    assert np.isnan(price(cluster, Part.MARKET))
    row = Supply.objects.get()
    assert row.author.endswith("(command line)")


def test_slots_are_put_before_what_is_in_force_and_the_rest_stays(cluster: Cluster) -> None:
    hours([100.0])
    declare("--zone", "DE")
    declare("--slots", "hours", "--reason", "the grid's hours")
    assert (price(cluster, Part.LOCATION, 0), price(cluster, Part.LOCATION, 12)) == (100, 427)
    declare("--slots", "none", "--since", "2025-06-01")
    assert price(cluster, Part.LOCATION, 0) == 427
    declare("--zone", "FR")
    assert "from 2025-06-01 on what was declared before still holds" in declare("--zone", "AT")
    rows = answer("--list")["declared"]
    assert [(row.get("slots"), row["yearly"], row["in_force"]) for row in rows] == [
        (None, "uba-2025-ghg-upstream-de", False),
        ("hours", "uba-2025-ghg-upstream-de", False),
        (None, "ember-2025-fr", False),
        (None, "ember-2025-at", False),
        (None, "uba-2025-ghg-upstream-de", True),
    ]


def test_a_new_year_of_an_edition_prices_the_booked_days_anew(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(SOURCE + SERIES, encoding="utf-8")
    load_package(NOW, [file])
    declare("--yearly", "report-2025-de")
    assert price(cluster, Part.LOCATION) == 350.5
    file.write_text(SOURCE + SERIES.replace("2024 = 350.5", "2024 = 350.5, 2025 = 300"), encoding="utf-8")
    (done,) = load_package(NOW, [file])
    assert done.days_priced == len(set(PriceDay.objects.values_list("day", flat=True))) > 0
    assert price(cluster, Part.LOCATION) == 300


def test_a_contract_stands_beside_the_grid(cluster: Cluster) -> None:
    contract = ("--market-value", "40", "--market-source", "Green Power Ltd", "--since", "2025-06-01")
    with pytest.raises(CommandError, match="the zone is not known: declare it as well"):
        declare(*contract)
    declare("--zone", "DE")
    declare(*contract)
    series = IntensitySeries.objects.get(slug="beta-market-direct-green-power-ltd")
    assert (series.method, series.mix, series.zone, series.packaged) == ("market_based", "supplier", "DE", False)
    assert (price(cluster, Part.MARKET), price(cluster, Part.LOCATION)) == (40, 427)
    declare(*contract)
    with pytest.raises(CommandError, match="2025 is stored as 40, not 41"):
        declare(*(word.replace("40", "41") for word in contract))
    declare("--market-yearly", "none", "--since", "2025-06-01")
    assert np.isnan(price(cluster, Part.MARKET))
    declare("--market-yearly", series.slug)
    assert price(cluster, Part.MARKET) is not None


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--zone", "UK"), "no packaged lifecycle series of zone 'UK'; zones there are: GB"),
        (("--zone", "DE-LU"), "zones there are: DE;"),
        (("--yearly", "uba-2025-ghg"), "no series 'uba-2025-ghg'; near to it: uba-2025-ghg-de"),
        (("--slots", "hours", "--yearly", "uba-2025-ghg-de"),
         "slots hours is lifecycle, yearly uba-2025-ghg-de is direct; take a lifecycle one as --yearly"),
        (("--slots", "hours", "--yearly", "ember-2025-fr"), "slots hours is DE, yearly ember-2025-fr is FR"),
        (("--yearly", "hours"), "hours has no value of a year"),
        (("--monthly", "ember-2025-de"), "ember-2025-de has no value of a month"),
        (("--market-yearly", "ember-2025-de"), "is location_based, asked for is a market_based series"),
        (("--zone", "DE", "--market-value", "40"), "--market-value needs --market-source TEXT and --since D"),
        (("--zone", "DE", "--market-value", "4000", "--market-source", "x", "--since", "2025-01-01"), "0 to 3000"),
        (("--market-value", "4", "--market-yearly", "x"), "choose one"),
        (("--pue", "0.9", *TYPED), "pue 0.9 is not from 1 to 5"),
        (("--pue", "5.1", *TYPED), "pue 5.1 is not from 1 to 5"),
        (("--pue", "nan", *TYPED), "pue nan is not from 1 to 5"),
        (("--pue", "1.3"), r"pue: say where the value is from \(--source\)"),
        (("--pue-category", "1"), "--pue-category belongs to a --pue"),
        (("--infrastructure", "17.6", *TYPED), "give the share of the nodes' energy, 0.176 and not 17.6"),
        (("--infrastructure", "-0.1", *TYPED), "is not from 0 to 1"),
        (("--wue", "-1", *TYPED), "wue -1 is not from 0 to 20"),
        (("--renewable", "50", *TYPED), "give the share, 0.5 and not 50"),
        (("--tariff", "-0.1", *TYPED), "tariff -0.1 is not from 0 to 5"),
        (("--tariff", "31", *TYPED), "give EUR per kWh, not cents"),
        (("--tariff", "0.3", "--currency", "Euro", *TYPED), "three capital letters"),
        (("--tariff-band", "mon 08:00-20:00 0.3", *TYPED), "--tariff-band needs --tariff"),
        (("--tariff", "0.3", "--tariff-band", "weekdays 8-20 0.3", *TYPED), "is no band of a tariff"),
        (("--tariff", "0.3", "--tariff-band", "daily 08:00-20:00 31", *TYPED), "tariff 31 is not from 0 to 5"),
        (("--tariff", "0.3", "--tariff-band", "mon-fri 08:00-20:00 0.4", "--tariff-band", "wed 19:00-21:00 0", *TYPED),
         "both hold at wed 19:00"),
        (("--embodied", "thick=1000", "--lifetime", "4", *TYPED), "no node type 'thick' on beta; known: thin"),
        (("--embodied", "thin=1000", *TYPED), r"is needed \(--lifetime\)"),
        (("--embodied", "thin=1000,1100,1200", "--lifetime", "4", *TYPED), "are not low, central, high"),
        (("--embodied", "thin=heavy", "--lifetime", "4", *TYPED), "write TYPE=KG"),
        (("--embodied", "thin=1000000", "--lifetime", "4", *TYPED), "give kg CO2e of one node"),
        ((), "nothing is declared"),
    ],
)  # fmt: skip
def test_what_cannot_hold_is_refused_with_reason_and_cure(
    cluster: Cluster, words: tuple[str, ...], reason: str
) -> None:
    hours([100.0])
    series = IntensitySeries.objects.count()
    with pytest.raises(CommandError, match=reason):
        declare(*words)
    assert not Supply.objects.exists()
    assert not SiteFactor.objects.exists()
    assert IntensitySeries.objects.count() == series


def test_without_the_package_the_cure_is_to_load_it(db: None) -> None:
    Cluster.objects.create(name="beta")
    with pytest.raises(CommandError, match=r"run manage\.py load_factors first"):
        declare("--zone", "DE")


# --- Typed values -----------------------------------------------------------------------------------------


def test_typed_values_hold_from_their_day_and_nothing_is_overwritten(cluster: Cluster) -> None:
    declare(
        "--pue", "1.5", "--pue-category", "2", "--infrastructure", "0.1", "--wue", "0.4", "--renewable", "0.6", *TYPED
    )
    assert (price(cluster, Part.PUE), price(cluster, Part.INFRASTRUCTURE)) == (1.5, 0.1)
    assert price(cluster, Part.WATER) == 0.4
    assert SiteFactor.objects.get(kind="pue").detail == {"category": "PUE2"}
    declare("--pue", "1.4", "--since", "2025-07-01", *TYPED)
    assert price(cluster, Part.PUE) == 1.5
    declare("--pue", "1.45", "--reason", "measured better", *TYPED)
    assert price(cluster, Part.PUE) == 1.45
    declare("--pue", "none", "--since", "2025-06-01", *TYPED)
    assert np.isnan(price(cluster, Part.PUE))
    assert sorted(SiteFactor.objects.filter(kind="pue").values_list("value", flat=True), key=str) == [
        1.4,
        1.45,
        1.5,
        None,
    ]
    listed = declare("--list")
    assert "in force  pue, from 2025-07-01: 1.4; annual report 2024 (entered " in listed
    assert "          pue, from the beginning: 1.45; annual report 2024 [measured better]" in listed
    assert "from 2025-06-01: not declared any more" in listed
    declare("--pue", "1.1", "--since", "2990-01-01", *TYPED)
    in_force = [row["value"] for row in answer("--list")["declared"] if row["in_force"] and row["kind"] == "pue"]
    assert in_force == [1.4], "what begins in future does not hold yet"


def test_a_tariff_has_bands_in_local_time(cluster: Cluster) -> None:
    """2025-06-01 is a Sunday."""
    declare(
        "--tariff", "0.3", "--tariff-band", "sat,sun 10:00-12:00 0.1", "--tariff-band", "daily 22:00-06:00 0.2", *TYPED
    )
    row = SiteFactor.objects.get()
    assert row.unit == "EUR/kWh"
    assert row.detail["bands"][0] == {"days": [5, 6], "start": 600, "end": 720, "price": 0.1}
    prices = set(price_list(cluster, DAY, DAY).part(Part.TARIFF).tolist())
    assert prices == {0.1, 0.2, 0.3}
    assert "[sat,sun 10:00-12:00 0.1] [daily 22:00-06:00 0.2]" in declare("--list")


def test_embodied_emissions_are_of_a_node_type_with_a_band(cluster: Cluster) -> None:
    declare("--embodied", "thin=1000,800,1500", "--lifetime", "4", *TYPED)
    (rate,) = price_list(cluster, DAY, DAY).embodied[0].values()
    hours_of_life = 4 * 365 * 24
    assert (rate.low, rate.central, rate.high) == pytest.approx(
        (800e3 / hours_of_life, 1e6 / hours_of_life, 1.5e6 / hours_of_life)
    )


# --- A dry run ----------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_change_and_stores_nothing(cluster: Cluster) -> None:
    contract = ("--market-value", "40", "--market-source", "x", "--since", "2025-06-01")
    words = ("--zone", "DE", "--pue", "1.5", *TYPED, *contract)
    series = IntensitySeries.objects.count()
    found = answer(*words, "--dry-run")
    assert (Supply.objects.count(), SiteFactor.objects.count(), IntensitySeries.objects.count()) == (0, 0, series)
    before, after = found["effect"]["before"], found["effect"]["after"]
    kwh = before["facility_energy_kwh"]
    assert kwh == pytest.approx(24, rel=0.01)
    assert (before["emissions_kg_co2e"], before["unpriced_energy_kwh"]) == (None, kwh)
    assert after["facility_energy_kwh"] == pytest.approx(1.5 * kwh)
    assert after["emissions_kg_co2e"] == pytest.approx(1.5 * kwh * 0.427)
    assert after["market_emissions_kg_co2e"] == pytest.approx(1.5 * kwh * 0.040)
    assert found["days_priced"] == 0

    declare(*words)
    again = answer("--zone", "FR", "--dry-run")
    assert again["effect"]["before"]["emissions_kg_co2e"] == pytest.approx(after["emissions_kg_co2e"])
    later = declare("--zone", "FR", "--since", "2025-07-01", "--dry-run")
    assert "nothing is booked there yet: no figure changes" in later
    shown = declare("--zone", "FR", "--since", "2025-06-01", "--dry-run")
    assert "would declare: carbon intensity location_based, from 2025-06-01: yearly ember-2025-fr" in shown
    assert "emissions_kg_co2e: 15.35" in shown
