"""The simulated timetable holds what a real one does, and never changes afterwards."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, timedelta

import pytest

from measurements.demo import rhythm
from measurements.demo.cluster import MODEL_OF_NODE, NODE_MODELS, NODES
from measurements.demo.people import ACCOUNTS, LOOK_AS, PEOPLE, PERMISSIONS, SECOND_OPERATOR
from measurements.demo.recipes import Run
from measurements.demo.rhythm import DAY_S
from measurements.demo.schedule import plan_day, plan_period

NOW_S = 1_741_615_200  # 2025-03-10T14:00Z
START_S = NOW_S // DAY_S * DAY_S - 14 * DAY_S
SEED = 2212


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return plan_period(SEED, START_S, NOW_S)


def test_the_cluster_is_large_enough_to_be_interesting(runs: list[Run]) -> None:
    assert len(NODE_MODELS) >= 4
    assert len(NODES) >= 24
    assert len({run.person.username for run in runs}) >= 12
    assert {run.person.account for run in runs} == set(ACCOUNTS)
    assert len(ACCOUNTS) >= 4


def test_every_project_has_one_who_leads_it_and_every_role_somebody_to_look_as() -> None:
    assert Counter(person.account for person in PEOPLE.values() if person.leads) == dict.fromkeys(ACCOUNTS, 1)
    assert len({person.uid for person in PEOPLE.values()}) == len(PEOPLE)
    assert PEOPLE[LOOK_AS["leader"]].leads
    assert not PEOPLE[LOOK_AS["student"]].leads
    assert PEOPLE[LOOK_AS["student"]].account == PEOPLE[LOOK_AS["leader"]].account
    assert set(PERMISSIONS) == set(LOOK_AS.values()) - set(PEOPLE) | {SECOND_OPERATOR}


def test_a_day_is_the_same_in_every_period() -> None:
    day = date(2025, 3, 5)
    planned = plan_day(SEED, day)
    plan_day.cache_clear()
    assert plan_day(SEED, day) == planned
    assert plan_day(SEED + 1, day) != planned
    shorter = plan_period(SEED, START_S, START_S + 2 * DAY_S)
    longer = [run for run in plan_period(SEED, START_S, NOW_S) if run.submit_s < START_S + 2 * DAY_S]
    assert shorter == longer


@pytest.mark.parametrize("since", [date(2025, 2, 24), date(2025, 12, 18), date(2026, 6, 1)])
def test_no_core_and_no_gpu_is_held_twice_nor_a_node_that_is_off(since: date) -> None:
    start_s = (since - date(1970, 1, 1)).days * DAY_S
    held: dict[str, list[tuple[int, int, Run]]] = defaultdict(list)
    for run in plan_period(SEED, start_s, start_s + 14 * DAY_S):
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
    asleep = [sleep for back in range(14) for sleep in rhythm.sleeps(SEED, since + timedelta(days=back))]
    assert asleep
    for sleep in asleep:
        for _, _, run in held[sleep.node]:
            assert run.end_s <= sleep.start_s or run.start_s >= sleep.end_s


def test_every_kind_of_job_is_there(runs: list[Run]) -> None:
    states = Counter(run.state for run in runs)
    assert set(states) == {"COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "OUT_OF_MEMORY", "NODE_FAIL"}
    assert any("_" in run.job_id for run in runs)
    assert any(run.start_s // DAY_S < run.end_s // DAY_S for run in runs)
    assert any(len(run.lane.nodes) > 1 for run in runs)
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


def held_share(first: date, days: int) -> float:
    """Of all cores' time, what the jobs of some operating days hold."""
    runs = [run for offset in range(days) for run in plan_day(SEED, first + timedelta(days=offset))]
    cores = sum(model.count * model.cpus for model in NODE_MODELS)
    return sum((r.end_s - r.start_s) * r.lane.cpus * len(r.lane.nodes) for r in runs) / (cores * days * DAY_S)


def test_weekends_and_christmas_are_quiet_and_no_day_is_full() -> None:
    working, weekend = held_share(date(2025, 11, 10), 5), held_share(date(2025, 11, 15), 2)
    christmas = held_share(date(2025, 12, 24), 7)
    assert 0.75 < working < 0.97
    assert christmas < weekend < working - 0.08
    assert len(rhythm.sleeps(SEED, date(2025, 12, 27))) > len(rhythm.sleeps(SEED, date(2025, 11, 16))) > 0
    assert rhythm.sleeps(SEED, date(2025, 11, 12)) == ()
