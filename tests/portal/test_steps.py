"""The chain of a figure in words: each step, its factors with their shares, and what is not configured."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from django.template.loader import render_to_string
from django.utils import translation

from measurements.domain.carbon import Origin, Part, PriceList, Rung
from measurements.domain.chain import Embodied, Footprint, footprint
from measurements.domain.units import QUARTER_MS
from portal.steps import Line, chain, rung_word

GRID = Origin(
    Rung.MEASURED, "series:1", "Energy account", "v3", "g/kWh", "DE", "lifecycle", "CO2e", "consumption",
    url="https://example.org/a?b=1&c=2", licence="CC BY 4.0", retrieved="2025-03-01", note="Shown as asked.",
)  # fmt: skip
YEAR = Origin(Rung.EARLIER_YEAR, "series:2", "Yearly account", "2025/1", "g/kWh", since="2024", note="provisional")
TYPED = Origin(Rung.DECLARED, "site:1", "Energy manager", since="2025-02-01")
TARIFF = Origin(Rung.DECLARED, "site:2", "Contract", unit="EUR/kWh", since="1970-01-01")
MAKER = Origin(Rung.DECLARED, "site:3", "Maker's sheet")
KWH = 3.6e6


def figure(**prices: list[tuple[float, Origin | None]]) -> Footprint:
    """Two quarter hours of 3 and 1 kWh metered, and none filled; prices by part."""
    values, places = np.full((len(Part), 2), np.nan), np.full((len(Part), 2), -1)
    origins: list[Origin] = []
    for name, rows in prices.items():
        for i, (value, origin) in enumerate(rows):
            if origin is not None:
                values[Part[name], i], places[Part[name], i] = value, len(origins)
                origins.append(origin)
    at_ms = QUARTER_MS * np.arange(2)
    listed = tuple(dict.fromkeys(origins))
    placed = np.array([listed.index(origin) for origin in origins] + [-1])[places]
    return footprint(np.array([3.0, 1.0]) * KWH, np.zeros(2), PriceList(at_ms, values, placed, listed))


def line(found: Footprint, title: str) -> Line:
    (one,) = [line for line in chain(found).lines if line.title == title]
    return one


def shown(found: Footprint) -> str:
    return re.sub(r"[ \n]+", " ", render_to_string("portal/partials/_steps.html", {"footprint": found}))


def test_each_factor_says_what_it_priced_most_first() -> None:
    found = figure(LOCATION=[(400.0, YEAR), (200.0, GRID)])
    of_grid = line(found, "Emissions, location-based")
    assert [factor.share for factor in of_grid.factors] == [0.75, 0.25]
    assert [factor.known for factor in of_grid.factors] == ["mean of an earlier year", "measured"]
    assert (of_grid.amount, of_grid.applied) == ("1.40\u00a0kg\u00a0CO₂e", "× 350\u00a0g/kWh")
    facts = of_grid.factors[1].facts
    assert facts[:3] == ("edition v3", "DE", "lifecycle")
    assert facts[4:] == ("consumption mix", "CC BY 4.0", "retrieved 2025-03-01")
    page = shown(found)
    assert "75.0\u00a0% <span" in page
    assert 'href="https://example.org/a?b=1&amp;c=2"' in page
    assert "Shown as asked." in page


def test_what_is_not_configured_is_said() -> None:
    found = figure()
    assert line(found, "Facility, with its PUE").applied == "× 1"
    page = shown(found)
    for words in (
        "PUE not configured: cooling and power supply are not included.",
        "Not configured: switches, storage and service nodes are not included.",
        "No carbon intensity is configured.",
    ):
        assert words in page
    assert "Set of factors" not in page
    for title in ("Emissions, market-based", "Embodied emissions", "Cost of the electricity", "Water of the site"):
        assert title not in page
    assert not re.search(r"\b0\u00a0g", page)


def test_the_steps_go_from_meter_to_emissions() -> None:
    found = figure(
        INFRASTRUCTURE=[(0.1, TYPED), (0.1, TYPED)], PUE=[(1.5, TYPED), (1.5, TYPED)],
        LOCATION=[(400.0, GRID), (400.0, GRID)], MARKET=[(50.0, YEAR), (50.0, YEAR)],
        TARIFF=[(0.3, TARIFF), (0.3, TARIFF)], WATER=[(0.5, TYPED), (0.5, TYPED)],
    )  # fmt: skip
    found = replace(found, embodied=Embodied(80.0, 100.0, 150.0, 2.0, 0.5, (MAKER,)))
    amounts = [(each.title, each.applied, each.amount.replace("\u00a0", " ")) for each in chain(found).lines]
    assert amounts == [
        ("Metered energy of the nodes", "", "4.00 kWh"),
        ("Filled", "", "0 Wh"),
        ("Shared infrastructure", "+ 10.0\u00a0%", "400 Wh"),
        ("Facility, with its PUE", "× 1.50", "6.60 kWh"),
        ("Emissions, location-based", "× 400\u00a0g/kWh", "2.64 kg CO₂e"),
        ("Emissions, market-based", "× 50.0\u00a0g/kWh", "330 g CO₂e"),
        ("Embodied emissions", "", "100 g CO₂e"),
        ("Cost of the electricity", "", "1.98 EUR"),
        ("Water of the site", "× 0.500\u00a0L/kWh", "2.20 L"),
    ]
    assert "in force since 2025-02-01" in shown(found)
    embodied = line(found, "Embodied emissions")
    assert "80.0\u00a0g\u00a0CO₂e to 150\u00a0g\u00a0CO₂e" in embodied.words
    assert "0.500 node-hours are of node types without a figure." in embodied.words
    assert found.factor_edition in shown(found)


def test_energy_without_a_factor_is_said_to_be_missing() -> None:
    found = figure(LOCATION=[(400.0, GRID), (0.0, None)])
    assert line(found, "Emissions, location-based").words == "25.0\u00a0% of the energy has no factor and is not in it."


@pytest.mark.parametrize("rung", list(Rung))
def test_every_rung_has_a_word_in_both_languages(rung: Rung) -> None:
    assert rung_word(rung)
    with translation.override("de"):
        assert rung_word(rung)


def test_a_set_of_factors_has_one_name_whatever_their_order() -> None:
    there, back = figure(LOCATION=[(400.0, GRID), (1.0, YEAR)]), figure(LOCATION=[(1.0, YEAR), (400.0, GRID)])
    other = figure(LOCATION=[(400.0, replace(GRID, edition="v4")), (1.0, YEAR)])
    assert chain(there).edition == chain(back).edition != chain(other).edition
