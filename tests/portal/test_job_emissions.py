"""A job's emissions on its page: what the command says, and every step with its source."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest
from django.test import Client

from measurements.models import Cluster, NodeType, PublishedValue, SiteFactor, Supply
from measurements.services.intensity import new_series
from measurements.services.pricing import add_site_factor, add_supply
from tests.conftest import People

NOW = datetime(2025, 3, 20, tzinfo=UTC)
NBSP = "\u00a0"


@pytest.fixture
def priced(site: None) -> Cluster:
    """Location 400 g/kWh, market 100, PUE 1.5, 0.40 EUR/kWh, 1000 kg over 4 years for a mixed node."""
    cluster = Cluster.objects.get()
    for method, mix, value in (("location_based", "consumption", 400.0), ("market_based", "supplier", 100.0)):
        series = new_series(
            NOW, slug=mix, zone="DE", basis="lifecycle", mix=mix, method=method, edition="2025/1",
            source_title=f"The {mix} account", source_url="https://example.org/grid", licence="CC BY 4.0",
        )  # fmt: skip
        PublishedValue.objects.create(series=series, start=date(2025, 1, 1), g_per_kwh=value)
        add_supply(Supply(cluster=cluster, yearly=series, method=method), NOW)
    mixed = NodeType.objects.get(name="mixed")
    for row in (
        SiteFactor(kind="pue", value=1.5, source_title="energy manager"),
        SiteFactor(kind="tariff", value=0.4, unit="EUR/kWh", source_title="contract"),
        SiteFactor(
            kind="embodied", value=1000, low=800, high=1500, node_type=mixed, source_title="maker",
            detail={"lifetime_years": 4},
        ),
    ):  # fmt: skip
        row.cluster = cluster
        add_site_factor(row, NOW)
    return cluster


def page(client: Client, job: str) -> str:
    """As a reader sees its words: without line breaks."""
    return re.sub(r"[ \n]+", " ", client.get(f"/jobs/alpha/{job}/").content.decode())


def test_every_step_stands_on_the_page(priced: Cluster, people: People, client: Client) -> None:
    """36_1 draws 275 Wh in its hour: 412.5 Wh with the PUE, 165 g, or 41.3 g by contract, 16.5 ct; half a node."""
    client.force_login(people.alice)
    shown = page(client, "36_1")
    for words in (
        f'<span class="value">165</span><span class="unit">&nbsp;g{NBSP}CO₂e</span>',
        f'<span class="value">41.3</span><span class="unit">&nbsp;g{NBSP}CO₂e</span>',
        '<span class="value">0.165</span><span class="unit">&nbsp;EUR</span>',
        f"× 400{NBSP}g/kWh",
        "× 1.50",
        "The consumption account",
        "edition 2025/1",
        "CC BY 4.0",
        "energy manager",
        "Not configured: switches, storage and service nodes are not included.",
        f"11.4{NBSP}g{NBSP}CO₂e to 21.4{NBSP}g{NBSP}CO₂e; its share of making the nodes.",
    ):
        assert words in shown, words


def test_without_factors_the_page_says_so(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    shown = page(client, "36_1")
    assert "No carbon intensity is configured" in shown
    assert "PUE not configured" in shown
    assert "0 g" not in shown


def test_in_german(priced: Cluster, people: People, client: Client) -> None:
    client.force_login(people.alice)
    client.post("/language/setlang/", {"language": "de", "next": "/"})
    assert "41,3" in page(client, "36_1")
