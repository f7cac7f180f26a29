"""The REST interface: the commands' figures, for those who may see them, as its description says."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from measurements.models import Cluster, PublishedValue, SiteFactor, Supply
from measurements.services.intensity import new_series
from measurements.services.pricing import add_site_factor, add_supply
from tests.conftest import People
from tests.portal.world import BOBS_J, DAY, TRAIN_J, WIDE_J

NOW = datetime(2025, 3, 20, tzinfo=UTC)
OTHER_TRAIN_J = (250 * 4 / 8 + 100) * 3_600  # bob's half of mixed1, and gpu1
DAYS = f"since={DAY}&until=2025-03-11"


@pytest.fixture
def priced(site: None) -> Cluster:
    """400 g/kWh and a PUE of 1.5."""
    cluster = Cluster.objects.get()
    series = new_series(
        NOW, slug="years", zone="DE", basis="lifecycle", mix="consumption", source_title="The grid", edition="1"
    )
    PublishedValue.objects.create(series=series, start=date(2025, 1, 1), g_per_kwh=400.0)
    add_supply(Supply(cluster=cluster, yearly=series), NOW)
    add_site_factor(SiteFactor(cluster=cluster, kind="pue", value=1.5, source_title="typed"), NOW)
    return cluster


def get(client: Client, path: str, status: int = 200) -> Any:
    """An answer's JSON."""
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == status, answer.content
    return answer.json()


def command(*words: str) -> dict[str, Any]:
    out = StringIO()
    call_command("energy", *words, "--json", stdout=out, stderr=StringIO())
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_a_job_has_the_commands_figures_and_every_step(priced: Cluster, people: People, client: Client) -> None:
    client.force_login(people.alice)
    found = get(client, "jobs/alpha/36_1")
    said = command("job", "alpha", "36_1")
    assert found["booked_j"] == pytest.approx(TRAIN_J)
    assert found["emissions_g_co2e"] == pytest.approx(TRAIN_J / 3.6e6 * 1.5 * 400)
    for key in ("energy_j", "coverage", "quality", "emissions_g_co2e", "factor_edition", "cost", "runs", "nodes"):
        assert found[key] == said[key], key
    assert [row["step"] for row in found["steps"]] == [row["step"] for row in said["steps"]]
    intensity = next(row for row in found["steps"] if row.get("method") == "location_based")
    assert intensity["factors"][0]["title"] == "The grid"
    assert intensity["g_co2e_per_kwh"] == pytest.approx(400)


def test_ones_own_sums(priced: Cluster, people: People, client: Client) -> None:
    client.force_login(people.alice)
    found = get(client, f"users/me?{DAYS}")
    assert found["booked_j"] == pytest.approx(WIDE_J + TRAIN_J)
    assert (
        found["emissions_g_co2e"]
        == command("user", "alice", "--since", DAY, "--until", "2025-03-11")["emissions_g_co2e"]
    )
    client.force_login(people.charlie)
    assert get(client, f"users/me?{DAYS}")["jobs"] == 0


def test_a_project_has_what_one_may_see_of_it(priced: Cluster, people: People, client: Client) -> None:
    client.force_login(people.olga)
    assert get(client, f"projects/physics?{DAYS}")["booked_j"] == pytest.approx(
        WIDE_J + TRAIN_J + OTHER_TRAIN_J + BOBS_J
    )
    client.force_login(people.bob)
    assert get(client, f"projects/physics?{DAYS}")["booked_j"] == pytest.approx(OTHER_TRAIN_J + BOBS_J)
    client.force_login(people.charlie)
    get(client, f"projects/physics?{DAYS}", 404)


def test_a_cluster_is_its_jobs_and_its_own(priced: Cluster, people: People, client: Client) -> None:
    client.force_login(people.charlie)
    found = get(client, f"clusters/alpha?{DAYS}")
    assert found["jobs_j"] + found["unallocated_j"] == pytest.approx(found["metered_j"], rel=1e-12)
    assert found["jobs"]["emissions_g_co2e"] == pytest.approx(
        command("cluster", "alpha", "--since", DAY, "--until", "2025-03-11")["emissions_g_co2e"]
    )
    assert found["unallocated"]["emissions_g_co2e"] == pytest.approx(found["unallocated_j"] / 3.6e6 * 600)
    rows = get(client, f"clusters/alpha/carbon-intensity?{DAYS}")
    assert len(rows) == 96
    assert rows[0] == {
        "start": f"{DAY}T00:00:00Z", "rung": "yearly", "pue": 1.5,
        "g_co2e_per_kwh": 400.0, "market_g_co2e_per_kwh": None,
    }  # fmt: skip


@pytest.mark.parametrize("path", ["users/me", "clusters", "clusters/alpha", "jobs/alpha/123", "projects/physics"])
def test_nobody_is_answered_without_a_login(priced: Cluster, client: Client, path: str) -> None:
    assert "energy" not in json.dumps(get(client, path, 401))


def test_somebody_elses_job_does_not_exist(priced: Cluster, people: People, client: Client) -> None:
    client.force_login(people.charlie)
    assert get(client, "jobs/alpha/36_1", 404) == get(client, "jobs/alpha/999", 404) == get(client, "jobs/no/1", 404)


@pytest.mark.parametrize("query", ["since=yesterday", "since=1999-01-01&until=2025-01-01"])
def test_what_is_not_understood_is_said(priced: Cluster, people: People, client: Client, query: str) -> None:
    client.force_login(people.alice)
    said = get(client, f"users/me?{query}", 422)
    assert said["errors"][0]["reason"]


def test_the_description_names_every_address_and_figure(client: Client, db: None) -> None:
    said = get(client, "openapi.json")
    assert set(said["paths"]) == {
        f"/api/v1/{path}"
        for path in (
            "users/me", "users/me/usage", "projects/{name}",
            "projects/{name}/months", "jobs/{cluster}/{job}", "clusters", "clusters/{name}",
            "clusters/{name}/carbon-intensity",
            "node-types", "jobs/{cluster}/{job}/tags", "tags", "boards", "boards/{slug}",
            "boards/{slug}/{edition}", "workloads", "workloads/{name}", "jobs/{cluster}/{job}/elsewhere",
            "power", "gpu-holds", "prometheus/write",
        )
    }  # fmt: skip
    energy = said["components"]["schemas"]["JobEnergy"]["properties"]
    assert {"emissions_g_co2e", "steps", "factor_edition", "coverage", "quality"} <= set(energy)
