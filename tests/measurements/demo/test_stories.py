"""Every story has a place in the simulated time, is found there, and stays findable as weeks go by."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from measurements.demo.cluster import GPU4, MODEL_OF_NODE
from measurements.demo.note import LAYOUT, OtherLayout, Simulated, note_path, read_note, stories_of, write_note
from measurements.demo.people import STUDENT
from measurements.demo.rhythm import DAY_S
from measurements.demo.stories import SETTLED_S, Stories, StoryJob, find_stories

SEED = 2212
NOW_S = 1_741_615_200  # 2025-03-10T14:00Z
LONG_AGO_S = 0
WEEKLY = ("twins", "ranking", "held_gpus", "nnunet")
FORTNIGHTLY = ("failing_array", "dead_meter", "late")


@pytest.fixture(scope="module")
def stories() -> Stories:
    return find_stories(SEED, LONG_AGO_S, NOW_S)


def length_s(job: StoryJob) -> int:
    return job.end_s - job.start_s


def test_the_twins_are_alike_in_all_that_an_estimate_looks_at(stories: Stories) -> None:
    assert stories.twins is not None
    busy, stalled = stories.twins.busy, stories.twins.stalled
    assert length_s(busy) == length_s(stalled) == 6 * 3_600
    assert [MODEL_OF_NODE[node] for node in busy.nodes] == [MODEL_OF_NODE[node] for node in stalled.nodes]
    assert busy.job_id != stalled.job_id
    assert {busy.username, stalled.username} == {STUDENT}


def test_the_ranking_begins_with_the_longest(stories: Stories) -> None:
    assert stories.ranking is not None
    jobs = stories.ranking.jobs
    assert len(jobs) >= 3
    assert [length_s(job) for job in jobs] == sorted({length_s(job) for job in jobs}, reverse=True)
    assert len({MODEL_OF_NODE[job.nodes[0]].name for job in jobs}) == 1


def test_a_cpu_code_holds_the_gpus_of_a_node_over_night(stories: Stories) -> None:
    assert stories.held_gpus is not None
    job = stories.held_gpus.job
    assert job.nodes[0] in GPU4.nodes
    assert length_s(job) > 10 * 3_600


def test_nnunet_is_repeated_on_both_kinds_of_nodes(stories: Stories) -> None:
    assert stories.nnunet is not None
    parts = stories.nnunet
    assert [len(part) for part in (parts.training_gpu, parts.training_cpu)] == [4, 4]
    assert [len(part) for part in (parts.inference_gpu, parts.inference_cpu)] == [6, 6]
    for job in (*parts.training_gpu, *parts.inference_gpu):
        assert MODEL_OF_NODE[job.nodes[0]].name == "gpu4"
    for job in (*parts.training_cpu, *parts.inference_cpu):
        assert MODEL_OF_NODE[job.nodes[0]].name == "cpu"


def test_an_array_fails_all_night(stories: Stories) -> None:
    assert stories.failing_array is not None
    array = stories.failing_array
    assert len(array.tasks) > 30
    assert all(task.job_id.startswith(f"{array.array_id}_") for task in array.tasks)
    assert array.end_s - array.start_s > 8 * 3_600


@pytest.mark.parametrize("seed", [1, SEED, 77])
def test_in_any_week_every_story_is_within_reach_and_over(seed: int) -> None:
    for offset in range(15):
        now_s = NOW_S + offset * DAY_S
        found = find_stories(seed, LONG_AGO_S, now_s)
        for name in (*WEEKLY, *FORTNIGHTLY):
            assert getattr(found, name) is not None, (name, offset)
        ends = {
            "twins": found.twins.busy.end_s,  # type: ignore[union-attr]
            "held_gpus": found.held_gpus.job.end_s,  # type: ignore[union-attr]
            "array": found.failing_array.end_s,  # type: ignore[union-attr]
            "meter": found.dead_meter.end_s,  # type: ignore[union-attr]
        }
        for name, end_s in ends.items():
            days = 8 if name in ("twins", "held_gpus") else 15
            assert now_s - days * DAY_S < end_s <= now_s - SETTLED_S, name


def test_a_story_is_found_only_where_it_was_simulated(stories: Stories) -> None:
    assert stories.twins is not None
    start_s, end_s = stories.twins.busy.start_s, stories.twins.busy.end_s
    assert find_stories(SEED, start_s, end_s + SETTLED_S).twins == stories.twins
    assert find_stories(SEED, start_s + 1, end_s + SETTLED_S).twins is None
    assert find_stories(SEED, start_s, end_s + SETTLED_S - 1).twins is None
    assert find_stories(SEED, NOW_S - DAY_S // 4, NOW_S) == Stories(*[None] * 7)


def test_the_late_log_is_that_of_a_past_day(stories: Stories) -> None:
    assert stories.late is not None
    day_s = (stories.late.day - date(1970, 1, 1)) // timedelta(seconds=1)
    assert stories.late.due_s - day_s > 5 * DAY_S
    assert stories.late.file_name == f"power-late-{stories.late.day}-{stories.late.node}.csv"


def test_the_site_finds_its_stories_by_its_note(tmp_path: Path, stories: Stories) -> None:
    assert stories_of(tmp_path) is None
    done = Simulated(SEED, LONG_AGO_S, LONG_AGO_S, NOW_S)
    write_note(tmp_path, done)
    assert read_note(tmp_path) == done
    assert stories_of(tmp_path) == stories


def test_the_note_of_an_earlier_version_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    note_path(tmp_path).parent.mkdir()
    note_path(tmp_path).write_text('{"seed": 2212, "until_s": 1741615200}')
    with pytest.raises(OtherLayout):
        read_note(tmp_path)
    assert stories_of(tmp_path) is None
    assert LAYOUT > 1
