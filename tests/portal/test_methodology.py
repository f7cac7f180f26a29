"""`/methodology/`: every constant of the code that changes a number, and every factor in force, stand on it."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from importlib import import_module
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from measurements import domain
from measurements.domain import carbon, integrate, steps
from measurements.domain.carbon import Part, Rung
from measurements.domain.quality import Grade
from measurements.models import (
    Cluster,
    NodeType,
    PriceDay,
    PublishedValue,
    ReferenceFactor,
    SiteFactor,
    SlotDay,
    Supply,
)
from measurements.parsers.intensity_records import IntensitySlots
from measurements.selectors.prices import price_list
from measurements.services.intensity import new_series, store_slots
from measurements.services.pricing import add_rows, reprice
from portal import methodology, methodology_joules, methodology_scope
from portal.methodology import EXEMPT, exact, sections, share_words
from portal.steps import rung_word

URL = "/methodology/"
NOW = datetime(2025, 3, 20, tzinfo=UTC)
MOST_QUERIES = 10
CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")


def page(client: Client) -> str:
    """As a reader sees its words: without line breaks and marks for letters."""
    response = client.get(URL)
    assert response.status_code == 200
    return html.unescape(re.sub(r"[ \n]+", " ", response.content.decode()))


# --- Constants ----------------------------------------------------------------------------------


def numeric_constants() -> Iterator[str]:
    """module.NAME of all upper-case names of measurements.domain whose values are numbers or made of numbers."""
    for path in sorted(Path(domain.__file__).parent.glob("*.py")):
        module = import_module(f"measurements.domain.{path.stem}") if path.stem != "__init__" else domain
        for name in assigned(ast.parse(path.read_text(encoding="utf-8"))):
            if CONSTANT.fullmatch(name) and is_numeric(getattr(module, name)):
                yield f"{path.stem}.{name}"


def assigned(module: ast.Module) -> Iterator[str]:
    for statement in module.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
        for target in targets:
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def is_numeric(value: Any) -> bool:
    if isinstance(value, dict):
        return is_numeric(list(value.values()))
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return any(is_numeric(each) for each in value)
    return isinstance(value, Number) and not isinstance(value, bool | Enum)  # an enumeration's members are names


def named() -> set[str]:
    """module.NAME of the constants of measurements.domain that rules name."""
    places = {each.place for section in sections() for each in section.constants}
    return {place.removeprefix("measurements.domain.") for place in places if ".domain." in place}


def test_constants_are_found_however_they_are_written() -> None:
    found = set(numeric_constants())
    assert {"integrate.GAP_INTERVALS", "carbon.HIGHEST_G_PER_KWH", "carbon.LOWEST_PUE"} <= found
    assert {"slurm_quantities.DECIMAL", "profiles._EDGES_US", "alignment.SHIFTS_H"} <= found
    assert "steps.FILL_RULE" not in found


def test_every_numeric_constant_stands_in_a_rule_or_is_exempt_for_a_reason() -> None:
    assert set(numeric_constants()) - named() - set(EXEMPT) == set()


def test_nothing_is_exempt_that_is_named_or_gone() -> None:
    assert set(EXEMPT) & named() == set()
    assert set(EXEMPT) - set(numeric_constants()) == set()
    assert all(EXEMPT.values())


def test_each_constant_is_said_in_a_sentence_of_its_section() -> None:
    for section in sections():
        for rule in section.rules:
            for constant in rule.constants:
                assert constant.shown in rule.sentence, constant.place


@pytest.mark.django_db
def test_a_constant_that_changes_changes_the_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "further apart than 3.5 times" in page(client)
    monkeypatch.setattr(integrate, "GAP_INTERVALS", 4.25)
    monkeypatch.setattr(carbon, "HIGHEST_PUE", 7.0)
    shown = page(client)
    assert "further apart than 4.25 times" in shown
    assert "above 7 is not used" in shown


@pytest.mark.django_db
def test_all_rungs_and_qualities_and_formulas_are_there(client: Client) -> None:
    shown = page(client)
    ladder = shown.split('id="ladder"')[1].split("</section>")[0]
    for rung in set(Rung) - {Rung.DECLARED}:
        assert rung_word(rung) in ladder, rung
    assert all(grade.word in shown.split('id="qualities"')[1] for grade in Grade)
    formulas = [rule.formula for section in sections() for rule in section.rules if rule.formula]
    assert len(formulas) > 10
    assert all(formula in shown for formula in formulas)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3.5, "3.5"),
        (3_600_000.0, "3\u202f600\u202f000"),
        (8760.0, "8760"),
        (0.45359237, "0.45359237"),
        (1e-9, "10⁻⁹"),
        (5e18, "5 · 10¹⁸"),
        (1000**5, "10¹⁵"),
        (-12_345.5, "-12\u202f345.5"),
        (0, "0"),
    ],
)
def test_a_constant_has_all_its_digits(value: float, shown: str) -> None:
    assert exact(value) == shown


def test_what_is_translated_is_the_rule_of_the_code() -> None:
    assert methodology_joules.FILL_RULE == steps.FILL_RULE


def test_shares_are_not_rounded_down() -> None:
    assert share_words(0.95) == "95\u00a0%"
    with translation.override("de"):
        assert share_words(0.176) == "17,6\u00a0%"


def test_references_that_rules_name_exist() -> None:
    texts = [rule.sentence for section in [methodology_scope.scope(), *sections()] for rule in section.rules]
    asked = {int(number) for text in texts for number in re.findall(r"\[(\d)\]", text)}
    assert asked | {6} == {work.number for work in methodology_scope.REFERENCES}  # 6 stands above the fuels


# --- Factors ------------------------------------------------------------------------------------

SOURCES = {"edition": "2025/1", "licence": "CC BY 4.0", "source_url": "https://example.org/grid"}


@pytest.fixture
def priced(site: None) -> Cluster:
    """Location by slots, months and years, market by years; one declared factor of each kind, and one that ended."""
    cluster = Cluster.objects.get()
    made: dict[str, Any] = {"zone": "DE", "basis": "lifecycle", "retrieved_on": date(2025, 3, 1), **SOURCES}
    kinds = [("slots", "location_based"), ("months", "location_based"), ("years", "location_based")]
    series = {
        slug: new_series(NOW, slug=slug, mix="consumption", method=method, source_title=f"Account of {slug}", **made)
        for slug, method in [*kinds, ("contract", "market_based")]
    }
    value = PublishedValue.objects.create
    value(series=series["years"], start=date(2024, 1, 1), g_per_kwh=427.0)
    value(series=series["years"], start=date(2023, 1, 1), g_per_kwh=449.5, note="provisional")
    value(series=series["contract"], start=date(2025, 1, 1), g_per_kwh=33.25)
    value(series=series["months"], start=date(2025, 3, 1), g_per_kwh=311.0, resolution="month")
    start = np.array([1_741_564_800_000])
    slots = IntensitySlots(start, start + 3_600_000, np.array([250.0]), np.zeros(1, bool))
    store_slots(series["slots"], slots, NOW, source="test")
    mixed = NodeType.objects.get(name="mixed")
    rows: list[Supply | SiteFactor] = [
        Supply(slots=series["slots"], monthly=series["months"], yearly=series["years"]),
        Supply(yearly=series["contract"], method="market_based"),
        SiteFactor(kind="pue", value=1.57, source_title="Energy report", detail={"category": "PUE2"}),
        SiteFactor(kind="pue", value=1.43, source_title="Later report", valid_from=date(2025, 3, 5)),
        SiteFactor(kind="infrastructure", value=0.176, source_title="Estimate of switches"),
        SiteFactor(kind="tariff", value=0.4321, unit="EUR/kWh", source_title="Contract of power",
                   detail={"bands": [{"days": [0, 6], "start": 1320, "end": 360, "price": 0.2109}]}),
        SiteFactor(kind="wue", value=0.35, unit="L/kWh", source_title="Water meter"),
        SiteFactor(kind="renewable", value=0.62, source_title="Disclosure"),
        SiteFactor(kind="embodied", value=1100, low=900, high=1600, node_type=mixed, source_title="Maker",
                   detail={"lifetime_years": 6}),
        SiteFactor(kind="wue", value=None, source_title="Meter gone", valid_from=date(2099, 1, 1)),
    ]  # fmt: skip
    for row in rows:
        row.cluster, row.author, row.reason = cluster, "XQ-AUTHOR", "XQ-REASON"
    add_rows(cluster, rows, NOW)
    return cluster


def in_force(shown: str) -> str:
    """The card of the factors in force."""
    return shown.split('id="factors"')[1].split("</section>")[0]


IN_FORCE = [
    ("by quarter hour", "Mon 10 Mar 2025 – Mon 10 Mar 2025", "Account of slots"),
    ("by month", "2025-03: 311\u00a0g/kWh", "Account of months"),
    ("by year", "2024: 427\u00a0g/kWh", "Account of years"),
    ("Carbon intensity, market-based", "2025: 33.25\u00a0g/kWh", "Account of contract"),
    ("Power usage effectiveness (PUE)", "1.43", "Later report"),
    ("Shared infrastructure", "17.6\u00a0%", "Estimate of switches"),
    ("Electricity tariff", "0.4321 / 0.2109\u00a0EUR/kWh", "Contract of power"),
    ("Water usage effectiveness (WUE)", "0.35\u00a0L/kWh", "Water meter"),
    ("Renewable share of the electricity", "62\u00a0%", "Disclosure"),
    ("Embodied emissions of a node: mixed", "1100 (900 … 1600)\u00a0kg CO₂e", "Maker"),
]


@pytest.mark.parametrize(("title", "value", "source"), IN_FORCE, ids=[row[0] for row in IN_FORCE])
def test_a_factor_in_force_stands_there_with_value_and_source(
    priced: Cluster, client: Client, title: str, value: str, source: str
) -> None:
    client.force_login(User.objects.create_user("reader"))
    card = in_force(page(client))
    (line,) = [line for line in card.split("<li>") if source in line]
    assert title in line
    assert value in line


def test_each_kind_of_factor_is_tried() -> None:
    """A kind that comes in later needs its line above."""
    tried = {title.partition(":")[0].lower() for title, _, _ in IN_FORCE}
    assert {str(kind.label).lower() for kind in SiteFactor.Kind} <= tried


def test_whatever_priced_a_day_stands_there(priced: Cluster, client: Client) -> None:
    card = in_force(page(client))
    day = date(2025, 3, 10)
    prices = price_list(priced, day, day)
    used = {prices.origins[k] for part in Part for k in np.unique(prices.origin[part]).tolist() if k >= 0}
    used |= {rate.origin for rates in prices.embodied for rate in rates.values()}
    assert len(used) == 8
    for origin in used:
        assert origin.title in card
        assert origin.edition in card
        assert origin.url in card
    for words in ("retrieved 2025-03-01", "CC BY 4.0", "lifecycle", "CO₂e", "consumption mix", "grid DE", "UTC"):
        assert words in card


def test_what_ended_or_has_not_begun_is_not_in_force_but_in_the_history(priced: Cluster, client: Client) -> None:
    shown = page(client)
    history = shown.split('id="history"')[1].split("</section>")[0]
    for source in ("Energy report", "Meter gone"):
        assert source not in in_force(shown)
        assert source in history
    assert history.count("entered ") == 10
    for words in ("slots → months → years", "since Wed 5 Mar 2025", "not declared any more", "1.57"):
        assert words in history


def test_the_price_of_electricity_is_for_those_who_are_logged_in(priced: Cluster, client: Client) -> None:
    shown = page(client)
    assert "0.4321" not in shown
    assert "0.2109" not in shown
    assert "Contract of power" in shown
    assert "Another price Mon, Sun from 22:00 to 06:00." in shown
    client.force_login(User.objects.create_user("reader"))
    assert "0.4321" in page(client)


def test_who_entered_a_row_and_why_is_nobody_elses(priced: Cluster, client: Client) -> None:
    shown = page(client)
    assert "XQ-" not in shown


def test_meters_stand_there_where_they_give_a_factor(priced: Cluster, client: Client) -> None:
    assert "By meters" not in page(client)
    newest = PriceDay.objects.latest("day")
    newest.origins = newest.origins.replace('"factor": "site:', '"factor": "meter", "note": "site:', 1)
    newest.save()
    assert "By meters above the nodes: " in in_force(page(client))


def test_a_site_without_factors_says_so(site: None, client: Client) -> None:
    assert "No factor is configured" in in_force(page(client))


def test_the_newest_row_of_a_fuel_holds(db: None, client: Client) -> None:
    for value, edition in ((392.0, "old"), (490.0, "new")):
        ReferenceFactor.objects.create(
            kind="fuel", key="gas", basis="lifecycle", value=value, low=410, high=650, unit="g/kWh",
            source_title="Publication", edition=edition, created_at=NOW,
        )  # fmt: skip
    shown = page(client)
    for words in ("natural gas", "490", "410 … 650", "edition new", "Publication"):
        assert words in shown
    assert "edition old" not in shown


def test_ten_queries_are_enough_however_many_factors(priced: Cluster, client: Client) -> None:
    with CaptureQueriesContext(connection) as before:
        client.get(URL)
    for i in range(20):
        cluster = Cluster.objects.create(name=f"c{i}")
        add_rows(cluster, [Supply(cluster=cluster, yearly=Supply.objects.earliest("pk").yearly)], NOW)
    reprice(priced, NOW + timedelta(days=1))
    with CaptureQueriesContext(connection) as after:
        client.get(URL)
    assert len(before) == len(after) <= MOST_QUERIES
    assert SlotDay.objects.count() == 1


# --- The page --------------------------------------------------------------------------------------


def test_it_needs_no_login_and_every_page_leads_there(db: None, client: Client) -> None:
    assert client.get(URL).status_code == 200
    assert f'href="{URL}"' in client.get("/login/").content.decode().split("<footer")[1]


def test_every_chip_leads_to_a_card(priced: Cluster, client: Client) -> None:
    shown = page(client)
    chips = re.findall(r'<li><a href="#([a-z-]+)">', shown)
    assert len(chips) >= 12
    for slug in chips:
        assert shown.count(f'id="{slug}"') == 1


def test_the_registry_is_what_the_page_shows(db: None, client: Client) -> None:
    shown = page(client)
    for section in methodology.sections():
        assert section.title in shown
        for rule in section.rules:
            assert rule.sentence in shown
        for constant in section.constants:
            assert f"<code>{constant.place}</code>" in shown
