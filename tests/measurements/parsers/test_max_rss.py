"""The most memory a run can have used: real files, the traps of steps one by one, and what must not change by it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.parsers import sacct_steps
from measurements.parsers.detect_jobs import detect_jobs
from measurements.parsers.job_rows import CHUNK_ROWS
from measurements.parsers.records import JobChunk, JobRecord, ParseOptions
from measurements.parsers.source import Source
from measurements.parsers.step_memory import StepMemory, most_used_bytes, resident_bytes

KIB, MIB, GIB = 1024, 1024**2, 1024**3
HEADER = "JobID|State|Start|End|NodeList|AllocTRES|NTasks|MaxRSS"
START, END = "2025-03-01T12:00:00", "2025-03-01T13:00:00"
NOON_S = 1_740_830_400
SONAR_FIELDS = (
    "sacct:JobID,JobIDRaw,User,Account,State,Start,End,AveCPU,AveDiskRead,AveDiskWrite,AveRSS,AveVMSize,ElapsedRaw,"
    "ExitCode,Layout,MaxRSS,MaxVMSize,MinCPU,ReqCPUS,ReqMem,ReqNodes,Reservation,Submit,Suspended,SystemCPU,"
    "TimelimitRaw,UserCPU,NodeList,Partition,AllocTRES,Priority,JobName"
)


def chunks_of(path: Path, fmt: str | None = None, zone: Any = UTC) -> list[JobChunk]:
    source = Source(path)
    return list(detect_jobs(source, fmt)(source, ParseOptions(time_zone=zone)))


def jobs_of(chunks: Iterable[JobChunk]) -> dict[str, JobRecord]:
    return {record.job_id: record for chunk in chunks for record in chunk.records}


def job(name: str = "7", memory: str = "64G", state: str = "COMPLETED", end: str = END) -> str:
    return f"{name}|{state}|{START}|{end}|n[1-2]|cpu=8,mem={memory},node=2||"


def step(name: str, used: str, tasks: str = "1", start: str = START, end: str = END) -> str:
    return f"{name}|COMPLETED|{start}|{end}|n[1-2]|cpu=8|{tasks}|{used}"


def written(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "sacct.txt"
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def used(folder: Path, *rows: str, header: str = HEADER) -> int | None:
    """What job 7 used."""
    return jobs_of(chunks_of(written(folder, *rows, header=header)))["7"].max_rss_bytes


# --- real files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["test-data1.csv", "test-data2.csv"])
def test_a_real_job_used_what_its_script_and_its_step_used_together(shared_data: Path, name: str) -> None:
    chunks = chunks_of(shared_data / "slurm_accounting" / "aalto_slurm2sql" / name, zone=ZoneInfo("Europe/Helsinki"))
    jobs = jobs_of(chunks)
    assert jobs["43974388"].max_rss_bytes == (231_092 + 1_156) * KIB, "the step ran while the script did"
    assert jobs["43977780"].max_rss_bytes == 1_092 * KIB
    assert sum(chunk.skipped for chunk in chunks) == 3


def test_without_ntasks_only_jobs_of_scripts_have_a_figure(shared_data: Path) -> None:
    path = shared_data / "slurm_accounting" / "fox_sonar" / "sacct_output.txt"
    jobs = jobs_of(chunks_of(path, SONAR_FIELDS, ZoneInfo("Europe/Oslo")))
    assert jobs["1956438"].max_rss_bytes == 93_312 * KIB
    assert jobs["1956889"].max_rss_bytes == 1_317_536 * KIB
    assert jobs["1956882"].max_rss_bytes is None, "how many tasks srun started is not said"
    assert all(found.max_rss_bytes is None for found in jobs.values() if found.state in ("RUNNING", "PENDING"))


def test_memory_that_slurmrestd_did_not_sample_is_not_known(shared_data: Path) -> None:
    for path in sorted((shared_data / "slurm_accounting" / "slurmrestd_json").glob("*/slurmdb-job-*.json")):
        assert {found.max_rss_bytes for found in jobs_of(chunks_of(path)).values()} <= {None}


# --- steps of sacct text ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("231092K", 231_092 * KIB), ("1.50G", 3 * GIB // 2), ("7M", 7 * MIB), ("236638208", 236_638_208)),
        *(("0", None), ("", None), ("0.00M", None), ("Unknown", None)),
        *(("18446744073709551614", None), ("18014398509481983K", None), ("lots", None), ("-5", None)),
    ],
)
def test_a_suffix_is_of_1024_and_a_bare_number_is_bytes(tmp_path: Path, text: str, expected: int | None) -> None:
    assert used(tmp_path, job(memory=""), step("7.batch", text)) == expected


def test_a_job_without_steps_has_no_figure(tmp_path: Path) -> None:
    assert used(tmp_path, job(), job("8"), step("8.batch", "1G")) is None


def test_each_task_counts_as_the_largest_did(tmp_path: Path) -> None:
    """MaxRSS is of one task: eight ranks of 1.86 GiB were 14.9 GiB, not 1.86."""
    assert used(tmp_path, job(), step("7.0", "1947276K", tasks="8")) == 8 * 1_947_276 * KIB


def test_no_more_is_counted_than_was_allocated_unless_one_task_used_more(tmp_path: Path) -> None:
    assert used(tmp_path, job(memory="64G"), step("7.0", "60G", tasks="128")) == 64 * GIB
    assert used(tmp_path, job(memory="64G"), step("7.0", "70G", tasks="128")) == 70 * GIB
    assert used(tmp_path, job(memory=""), step("7.0", "60G", tasks="128")) == 128 * 60 * GIB


def test_steps_behind_each_other_share_the_memory_and_those_side_by_side_do_not(tmp_path: Path) -> None:
    half = "2025-03-01T12:30:00"
    one_by_one = [step("7.0", "5G", end=half), step("7.1", "4G", start=half)]
    assert used(tmp_path, job(), step("7.batch", "1G"), *one_by_one) == 6 * GIB
    together = [step("7.0", "5G", end="2025-03-01T12:30:01"), step("7.1", "4G", start=half)]
    assert used(tmp_path, job(), step("7.batch", "1G"), *together) == 10 * GIB
    instant = [step("7.0", "5G", start=half, end=half), step("7.batch", "1G")]
    assert used(tmp_path, job(), *instant) == 6 * GIB, "a step within one second ran"


@pytest.mark.parametrize("time", ["", "Unknown", "no time", "2026-13-01T00:00:00"])
def test_a_step_without_readable_times_ran_all_the_while(tmp_path: Path, time: str) -> None:
    assert used(tmp_path, job(), step("7.batch", "1G", start=time, end=time), step("7.0", "2G")) == 3 * GIB


@pytest.mark.parametrize("tasks", ["", "0", "Unknown", "99999999999"])
def test_unknown_tasks_of_srun_leave_the_figure_open_and_a_script_is_one_task(tmp_path: Path, tasks: str) -> None:
    assert used(tmp_path, job(), step("7.batch", "1G", tasks), step("7.interactive", "2G", tasks)) == 3 * GIB
    assert used(tmp_path, job(), step("7.extern", "1G", tasks)) == 2 * GIB, "one on each node"
    assert used(tmp_path, job(), step("7.batch", "1G", tasks), step("7.0", "2G", tasks)) is None
    assert used(tmp_path, job(), step("7.batch", "1G", tasks), step("7.0", "0", tasks)) == GIB


def test_a_running_job_has_no_figure_yet(tmp_path: Path) -> None:
    assert used(tmp_path, job(state="RUNNING", end="Unknown"), step("7.0", "1G")) is None


def test_the_usage_list_stands_in_for_a_column_maxrss(tmp_path: Path) -> None:
    header = HEADER.replace("MaxRSS", "TRESUsageInTot|TRESUsageInMax")
    usage = "cpu=00:00:13,energy=0,fs/disk=89478,mem={},pages=0,vmem=9999999K"
    row = step("7.0", f"{usage.format('16K')}|{usage.format('231092K')}", tasks="2")
    assert used(tmp_path, job() + "|", row, header=header) == 2 * 231_092 * KIB, "Tot is the tasks' last samples"
    assert used(tmp_path, job() + "|", step("7.0", "|cpu=00:00:13,vmem=5K"), header=header) is None


def test_array_tasks_het_components_and_requeued_runs_have_their_own_steps(tmp_path: Path) -> None:
    rows = []
    for name, amount in (("36_1", "1G"), ("36_2", "2G"), ("93+0", "3G"), ("93+1", "4G")):
        rows += [job(name), step(f"{name}.0", amount)]
    jobs = jobs_of(chunks_of(written(tmp_path, *rows)))
    assert [found.max_rss_bytes for found in jobs.values()] == [GIB, 2 * GIB, 3 * GIB, 4 * GIB]
    (chunk,) = chunks_of(written(tmp_path, job(), step("7.0", "1G"), job(), step("7.0", "2G")))
    assert [found.max_rss_bytes for found in chunk.records] == [GIB, 2 * GIB]


def test_steps_of_another_job_are_not_taken_for_its_own(tmp_path: Path) -> None:
    assert used(tmp_path, step("6.0", "9G"), job(), step("8.0", "9G"), step("7.0", "1G"), step("77.0", "9G")) == GIB


def test_a_broken_row_behind_a_job_leaves_its_memory_open_and_is_refused_as_ever(tmp_path: Path) -> None:
    rows = [job(), step("7.batch", "1G"), "7.0|COMPLETED", job("8"), step("8.0", "2G")]
    (chunk,) = chunks_of(written(tmp_path, *rows))
    assert [found.max_rss_bytes for found in chunk.records] == [None, 2 * GIB]
    assert [(refusal.reason, refusal.line) for refusal in chunk.refusals] == [("too few fields", 4)]
    assert (chunk.read, chunk.skipped) == (5, 2)


@pytest.mark.parametrize("before", [CHUNK_ROWS - 3, CHUNK_ROWS - 2, CHUNK_ROWS - 1, CHUNK_ROWS])
def test_no_border_of_chunks_loses_a_step(tmp_path: Path, before: int) -> None:
    rows = [*(job(str(100 + i)) for i in range(before)), job(), step("7.batch", "1G"), step("7.0", "2G"), job("8")]
    first, second = chunks_of(written(tmp_path, *rows))
    assert first.read == CHUNK_ROWS
    assert jobs_of([first, second])["7"].max_rss_bytes == 3 * GIB
    assert first.read + second.read == len(rows)
    assert first.skipped + second.skipped == 2


def test_a_job_of_more_steps_than_are_held_has_no_figure_and_loses_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [step(f"7.{i}", "1G") for i in range(5)]
    monkeypatch.setattr(sacct_steps, "STEPS_LIMIT", 5)
    assert used(tmp_path, job(), *steps, job("8")) == 5 * GIB
    monkeypatch.setattr(sacct_steps, "STEPS_LIMIT", 3)
    (chunk,) = chunks_of(written(tmp_path, job(), *steps, job("8"), step("8.0", "1G")))
    assert [found.max_rss_bytes for found in chunk.records] == [None, GIB]
    assert (chunk.read, chunk.skipped) == (8, 6)


ROWS = st.lists(
    st.sampled_from(
        [
            *(job(), job("8"), job("9", state="RUNNING", end="Unknown"), job("x"), "7.0|COMPLETED", "|" * 7),
            *(step("7.batch", "1G"), step("7.0", "lots", ""), step("8.0", "2G", "0"), step("x.0", "1G"), ".|" * 7),
        ]
    ),
    min_size=1,
    max_size=20,
)


@given(ROWS)
def test_rows_are_read_skipped_and_refused_as_if_nothing_was_said_of_memory(rows: list[str]) -> None:
    def counted(*texts: str, header: str) -> list[Any]:
        with tempfile.TemporaryDirectory() as folder:
            chunks = chunks_of(written(Path(folder), *texts, header=header))
        jobs = [(record.line, record.job_id) for chunk in chunks for record in chunk.records]
        refused = [(refusal.line, refusal.reason) for chunk in chunks for refusal in chunk.refusals]
        return [jobs, refused, sum(chunk.read for chunk in chunks), sum(chunk.skipped for chunk in chunks)]

    found = counted(*rows, header=HEADER)
    assert found == counted(*rows, header=HEADER.replace("NTasks|MaxRSS", "Foo|Bar"))
    assert found[2] == len(rows)
    assert found[3] == sum(text.split("|")[0] in ("7.batch", "7.0", "8.0") and text.count("|") == 7 for text in rows)


# --- JSON and CSV -----------------------------------------------------------------------------------------------------


def json_step(count: Any, tasks: Any = 1, start: Any = NOON_S, end: Any = NOON_S + 3600) -> dict[str, Any]:
    largest = [{"type": "cpu", "name": "", "id": 1, "count": 99}, {"type": "mem", "name": "", "id": 2, "count": count}]
    total = [{"type": "mem", "name": "", "id": 2, "count": 4096}]
    return {
        "time": {"start": {"set": True, "infinite": False, "number": start}, "end": end},
        "tasks": {"count": tasks},
        "step": {"id": "7.0"},
        "tres": {"requested": {"max": largest, "total": total}},
    }


def json_used(folder: Path, *steps: Any, state: str = "COMPLETED") -> int | None:
    path = folder / "jobs.json"
    found = {
        "job_id": 7,
        "state": {"current": [state]},
        "nodes": "n[1-2]",
        "time": {"start": NOON_S, "end": NOON_S + 3600, "elapsed": 3600},
        "tres": {"allocated": [{"type": "mem", "name": "", "id": 2, "count": 64 * 1024}]},
        "steps": steps,
    }
    path.write_text(json.dumps({"jobs": [found]}))
    return jobs_of(chunks_of(path))["7"].max_rss_bytes


def test_json_counts_bytes_of_the_largest_task_for_each_task(tmp_path: Path) -> None:
    assert json_used(tmp_path, json_step(GIB, 8), json_step(GIB, 1)) == 9 * GIB
    later = json_step(GIB, 1, start=NOON_S + 1800)
    assert json_used(tmp_path, json_step(2 * GIB, 2, end=NOON_S + 1800), later) == 4 * GIB
    assert json_used(tmp_path, json_step(GIB, 100)) == 64 * GIB, "what was allocated"
    assert json_used(tmp_path, json_step(GIB), state="RUNNING") is None


@pytest.mark.parametrize("count", [0, -2, -1, None, 2**64 - 2, {"set": False, "infinite": False, "number": 5}])
def test_json_without_a_count_has_no_figure(tmp_path: Path, count: Any) -> None:
    assert json_used(tmp_path, json_step(count)) is None
    assert json_used(tmp_path, json_step(count), json_step(GIB)) == GIB


@pytest.mark.parametrize("steps", [[], [None], ["x"], [{}], [{"tres": 5}], [json_step(GIB, None)]])
def test_json_of_another_shape_has_no_figure(tmp_path: Path, steps: list[Any]) -> None:
    assert json_used(tmp_path, *steps) is None


@pytest.mark.parametrize(("text", "expected"), [("1073741824", GIB), ("", None), ("0", None), ("1e9", 10**9)])
def test_the_plain_csv_may_say_it_itself(tmp_path: Path, text: str, expected: int | None) -> None:
    path = tmp_path / "jobs.csv"
    head = "job_id,user,account,state,start,end,nodes,max_rss_bytes"
    path.write_text(f"{head}\n7,alice,physics,COMPLETED,{START}Z,{END}Z,n1,{text}\n")
    (chunk,) = chunks_of(path)
    assert (chunk.records[0].max_rss_bytes, chunk.warnings) == (expected, [])


@pytest.mark.parametrize("text", ["lots", "-1", "1e30", "1G"])
def test_the_plain_csv_refuses_what_is_no_amount(tmp_path: Path, text: str) -> None:
    path = tmp_path / "jobs.csv"
    head = "job_id,user,account,state,start,end,nodes,max_rss_bytes"
    path.write_text(f"{head}\n7,alice,physics,COMPLETED,{START}Z,{END}Z,n1,{text}\n")
    (chunk,) = chunks_of(path)
    assert [refusal.reason for refusal in chunk.refusals] == ["bad max_rss_bytes"]


# --- the figure itself ------------------------------------------------------------------------------------------------

TIMES = st.none() | st.integers(0, 20)
STEPS = st.lists(st.builds(StepMemory, st.integers(1, 100), st.integers(1, 8), TIMES, TIMES), min_size=1, max_size=6)


@given(STEPS)
def test_the_figure_is_the_largest_sum_at_any_instant(steps: list[StepMemory]) -> None:
    def runs(one: StepMemory, t: int) -> bool:
        start = -1 if one.start_ms is None else one.start_ms
        end = 99 if one.end_ms is None else one.end_ms
        return start <= t < max(end, start + 1)

    sums = [sum(one.largest_task_bytes * (one.tasks or 0) for one in steps if runs(one, t)) for t in range(-1, 25)]
    assert most_used_bytes(steps, None) == max(sums)


@given(STEPS, st.integers(0, 2_000))
def test_the_figure_is_never_below_one_task_nor_above_all_together(steps: list[StepMemory], allocated: int) -> None:
    largest = max(one.largest_task_bytes for one in steps)
    together = sum(one.largest_task_bytes * (one.tasks or 0) for one in steps)
    found = most_used_bytes(steps, allocated)
    assert found is not None
    assert largest <= found <= together
    assert not allocated or found <= max(allocated, largest)


@given(st.text())
def test_no_text_breaks_the_reader_of_memory(text: str) -> None:
    try:
        found = resident_bytes(text)
    except ValueError:
        return
    assert found is None or found > 0
