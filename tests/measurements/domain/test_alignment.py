"""The shift between two clocks is found where there is one, and nothing is said where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from measurements.domain.alignment import LEAST_HOURS, NodeHours, clock_fit
from measurements.domain.units import HOUR_MS

FIRST = 480_000  # an hour since 1970
HOURS = 96


def node(shift_h: int, seed: int = 1) -> NodeHours:
    """A node at 100 W, and 300 W more per held hour; its jobs dated ``shift_h`` too late."""
    random = np.random.default_rng(seed)
    starts, ends, hour = [], [], FIRST
    while (hour := hour + int(random.integers(1, 6))) < FIRST + HOURS - 8:
        starts.append(hour)
        ends.append(hour := hour + int(random.integers(1, 8)))
    begin, end = np.array(starts), np.array(ends)
    every = np.arange(FIRST, FIRST + HOURS)
    busy = ((every[:, None] >= begin) & (every[:, None] < end)).sum(axis=1)
    return NodeHours(
        hour=every,
        mean_w=100.0 + 300.0 * busy + random.normal(0, 5, HOURS),
        start_ms=(begin + shift_h) * HOUR_MS,
        end_ms=(end + shift_h) * HOUR_MS,
        weight=np.ones(len(begin)),
    )


@pytest.mark.parametrize("shift_h", [-12, -2, -1, 1, 2, 11])
def test_jobs_that_are_dated_wrong_are_noticed(shift_h: int) -> None:
    found = clock_fit([node(shift_h, seed) for seed in range(4)])
    assert found is not None
    assert found.suspicious
    assert found.shift_h == -shift_h  # what brings them back
    assert found.fit > 0.95


def test_jobs_that_are_dated_right_are_not_suspected() -> None:
    found = clock_fit([node(0, seed) for seed in range(4)])
    assert found is not None
    assert (found.shift_h, found.suspicious) == (0, False)
    assert found.fit == found.fit_as_dated > 0.95


def test_power_that_has_nothing_to_do_with_the_jobs_says_nothing() -> None:
    random = np.random.default_rng(7)
    alone = node(0)
    noise = NodeHours(alone.hour, random.normal(200, 20, HOURS), alone.start_ms, alone.end_ms, alone.weight)
    found = clock_fit([noise])
    assert found is not None
    assert not found.suspicious


def test_a_gap_in_the_power_moves_nothing() -> None:
    whole = node(1)
    kept = np.r_[0:30, 50:HOURS]
    found = clock_fit([NodeHours(whole.hour[kept], whole.mean_w[kept], whole.start_ms, whole.end_ms, whole.weight)])
    assert found is not None
    assert (found.shift_h, found.suspicious) == (-1, True)


def test_too_little_says_nothing() -> None:
    short = node(1)
    part = NodeHours(
        short.hour[: LEAST_HOURS - 1], short.mean_w[: LEAST_HOURS - 1], short.start_ms, short.end_ms, short.weight
    )
    steady = NodeHours(short.hour, np.full(HOURS, 100.0), short.start_ms, short.end_ms, short.weight)
    assert clock_fit([part]) is None
    assert clock_fit([steady]) is None
    assert clock_fit([]) is None
