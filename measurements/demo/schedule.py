"""The timetable: which job held what, and when.

Each pool of nodes has an *operating day* of 24 hours that begins at its own hour (UTC). All
jobs of an operating day start and end inside it and are drawn from (seed, pool, day) alone:
days can be planned in any order, and planning more of them changes none.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from measurements.demo import rhythm
from measurements.demo.cluster import CPU, GPU4, HIGH_MEMORY, MIXED
from measurements.demo.plan import Plan
from measurements.demo.recipes import (
    ALIGNMENT,
    ASSEMBLY,
    BUSY_TWIN,
    CFD,
    EMBEDDING,
    FAILING,
    IDLE_GPUS,
    LONG_TRAINING,
    MEMORY_BOUND,
    MOLECULES,
    NNUNET_PREDICT_CPU,
    NNUNET_PREDICT_GPU,
    NNUNET_PREDICT_HIGHMEM,
    NNUNET_PREDICT_MIXED,
    NNUNET_TRAIN_CPU,
    NNUNET_TRAIN_GPU,
    NNUNET_USERS,
    OCEAN_FORECAST,
    PRE_AND_POST,
    PREDICTION,
    RANKED,
    REGIONAL_CLIMATE,
    REGISTRATION,
    SEGMENTATION,
    STALLED_TWIN,
    STATISTICS,
    Lane,
    Run,
)
from measurements.demo.rhythm import DAY_S
from measurements.domain.units import EPOCH_DAY, MS_PER_S, S_PER_HOUR, day_start_ms

FIRST_ID_DAY = date(2020, 1, 1)
IDS_PER_DAY = 1_000
IDS_PER_POOL = 250
REQUEUED_EVERY_DAYS = 7
TWINS, RANKING, HELD_GPUS, FAILING_ARRAY = "twins", "ranking", "held-gpus", "failing-array"
TRAINING_GPU, TRAINING_CPU, INFERENCE_GPU, INFERENCE_CPU = (
    "training-gpu",
    "training-cpu",
    "inference-gpu",
    "inference-cpu",
)
TWINS_ON, RANKING_ON, NNUNET_ON = rhythm.MONDAY, rhythm.WEDNESDAY, rhythm.SATURDAY
HELD_GPUS_ON = (rhythm.TUESDAY, rhythm.FRIDAY)
ALIGNMENT_ON = (rhythm.MONDAY, rhythm.WEDNESDAY)
INFERENCE_FACTORS = (0.85, 0.92, 0.97, 1.03, 1.08, 1.15)  # cases differ: how long a repetition takes
TRAINING_FACTORS = (0.97, 0.99, 1.01, 1.03)
A_DAY = 3  # nnU-Net inferences of others than the story's, on nodes of each type
MANY, MANY_ON = 6, rhythm.TUESDAY  # so many on each large node with much memory, on the day whose log comes late


def _lanes(partition: str, node: str, cpus: int, count: int, gpus: int = 0) -> list[Lane]:
    """`count` equal lanes on one node; the first `gpus` of them hold one GPU each."""
    return [Lane(partition, (node,), cpus, (index,) if index < gpus else ()) for index in range(count)]


def _plan_exclusive(plan: Plan, seed: int, day: date) -> None:
    """Whole CPU nodes: two forecasts that run every day, nnU-Net on one, the others alone or in pairs."""
    whole = {node: Lane("batch", (node,), CPU.cpus) for node in rhythm.WHOLE_NODES}
    first, second, *others = whole
    plan.add(whole[first], REGIONAL_CLIMATE, plan.at(0.05), plan.end_s, state="COMPLETED")
    plan.add(whole[second], OCEAN_FORECAST, plan.at(0.08), plan.end_s, state="COMPLETED")
    until_s = dict.fromkeys(others, plan.end_s) | {
        sleep.node: sleep.start_s - 120 for sleep in rhythm.sleeps(seed, day) if sleep.node in others
    }
    from_s = dict.fromkeys(others, plan.start_s)
    _plan_cpu_stories(plan, day, whole, from_s)
    daily = others[-1]
    at_s = plan.repeated(whole[daily], NNUNET_PREDICT_CPU, plan.at(0.1), _users_of(day))
    from_s[daily] = plan.repeated(whole[daily], NNUNET_TRAIN_CPU, at_s, _users_of(day)[:1]) + 300
    recipes = (CFD, MEMORY_BOUND, MOLECULES)
    if rhythm.weekday(day) in (rhythm.TUESDAY, rhythm.FRIDAY):
        pair, half_s = Lane("batch", tuple(others[:2]), CPU.cpus), plan.at(float(plan.rng.uniform(9, 15)))
        plan.fill(pair, (CFD, MOLECULES), plan.start_s, half_s)
        from_s |= dict.fromkeys(others[:2], half_s)
    if day.toordinal() % REQUEUED_EVERY_DAYS == 2:
        from_s[others[0]] = plan.add_requeued(whole[others[0]], CFD, from_s[others[0]] + 600, plan.end_s)
    for node in others:
        plan.fill(whole[node], recipes, from_s[node], until_s[node])


def _plan_cpu_stories(plan: Plan, day: date, whole: dict[str, Lane], from_s: dict[str, int]) -> None:
    """What belongs to a story on this weekday; the nodes it holds are free again afterwards."""
    begin_s = plan.at(0.1)
    weekday = rhythm.weekday(day)
    if weekday == TWINS_ON:
        for node, recipe in zip(CPU.nodes[4:6], (BUSY_TWIN, STALLED_TWIN), strict=True):
            run = plan.add(whole[node], recipe, begin_s, plan.end_s, state="COMPLETED", story=TWINS)
            from_s[node] = run.end_s + 300
    elif weekday == RANKING_ON:
        for node, recipe in zip(CPU.nodes[3:6], RANKED, strict=True):
            run = plan.add(whole[node], recipe, begin_s, plan.end_s, state="COMPLETED", story=RANKING)
            from_s[node] = run.end_s + 300
    elif weekday == NNUNET_ON:
        for node, factor in zip(CPU.nodes[2:6], TRAINING_FACTORS, strict=True):
            from_s[node] = plan.series(whole[node], NNUNET_TRAIN_CPU, begin_s, (factor,), story=TRAINING_CPU) + 300
        node = CPU.nodes[6]
        from_s[node] = plan.series(whole[node], NNUNET_PREDICT_CPU, begin_s, INFERENCE_FACTORS, story=INFERENCE_CPU)


def _users_of(day: date, count: int = A_DAY) -> tuple[str, ...]:
    """Who uses nnU-Net on an operating day: the same people on nodes of each type, everybody as often."""
    first = day.toordinal() * A_DAY
    return tuple(NNUNET_USERS[(first + place) % len(NNUNET_USERS)] for place in range(count))


def _plan_shared(plan: Plan, seed: int, day: date) -> None:
    """CPU and high-memory nodes shared by lanes; an array twice a week, a het job every fifth day."""
    nodes = rhythm.SHARED_NODES
    ends_s = dict.fromkeys(nodes, plan.end_s) | {
        sleep.node: sleep.start_s - 120 for sleep in rhythm.sleeps(seed, day) if sleep.node in nodes
    }
    small = [lane for node in nodes for lane in _lanes("shared", node, 32, 2)]
    big = [lane for node in HIGH_MEMORY.nodes[:2] for lane in _lanes("highmem", node, 48, 2)]
    big += [Lane("highmem", (node,), HIGH_MEMORY.cpus) for node in HIGH_MEMORY.nodes[2:]]
    from_s = plan.start_s
    if day.toordinal() % 5 == 0:
        from_s = plan.add_het((big[0], small[0]), PRE_AND_POST, plan.at(0.1))
    for index, lane in enumerate(big):
        begin_s = from_s if index == 0 else plan.start_s
        if lane.cpus == HIGH_MEMORY.cpus:  # two nodes: each has its share of the day's
            users = _users_of(day, MANY) if rhythm.weekday(day) == MANY_ON else _users_of(day)[index % 2 :: 2]
            begin_s = plan.repeated(lane, NNUNET_PREDICT_HIGHMEM, plan.at(0.1), users)
        plan.fill(lane, (ASSEMBLY, STATISTICS), begin_s, plan.end_s)
    evening_s, night_s = plan.at(13.0), plan.at(23.5)
    if rhythm.array_fails(day):
        arrays = small
        plan.add_array(arrays, FAILING, evening_s, night_s, failing=True, story=FAILING_ARRAY)
    elif rhythm.weekday(day) in ALIGNMENT_ON:
        arrays = small[:2]
        plan.add_array(arrays, ALIGNMENT, evening_s, min(plan.at(18.0), ends_s[nodes[0]]))
    else:
        arrays = []
    for index, lane in enumerate(small):
        until_s = min(ends_s[lane.nodes[0]], evening_s if lane in arrays else plan.end_s)
        plan.fill(lane, (STATISTICS, REGISTRATION, MOLECULES), from_s if index == 0 else plan.start_s, until_s)


def _plan_gpu(plan: Plan, _seed: int, day: date) -> None:
    """Four-GPU nodes: whole for long trainings, by the GPU, and a CPU code that leaves its four GPUs idle."""
    whole = [Lane("gpu", (node,), GPU4.cpus, tuple(range(GPU4.gpus))) for node in GPU4.nodes]
    plan.add(whole[0], LONG_TRAINING, plan.at(0.05), plan.end_s, state="COMPLETED")
    for lane in _lanes("gpu", GPU4.nodes[1], 16, 4, gpus=4):
        plan.fill(lane, (SEGMENTATION, PREDICTION, EMBEDDING), plan.start_s, plan.end_s)
    for half in ((0, 1), (2, 3)):
        plan.fill(Lane("gpu", GPU4.nodes[2:3], 32, half), (SEGMENTATION, EMBEDDING), plan.start_s, plan.end_s)
    from_s = plan.start_s
    if rhythm.weekday(day) == NNUNET_ON:
        from_s = plan.series(whole[3], NNUNET_TRAIN_GPU, plan.at(0.1), TRAINING_FACTORS, story=TRAINING_GPU)
        from_s = plan.series(whole[3], NNUNET_PREDICT_GPU, from_s + 30, INFERENCE_FACTORS, story=INFERENCE_GPU)
    plan.fill(whole[3], (SEGMENTATION,), from_s, plan.end_s)
    at_s = plan.repeated(whole[4], NNUNET_PREDICT_GPU, plan.at(0.1), _users_of(day))
    at_s = plan.repeated(whole[4], NNUNET_TRAIN_GPU, at_s, _users_of(day)[:1])
    plan.fill(whole[4], (SEGMENTATION, PREDICTION), at_s, plan.end_s)
    if rhythm.weekday(day) not in HELD_GPUS_ON:
        plan.fill(whole[5], (SEGMENTATION, EMBEDDING), plan.start_s, plan.end_s)
        return
    evening_s = plan.at(6.0)
    plan.fill(whole[5], (PREDICTION,), plan.start_s, evening_s)
    plan.add(whole[5], IDLE_GPUS, evening_s + 60, plan.end_s, state="COMPLETED", story=HELD_GPUS)


def _plan_mixed(plan: Plan, _seed: int, day: date) -> None:
    """Nodes with cores to spare beside two small GPUs: a lane that holds both, and one without."""
    whole = Lane("mixed", MIXED.nodes[-1:], MIXED.cpus, (0, 1))
    last_s = plan.repeated(whole, NNUNET_PREDICT_MIXED, plan.at(0.1), _users_of(day))
    for node in MIXED.nodes:
        from_s = last_s if node in whole.nodes else plan.start_s
        plan.fill(Lane("mixed", (node,), 12, (0, 1)), (EMBEDDING, PREDICTION), from_s, plan.end_s)
        plan.fill(Lane("mixed", (node,), 32), (STATISTICS, REGISTRATION), from_s, plan.end_s)


# Begin of the operating day [h UTC] and how it is filled. Two begins, so that at any instant a long job runs.
POOLS = ((6, _plan_exclusive), (6, _plan_shared), (12, _plan_gpu), (12, _plan_mixed))


@lru_cache(maxsize=1_000)
def plan_day(seed: int, day: date) -> tuple[Run, ...]:
    """All runs of the operating days that begin on a UTC day."""
    runs: list[Run] = []
    for pool, (hour, fill) in enumerate(POOLS):
        rng = np.random.default_rng((seed, 1, pool, (day - EPOCH_DAY).days))
        first_id = (day - FIRST_ID_DAY).days * IDS_PER_DAY + pool * IDS_PER_POOL + 1
        plan = Plan(rng, first_id, day_start_ms(day) // MS_PER_S + hour * S_PER_HOUR, rhythm.level(day))
        fill(plan, seed, day)
        if plan.next_id > first_id + IDS_PER_POOL:
            raise AssertionError(f"pool {pool} used up its job ids on {day}")
        runs += plan.runs
    return tuple(runs)


def plan_period(seed: int, start_s: int, end_s: int) -> list[Run]:
    """Runs that overlap [start, end) or are submitted in it, by start."""
    runs = [run for day in _days(start_s, end_s) for run in plan_day(seed, day)]
    wanted = [run for run in runs if run.end_s > start_s and run.submit_s < end_s]
    return sorted(wanted, key=lambda run: (run.start_s, run.raw_id))


def _days(start_s: int, end_s: int) -> Iterator[date]:
    """Days whose operating day can reach into [start, end); jobs may wait for a day."""
    day = EPOCH_DAY + timedelta(days=start_s // DAY_S - 1)
    last = EPOCH_DAY + timedelta(days=end_s // DAY_S + 1)
    while day <= last:
        yield day
        day += timedelta(days=1)
