"""The forecast of a period's use: what it says, and whether its interval holds what it promises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.forecast import SHORTEST_DAYS, Forecast, NoForecast, forecast, habit
from measurements.domain.units import FloatArray

YEAR = 365
PROJECTS = 300
Random = np.random.Generator


def made(daily: FloatArray, ahead: int) -> Forecast:
    found = forecast(daily, ahead)
    assert isinstance(found, Forecast)
    return found


# --- Simulated projects ---------------------------------------------------------------------------------


def steady(rng: Random) -> FloatArray:
    """Weekends with less, days that differ."""
    weekend = (np.arange(YEAR) + rng.integers(7)) % 7 >= 5
    days = np.exp(rng.normal(0, rng.uniform(0.2, 0.6), YEAR))
    return np.asarray(100 * np.where(weekend, rng.uniform(0.2, 1), 1.0) * days)


def campaigns(rng: Random) -> FloatArray:
    """Some days, again and again, with several times as much."""
    begin, end = 1 / rng.uniform(14, 40), 1 / rng.uniform(3, 10)
    on, found = False, np.zeros(YEAR, bool)
    for day, chance in enumerate(rng.random(YEAR)):
        on = chance > end if on else chance < begin
        found[day] = on
    return np.where(found, rng.uniform(2, 8), 1.0)


def growth(rng: Random) -> FloatArray:
    """Half as much to two and a half times as much after a year."""
    return np.asarray((1 + rng.uniform(-0.5, 1.5)) ** (np.arange(YEAR) / YEAR))


def pauses(rng: Random) -> FloatArray:
    """Four times nothing for one to three weeks."""
    found = np.ones(YEAR)
    for first in rng.integers(YEAR, size=4):
        found[first : first + rng.integers(5, 20)] = 0
    return found


Effect = Callable[[Random], FloatArray]
KINDS: dict[str, tuple[Effect, ...]] = {
    "steady": (steady,),
    "campaigns": (steady, campaigns),
    "growth": (steady, growth),
    "pauses": (steady, pauses),
    "all of it": (steady, campaigns, growth, pauses),
}


def coverage(kind: str, first: int, last: int) -> float:
    """The share of projects whose rest of the year was inside the interval, asked on a day in [first, last)."""
    inside: list[bool] = []
    for seed in range(PROJECTS):
        rng = np.random.default_rng(seed)
        days = np.prod([effect(rng) for effect in KINDS[kind]], axis=0)
        today = int(rng.integers(first, last))
        found = forecast(days[:today], YEAR - today)
        if isinstance(found, Forecast):
            inside.append(bool(found.low[-1] <= days[today:].sum() <= found.high[-1]))
    assert len(inside) > 0.9 * PROJECTS
    return sum(inside) / len(inside)


EARLY, LATER, LATE = (21, 42), (42, 120), (120, 340)  # days of the year
LEAST: dict[str, tuple[float, float, float]] = {
    "steady": (0.97, 0.97, 0.97),
    "campaigns": (0.88, 0.92, 0.9),
    "growth": (0.95, 0.9, 0.94),
    "pauses": (0.95, 0.95, 0.88),
    "all of it": (0.8, 0.87, 0.87),
}


# The lowest that is allowed, a little below what was found when this was written (docs/budgets.md has the figures).
@pytest.mark.parametrize(("kind", "least"), LEAST.items())
def test_the_interval_holds_what_it_promises(kind: str, least: tuple[float, ...]) -> None:
    found = [coverage(kind, *days) for days in (EARLY, LATER, LATE)]
    assert all(share >= at_least for share, at_least in zip(found, least, strict=True)), found


def test_over_all_simulated_projects_at_least_nine_of_ten_are_inside() -> None:
    shares = [coverage(kind, *days) for kind in KINDS for days in (EARLY, LATER, LATE)]
    assert 0.9 <= np.mean(shares) <= 0.97, shares


def test_the_interval_of_a_steady_project_is_no_platitude() -> None:
    """After half a year of little chance the rest is known to a third."""
    found = made(100 * np.exp(np.random.default_rng(1).normal(0, 0.2, 182)), 183)
    assert (found.high[-1] - found.low[-1]) / found.central[-1] < 0.67


# --- What it says ---------------------------------------------------------------------------------------


def test_the_rhythm_of_the_week_is_kept() -> None:
    """Yesterday was a Friday: a weekend comes first."""
    week = [10.0, 20.0, 30.0, 40.0, 50.0, 0.0, 0.0]
    found = made(np.array((week * 5)[:-2]), 9)
    assert np.diff(found.central, prepend=0.0) == pytest.approx([0, 0, 10, 20, 30, 40, 50, 0, 0])


def test_later_weeks_count_more() -> None:
    found = made(np.repeat([10.0, 20.0], 13 * 7), 7)
    assert 7 * 15 < found.central[-1] < 7 * 20


def test_a_week_so_long_ago_as_the_half_life_counts_half() -> None:
    """27 weeks: only the last and the one 13 before it have any use."""
    days = np.zeros(27 * 7)
    days[0] = 1e-12  # since then it is known
    days[13 * 7 : 14 * 7] = 1.0
    once = made(days, 7).central[-1]
    days[13 * 7 : 14 * 7], days[26 * 7 :] = 0.0, 1.0
    assert made(days, 7).central[-1] == pytest.approx(2 * once)


def test_days_before_the_first_use_are_no_habit() -> None:
    days = steady(np.random.default_rng(2))[:50]
    alone, after = made(days, 30), made(np.concatenate([np.zeros(200), days]), 30)
    assert alone.weeks == after.weeks == 7
    for part in ("central", "low", "high"):
        assert getattr(alone, part).tolist() == getattr(after, part).tolist()


def test_days_without_use_among_others_are_part_of_the_habit() -> None:
    assert made(np.tile([7.0, 0, 0, 0, 0, 0, 0], 8), 7).central[-1] == pytest.approx(7.0)


def test_what_is_not_known_is_not_taken_for_nothing() -> None:
    days = np.full(60, 5.0)
    days[10] = np.nan
    assert habit(days).tolist() == [5.0] * 49
    assert made(days, 10).central[-1] == pytest.approx(50.0)
    days[-1] = np.nan
    assert forecast(days, 10) is NoForecast.NOT_KNOWN


def test_why_there_is_none() -> None:
    assert forecast(np.ones(SHORTEST_DAYS - 1), 10) is NoForecast.TOO_SHORT
    assert forecast(np.concatenate([np.zeros(300), np.ones(13)]), 10) is NoForecast.TOO_SHORT
    assert forecast(np.zeros(90), 10) is NoForecast.NO_USE
    assert forecast(np.zeros(0), 10) is NoForecast.NO_USE
    assert forecast(np.ones(90), 0) is NoForecast.OVER


def test_two_weeks_are_enough_for_a_wide_interval() -> None:
    two, twenty = made(np.full(14, 5.0), 100), made(np.full(140, 5.0), 100)
    assert two.central[-1] == pytest.approx(twenty.central[-1])
    assert two.high[-1] - two.low[-1] > 1.8 * (twenty.high[-1] - twenty.low[-1])


def test_a_surer_interval_is_wider() -> None:
    days = steady(np.random.default_rng(3))[:100]
    half, most = forecast(days, 50, interval=0.5), forecast(days, 50, interval=0.95)
    assert isinstance(half, Forecast)
    assert isinstance(most, Forecast)
    assert most.low[-1] < half.low[-1] < half.central[-1] < half.high[-1] < most.high[-1]


DAYS = st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1e6)), min_size=14, max_size=120)


@given(DAYS, st.integers(1, 800))
def test_it_never_falls_and_is_never_negative(days: list[float], ahead: int) -> None:
    found = forecast(np.array(days), ahead)
    if isinstance(found, Forecast):
        for part in (found.low, found.central, found.high):
            assert len(part) == ahead
            assert np.isfinite(part).all()
            assert (np.diff(part, prepend=0.0) >= 0).all()
        assert (found.low <= found.central * (1 + 1e-12)).all()
        assert (found.central <= found.high * (1 + 1e-12)).all()


@given(DAYS, st.floats(1e-6, 1e6))
def test_the_unit_does_not_matter(days: list[float], size: float) -> None:
    one, other = forecast(np.array(days), 40), forecast(np.array(days) * size, 40)
    if isinstance(one, Forecast):
        assert isinstance(other, Forecast)
        assert other.high == pytest.approx(one.high * size, rel=1e-6)


def test_the_same_days_give_the_same_to_the_last_bit() -> None:
    days = (steady(np.random.default_rng(4)) * campaigns(np.random.default_rng(5)))[:150]
    assert made(days, 80).high.tobytes() == made(days.copy(), 80).high.tobytes()
