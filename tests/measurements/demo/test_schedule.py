"""The simulated timetable holds what a real one does, and never changes afterwards."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date

import pytest

from measurements.demo.cluster import GPU4, MODEL_OF_NODE, NODE_MODELS, PEOPLE
from measurements.demo.schedule import DAY_S, Run, plan_day, plan_period

NOW_S = 1_741_615_200  # 2025-03-10T14:00Z
START_S = NOW_S // DAY_S * DAY_S - 14 * DAY_S
SEED = 2212


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return plan_period(SEED, START_S, NOW_S)


def test_the_cluster_is_large_enough_to_be_interesting(runs: list[Run]) -> None:
    assert len(NODE_MODELS) >= 4
    assert len(MODEL_OF_NODE) == 12
    assert {run.person.username for run in runs} == set(PEOPLE)
    assert len({run.person.account for run in runs}) == 4


def test_a_day_is_the_same_in_every_period() -> None:
    day = date(2025, 3, 5)
    assert plan_day(SEED, day) == plan_day(SEED, day)
    assert plan_day(SEED, day) != plan_day(SEED + 1, day)
    shorter = plan_period(SEED, START_S, START_S + 2 * DAY_S)
    longer = [run for run in plan_period(SEED, START_S, NOW_S) if run.submit_s < START_S + 2 * DAY_S]
    assert shorter == longer


def test_no_core_and_no_gpu_is_held_twice(runs: list[Run]) -> None:
    held: dict[str, list[tuple[int, int, Run]]] = defaultdict(list)
    for run in runs:
        assert run.submit_s < run.start_s < run.end_s
        for node in run.lane.nodes:
            held[node] += [(run.start_s, 1, run), (run.end_s, 0, run)]
    assert set(held) == set(MODEL_OF_NODE)
    for node, events in held.items():
        cores, gpus = 0, Counter[int]()
        for _, begins, run in sorted(events, key=lambda event: event[:2]):
            cores += run.lane.cpus if begins else -run.lane.cpus
            gpus.update(dict.fromkeys(run.lane.gpu_indices, 1 if begins else -1))
            assert cores <= MODEL_OF_NODE[node].cpus, node
            assert max(gpus.values(), default=0) <= 1, node


def test_every_kind_of_job_is_there(runs: list[Run]) -> None:
    states = Counter(run.state for run in runs)
    assert set(states) == {"COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "OUT_OF_MEMORY", "NODE_FAIL"}
    assert any("_" in run.job_id for run in runs)
    assert any(run.start_s // DAY_S < run.end_s // DAY_S for run in runs)
    assert any(len(run.lane.nodes) > 1 for run in runs)
    names = {run.recipe.name for run in runs}
    assert {"nnunet-train", "nnunet-predict", "nnunet-predict-cpu"} <= names
    assert any(run.start_s < NOW_S < run.end_s for run in runs)


@pytest.mark.parametrize("hour", range(24))
def test_something_runs_at_any_hour(hour: int) -> None:
    now_s = START_S + hour * 3_600
    assert any(run.start_s < now_s < run.end_s for run in plan_period(SEED, now_s - 60, now_s))


def test_het_components_run_together_and_count_up(runs: list[Run]) -> None:
    components: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        if "+" in run.job_id:
            components[run.job_id.split("+")[0]].append(run)
    assert components
    for leader, parts in components.items():
        assert [(run.job_id, run.raw_id) for run in parts] == [
            (f"{leader}+0", int(leader)),
            (f"{leader}+1", int(leader) + 1),
        ]
        assert len({(run.submit_s, run.start_s, run.end_s) for run in parts}) == 1


def test_a_requeued_job_has_two_runs_under_one_id(runs: list[Run]) -> None:
    (first, *_) = [run for run in runs if run.state == "NODE_FAIL"]
    again = [run for run in runs if run.raw_id == first.raw_id and run is not first]
    assert [run.submit_s for run in again] == [first.end_s]
    assert again[0].person == first.person


def test_job_ids_name_one_job(runs: list[Run]) -> None:
    requeued = {run.raw_id for run in runs if run.state == "NODE_FAIL"}
    counts = Counter(run.raw_id for run in runs)
    assert {raw_id for raw_id, count in counts.items() if count > 1} == requeued


def test_a_cpu_code_holds_four_idle_gpus_over_night(runs: list[Run]) -> None:
    holders = [run for run in runs if run.lane.gpu_indices == (0, 1, 2, 3) and not run.recipe.profile.gpu]
    assert holders
    assert all(run.end_s - run.start_s > 10 * 3_600 and run.lane.nodes[0] in GPU4.nodes for run in holders)
