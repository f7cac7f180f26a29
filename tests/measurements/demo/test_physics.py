"""The simulated node obeys its own physics."""

from __future__ import annotations

import numpy as np
import pytest

from measurements.demo.cluster import CPU, GPU4
from measurements.demo.physics import LAG_S, LAGGING_SHARE, Load, Profile, node_power, read_sensor

START_S = 1_741_564_800  # 2025-03-10T00:00Z
HOUR_S = 3_600


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_an_idle_node_draws_its_idle_power() -> None:
    power = node_power(GPU4, [], START_S, START_S + HOUR_S, rng())
    np.testing.assert_allclose(power.node_w, GPU4.idle_w + 4 * GPU4.gpu_idle_w, rtol=1e-12)


def test_a_full_node_draws_its_rated_power_and_stays_below_its_ceiling() -> None:
    load = Load(START_S - HOUR_S, START_S + HOUR_S, GPU4.cpus, (0, 1, 2, 3), Profile(cpu=1.0, gpu=1.0))
    power = node_power(GPU4, [load], START_S, START_S + HOUR_S, rng())
    assert power.rest_w[:-1].mean() == pytest.approx(GPU4.rated_w, rel=0.002)
    assert power.gpu_w[2, :-1].mean() == pytest.approx(GPU4.gpu_idle_w + GPU4.gpu_dynamic_w, rel=0.002)
    assert power.node_w.max() < GPU4.ceiling_w


def test_a_share_of_the_power_follows_late() -> None:
    load = Load(START_S + 600, START_S + HOUR_S, CPU.cpus, (), Profile(cpu=1.0))
    power = node_power(CPU, [load], START_S, START_S + HOUR_S, rng())
    dynamic = (power.rest_w - CPU.idle_w) / (CPU.rated_w - CPU.idle_w)
    since_s = power.t_s - START_S - 600
    np.testing.assert_allclose(dynamic[since_s < 0], 0.0, atol=1e-9)
    early = (since_s >= 0) & (since_s < 30)
    expected = 1.0 - LAGGING_SHARE * np.exp(-(since_s[early] + 5) / LAG_S)
    np.testing.assert_allclose(dynamic[early], expected, atol=0.03)
    assert dynamic[early].mean() < dynamic[(since_s > 600) & (since_s < 1_200)].mean() - 0.1


def test_only_the_held_gpu_works() -> None:
    load = Load(START_S, START_S + HOUR_S, 16, (1,), Profile(cpu=0.2, gpu=0.9))
    power = node_power(GPU4, [load], START_S, START_S + HOUR_S, rng())
    assert power.gpu_w[1, 100] > 300
    np.testing.assert_allclose(power.gpu_w[[0, 2, 3]], GPU4.gpu_idle_w, rtol=1e-12)


def test_the_mean_use_counts_the_dips() -> None:
    profile = Profile(cpu=0.8, dip=0.5, period_s=200, dip_share=0.25)
    load = Load(START_S - HOUR_S, START_S + 2 * HOUR_S, CPU.cpus, (), profile)
    power = node_power(CPU, [load], START_S, START_S + HOUR_S, rng())
    dynamic = (power.rest_w.mean() - CPU.idle_w) / (CPU.rated_w - CPU.idle_w)
    assert dynamic == pytest.approx(profile.mean(0.8), rel=0.01)


def test_a_sensor_answers_in_whole_watts_with_jitter_and_a_few_silences() -> None:
    power = node_power(CPU, [], START_S, START_S + 24 * HOUR_S, rng())
    t_ms, watts = read_sensor(power, power.node_w, 60, rng())
    assert watts.dtype == np.int64
    assert set(watts) == {165}
    steps = np.diff(t_ms)
    assert np.all(steps > 57_000)
    assert 0 < 1_440 - t_ms.size < 30
    assert len(set(steps.tolist())) > 100
