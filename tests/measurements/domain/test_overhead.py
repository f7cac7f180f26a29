"""What stands above the nodes, from meters: worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from measurements.domain.overhead import LEAST_QUARTERS, Measured, daily_pue, infrastructure_share
from measurements.domain.units import FloatArray

DAY = np.ones(96)


def measured(
    nodes: float = 900.0,
    coverage: float = 1.0,
    infrastructure: float = 100.0,
    facility: float = 1_250.0,
    **more: FloatArray,
) -> Measured:
    """A day without changes [J a quarter hour], all of it over."""
    parts = {"nodes_j": nodes * DAY, "infrastructure_j": infrastructure * DAY, "facility_j": facility * DAY}
    return Measured(**({"coverage": coverage * DAY, "over": DAY} | parts | more))


def test_pue_is_facility_over_nodes_and_infrastructure() -> None:
    day = measured()
    share = infrastructure_share(day)
    assert share == pytest.approx(np.full(96, 100 / 900))
    pue, impossible = daily_pue(day, share)
    assert pue.tolist() == [pytest.approx(1.25)]
    assert not impossible.any()


def test_what_nodes_without_a_meter_drew_is_in_the_facilitys_meter_too() -> None:
    """Of nodes that draw 900 J, 96 % were covered: the meters show 864 J. The share and the PUE stay what they are."""
    day = measured(nodes=864.0, coverage=0.96)
    share = infrastructure_share(day)
    assert share == pytest.approx(np.full(96, 100 / 900))
    assert daily_pue(day, share)[0].tolist() == [pytest.approx(1.25)]


def test_where_too_few_nodes_were_covered_nothing_is_said() -> None:
    day = measured(nodes=800.0, coverage=0.9)
    assert np.isnan(infrastructure_share(day)).all()
    assert np.isnan(daily_pue(day, np.zeros(96))[0]).all()


def test_a_day_needs_half_of_what_is_over_of_it() -> None:
    known = np.where(np.arange(96) < 40, 1_250.0, np.nan)
    assert np.isnan(daily_pue(measured(facility_j=known), np.full(96, 1 / 9))[0]).all()
    morning = np.where(np.arange(96) < 80, 1.0, 0.0)
    assert daily_pue(measured(facility_j=known, over=morning), np.full(96, 1 / 9))[0].tolist() == [pytest.approx(1.25)]
    few = np.where(np.arange(96) < LEAST_QUARTERS - 1, 1_250.0, np.nan)
    assert np.isnan(daily_pue(measured(facility_j=few, over=(few > 0).astype(np.float64)), np.zeros(96))[0]).all()


@pytest.mark.parametrize("facility", [900.0, 5_100.0])
def test_a_pue_below_one_or_above_five_is_no_pue(facility: float) -> None:
    pue, impossible = daily_pue(measured(facility=facility), np.full(96, 1 / 9))
    assert np.isnan(pue).all()
    assert impossible.all()
