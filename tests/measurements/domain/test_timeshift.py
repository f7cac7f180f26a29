"""When energy was drawn against when the grid was green, against slow plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from measurements.domain.carbon import Origin, Part, Rung, nothing_known
from measurements.domain.timeshift import GREENEST_PART, greenest_share, shifted, time_resolved, timing
from measurements.domain.units import J_PER_KWH, FloatArray

ALL = np.ones(6, bool)


def test_a_flat_load_has_a_third_in_the_greenest_third() -> None:
    intensity = np.array([500.0, 100.0, 300.0, 300.0, 300.0, 50.0, 400.0])
    assert greenest_share(np.ones(7), intensity) == pytest.approx(1 / 3, rel=1e-12)


def test_equal_hours_are_taken_alike_whatever_their_order() -> None:
    """Two of six slots: the one of 100 g, and a fourth of each of the four of 300 g."""
    intensity = np.array([300.0, 300.0, 100.0, 300.0, 300.0, 900.0])
    energy = np.array([4.0, 0.0, 2.0, 0.0, 0.0, 2.0])
    assert greenest_share(energy, intensity) == pytest.approx((2 + 4 / 4) / 8)
    assert greenest_share(energy[[3, 1, 2, 0, 4, 5]], intensity) == pytest.approx((2 + 4 / 4) / 8)


def test_a_load_is_compared_with_a_flat_one_where_the_hours_are_known() -> None:
    energy = np.array([3.0, 1.0, 0.0, 4.0])
    found = timing(energy, np.array([100.0, 300.0, 500.0, np.nan]), np.array([True, True, True, False]))
    assert found is not None
    assert found.drawn_g_per_kwh == pytest.approx(150.0)
    assert found.grid_g_per_kwh == pytest.approx(300.0)
    assert found.greener == pytest.approx(0.5)
    assert found.greenest_share == pytest.approx(0.75)
    assert found.greenest_part == GREENEST_PART
    assert found.known_share == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("energy", "intensity"),
    [(np.zeros(6), np.arange(6.0)), (np.ones(6), np.full(6, 400.0))],
    ids=["nothing drawn", "never changes"],
)
def test_nothing_is_said_of_hours_where_there_is_nothing_to_say(energy: FloatArray, intensity: FloatArray) -> None:
    assert timing(energy, intensity, ALL) is None
    assert timing(np.ones(6), np.arange(6.0), ~ALL) is None


def test_the_what_if_is_the_lowest_known_intensity_within_reach() -> None:
    rng = np.random.default_rng(4)
    energy, intensity = rng.uniform(0, 5e6, 200), rng.uniform(20, 700, 200)
    known = rng.uniform(size=200) > 0.2
    intensity[~known & (rng.uniform(size=200) > 0.5)] = np.nan
    for reach in (0, 1, 48, 500):
        drawn = lower = 0.0
        for i in range(200):
            if known[i]:
                near = [intensity[k] for k in range(max(i - reach, 0), min(i + reach + 1, 200)) if known[k]]
                drawn += energy[i] / J_PER_KWH * intensity[i]
                lower += energy[i] / J_PER_KWH * min(near)
        found = shifted(energy, intensity, known, reach)
        assert found is not None
        assert [found.drawn_g, found.shifted_g] == pytest.approx([drawn, lower], rel=1e-12)
        assert found.reach_h == reach / 4
        assert 0 <= found.saved_share < 1


def test_without_energy_there_is_no_what_if() -> None:
    assert shifted(np.zeros(6), np.arange(6.0), ALL, 2) is None
    assert shifted(np.ones(6), np.arange(6.0), ~ALL, 2) is None


def test_a_mean_of_the_year_is_not_known_by_the_hour() -> None:
    prices = nothing_known(np.arange(4, dtype=np.int64), 0)
    rungs = (Rung.MEASURED, Rung.ESTIMATED, Rung.YEARLY)
    prices.origin[Part.LOCATION, :3] = [0, 1, 2]
    origins = tuple(Origin(rung, "series:1", "x") for rung in rungs)
    known = type(prices)(prices.at_ms, prices.values, prices.origin, origins, prices.embodied)
    assert time_resolved(known).tolist() == [True, True, False, False]


@pytest.mark.parametrize("reach", [1, 2, 3, 4, 7, 16, 95])
def test_the_greenest_slot_near_by_is_that_of_a_plain_search(reach: int) -> None:
    rng = np.random.default_rng(reach)
    energy, intensity = rng.uniform(0.0, J_PER_KWH, 60), rng.uniform(20.0, 900.0, 60)
    found = shifted(energy, intensity, np.ones(60, bool), reach)
    lowest = [min(intensity[max(0, i - reach) : i + reach + 1].tolist()) for i in range(60)]
    assert found is not None
    assert found.shifted_g == pytest.approx(sum(energy[i] / J_PER_KWH * lowest[i] for i in range(60)), rel=1e-12)
