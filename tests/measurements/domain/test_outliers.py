"""Nodes that draw more for the same work are found, and equal ones are left alone."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from measurements.domain.outliers import FALSE_ALARMS, LEAST_JOBS, Outliers, outliers
from measurements.domain.units import FloatArray

RUNS = 200
SPREAD = 0.12  # of the logarithm of what one job draws for its work


def jobs(
    rng: np.random.Generator, of_node: int, nodes: int = 12, cells: int = 4, worse: float = 1.0, spread: float = SPREAD
) -> Outliers:
    """So many jobs on each node, spread over cells that draw very differently; node 0 draws ``worse`` times as much."""
    node = np.repeat(np.arange(nodes), of_node)
    cell = rng.integers(0, cells, len(node))
    usual = np.array([1.0, 40.0, 3_000.0, 7.0])[cell]
    energy: FloatArray = usual * np.exp(spread * rng.standard_normal(len(node))) * np.where(node == 0, worse, 1.0)
    return outliers(cell, node, energy)


@pytest.mark.parametrize(("of_node", "spread"), [(5, 0.12), (8, 0.3), (50, 0.12), (50, 0.4), (200, 0.2)])
def test_of_equal_nodes_any_is_named_in_five_of_a_hundred_looks_at_most(of_node: int, spread: float) -> None:
    looks = [jobs(np.random.default_rng(seed), of_node, spread=spread) for seed in range(RUNS)]
    assert sum(bool(look.found) for look in looks) <= FALSE_ALARMS * RUNS


def test_a_node_that_draws_a_fifth_more_is_found_in_nine_of_ten_looks_at_fifty_jobs() -> None:
    looks = [jobs(np.random.default_rng(seed), 50, worse=1.2) for seed in range(RUNS)]
    alone = sum([one.node for one in look.found] == [0] for look in looks)
    assert alone >= 0.9 * RUNS
    times = [look.found[0].times for look in looks if look.found]
    assert np.median(times) == pytest.approx(1.2, abs=0.04), "the usual is that of all, of which it is a twelfth"
    assert all(one.low > 1.05 for look in looks for one in look.found)


def test_two_nodes_do_not_say_what_is_usual() -> None:
    node = np.repeat([0, 1], 30)
    energy = np.where(node == 0, 2.0, 1.0) + 0.01 * np.arange(60)
    assert outliers(np.zeros(60, np.int64), node, energy) == Outliers((), 0, 0)


def test_fewer_than_five_jobs_prove_nothing() -> None:
    node = np.concatenate([np.zeros(LEAST_JOBS - 1, np.int64), np.repeat([1, 2, 3], 20)])
    energy = np.where(node == 0, 3.0, 1.0)
    found = outliers(np.zeros(len(node), np.int64), node, energy)
    assert (found.found, found.nodes, found.jobs) == ((), 3, 60)


def test_cells_are_not_mixed_up() -> None:
    """Node 0 runs the heavy work only: it draws more, and no more than others do for it."""
    rng = np.random.default_rng(7)
    cell = np.repeat([0, 1], 60)
    node = np.concatenate([np.tile([0, 1, 2], 20), np.tile([1, 2, 3], 20)])
    energy = np.where(cell == 0, 900.0, 1.0) * np.exp(0.1 * rng.standard_normal(120))
    assert outliers(cell, node, energy).found == ()
    worse = outliers(cell, node, energy * np.where(node == 3, 1.6, 1.0))
    assert [one.node for one in worse.found] == [3]
    assert log(worse.found[0].times) == pytest.approx(log(1.6), abs=0.15)
