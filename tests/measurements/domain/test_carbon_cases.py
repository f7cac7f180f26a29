"""The worked cases of docs/carbon.md, read from that page."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from measurements.domain import carbon, overhead
from measurements.domain.carbon import EmbodiedRate, Origin, Part, PriceList, Rung, embodied_rate_g_per_h
from measurements.domain.chain import Footprint, embodied_of, footprint
from measurements.domain.units import J_PER_KWH, QUARTER_MS
from tests.house import ROOT

PAGE = (ROOT / "docs" / "carbon.md").read_text(encoding="utf-8")
CASES: list[dict[str, Any]] = [json.loads(text) for text in re.findall(r"```case\n(.*?)```", PAGE, re.DOTALL)]
UNITS = {Part.TARIFF: "EUR/kWh"}
FIGURES = {
    "location_g": lambda f: f.location_g,
    "market_g": lambda f: f.market_g,
    "intensity_g_per_kwh": lambda f: f.intensity_g_per_kwh,
    "pue": lambda f: f.pue,
    "facility_kwh": lambda f: f.facility_j / J_PER_KWH,
    "metered_kwh": lambda f: f.metered_j / J_PER_KWH,
    "filled_kwh": lambda f: f.filled_j / J_PER_KWH,
    "unpriced_kwh": lambda f: f.unpriced_j / J_PER_KWH,
    "cost": lambda f: f.cost["EUR"],
    "water_l": lambda f: f.water_l,
    "embodied_g": lambda f: f.embodied.central_g,
}


def computed(case: dict[str, Any]) -> Footprint:
    """The figure of a case, by the functions that price everything."""
    metered = np.array(case.get("metered_wh", [0.0]), float) * 3600
    filled = np.array(case.get("filled_wh", np.zeros(len(metered))), float) * 3600
    values = np.full((len(Part), len(metered)), np.nan)
    origins: list[Origin] = []
    places = np.full(values.shape, -1)
    for part in Part:
        said = case.get(part.name.lower())
        if said is not None:
            values[part] = np.array(said, float)
            places[part] = np.where(np.isnan(values[part]), -1, len(origins))
            origins.append(Origin(Rung.DECLARED, part.name, part.name, unit=UNITS.get(part, "")))
    at_ms = QUARTER_MS * np.arange(len(metered))
    rates: list[dict[int, EmbodiedRate]] = [{}]
    if "embodied_kg" in case:
        rate = embodied_rate_g_per_h(case["embodied_kg"], case["lifetime_years"])
        rates = [{1: EmbodiedRate(rate, rate, rate, Origin(Rung.DECLARED, "e", "e"))}]
    embodied = embodied_of({1: np.array([case.get("node_hours", 0.0)])}, rates)
    return footprint(metered, filled, PriceList(at_ms, values, places, tuple(origins)), embodied)


def test_there_are_as_many_cases_as_were_written() -> None:
    assert len(CASES) == 14
    assert len({case["case"] for case in CASES}) == len(CASES)
    assert PAGE.count("```case\n") == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["case"]))
def test_a_worked_case_comes_out_as_written(case: dict[str, Any]) -> None:
    found = computed(case)
    for name, wanted in case["expect"].items():
        got = FIGURES[name](found)
        if wanted is None:
            assert got is None, name
        else:
            digits = len(str(wanted).partition(".")[2])
            assert round(got, digits) == pytest.approx(wanted, abs=1e-9), name


def test_the_page_says_the_thresholds_of_the_code() -> None:
    assert f"at least {overhead.LEAST_COVERAGE:.0%}".replace("%", " %") in PAGE
    assert f"needs {overhead.LEAST_QUARTERS} such" in PAGE
    assert f"below {carbon.LOWEST_PUE:.0f} or above {carbon.HIGHEST_PUE:.0f}" in PAGE
