"""A budget's arithmetic."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.budget import Account, CarryOver, carried_over, levels_of, passed, runs_out
from measurements.domain.forecast import Forecast, forecast

DOCUMENT = Path(__file__).parents[3] / "docs" / "budgets.md"

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


# --- The worked case of docs/budgets.md -----------------------------------------------------------------


def test_the_worked_case_of_the_documentation_is_what_comes_out() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    case = json.loads(text.split("```json\n")[1].split("```")[0])
    days = np.tile(np.array(case["week"], np.float64), case["weeks"])
    found = forecast(days, case["days_to_come"])
    assert isinstance(found, Forecast)
    account = Account(case["amount"], case["carried"], float(days.sum()), case["filled"])
    expected = case["expect"]
    assert account.available == expected["available"]
    assert (account.used, account.remaining) == (expected["used"], expected["left"])
    assert account.share == pytest.approx(expected["share"], abs=5e-4)
    assert account.share_with_filled == pytest.approx(expected["share_with_filled"], abs=5e-4)
    assert found.central[-1] == pytest.approx(expected["to_come"])
    ends = [round(account.used + line[-1]) for line in (found.central, found.low, found.high)]
    assert ends == [expected["end"], expected["end_low"], expected["end_high"]]
    assert "(90 % interval: {} to {} %)".format(*(int(100 * end / account.available) for end in ends[1:])) in text


def test_its_steps_are_those_of_the_formula_in_plain_arithmetic() -> None:
    case = json.loads(DOCUMENT.read_text(encoding="utf-8").split("```json\n")[1].split("```")[0])
    expected, weeks = case["expect"], case["weeks"]
    weights = [0.5 ** ((age + 0.5) / 13) for age in range(weeks)]
    k = sum(weights) ** 2 / sum(weight**2 for weight in weights)
    mean_age = sum((age + 0.5) * weight for age, weight in enumerate(weights)) / sum(weights)
    c2, r, g = 0.5 * 2 / (k - 1 + 2), 0.3 * 4 / (weeks + 4), math.sqrt(0.25 * 2 / (weeks / 4 + 2))
    m, runs = case["days_to_come"] / 7, (1 + r) / (1 - r)
    s = math.sqrt(math.log(1 + c2 * runs * (1 / k + 1 / m) + (g * (m / 2 + mean_age) / 52) ** 2))
    steps = {"k": k, "mean_age": mean_age, "c2": c2, "runs": runs, "g": g, "s": s}
    assert steps == pytest.approx({name: expected[name] for name in steps}, rel=2e-3)
    assert expected["end_high"] == pytest.approx(expected["used"] + expected["to_come"] * math.exp(1.645 * s), abs=1)
    assert expected["end_low"] == pytest.approx(expected["used"] + expected["to_come"] * math.exp(-1.645 * s), abs=1)
