"""Sums by quarter hour against plain loops: rows anywhere, windows anywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from measurements.domain.packing import packed
from measurements.domain.slot_sums import by_quarter, first_quarter_of, slot_sums, spread_evenly
from measurements.domain.units import EPOCH_DAY, HOUR_MS, QUARTER_MS, day_from_ms

joules = st.floats(0, 1e9)
rows = st.lists(st.tuples(st.integers(0, 300), st.lists(joules, max_size=8)), max_size=12)
windows = st.tuples(st.integers(0, 300), st.integers(0, 200))
# Begin, length: whole milliseconds, on edges and beside them.
moments = st.one_of(st.integers(0, 40 * QUARTER_MS), st.integers(0, 40).map(lambda q: q * QUARTER_MS))
lengths = st.one_of(st.just(0), st.integers(1, 3_000), st.integers(1, 9 * QUARTER_MS), st.just(4 * QUARTER_MS))
stretches = st.lists(st.tuples(moments, lengths, joules), max_size=12)


@given(rows, windows)
@example([(5, [1.0, 2.0]), (5, [4.0])], (6, 1))
def test_rows_are_added_quarter_by_quarter(given_rows: list[tuple[int, list[float]]], window: tuple[int, int]) -> None:
    low, count = window
    wanted = [0.0] * count
    for begin, values in given_rows:
        for i, value in enumerate(values):
            if low <= begin + i < low + count:
                wanted[begin + i - low] += value
    first = np.array([row[0] for row in given_rows], np.int64)
    got = slot_sums(first, [packed(np.array(row[1])) for row in given_rows], low, count)
    assert got.tolist() == wanted, "in the order of the rows, to the last bit"


@given(stretches, windows, st.sampled_from((QUARTER_MS, HOUR_MS)))
@example([(QUARTER_MS, 0, 3.0)], (1, 1), QUARTER_MS)
@example([(QUARTER_MS - 1, 2, 3.0)], (0, 2), QUARTER_MS)
def test_energy_is_spread_in_proportion_to_time(
    given_rows: list[tuple[int, int, float]], window: tuple[int, int], slot_ms: int
) -> None:
    low, count = window
    wanted = []
    for slot in range(low, low + count):
        begin, end = slot * slot_ms, (slot + 1) * slot_ms
        parts = [
            value * max(0, min(start + length, end) - max(start, begin)) / length if length else value
            for start, length, value in given_rows
            if length or begin <= start < end
        ]
        wanted.append(math.fsum(parts))
    start, length, value = (np.array([row[i] for row in given_rows]) for i in range(3))
    start, length = start.astype(np.int64), length.astype(np.int64)
    got = spread_evenly(start, start + length, value.astype(np.float64), low, count, slot_ms)
    assert got == pytest.approx(np.array(wanted), rel=1e-12, abs=0)


@given(stretches)
def test_nothing_is_lost_in_a_window_that_is_wide_enough(given_rows: list[tuple[int, int, float]]) -> None:
    start, length = (np.array([row[i] for row in given_rows], np.int64) for i in (0, 1))
    value = np.array([row[2] for row in given_rows], np.float64)
    got = spread_evenly(start, start + length, value, 0, 100)
    assert got.sum() == pytest.approx(value.sum(), rel=1e-12)


def test_an_hour_is_four_quarter_hours() -> None:
    assert by_quarter(np.array([[4.0, 8.0]])).tolist() == [[1.0] * 4 + [2.0] * 4]


def test_the_first_quarter_of_a_day() -> None:
    assert first_quarter_of(EPOCH_DAY) == 0
    assert first_quarter_of(day_from_ms(20_000 * 96 * QUARTER_MS)) == 20_000 * 96
