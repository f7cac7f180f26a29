"""The simulated cluster obeys its own physics."""

from __future__ import annotations

import numpy as np
import pytest

from measurements.demo.cluster import CPU, GPU4, GPUS, IT_FULL_W, NODES
from measurements.demo.physics import (
    LAG_S,
    LAGGING_SHARE,
    Grid,
    Load,
    Profile,
    cluster_power,
    facility_power,
    outside_c,
    switches_power,
)
from measurements.domain.units import FloatArray

START_S = 1_741_564_800  # 2025-03-10T00:00Z
HOUR_S = 3_600
GRID_S = 10
GPU_NODE = "gpu02"


def power(node: str = "cpu01", *loads: Load, off: tuple[tuple[str, int, int], ...] = ()) -> Grid:
    rng = np.random.default_rng(5)
    return cluster_power({node: loads}, off, START_S, START_S + HOUR_S, GRID_S, rng)


def rest_w(grid: Grid, node: str) -> FloatArray:
    found: FloatArray = grid.rest_w[NODES.index(node)]
    return found


def gpu_w(grid: Grid, node: str, index: int) -> FloatArray:
    found: FloatArray = grid.gpu_w[GPUS.index((node, index))]
    return found


def test_an_idle_node_draws_its_idle_power() -> None:
    grid = power()
    np.testing.assert_allclose(rest_w(grid, "cpu05"), CPU.idle_w, rtol=1e-12)
    np.testing.assert_allclose(
        grid.node_w[NODES.index(GPU_NODE)], GPU4.idle_w + GPU4.gpus * GPU4.gpu_idle_w, rtol=1e-12
    )


def test_a_full_node_draws_its_rated_power_and_stays_below_its_ceiling() -> None:
    load = Load(START_S - HOUR_S, START_S + 2 * HOUR_S, GPU4.cpus, (0, 1, 2, 3), Profile(cpu=1.0, gpu=1.0))
    grid = power(GPU_NODE, load)
    assert rest_w(grid, GPU_NODE).mean() == pytest.approx(GPU4.rated_w, rel=0.002)
    assert gpu_w(grid, GPU_NODE, 2).mean() == pytest.approx(GPU4.gpu_idle_w + GPU4.gpu_dynamic_w, rel=0.002)
    assert grid.node_w[NODES.index(GPU_NODE)].max() < GPU4.ceiling_w


@pytest.mark.parametrize("grid_s", [10, 60])
def test_a_share_of_the_power_follows_late(grid_s: int) -> None:
    load = Load(START_S + 600, START_S + HOUR_S, CPU.cpus, (), Profile(cpu=1.0))
    grid = cluster_power({"cpu01": [load]}, (), START_S, START_S + HOUR_S, grid_s, np.random.default_rng(5))
    dynamic = (rest_w(grid, "cpu01") - CPU.idle_w) / (CPU.rated_w - CPU.idle_w)
    since_s = grid.t_s - START_S - 600
    np.testing.assert_allclose(dynamic[since_s < 0], 0.0, atol=1e-9)
    early = (since_s >= 0) & (since_s < 120)
    expected = 1.0 - LAGGING_SHARE * np.exp(-(since_s[early] + grid_s / 2) / LAG_S)
    np.testing.assert_allclose(dynamic[early], expected, atol=0.05)
    assert dynamic[since_s == 0] < dynamic[(since_s > 600) & (since_s < 1_200)].mean() - 0.05


def test_only_the_held_gpu_works() -> None:
    load = Load(START_S, START_S + HOUR_S, 16, (1,), Profile(cpu=0.2, gpu=0.9))
    grid = power(GPU_NODE, load)
    assert gpu_w(grid, GPU_NODE, 1)[100] > 300
    for index in (0, 2, 3):
        np.testing.assert_allclose(gpu_w(grid, GPU_NODE, index), GPU4.gpu_idle_w, rtol=1e-12)
    np.testing.assert_allclose(gpu_w(grid, "gpu01", 1), GPU4.gpu_idle_w, rtol=1e-12)


def test_the_mean_use_counts_the_dips() -> None:
    profile = Profile(cpu=0.8, dip=0.5, period_s=200, dip_share=0.25)
    load = Load(START_S - HOUR_S, START_S + 2 * HOUR_S, CPU.cpus, (), profile)
    dynamic = (rest_w(power("cpu01", load), "cpu01").mean() - CPU.idle_w) / (CPU.rated_w - CPU.idle_w)
    assert dynamic == pytest.approx(profile.mean(0.8), rel=0.01)


def test_a_node_that_is_switched_off_draws_nothing() -> None:
    grid = power("cpu09", off=(("cpu09", START_S + 600, START_S + 1_200),))
    since_s = grid.t_s - START_S
    off = (since_s > 600) & (since_s < 1_200)
    assert set(rest_w(grid, "cpu09")[off]) == {0.0}
    np.testing.assert_allclose(rest_w(grid, "cpu09")[~off], CPU.idle_w)
    np.testing.assert_allclose(rest_w(grid, "cpu10"), CPU.idle_w)


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_the_facility_draws_more_than_its_computers_by_losses_and_cooling(share: float) -> None:
    t_s = np.arange(START_S, START_S + 365 * 86_400, HOUR_S, dtype=np.float64)
    nodes_w = np.full(t_s.shape, share * IT_FULL_W)
    switches_w = switches_power(nodes_w)
    ratio = facility_power(nodes_w, switches_w, t_s, seed=1) / (nodes_w + switches_w)
    assert 1.08 < ratio.min() < 1.16
    assert 1.2 < ratio.max() < 1.6
    warmest, coldest = np.argsort(outside_c(t_s, seed=1))[[-1, 0]]
    assert ratio[warmest] > ratio[coldest]


def test_summers_are_warmer_than_winters_and_weather_is_the_same_in_every_period() -> None:
    year_s = np.arange(START_S, START_S + 365 * 86_400, HOUR_S, dtype=np.float64)
    warm_c = outside_c(year_s, seed=3)
    month = (year_s - START_S) // (30 * 86_400)
    assert warm_c[month == 4].mean() > 15 > 5 > warm_c[month == 10].mean()  # July, January
    np.testing.assert_allclose(outside_c(year_s[500:600], seed=3), warm_c[500:600])
