"""Counters that go round, and that begin anew: no honest wrap is lost, and a reset adds one step's bound at most."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from measurements.domain.integrate import LARGEST_POWER_MW, QUARTER_UJ_PER_UJ, counter_steps, wrap_limit_mw

WRAPS_UJ = (65_532_610_987, 262_143_328_850)  # 32-bit RAPL at 2^-16 and 2^-14 J
GAP_MS = 900_000
SERIES = 400
READINGS = 60


def story(
    draw: np.random.Generator, wrap_uj: int, most_mw: int, longest_ms: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Instants [ms], readings [µJ], true energy of each step [µJ], and whether the counter began anew in it."""
    spacing = draw.integers(1_000, longest_ms, READINGS - 1)
    reset = draw.random(READINGS - 1) < 0.15
    energy = (draw.random(READINGS - 1) * most_mw * spacing).astype(np.int64)
    values = [int(draw.integers(0, wrap_uj))]
    for step in range(READINGS - 1):
        since = int(draw.random() * energy[step]) if reset[step] else values[-1] + int(energy[step])
        values.append(since % wrap_uj)
    return np.append(0, np.cumsum(spacing)), np.array(values, np.int64), energy, reset


@pytest.mark.parametrize("wrap_uj", WRAPS_UJ)
@pytest.mark.parametrize("ceiling_w", [-1, 400, 1_000, 10_000])
def test_energy_is_never_above_the_truth_by_more_than_a_step_s_bound_and_no_honest_wrap_is_lost(
    wrap_uj: int, ceiling_w: int
) -> None:
    draw = np.random.default_rng([wrap_uj % 1_000, ceiling_w + 1])
    limit_mw = wrap_limit_mw("rapl", wrap_uj)
    declared_mw = ceiling_w * 1_000 if ceiling_w >= 0 else LARGEST_POWER_MW
    bound_mw = declared_mw if ceiling_w >= 0 else min(declared_mw, limit_mw)
    wraps = 0
    for _ in range(SERIES):
        t_ms, values, truth, reset = story(
            draw, wrap_uj, min(bound_mw, 800_000), int(draw.choice([2_000, 30_000, 59_000]))
        )
        steps = counter_steps(
            t_ms * 2, values, GAP_MS, ceiling_w * 1_000 if ceiling_w >= 0 else -1, wrap_uj, wrap_limit_mw=limit_mw
        )
        taken = steps.energy // QUARTER_UJ_PER_UJ
        spacing = np.diff(t_ms)
        assert (taken <= truth + np.where(reset, bound_mw * spacing, 0)).all()
        honest = ~reset & (bound_mw * spacing < wrap_uj)
        assert (taken[honest] == truth[honest]).all()
        assert steps.bridged[honest].all()
        wraps += int(((np.diff(values) < 0) & honest).sum())
    assert wraps > 20


def test_at_one_reading_a_second_a_package_that_begins_anew_is_told_from_one_that_goes_round() -> None:
    """Without a declared ceiling 1 MW would have taken every one of them for a wrap."""
    draw = np.random.default_rng(7)
    wrap_uj = WRAPS_UJ[1]
    limit_mw = wrap_limit_mw("rapl", wrap_uj)
    before = draw.integers(100_000_000, wrap_uj, 2_000)  # all that fell, evenly over the counter's range
    values = np.stack([before, draw.integers(0, 100_000_000, 2_000)], axis=1)
    taken = {}
    for name, limit in (("as before", -1), ("now", limit_mw)):
        found = [counter_steps(np.array([0, 2_000]), pair, GAP_MS, -1, wrap_uj, wrap_limit_mw=limit) for pair in values]
        taken[name] = sum(int(steps.energy.sum()) for steps in found) / QUARTER_UJ_PER_UJ / 1e6
    assert taken["as before"] > 2_000 * 100_000
    assert taken["now"] < taken["as before"] / 1_000


def test_a_reset_in_a_long_step_adds_less_than_the_declared_ceiling_would_have_drawn() -> None:
    draw = np.random.default_rng(8)
    wrap_uj, ceiling_mw = WRAPS_UJ[1], 500_000
    for _ in range(500):
        t_ms = np.array([0, int(draw.integers(60_000, 500_000))])
        values = np.sort(draw.integers(0, wrap_uj, 2))[::-1]
        steps = counter_steps(
            t_ms * 2, values, GAP_MS, ceiling_mw, wrap_uj, wrap_limit_mw=wrap_limit_mw("rapl", wrap_uj)
        )
        for left, right in pairwise(t_ms.tolist()):
            assert int(steps.energy.sum()) // QUARTER_UJ_PER_UJ <= ceiling_mw * (right - left)


def test_a_small_modulus_and_another_make_conclude_nothing() -> None:
    assert wrap_limit_mw("rapl", 4_294_967_296) == 1_000_000  # 32 bit of µJ: 1 kW, not 72 W
    assert wrap_limit_mw("pdu", 65_532_610_987) == wrap_limit_mw("rapl", 0) == -1
