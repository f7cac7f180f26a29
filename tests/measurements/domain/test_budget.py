"""A budget's arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.budget import Account, CarryOver, carried_over, levels_of, passed, runs_out

AMOUNTS = st.floats(1.0, 1e9)
USES = st.floats(0.0, 1e9)


def test_what_is_metered_counts_and_what_is_not_is_said_beside_it() -> None:
    found = Account(amount=1000.0, carried=200.0, metered=600.0, filled=120.0)
    assert (found.available, found.used, found.remaining, found.share) == (1200.0, 600.0, 600.0, 0.5)
    assert (found.used_with_filled, found.share_with_filled) == (720.0, 0.6)


def test_what_is_not_metered_counts_where_the_budget_says_so() -> None:
    found = Account(amount=1000.0, carried=200.0, metered=600.0, filled=120.0, count_filled=True)
    assert (found.used, found.remaining, found.share) == (720.0, 480.0, 0.6)


def test_an_overdrawn_budget_has_less_than_nothing_left() -> None:
    found = Account(amount=100.0, carried=0.0, metered=150.0, filled=0.0)
    assert (found.remaining, found.share) == (-50.0, 1.5)


def test_a_budget_eaten_up_by_the_period_before_has_no_share() -> None:
    found = Account(amount=100.0, carried=-100.0, metered=1.0, filled=0.0)
    assert (found.available, found.remaining, found.share, found.share_with_filled) == (0.0, -1.0, None, None)
    assert passed(found.share, (0.8, 1.0)) == (0.8, 1.0)


@given(AMOUNTS, USES, AMOUNTS, USES, st.sampled_from(CarryOver))
def test_carrying_over_both_ways_loses_nothing_and_the_others_only_in_one_direction(
    first: float, used: float, second: float, later: float, rule: CarryOver
) -> None:
    before = Account(first, 0.0, used, 0.0)
    after = Account(second, carried_over(rule, before.remaining), later, 0.0)
    whole = first + second - used - later
    if rule is CarryOver.BOTH:
        assert after.remaining == pytest.approx(whole, abs=1e-3)
    if rule is CarryOver.UNUSED:
        assert after.remaining >= whole - 1e-3
        assert after.available >= second
    if rule is CarryOver.NONE:
        assert after.available == second


@given(AMOUNTS, USES, USES)
def test_used_and_remaining_are_what_is_available(amount: float, metered: float, filled: float) -> None:
    for count in (False, True):
        found = Account(amount, 0.0, metered, filled, count)
        assert found.used + found.remaining == pytest.approx(found.available, abs=1e-5)
        assert found.used <= found.used_with_filled


def test_levels_come_once_and_rising_and_the_usual_ones_if_none_is_said() -> None:
    assert levels_of([1, 0.9, 0.5, 0.9]) == (0.5, 0.9, 1.0)
    assert levels_of([]) == levels_of([0, -1]) == (0.8, 1.0)


@pytest.mark.parametrize(
    ("share", "due"), [(0.0, ()), (0.7999, ()), (0.8, (0.8,)), (1.0, (0.8, 1.0)), (7.0, (0.8, 1.0))]
)
def test_a_level_is_passed_when_it_is_reached(share: float, due: tuple[float, ...]) -> None:
    assert passed(share, (0.8, 1.0)) == due


@given(st.lists(USES, max_size=50), USES)
def test_a_budget_runs_out_on_the_first_day_that_leaves_nothing(days: list[float], available: float) -> None:
    cumulated = np.cumsum(np.array(days, np.float64))
    slow = next((i for i, value in enumerate(cumulated.tolist()) if value >= available), None)
    assert runs_out(cumulated, available) == slow
