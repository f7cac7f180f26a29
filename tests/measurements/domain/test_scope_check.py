"""Whether a meter includes the GPUs is told from the simulated cluster's physics, and from a real node."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from measurements.demo.cluster import GPU4, GPUS, MIXED, NODES, NodeModel
from measurements.demo.physics import Load, Profile, cluster_power
from measurements.demo.recipes import EMBEDDING, IDLE_GPUS, PREDICTION, SEGMENTATION
from measurements.domain.scope_check import MOST_SKEW, Pairs, Reason, Verdict, judge
from measurements.domain.units import FloatArray

START_S, DAY_S, STEP_S = 1_741_564_800, 86_400, 30
PER_BUCKET = 10
DAYS = 100  # simulated ones of each kind
SWING_W = GPU4.rated_w - GPU4.idle_w
PROFILES = [recipe.profile for recipe in (SEGMENTATION, PREDICTION, EMBEDDING, IDLE_GPUS)]


def simulated(rng: np.random.Generator, model: NodeModel, busy: float) -> tuple[FloatArray, FloatArray]:
    """A day of a node that works for about this share of the time: power without GPUs, and of its GPUs [W]."""
    node, at_s, loads = model.nodes[1], 0.0, []
    while at_s < DAY_S:
        run_s = rng.uniform(0.4, 3) * 3_600
        profile = PROFILES[int(rng.integers(len(PROFILES)))]
        loads.append(Load(START_S + at_s, START_S + at_s + run_s, model.cpus, tuple(range(model.gpus)), profile))
        at_s += run_s + rng.exponential(run_s * (1 / busy - 1))
    grid = cluster_power({node: loads}, (), START_S, START_S + DAY_S, STEP_S, rng)
    gpus = [i for i, (name, _) in enumerate(GPUS) if name == node]
    return grid.rest_w[NODES.index(node)][:-1], grid.gpu_w[gpus].sum(axis=0)[:-1]


def buckets(values: FloatArray) -> FloatArray:
    found: FloatArray = values.reshape(-1, PER_BUCKET).mean(axis=1)
    return found


def as_read(
    rng: np.random.Generator, rest_w: FloatArray, gpu_w: FloatArray, *, included: bool, late: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Both meters: losses of the supply, a reading that lags and is rounded to 4 W, errors of scale, holes."""
    true_w = (rest_w + gpu_w * included) * rng.uniform(1.0, 1.12)
    lagging = np.convolve(np.pad(true_w, (3, 0), mode="edge"), np.full(4, 0.25), "valid")
    node_w = np.rint(np.roll(lagging, late) * (1 + 0.01 * rng.standard_normal(len(lagging))) / 4) * 4
    found = buckets(node_w)
    found[rng.random(len(found)) < 0.03] = np.nan
    return found, buckets(gpu_w) * rng.uniform(0.95, 1.05)


def verdicts(included: bool, busy: float, late: int = 1) -> Counter[Verdict]:  # noqa: FBT001 - two cases
    found: Counter[Verdict] = Counter()
    for seed in range(DAYS):
        rng = np.random.default_rng(seed)
        rest_w, gpu_w = simulated(rng, GPU4, busy)
        while np.ptp(np.quantile(gpu_w, [0.05, 0.95])) < 1.5 * SWING_W:  # another day: little ran on the GPUs
            rest_w, gpu_w = simulated(rng, GPU4, busy)
        node_w, read_w = as_read(rng, rest_w, gpu_w, included=included, late=late)
        found[judge(Pairs(node_w, read_w, SWING_W)).verdict] += 1
    return found


@pytest.mark.parametrize("busy", [0.4, 0.7])
def test_a_meter_with_the_gpus_and_one_without_are_told_apart_in_99_of_100_days_of_varying_load(busy: float) -> None:
    assert verdicts(included=True, busy=busy)[Verdict.INCLUDES] >= 0.99 * DAYS
    assert verdicts(included=False, busy=busy)[Verdict.EXCLUDES] >= 0.99 * DAYS


def test_a_steady_load_of_the_gpus_never_decides() -> None:
    rng = np.random.default_rng(1)
    for level_w in (0.0, 208.0, 1_500.0):
        for rest_w in (np.full(288, 300.0), 240 + 416 * rng.random(288)):
            for included in (True, False):
                for noise_w in (0.0, 3.0):
                    gpu_w = level_w + noise_w * rng.standard_normal(288)
                    found = judge(Pairs(rest_w + gpu_w * included, gpu_w, SWING_W))
                    assert (found.verdict, found.reason) == (Verdict.UNCLEAR, Reason.CONSTANT)


@pytest.mark.parametrize("included", [True, False])
def test_processors_that_work_as_the_gpus_do_are_not_taken_for_them(*, included: bool) -> None:
    """On the mixed nodes the processors of a job draw as much as its GPUs: without their own channels it stays open."""
    found: Counter[Verdict] = Counter()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rest_w, gpu_w = simulated(rng, MIXED, 0.5)
        node_w, read_w = as_read(rng, rest_w, gpu_w, included=included)
        found[judge(Pairs(node_w, read_w, MIXED.rated_w - MIXED.idle_w)).verdict] += 1
    wrong = Verdict.EXCLUDES if included else Verdict.INCLUDES
    assert found[wrong] == 0
    assert found[Verdict.UNCLEAR] >= 30


def test_channels_of_the_processors_tell_what_the_slope_alone_cannot() -> None:
    rng = np.random.default_rng(3)
    gpu_w = 24 + 400 * np.repeat(rng.random(72), 4)
    cpu_w = 80 + 0.5 * gpu_w + 200 * np.repeat(rng.random(72), 4)
    for included, verdict in ((True, Verdict.INCLUDES), (False, Verdict.EXCLUDES)):
        node_w = 90 + 1.1 * cpu_w + 1.05 * gpu_w * included + 2 * rng.standard_normal(288)
        assert judge(Pairs(node_w, gpu_w, 800.0)).verdict is Verdict.UNCLEAR
        assert judge(Pairs(node_w, gpu_w, None, parts_w=cpu_w)).verdict is verdict
    lockstep = 80 + 2 * gpu_w
    assert judge(Pairs(90 + lockstep, gpu_w, None, parts_w=lockstep)).verdict is Verdict.UNCLEAR


def test_a_clock_that_is_off_by_an_hour_makes_no_meter_without_gpus() -> None:
    assert verdicts(included=True, busy=0.5, late=12 * PER_BUCKET)[Verdict.EXCLUDES] == 0
    assert MOST_SKEW >= 12


def test_readings_that_jump_about_between_samples_do_not_hide_the_gpus() -> None:
    """One instant of a GPU that dips every minute says little of its mean: then its error is most of what varies."""
    rng = np.random.default_rng(2)
    steady = 30_000 + 400 * rng.standard_normal(288)
    node_w = np.full(288, 30_600.0)
    found = judge(Pairs(node_w, steady, 60.0, gpu_error_w=400.0))
    assert (found.verdict, found.reason) == (Verdict.UNCLEAR, Reason.CONSTANT)
    assert judge(Pairs(node_w, steady, 60.0)).verdict is Verdict.EXCLUDES


def test_what_is_missing_is_named() -> None:
    gpu_w = np.tile(np.repeat([200.0, 1_400.0], 12), 12)
    node_w = 300 + gpu_w
    assert judge(Pairs(node_w, gpu_w, None)).reason is Reason.NO_BOUND
    few = np.where(np.arange(288) < 70, node_w, np.nan)
    assert (judge(Pairs(few, gpu_w, 400.0)).reason, judge(Pairs(few, gpu_w, 400.0)).pairs) == (Reason.FEW, 70)
    half = judge(Pairs(300 + gpu_w / 2, gpu_w, 100.0))
    assert (half.verdict, half.reason) == (Verdict.UNCLEAR, Reason.NEITHER)


def test_the_interval_is_the_same_each_time_and_holds_the_truth() -> None:
    rng = np.random.default_rng(4)
    rest_w, gpu_w = simulated(rng, GPU4, 0.5)
    pairs = Pairs(buckets(1.08 * (rest_w + gpu_w)), buckets(gpu_w), SWING_W)
    found = judge(pairs)
    assert found == judge(pairs)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1.08 < found.high


def aurora(folder: Path) -> FloatArray:
    """A run's means of each second: board, GPUs, processors and memory [W]."""
    (trace,) = folder.glob("*_trace.csv-*")
    rows = pd.read_csv(trace, sep="|", comment="#").dropna(subset=["BOARD_POWER", "GPU_POWER", "CPU_POWER"])
    means = rows.groupby((rows["TIME"] // 1).astype(int))[
        ["BOARD_POWER", "GPU_POWER", "CPU_POWER", "DRAM_POWER"]
    ].mean()
    board, gpu, cpu, dram = means.to_numpy(np.float64).T
    return np.stack([board, gpu, cpu + dram])


def test_the_board_meter_of_a_real_node_includes_its_gpus(shared_data: Path) -> None:
    """Each of two runs of a node draws steadily, at its cap: only both together tell. The second's start is dropped."""
    runs = [aurora(shared_data / "node_energy_geopm" / name)[:, 5:] for name in ("aurora_cap1800", "aurora_cap2500")]
    for board, gpu, parts in runs:
        assert judge(Pairs(board, gpu, None, parts)).reason is Reason.CONSTANT
    board, gpu, parts = np.concatenate([*runs, *runs], axis=1)
    assert judge(Pairs(board, gpu, None, parts)).verdict is Verdict.INCLUDES
    assert judge(Pairs(board - gpu, gpu, None, parts)).verdict is Verdict.EXCLUDES


def test_a_profile_of_the_demo_moves_processors_and_gpus_together() -> None:
    """What makes the task hard is in the physics: if it were not, these tests would prove little."""
    load = Load(START_S, START_S + 3_600, GPU4.cpus, (0, 1, 2, 3), Profile(0.4, 0.9, 0.6, period_s=600))
    grid = cluster_power({"gpu02": [load]}, (), START_S, START_S + 7_200, STEP_S, np.random.default_rng(1))
    gpus = [i for i, (name, _) in enumerate(GPUS) if name == "gpu02"]
    together = np.corrcoef(grid.rest_w[NODES.index("gpu02")], grid.gpu_w[gpus].sum(axis=0))[0, 1]
    assert together > 0.95


def test_one_burst_of_the_gpus_beside_a_wrong_clock_decides_nothing() -> None:
    """So short a one is left out of what the rest of the node may vary: only the shifted slope tells."""
    gpu_w = np.full(288, 200.0)
    gpu_w[100:112] = 4_200.0
    on_time = judge(Pairs(300 + gpu_w, gpu_w, 400.0))
    assert on_time.verdict is not Verdict.EXCLUDES
    late = judge(Pairs(300 + np.roll(gpu_w, 14), gpu_w, 400.0))
    assert (late.verdict, late.reason) == (Verdict.UNCLEAR, Reason.SKEWED)
