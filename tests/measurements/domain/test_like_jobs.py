"""Eight of ten: the interval holds what comes next as often as it says, whatever the jobs are like."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from measurements.domain.like_jobs import LEVEL, prediction
from measurements.domain.units import FloatArray

RUNS = 2_000
Generator = np.random.Generator
POPULATIONS: dict[str, Callable[[Generator, int], FloatArray]] = {
    "lognormal": lambda generator, n: generator.lognormal(12.0, 0.35, n),
    "normal": lambda generator, n: generator.normal(100.0, 10.0, n),
    "skewed": lambda generator, n: generator.gamma(4.0, 1.0, n),
    "two kinds": lambda generator, n: np.where(generator.random(n) < 0.3, 2.0, 1.0) * generator.lognormal(0, 0.2, n),
}


@pytest.mark.parametrize("count", [3, 8, 9, 25, 120])
@pytest.mark.parametrize("population", POPULATIONS)
def test_the_interval_holds_the_next_job_in_75_to_85_percent(population: str, count: int) -> None:
    generator = np.random.default_rng(count)
    held = 0
    for _ in range(RUNS):
        *known, following = POPULATIONS[population](generator, count + 1)
        found = prediction(np.array(known))
        assert found is not None
        held += found.low <= following <= found.high
    assert 0.75 <= held / RUNS <= 0.85
    assert LEVEL == 0.80


def test_of_three_jobs_by_hand() -> None:
    """Logarithms 0, 1, 2: mean 1, standard deviation 1, t = 1.886 of two degrees of freedom, √(4/3)."""
    found = prediction(np.exp([0.0, 1.0, 2.0]))
    reach = 1.886 * np.sqrt(4 / 3)
    assert found is not None
    assert (found.low, found.median, found.high) == pytest.approx((np.exp(1 - reach), np.e, np.exp(1 + reach)))


def test_fewer_than_three_jobs_say_nothing() -> None:
    assert prediction(np.array([1.0, 2.0])) is None
    assert prediction(np.array([])) is None
