"""Middle, spread, intervals and ranks: against enumeration, the binomial distribution, plain resampling and scipy's."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest

from measurements.domain.comparison import (
    DRAWS,
    LEVEL,
    Interval,
    Rank,
    median_draws,
    median_interval,
    median_ratio,
    ranks,
    ratio_interval,
    spread,
)
from measurements.domain.units import FloatArray

SEEDS = 200
JOBS = 200  # of a group
SPREAD = 0.35  # standard deviation of the logarithm: the middle half lies within a quarter of the median
RUNS = 400


def jobs_of(seed: int, count: int, middle: float = 1.0) -> FloatArray:
    """Energies of like jobs."""
    return np.random.default_rng(seed).lognormal(np.log(middle), SPREAD, count)


def test_median_and_quartiles_are_numpy_s_and_those_by_hand() -> None:
    by_hand = spread(np.array([7.0, 1.0, 3.0, 5.0]))  # quartiles lie at 1.75 and 3.25 of the order 1, 3, 5, 7
    assert by_hand is not None
    assert (by_hand.n, by_hand.low, by_hand.median, by_hand.high) == (4, 2.5, 4.0, 5.5)
    for count in (1, 2, 5, 50, 333):
        values = jobs_of(count, count)
        found = spread(values)
        assert found is not None
        assert [found.low, found.median, found.high] == np.quantile(values, [0.25, 0.5, 0.75]).tolist()
        assert (found.interval is None) == (count == 1)
    assert spread(np.array([])) is None


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_the_medians_of_resamples_are_distributed_as_those_of_all_resamples_there_are(count: int) -> None:
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0])[:count]
    every = np.sort([float(np.median(picked)) for picked in product(values, repeat=count)])
    drawn = np.concatenate([median_draws(values, seed) for seed in range(SEEDS)])
    for value in np.unique(every):
        expected, error = (every <= value).mean(), 4 * np.sqrt(0.25 / len(drawn))
        assert (drawn <= value + 1e-12).mean() == pytest.approx(expected, abs=error), value


@pytest.mark.parametrize("count", [7, 41, 201])
def test_they_follow_the_binomial_distribution(count: int) -> None:
    """Of an odd n the median of a resample is at most the k-th value if at least (n + 1) / 2 of the draws are."""
    values = np.arange(1.0, count + 1)
    drawn = np.concatenate([median_draws(values, seed) for seed in range(SEEDS)])
    for k in {count // 4, count // 3, count // 2, count // 2 + 1, 2 * count // 3}:
        p = k / count
        exact = sum(comb(count, i) * p**i * (1 - p) ** (count - i) for i in range((count + 1) // 2, count + 1))
        assert (drawn <= k).mean() == pytest.approx(exact, abs=4 * np.sqrt(0.25 / len(drawn)))


@pytest.mark.parametrize(
    ("count", "low", "high"), [(15, 0.8417499490303, 1.0375840554573), (40, 0.8217077747498, 0.9859249390698)]
)
def test_the_interval_is_scipy_s_within_what_drawing_leaves_open(count: int, low: float, high: float) -> None:
    """The numbers: scipy 1.17.1, stats.bootstrap, percentile, 200,000 resamples, 90 %."""
    values = np.random.default_rng(7).lognormal(0.0, SPREAD, 40)[:count]
    found = [interval for seed in range(20) if (interval := median_interval(values, seed))]
    ordered = np.sort(values)
    for got, expected in ((np.median([i.low for i in found]), low), (np.median([i.high for i in found]), high)):
        neighbours = ordered[np.argsort(np.abs(ordered - expected))[:3]]
        assert abs(got - expected) <= np.ptp(neighbours) / 2 + 1e-12


def test_the_same_jobs_give_the_same_interval_in_any_order() -> None:
    values = jobs_of(3, 31)
    assert median_interval(values) == median_interval(values[::-1]) == median_interval(values.copy())
    assert median_interval(values, 1) != median_interval(values, 2)


def test_the_interval_holds_the_true_median_about_as_often_as_it_says() -> None:
    held = [
        interval.low <= 1.0 <= interval.high for run in range(RUNS) if (interval := median_interval(jobs_of(run, JOBS)))
    ]
    assert len(held) == RUNS
    assert np.mean(held) == pytest.approx(LEVEL, abs=0.05)


def test_populations_that_are_equal_are_hardly_ever_ranked_apart() -> None:
    apart = [not _interval(2 * run, 1.0).overlaps(_interval(2 * run + 1, 1.0)) for run in range(RUNS)]
    assert np.mean(apart) <= 0.10


def test_one_that_is_a_fifth_better_is_found() -> None:
    found = [_interval(2 * run, 0.8).below(_interval(2 * run + 1, 1.0)) for run in range(RUNS)]
    assert np.mean(found) >= 0.90


def _interval(seed: int, middle: float) -> Interval:
    interval = median_interval(jobs_of(seed + 10_000, JOBS, middle))
    assert interval is not None
    return interval


def test_the_ratio_of_two_medians_is_resampled_each_by_itself() -> None:
    above, below = jobs_of(1, 60, 3.0), jobs_of(2, 45, 2.0)
    found = median_ratio(above, below)
    generator = np.random.default_rng(9)
    plain = [
        np.median(generator.choice(above, len(above))) / np.median(generator.choice(below, len(below)))
        for _ in range(4 * DRAWS)
    ]
    assert found is not None
    assert found.value == np.median(above) / np.median(below)
    assert (found.low, found.high) == pytest.approx(np.quantile(plain, [0.05, 0.95]), rel=0.03)
    same = median_ratio(above, above)
    assert same is not None
    assert same.low < 0.97 < 1.03 < same.high, "the two do not draw the same numbers"
    assert median_ratio(above, below[:1]) is None


def test_the_ratio_of_sums_is_resampled_by_blocks() -> None:
    generator = np.random.default_rng(4)
    wholes = generator.uniform(1, 3, 30)
    parts = wholes * generator.uniform(0.1, 0.4, 30)
    found = ratio_interval(parts, wholes)
    picked = generator.integers(0, 30, (4 * DRAWS, 30))
    plain = np.quantile(parts[picked].sum(axis=1) / wholes[picked].sum(axis=1), [0.05, 0.95])
    assert found is not None
    assert found.value == pytest.approx(parts.sum() / wholes.sum())
    assert (found.low, found.high) == pytest.approx(plain, rel=0.02)
    assert ratio_interval(parts[:1], wholes[:1]) == Interval(parts[0] / wholes[0], 0.0, float("inf"))
    assert ratio_interval(parts, np.zeros(30)) is None


def test_a_rank_counts_only_those_that_are_proven_to_be_less() -> None:
    chain = [Interval(1, 0.9, 1.2), Interval(1.1, 1.1, 1.4), Interval(1.3, 1.3, 1.5), Interval(3, 2.5, 3.5)]
    assert ranks(chain) == [Rank(1, 2), Rank(1, 3), Rank(2, 3), Rank(4, 4)]
    assert ranks([Interval(1, 1, 1)] * 3) == [Rank(1, 3)] * 3, "equal ones share the first place"
    assert [rank.band(4) for rank in ranks(chain)] == ["B", "B", "C", "E"]
    assert [rank.band(5) for rank in ranks([Interval(1, 0, 2)] * 5)] == ["C"] * 5
