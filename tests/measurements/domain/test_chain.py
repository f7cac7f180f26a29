"""The chain from joules to emissions: published examples, and cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from measurements.domain.carbon import (
    G_PER_KWH_FROM_LBS_PER_MWH,
    EmbodiedRate,
    Origin,
    Part,
    PriceList,
    Rung,
    edition_of,
    embodied_rate_g_per_h,
    joined,
    mix_intensity,
    nothing_known,
)
from measurements.domain.chain import NOTHING, Footprint, embodied_of, footprint, slots, together
from measurements.domain.steps import steps
from measurements.domain.units import DAY_MS, J_PER_KWH, QUARTER_MS

NOON_MS = 20_000 * DAY_MS
TYPED = Origin(Rung.DECLARED, "site:1", "our own figure")
GRID = Origin(Rung.MEASURED, "series:1", "the grid", unit="g/kWh")
YEAR = Origin(Rung.YEARLY, "series:2", "the grid's year", unit="g/kWh", since="2024")
EUR = Origin(Rung.DECLARED, "site:2", "contract", unit="EUR/kWh")


def prices(**parts: float | list[float]) -> PriceList:
    """A list of as many quarter hours as the longest part says (4 if none does)."""
    count = max((len(v) for v in parts.values() if isinstance(v, list)), default=4)
    found = nothing_known(NOON_MS + QUARTER_MS * np.arange(count))
    origins = (TYPED, GRID, EUR)
    of = {"location": 1, "market": 1, "tariff": 2}
    for name, value in parts.items():
        found.values[Part[name.upper()]] = value
        found.origin[Part[name.upper()]] = np.where(np.isnan(found.values[Part[name.upper()]]), -1, of.get(name, 0))
    return PriceList(found.at_ms, found.values, found.origin, origins, ({},))


def priced(joules: list[float], **parts: float | list[float]) -> Footprint:
    """The footprint of metered joules."""
    return footprint(np.array(joules), np.zeros(len(joules)), prices(**parts))


def test_sci_example_of_embodied_emissions() -> None:
    """SCI: 1000 kg over 4 years, reserved for an hour."""
    assert embodied_rate_g_per_h(1000, 4) == pytest.approx(28.54, abs=0.005)


def test_archer2_embodied_emissions_of_a_node_hour() -> None:
    """7,320 t over 5,860 nodes and 6 years."""
    assert embodied_rate_g_per_h(7_320_000 / 5_860, 6) / 1000 == pytest.approx(0.02377, abs=5e-6)


@pytest.mark.parametrize(
    ("g_per_kwh", "grams"), [(363, 600.4), (372, 615.2), (427, 706.2), (341, 564.0), (342.06, 565.7)]
)
def test_archer2_job_of_4_58_mj_under_published_factors(g_per_kwh: float, grams: float) -> None:
    found = priced([4.58e6 / 4] * 4, pue=1.3, location=g_per_kwh)
    assert found.location_g == pytest.approx(grams, abs=0.05)
    assert found.node_j / J_PER_KWH == pytest.approx(1.2722, abs=5e-5)


def test_emissions_are_weighted_by_time_not_taken_at_the_start() -> None:
    """2 h at 1 kW under 200 g/kWh, then 400: 600 g; the start alone would say 400."""
    found = priced([900_000.0] * 8, location=[200.0] * 4 + [400.0] * 4)
    assert found.location_g == pytest.approx(600.0, rel=1e-12)
    assert found.intensity_g_per_kwh == pytest.approx(300.0, rel=1e-12)


def test_a_job_from_ten_to_a_quarter_past_gets_that_quarter_hours_intensity() -> None:
    found = priced([J_PER_KWH, 0.0, 0.0, 0.0], location=[200.0, 400.0, 600.0, 800.0])
    assert found.location_g == 200.0
    assert found.intensity_g_per_kwh == 200.0


def test_pue_enters_once() -> None:
    """2 kWh, 50 g/kWh, PUE 1.25: 125 g; water and infrastructure are of IT energy, before the PUE."""
    found = priced([J_PER_KWH / 2] * 4, pue=1.25, location=50.0, water=1.8, tariff=0.4)
    assert found.location_g == pytest.approx(125.0, rel=1e-12)
    assert found.facility_j == pytest.approx(2.5 * J_PER_KWH, rel=1e-12)
    assert found.plant_j == pytest.approx(0.5 * J_PER_KWH, rel=1e-12)
    assert found.water_l == pytest.approx(3.6, rel=1e-12)
    assert found.cost == {"EUR": pytest.approx(1.0, rel=1e-12)}


def test_archer2_uplift_of_infrastructure_and_plant() -> None:
    """347.596 kWh × 1.15 × 1.10."""
    found = priced([347.596 * J_PER_KWH], infrastructure=[0.15], pue=[1.10])
    assert found.facility_j / J_PER_KWH == pytest.approx(439.709, abs=5e-4)
    assert found.infrastructure_j / J_PER_KWH == pytest.approx(52.1394, rel=1e-12)


@pytest.mark.parametrize(("g_per_kwh", "kg"), [(417.8, 1.307), (230.0, 0.719)])
def test_perun_sample(g_per_kwh: float, kg: float) -> None:
    found = priced([3.128 * J_PER_KWH], location=[g_per_kwh])
    assert (found.location_g or 0) / 1000 == pytest.approx(kg, abs=5e-4)


def test_pounds_per_megawatt_hour() -> None:
    """WattTime's unit."""
    assert pytest.approx(453.59237, rel=1e-12) == 1000 * G_PER_KWH_FROM_LBS_PER_MWH


def test_what_has_no_factor_is_not_zero() -> None:
    found = priced([J_PER_KWH] * 4)
    assert found.location_g is None
    assert found.market_g is None
    assert found.water_l is None
    assert found.cost == {}
    assert found.unpriced_j == 4 * J_PER_KWH
    assert found.pue == 1.0
    assert found.factor_edition == ""


def test_energy_without_a_factor_is_left_out_and_named() -> None:
    found = priced([J_PER_KWH] * 4, location=[100.0, np.nan, 300.0, np.nan])
    assert found.location_g == 400.0
    assert found.unpriced_j == 2 * J_PER_KWH
    assert found.intensity_g_per_kwh == 200.0


def test_without_energy_nothing_was_emitted_where_a_factor_is_known() -> None:
    assert priced([0.0] * 4, location=100.0).location_g == 0.0
    assert priced([0.0] * 4).location_g is None
    assert priced([1.0, 0.0], location=[np.nan, 100.0]).location_g is None  # nothing of it is priced


def test_shares_say_which_factor_priced_how_much() -> None:
    found = prices(location=[100.0, 200.0, 300.0, 400.0])
    origins = (*found.origins, YEAR)
    found.origin[Part.LOCATION, 3] = 3
    listed = PriceList(found.at_ms, found.values, found.origin, origins, ({},))
    row = steps(footprint(np.array([1.0, 1.0, 1.0, 7.0]) * J_PER_KWH, np.zeros(4), listed))[4]
    assert [(f["rung"], f["share"]) for f in row["factors"]] == [("measured", 0.3), ("yearly", 0.7)]
    assert row["emissions_g_co2e"] == pytest.approx(600 + 2_800)
    assert row["g_co2e_per_kwh"] == pytest.approx(340.0)


def test_filled_energy_is_priced_and_stays_a_line_of_its_own() -> None:
    found = footprint(np.full(4, J_PER_KWH), np.full(4, 2 * J_PER_KWH), prices(location=100.0))
    assert found.location_g == pytest.approx(1_200.0)
    assert [row["energy_j"] for row in steps(found)[:2]] == [4 * J_PER_KWH, 8 * J_PER_KWH]


def test_slots_of_parts_add_up_to_the_slots_of_the_whole() -> None:
    rng = np.random.default_rng(7)
    listed = prices(
        location=rng.uniform(0, 900, 96).tolist(), pue=rng.uniform(1, 2, 96).tolist(), infrastructure=[0.1] * 96
    )
    parts = rng.exponential(1e6, (50, 96))
    whole = slots(parts.sum(axis=0), listed)
    for name in ("facility_j", "location_g", "infrastructure_j"):
        assert np.allclose(getattr(slots(parts, listed), name).sum(axis=0), getattr(whole, name), rtol=1e-12)


def test_embodied_emissions_follow_reserved_node_hours() -> None:
    rate = EmbodiedRate(20.0, 28.0, 40.0, TYPED)
    found = embodied_of({1: np.array([2.0, 3.0]), 2: np.array([1.0, 0.0])}, [{1: rate}, {}])
    assert found is not None
    assert (found.low_g, found.central_g, found.high_g) == (40.0, 56.0, 80.0)
    assert (found.node_hours, found.unknown_node_hours) == (6.0, 4.0)
    assert found.origins == (TYPED,)
    assert embodied_of({1: np.array([2.0])}, [{}]) is None


def test_figures_of_clusters_add_up() -> None:
    one, other = (
        priced([J_PER_KWH], location=[100.0], tariff=[0.5]),
        priced([J_PER_KWH], location=[np.nan], tariff=[0.25]),
    )
    found = together([one, other])
    assert found.location_g == 100.0
    assert found.unpriced_j == J_PER_KWH
    assert found.cost == {"EUR": 0.75}
    assert [share.weight_j for share in found.shares[Part.TARIFF]] == [2 * J_PER_KWH]
    assert together([]) == NOTHING


def test_lists_joined_keep_each_quarter_hours_origin() -> None:
    first = prices(location=100.0)
    second = PriceList(first.at_ms + 4 * QUARTER_MS, first.values, first.origin, (TYPED, YEAR, EUR), ({},))
    found = joined([first, second])
    assert [found.origins[k] for k in found.origin[Part.LOCATION].tolist()] == [GRID] * 4 + [YEAR] * 4
    assert len(found.embodied) == 2


def test_the_edition_of_factors_is_that_of_their_set() -> None:
    assert edition_of([TYPED, GRID]) == edition_of([GRID, TYPED, GRID])
    assert edition_of([TYPED]) != edition_of([GRID])
    assert edition_of([]) == ""


def test_mix_of_generation() -> None:
    found = mix_intensity({"gas": np.array([1.0, 0.0]), "wind": np.array([1.0, 0.0])}, {"gas": 490.0, "wind": 11.0})
    assert found[0] == 250.5
    assert np.isnan(found[1])
    with pytest.raises(ValueError, match="no emission factor for peat"):
        mix_intensity({"peat": np.ones(1)}, {"gas": 490.0})
