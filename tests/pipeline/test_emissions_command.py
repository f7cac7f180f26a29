"""Emissions as the command gives them: through ingest, booking and price lists, on the cases of the textbooks."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command

from measurements.domain.units import QUARTER_MS, ms_from_datetime
from measurements.models import Cluster, IntensitySeries, NodeType, PublishedValue, SiteFactor, Supply
from measurements.parsers.intensity_records import IntensitySlots
from measurements.services.intensity import new_series, store_slots
from measurements.services.pricing import add_site_factor, add_supply

NOW = datetime(2025, 6, 2, tzinfo=UTC)
TEN = ms_from_datetime(datetime(2025, 6, 1, 10, tzinfo=UTC))
KWH = 3.6e6
pytestmark = pytest.mark.django_db

NODES = "node,node_type,cpus,rated_w\nn1,thin,4,2000\nn2,thin,4,2000\n"
# short: 10:00 to 10:15; long: 10:00 to 12:00; dark: n2 has no samples, 10:00 to 10:30
JOBS = """job_id,user,account,state,start,end,nodes,cpus
1,alice,physics,COMPLETED,2025-06-01T10:00:00Z,2025-06-01T10:15:00Z,n1,4
2,bob,physics,COMPLETED,2025-06-01T12:00:00Z,2025-06-01T14:00:00Z,n1,2
3,alice,physics,COMPLETED,2025-06-01T10:00:00Z,2025-06-01T10:30:00Z,n2,4
"""


@pytest.fixture
def cluster(own_var: Path, tmp_path: Path) -> Cluster:
    """n1 draws 1 kW all day."""
    lines = ["timestamp,node,watts"]
    lines += [f"{1_748_736_000 + 60 * minute},n1,1000" for minute in range(24 * 60 + 1)]
    for name, text in {"nodes.csv": NODES, "jobs.csv": JOBS, "power.csv": "\n".join(lines) + "\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for command in ("load_nodes nodes", "ingest_power power", "ingest_jobs jobs"):
        verb, name = command.split()
        call_command(verb, str(tmp_path / f"{name}.csv"), "--cluster", "beta", stdout=StringIO(), stderr=StringIO())
    call_command("attribute", stdout=StringIO(), stderr=StringIO())
    return Cluster.objects.get()


def energy(*words: str) -> dict[str, Any]:
    """What `energy --json` prints."""
    out = StringIO()
    call_command("energy", *words, "--json", stdout=out, stderr=StringIO())
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def grid(cluster: Cluster, values: list[float], start_ms: int = TEN, step_ms: int = QUARTER_MS) -> IntensitySeries:
    """Slots from an instant on; before and after them the year's 500 g/kWh."""
    made: dict[str, Any] = {"zone": "DE", "basis": "lifecycle", "mix": "consumption", "source_title": "test"}
    series, year = (new_series(NOW, slug=slug, edition="1", **made) for slug in ("slots", "year"))
    PublishedValue.objects.create(series=year, start=date(2025, 1, 1), g_per_kwh=500.0)
    start = start_ms + step_ms * np.arange(len(values), dtype=np.int64)
    slots = IntensitySlots(start, start + step_ms, np.array(values), np.zeros(len(values), bool))
    store_slots(series, slots, NOW, source="test")
    add_supply(Supply(cluster=cluster, slots=series, yearly=year), NOW)
    return series


def step(found: dict[str, Any], name: str, method: str | None = None) -> dict[str, Any]:
    """One step of the chain."""
    rows = [row for row in found["steps"] if row["step"] == name and row.get("method") == method]
    assert len(rows) == 1
    return dict(rows[0])


def test_without_factors_there_are_no_emissions(cluster: Cluster) -> None:
    found = energy("job", "beta", "1")
    assert found["emissions_g_co2e"] is None
    assert found["factor_edition"] == ""
    assert step(found, "carbon_intensity", "location_based")["configured"] is False
    assert step(found, "metered")["energy_j"] == pytest.approx(0.25 * KWH, rel=1e-9)


def test_a_job_from_ten_to_a_quarter_past_gets_the_first_quarter_hours_200(cluster: Cluster) -> None:
    grid(cluster, [200.0, 400.0, 600.0, 800.0])
    found = energy("job", "beta", "1")
    assert found["emissions_g_co2e"] == pytest.approx(0.25 * 200, rel=1e-9)
    assert step(found, "carbon_intensity", "location_based")["g_co2e_per_kwh"] == pytest.approx(200, rel=1e-9)


def test_two_hours_under_200_and_400_emit_600_g(cluster: Cluster) -> None:
    """Taking the intensity at the start would say 400 g. Half the node's cores: half its power, twice over."""
    grid(cluster, [200.0, 400.0], TEN + 8 * QUARTER_MS, 4 * QUARTER_MS)
    assert energy("job", "beta", "2")["emissions_g_co2e"] == pytest.approx(600 / 2, rel=1e-9)


def test_a_missing_slot_is_priced_by_the_next_rung_and_says_so(cluster: Cluster) -> None:
    grid(cluster, [200.0], TEN + 8 * QUARTER_MS, 4 * QUARTER_MS)
    found = energy("job", "beta", "2")
    assert found["emissions_g_co2e"] == pytest.approx((200 + 500) / 2, rel=1e-9)
    factors = step(found, "carbon_intensity", "location_based")["factors"]
    assert {row["rung"]: row["share"] for row in factors} == pytest.approx({"measured": 0.5, "yearly": 0.5}, rel=1e-9)


def test_what_is_filled_is_priced_and_named(cluster: Cluster) -> None:
    """n2 was not measured: 2 kW of rated power for half an hour."""
    grid(cluster, [200.0, 400.0])
    found = energy("job", "beta", "3")
    assert step(found, "metered")["energy_j"] == 0.0
    assert step(found, "filled")["energy_j"] == pytest.approx(KWH, rel=1e-9)
    assert "rated power" in step(found, "filled")["rule"]
    # An hour's filled energy is known by hour: a quarter of it lies in each quarter hour, two of which have slots.
    assert found["emissions_g_co2e"] == pytest.approx(0.25 * (200 + 400 + 500 + 500), rel=1e-9)


def test_pue_infrastructure_cost_water_and_embodied_stand_beside_it(cluster: Cluster) -> None:
    grid(cluster, [200.0])
    thin = NodeType.objects.get()
    rows = [
        SiteFactor(kind="pue", value=1.5, source_title="typed"),
        SiteFactor(kind="infrastructure", value=0.2, source_title="typed"),
        SiteFactor(kind="tariff", value=0.4, unit="EUR/kWh", source_title="contract"),
        SiteFactor(kind="wue", value=0.5, source_title="typed"),
        SiteFactor(kind="embodied", value=1000.0, node_type=thin, source_title="maker", detail={"lifetime_years": 4}),
    ]
    for row in rows:
        row.cluster = cluster
        add_site_factor(row, NOW)
    found = energy("job", "beta", "1")
    it_kwh = 0.25 * 1.2
    assert found["emissions_g_co2e"] == pytest.approx(it_kwh * 1.5 * 200, rel=1e-9)
    assert found["facility_energy_j"] == pytest.approx(it_kwh * 1.5 * KWH, rel=1e-9)
    assert found["cost"] == {"EUR": pytest.approx(it_kwh * 1.5 * 0.4, rel=1e-9)}
    assert found["water_l"] == pytest.approx(it_kwh * 0.5, rel=1e-9)
    assert found["embodied_g_co2e"] == pytest.approx(0.25 * 1_000_000 / (4 * 365 * 24), rel=1e-9)
    assert step(found, "pue")["pue"] == pytest.approx(1.5)
    half = energy("job", "beta", "2")
    assert half["embodied_g_co2e"] == pytest.approx(2 * 0.5 * 1_000_000 / (4 * 365 * 24), rel=1e-9)
    machine = energy("cluster", "beta", "--since", "2025-06-01", "--until", "2025-06-02")
    # Two nodes for a day, of which jobs reserved 0.25 + 1 + 0.5 node-hours.
    own_h = step(machine["unallocated"], "embodied")["node_hours"]
    assert own_h == pytest.approx(48 - 1.75, rel=1e-9)


def test_jobs_and_unallocated_are_the_cluster(cluster: Cluster) -> None:
    """n1 draws 24 kWh in the day (and a moment before and after it); all at the year's 500 g but the first slots."""
    grid(cluster, [200.0, 400.0, 600.0, 800.0])
    machine = energy("cluster", "beta", "--since", "2025-06-01", "--until", "2025-06-02")
    users = [energy("user", name, "--since", "2025-06-01", "--until", "2025-06-02") for name in ("alice", "bob")]
    jobs_g = sum(row["emissions_g_co2e"] for row in users)
    assert machine["emissions_g_co2e"] == pytest.approx(jobs_g, rel=1e-12)
    whole_g = 23 * 500 + 0.25 * (200 + 400 + 600 + 800) + 0.25 * (200 + 400 + 600 + 800)  # and what is filled of n2
    assert machine["emissions_g_co2e"] + machine["unallocated"]["emissions_g_co2e"] == pytest.approx(whole_g, rel=1e-9)


def test_an_edition_names_the_set_of_factors(cluster: Cluster) -> None:
    grid(cluster, [200.0])
    first = energy("job", "beta", "1")["factor_edition"]
    assert first
    assert energy("job", "beta", "1")["factor_edition"] == first
    add_site_factor(SiteFactor(cluster=cluster, kind="pue", value=1.1, source_title="typed"), NOW)
    assert energy("job", "beta", "1")["factor_edition"] != first


def test_two_editions_of_a_year_coexist_and_the_newer_one_says_what_it_is(cluster: Cluster) -> None:
    """UBA's 2024, direct: 363 in one edition, 353 in the next; a figure made with the first can be made again."""
    made: dict[str, Any] = {"zone": "DE", "basis": "direct", "mix": "production", "source_title": "UBA", "gas": "CO2"}
    editions = {}
    for name, value in (("13/2025", 363.0), ("2026", 353.0)):
        editions[name] = new_series(NOW, slug=f"uba-{name[-4:]}", edition=name, **made)
        PublishedValue.objects.create(series=editions[name], start=date(2025, 1, 1), g_per_kwh=value)
        add_supply(Supply(cluster=cluster, yearly=editions[name], reason="a new edition"), NOW)
        found = energy("job", "beta", "1")
        assert found["emissions_g_co2e"] == pytest.approx(0.25 * value, rel=1e-9)
        factors = step(found, "carbon_intensity", "location_based")["factors"]
        assert [(row["edition"], row["gas"]) for row in factors] == [(name, "CO2")]
    assert list(PublishedValue.objects.order_by("pk").values_list("g_per_kwh", flat=True)) == [363.0, 353.0]
