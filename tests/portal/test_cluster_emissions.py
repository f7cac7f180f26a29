"""A cluster's emissions on its page: of its jobs, and its own; both together are the cluster's."""

from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from measurements.domain.chain import together
from measurements.domain.units import day_start_ms, ms_from_datetime
from measurements.models import Cluster, NodeType, PublishedValue, SiteFactor, Supply
from measurements.selectors.emissions import cluster_footprints
from measurements.services.intensity import new_series
from measurements.services.pricing import add_rows
from tests.conftest import People
from tests.portal.world import BOBS_J, DAY, HOUR, PERIOD, WIDE_J

NOW = datetime(2025, 3, 20, tzinfo=UTC)
URL = f"/clusters/alpha/?{PERIOD}"
MOST_QUERIES = 10
NODE_HOURS = 4 * 24.0


@pytest.fixture
def priced(site: None) -> Cluster:
    """Location 400 g/kWh, market 100, PUE 1.5, infrastructure 10 %, 0.40 EUR/kWh, 1000 kg over 4 years for thin."""
    cluster = Cluster.objects.get()
    rows: list[Supply | SiteFactor] = []
    for method, mix, value in (("location_based", "consumption", 400.0), ("market_based", "supplier", 100.0)):
        series = new_series(
            NOW, slug=mix, zone="DE", basis="lifecycle", mix=mix, method=method, edition="1", source_title=f"The {mix}"
        )
        PublishedValue.objects.create(series=series, start=date(2025, 1, 1), g_per_kwh=value)
        rows.append(Supply(yearly=series, method=method))
    rows += [
        SiteFactor(kind="pue", value=1.5, source_title="energy manager"),
        SiteFactor(kind="infrastructure", value=0.1, source_title="switches"),
        SiteFactor(kind="tariff", value=0.4, unit="EUR/kWh", source_title="contract"),
        SiteFactor(
            kind="embodied", value=1000, low=800, high=1500, node_type=NodeType.objects.get(name="thin"),
            source_title="maker", detail={"lifetime_years": 4},
        ),
    ]  # fmt: skip
    for row in rows:
        row.cluster = cluster
    add_rows(cluster, rows, NOW)
    return cluster


def page(client: Client, person: object, url: str = URL) -> str:
    """As a reader sees its words."""
    client.force_login(person)  # type: ignore[arg-type]
    response = client.get(url)
    assert response.status_code == 200
    return html.unescape(re.sub(r"[ \n]+", " ", response.content.decode()))


def cells(shown: str, row: str) -> list[str]:
    """Of a row of the table."""
    table = shown.split('aria-label="Emissions of jobs and of the machine"')[1].split("</table>")[0]
    (line,) = [line for line in table.split("<tr") if f">{row}</th>" in line]
    return re.findall(r'data-label="[^"]*">([^<]*)</td>', line)


def metered() -> tuple[float, float]:
    """Joules of the jobs, and of nobody: 12 h and 30 s at 800 W, less thin1's silence of 19 min."""
    whole = 800.0 * (12 * HOUR + 30) - 100.0 * 19 * 60
    jobs = WIDE_J + 2 * 250.0 * HOUR + BOBS_J  # mixed1's two halves have all of it
    return jobs, whole - jobs


def test_the_figures_are_those_worked_out_by_hand(priced: Cluster) -> None:
    day = date.fromisoformat(DAY)
    found = cluster_footprints(priced, day_start_ms(day), day_start_ms(day) + 86_400_000, ms_from_datetime(NOW))
    jobs_j, own_j = metered()
    filled_j = found.jobs.filled_j
    assert found.own.filled_j == 0
    assert found.own.facility_j == pytest.approx(own_j * 1.1 * 1.5, rel=1e-9)
    assert found.jobs.facility_j == pytest.approx((jobs_j + filled_j) * 1.1 * 1.5, rel=1e-9)
    assert found.own.location_g == pytest.approx(own_j * 1.65 / 3.6e6 * 400, rel=1e-9)
    assert found.own.market_g == pytest.approx(own_j * 1.65 / 3.6e6 * 100, rel=1e-9)
    whole = together([found.jobs, found.own])
    assert whole.embodied is not None
    assert whole.embodied.node_hours == pytest.approx(NODE_HOURS)
    assert whole.embodied.central_g == pytest.approx(48 * 1e6 / (4 * 365 * 24))


def test_jobs_and_the_machine_s_own_stand_apart_and_together(priced: Cluster, people: People, client: Client) -> None:
    shown = page(client, people.alice)
    of_jobs, own, whole = (cells(shown, row) for row in ("Jobs", "The machine's own", "Together"))
    own_kwh = metered()[1] * 1.1 * 1.5 / 3.6e6
    assert [float(cell) for cell in own[:3]] == pytest.approx([own_kwh, own_kwh * 0.4, own_kwh * 0.1], rel=4e-3)
    assert own[4] == f"{own_kwh * 0.4:.2f}\u00a0EUR"
    for column in (0, 1):
        assert float(of_jobs[column]) + float(own[column]) == pytest.approx(float(whole[column]), abs=0.02)
    for heading in ("Location-based [kg", "Market-based [", "Embodied ["):
        assert heading in shown
    assert "are of energy that no job held; they are nobody's." in shown


def test_each_part_opens_into_its_steps(priced: Cluster, people: People, client: Client) -> None:
    shown = page(client, people.alice)
    card = shown.split('id="emissions"')[1].split("</section>")[0]
    assert card.count("How this was computed") == 2
    for words in ("× 1.50", "+ 10.0\u00a0%", "× 400\u00a0g/kWh", "The consumption", "energy manager", "switches"):
        assert card.count(words) == 2, words


def test_it_leads_to_the_grid_the_statement_and_the_methodology(
    priced: Cluster, people: People, client: Client
) -> None:
    shown = page(client, people.alice)
    for address in (f"/carbon/?cluster=alpha&{PERIOD}", "/clusters/alpha/statement/2025/", "/methodology/"):
        assert f'href="{address}"' in shown


def test_without_factors_energy_is_counted_and_nothing_is_invented(site: None, people: People, client: Client) -> None:
    shown = page(client, people.alice)
    assert "No carbon intensity is configured for this time." in shown
    assert "PUE not configured" in shown
    assert len(cells(shown, "Together")) == 1
    assert "nobody's." not in shown


def test_a_period_without_energy_has_no_card(priced: Cluster, people: People, client: Client) -> None:
    shown = page(client, people.alice, "/clusters/alpha/?first=2024-01-01&last=2024-01-02")
    assert 'id="emissions"' not in shown


@pytest.mark.parametrize("who", ["alice", "olga"])
def test_ten_queries_are_enough(priced: Cluster, people: People, client: Client, who: str) -> None:
    page(client, getattr(people, who))
    with CaptureQueriesContext(connection) as seen:
        client.get(URL)
    assert len(seen) <= MOST_QUERIES, [query["sql"][:90] for query in seen]
