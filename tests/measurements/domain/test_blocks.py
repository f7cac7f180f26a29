"""Others' jobs enter figures in blocks of months: whatever two figures differ by is a crowd."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.blocks import NOT_YET, crowd_blocks, may_show_to_each, month_of, whole_blocks
from measurements.domain.crowd import may_show
from measurements.domain.units import FloatArray, IntArray

K = 4
OPEN = 8
NOBODY = 99
JOBS = st.lists(st.tuples(st.integers(0, 7), st.floats(0.1, 10.0), st.integers(0, 9)), min_size=1, max_size=80)


def columns(jobs: list[tuple[int, float, int]]) -> tuple[IntArray, FloatArray, IntArray]:
    person, energy, month = zip(*jobs, strict=True)
    return np.array(person), np.array(energy), np.array(month)


@given(st.lists(st.integers(0, 40), max_size=9))
def test_it_is_shown_to_each_of_them_if_it_may_be_shown_without_any_one_of_them(parts: list[int]) -> None:
    drawn = np.array(parts, np.float64)
    without = [may_show(np.delete(drawn, place), K) is None for place in range(len(parts)) if parts[place] > 0]
    assert may_show_to_each(drawn, K) == (bool(without) and may_show(drawn, K) is None and all(without))


@given(JOBS)
def test_any_two_figures_differ_by_nothing_or_by_a_crowd(jobs: list[tuple[int, float, int]]) -> None:
    """Of all times at which one could have looked, and all periods one could have asked for."""
    person, energy, month = columns(jobs)
    seen = set()
    for now in range(OPEN + 1):
        past = month < now
        block = np.full(len(jobs), NOT_YET)
        block[past] = crowd_blocks(person[past], energy[past], month[past], now, K)
        for first, last in ((0, 99), (0, 3), (4, 7)):
            seen.add(tuple(whole_blocks(block, month, first, last).tolist()))
    for one, other in combinations(map(np.array, seen), 2):
        if (one & other == one).all() or (one & other == other).all():
            differ = one ^ other
            for reader in {*person[differ].tolist(), NOBODY} if differ.any() else ():
                told = differ & (person != reader)
                assert may_show(np.bincount(person[told], energy[told]).astype(float), K) is None
                assert may_show(np.bincount(person[told]).astype(float), K) is None


@given(JOBS)
def test_what_comes_later_changes_nothing_that_was_shown(jobs: list[tuple[int, float, int]]) -> None:
    person, energy, month = columns(jobs)
    early = month < 5
    then = crowd_blocks(person[early], energy[early], month[early], OPEN, K)
    now = crowd_blocks(person, energy, month, OPEN, K)[early]
    assert (now[then != NOT_YET] == then[then != NOT_YET]).all()


def test_the_month_that_is_not_over_is_not_shown() -> None:
    person, month = np.arange(7), np.array([0, 0, 0, 0, 0, 1, 1])
    assert crowd_blocks(person, np.ones(7), month, 0, K).tolist() == [NOT_YET] * 7
    assert crowd_blocks(person, np.ones(7), month, 1, K).tolist() == [0] * 5 + [NOT_YET] * 2


def test_one_who_has_nearly_all_jobs_or_all_energy_is_no_crowd() -> None:
    person = np.array([0] * 100 + [1, 2, 3, 4, 5])
    month = np.zeros(105, np.int64)
    assert (crowd_blocks(person, np.ones(105), month, 1, K) == NOT_YET).all()
    heavy = np.array([100.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert (crowd_blocks(np.arange(6), heavy, month[:6], 1, K) == NOT_YET).all()


def test_who_asks_is_nobody_to_hide_behind_and_the_blocks_are_the_same_for_all() -> None:
    month = np.zeros(5, np.int64)
    assert crowd_blocks(np.arange(4), np.ones(4), month[:4], 1, K).tolist() == [NOT_YET] * 4
    assert crowd_blocks(np.arange(5), np.ones(5), month, 1, K).tolist() == [0] * 5
    large = np.array([10.0, 10.0, 1.0, 1.0, 1.0])
    assert (crowd_blocks(np.arange(5), large, month, 1, K) == NOT_YET).all(), "the two largest know of each other"


def test_a_period_shows_whole_blocks_only() -> None:
    person, month = np.array([0, 1, 2, 3, 4] * 2), np.array([0, 1, 2, 3, 3, 4, 4, 4, 4, 4])
    block = crowd_blocks(person, np.ones(10), month, 9, K)
    assert block.tolist() == [0] * 5 + [1] * 5
    assert whole_blocks(block, month, 1, 9).tolist() == [False] * 5 + [True] * 5


def test_months_are_those_of_utc() -> None:
    instants = np.array([0, 2_678_399_999, 2_678_400_000, 1_741_564_800_000])
    assert month_of(instants).tolist() == [0, 0, 1, 12 * 55 + 2]
