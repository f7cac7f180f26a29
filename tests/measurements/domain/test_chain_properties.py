"""Pricing is linear slot by slot, so that however energy is cut into parts, the parts add up to the whole."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.carbon import Origin, Part, PriceList, Rung, nothing_known
from measurements.domain.chain import Footprint, Slots, footprint, slots, together
from measurements.domain.units import QUARTER_MS, FloatArray

EXACT = 1e-9
ORIGINS = tuple(Origin(Rung.DECLARED, f"site:{part.value}", part.name, unit="EUR/kWh") for part in Part)
RANGES = {
    Part.INFRASTRUCTURE: (0.0, 0.5),
    Part.PUE: (1.0, 5.0),
    Part.LOCATION: (0.0, 3000.0),
    Part.MARKET: (0.0, 3000.0),
    Part.TARIFF: (-0.5, 2.0),  # the exchange's price can be negative
    Part.WATER: (0.0, 10.0),
}


@st.composite
def price_lists(draw: st.DrawFn) -> PriceList:
    """A few quarter hours of any prices, some of them not known."""
    count = draw(st.integers(1, 6))
    found = nothing_known(QUARTER_MS * np.arange(count))
    for part, (low, high) in RANGES.items():
        value = st.one_of(st.just(math.nan), st.floats(low, high).map(lambda price: round(price, 6)))
        found.values[part] = draw(st.lists(value, min_size=count, max_size=count))
        found.origin[part] = np.where(np.isnan(found.values[part]), -1, int(part))
    return PriceList(found.at_ms, found.values, found.origin, ORIGINS, ({},))


@st.composite
def cases(draw: st.DrawFn) -> tuple[PriceList, FloatArray]:
    """Prices, and energies of some parts [parts, n]."""
    prices = draw(price_lists())
    count = len(prices.at_ms)
    row = st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1e9)), min_size=count, max_size=count)
    return prices, np.array(draw(st.lists(row, min_size=1, max_size=5)))


def close(wanted: FloatArray, got: FloatArray, scale: FloatArray) -> bool:
    """The same is known, and equal to 1e-9 of what was added up."""
    same = np.isnan(wanted) == np.isnan(got)
    return bool((same & (np.isnan(wanted) | (np.abs(wanted - got) <= EXACT * np.nan_to_num(scale)))).all())


@given(cases())
def test_the_parts_of_a_slot_add_up_to_the_slot(case: tuple[PriceList, FloatArray]) -> None:
    prices, energies = case
    parts, whole = slots(energies, prices), slots(energies.sum(axis=0), prices)
    for name in (f.name for f in fields(Slots)):
        each = getattr(parts, name)
        assert close(each.sum(axis=0), getattr(whole, name), np.abs(each).sum(axis=0)), name


@given(cases(), st.floats(1e-3, 1e3))
def test_twice_the_energy_is_twice_of_everything(case: tuple[PriceList, FloatArray], factor: float) -> None:
    prices, energies = case
    once, more = slots(energies, prices), slots(energies * factor, prices)
    for name in (f.name for f in fields(Slots)):
        wanted = getattr(once, name) * factor
        assert close(wanted, getattr(more, name), np.abs(wanted)), name


@given(cases())
def test_the_order_of_the_chain_is_nodes_then_infrastructure_then_pue(case: tuple[PriceList, FloatArray]) -> None:
    """Each of them once: a facility's kWh is priced, water is of IT energy."""
    prices, energies = case
    for i, joules in enumerate(energies[0].tolist()):
        one = slots(np.array([joules]), prices.between(i * QUARTER_MS, (i + 1) * QUARTER_MS))
        share, pue, location, _, tariff, water = prices.values[:, i].tolist()
        it_j = joules * (1 + (0.0 if math.isnan(share) else share))
        kwh = it_j * (1.0 if math.isnan(pue) else pue) / 3.6e6
        for name, wanted in {
            "location_g": kwh * location,
            "cost": kwh * tariff,
            "water_l": it_j / 3.6e6 * water,
        }.items():
            assert float(getattr(one, name)[0]) == pytest.approx(wanted, rel=EXACT, nan_ok=True), name


@given(cases(), st.floats(0, 1))
def test_figures_of_jobs_and_of_the_machine_are_the_figure_of_both(
    case: tuple[PriceList, FloatArray], filled: float
) -> None:
    prices, energies = case
    metered, estimated = energies * (1 - filled), energies * filled
    parts = [footprint(a, b, prices) for a, b in zip(metered, estimated, strict=True)]
    whole = footprint(metered.sum(axis=0), estimated.sum(axis=0), prices)
    both = together(parts)
    for name in ("metered_j", "filled_j", "infrastructure_j", "facility_j", "unpriced_j", "market_unpriced_j"):
        assert getattr(both, name) == pytest.approx(getattr(whole, name), rel=EXACT, abs=1e-9), name
    for name in ("location_g", "market_g", "water_l"):
        assert amount(both, name) == pytest.approx(amount(whole, name), rel=EXACT, abs=1e-9), name
    assert sum(share.weight_j for share in both.shares[Part.LOCATION]) == pytest.approx(
        whole.facility_j - whole.unpriced_j, rel=EXACT, abs=1e-9 + EXACT * whole.facility_j
    )  # a difference: no better than what it is of


def amount(figure: Footprint, name: str) -> float:
    value = getattr(figure, name)
    return 0.0 if value is None else float(value)
