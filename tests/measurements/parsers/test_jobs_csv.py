"""The plain CSV of jobs: forms, refusals, and nothing lost behind a broken line."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from measurements.parsers import jobs_csv
from measurements.parsers.detect_jobs import detect_jobs
from measurements.parsers.records import JobRecord, NodeShare, ParseOptions, Refusal, UnusableFile
from measurements.parsers.source import Source

HEADER = "job_id,user,account,state,start,end,nodes"
NOON_MS = 1_740_830_400_000  # 2025-03-01T12:00Z
BERLIN = ZoneInfo("Europe/Berlin")


def read(
    folder: Path, text: str | bytes, zone: ZoneInfo | None = None
) -> tuple[list[JobRecord], list[Refusal], list[str], int, int]:
    """Records, refusals, warnings, rows read and rows skipped of a file with this text."""
    path = folder / "jobs.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    source = Source(path)
    assert detect_jobs(source).name == "csv"
    chunks = list(jobs_csv.read(source, ParseOptions(time_zone=zone)))
    return (
        [record for chunk in chunks for record in chunk.records],
        [refusal for chunk in chunks for refusal in chunk.refusals],
        [warning for chunk in chunks for warning in chunk.warnings],
        sum(chunk.read for chunk in chunks),
        sum(chunk.skipped for chunk in chunks),
    )


def reasons(refusals: list[Refusal]) -> list[tuple[str, int]]:
    return [(refusal.reason, refusal.line) for refusal in refusals]


def test_every_column_is_read(tmp_path: Path) -> None:
    text = (
        f"{HEADER},submit,partition,name,cpus,gpus,gpu_indices,exclusive,total_cpu_s,comment\n"
        "7,alice,chem,COMPLETED,2025-03-01T12:00:00.250Z,2025-03-01T13:00:00+01:00,"
        '"n[1-2]",1740830000,main,"a, ""b""",8,2,"0,3",yes,12.5,Grüße\n'
    )
    (job,), refusals, warnings, rows, skipped = read(tmp_path, text.replace("13:00:00+01", "14:00:00+01"))
    assert (refusals, warnings, rows, skipped) == ([], [], 1, 0)
    assert (job.line, job.job_id, job.raw_id, job.username, job.account) == (2, "7", 7, "alice", "chem")
    assert (job.submit_ms, job.start_ms, job.end_ms) == (1_740_830_000_000, NOON_MS + 250, NOON_MS + 3_600_000)
    assert (job.name, job.partition, job.exclusive) == ('a, "b"', "main", True)
    assert (job.total_cpu_s, job.comment) == (12.5, "Grüße")
    assert (job.cpus, job.gpus) == (16, 4), "of the whole job"
    assert job.shares == [NodeShare("n1", 8, 2, (0, 3)), NodeShare("n2", 8, 2, (0, 3))]


def test_an_end_that_is_empty_or_unknown_is_a_running_job(tmp_path: Path) -> None:
    ends = ("", "Unknown", "1740830460")
    rows = "".join(f"{i},a,b,RUNNING,1740830400,{end},n1\n" for i, end in enumerate(ends))
    jobs, refusals, *_ = read(tmp_path, f"{HEADER}\n{rows}")
    assert refusals == []
    assert [(job.state, job.start_ms, job.end_ms) for job in jobs] == [("RUNNING", NOON_MS, None)] * 3


def test_a_waiting_job_holds_nothing(tmp_path: Path) -> None:
    (job,), *_ = read(tmp_path, f"{HEADER}\n1,a,b,PENDING,,,\n")
    assert (job.start_ms, job.end_ms, job.shares, job.cpus) == (None, None, [], None)


def test_job_ids_of_all_forms(tmp_path: Path) -> None:
    ids = ("123", "36_1", "93+1", "sDXHK9Q5PW3N00", "6[12].host", "123.batch", "40_[1-3]")
    rows = "".join(f"{job_id},a,b,COMPLETED,1740830400,1740830460,n1\n" for job_id in ids)
    jobs, refusals, _, rows_read, skipped = read(tmp_path, f"{HEADER}\n{rows}50_[1-9],a,b,PENDING,,,\n")
    assert refusals == []
    assert (rows_read, skipped) == (8, 2), "a step and tasks that wait are no jobs"
    assert [(job.job_id, job.raw_id) for job in jobs] == [
        *(("123", 123), ("36_1", None), ("93+1", None), ("sDXHK9Q5PW3N00", None), ("6[12].host", None)),
        ("40_[1-3]", None),
    ]
    assert (jobs[1].array_job_id, jobs[1].array_task_id) == (36, 1)
    assert (jobs[2].het_job_id, jobs[2].het_offset) == (93, 1)
    assert jobs[3].sluid == "sDXHK9Q5PW3N00"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x y,a,b,COMPLETED,1740830400,1740830460,n1", "bad job id"),
        ("../x,a,b,COMPLETED,1740830400,1740830460,n1", "bad job id"),
        ("1,a,b,FOO,1740830400,1740830460,n1", "unknown state"),
        ("1,a,b,COMPLETED,1740830460,1740830400,n1", "end before start"),
        ("1,a,b,COMPLETED,1740830460,,n1", "ended without end"),
        ("1,a,b,COMPLETED,,1740830400,n1", "no start time"),
        ("1,a,b,COMPLETED,yesterday,1740830400,n1", "unreadable time"),
        ("1,a,b,COMPLETED,2025-03-01T12:00:00,2025-03-01T12:00:00,n1", "time without zone"),
        ("1,a,b,COMPLETED,3600,1740830400,n1", "time out of range"),
        ("1,a,b,COMPLETED,1740830400,1740830460,n[3-1]", "bad hostlist"),
        ("1,a,b,COMPLETED,1740830400,1740830460,n[1,2]", "too many fields"),
        ("1,a,b,COMPLETED,1740830400", "too few fields"),
        ("garbage", "too few fields"),
        ('1,a,b,COMPLETED,1740830400,1740830460,"n1', "broken quotes"),
    ],
)
def test_a_bad_row_is_refused_and_the_next_is_taken(tmp_path: Path, row: str, reason: str) -> None:
    good = "2,a,b,COMPLETED,1740830400,1740830460,n1"
    jobs, refusals, *_ = read(tmp_path, f"{HEADER}\n{row}\n{good}\n")
    assert reasons(refusals) == [(reason, 2)]
    assert refusals[0].text == row
    assert [job.job_id for job in jobs] == ["2"]


@pytest.mark.parametrize(
    ("columns", "fields", "reason"),
    [
        ("cpus", "-1", "bad cpus"),
        ("cpus", "1.5", "bad cpus"),
        ("gpus", "nan", "bad gpus"),
        ("gpu_indices", "3-1", "bad gpu_indices"),
        ("gpus,gpu_indices", "1,0-1", "bad gpu_indices"),
        ("exclusive", "perhaps", "bad exclusive"),
        ("total_cpu_s", "inf", "bad total_cpu_s"),
    ],
)
def test_a_figure_that_makes_no_sense_is_refused(tmp_path: Path, columns: str, fields: str, reason: str) -> None:
    _, refusals, *_ = read(tmp_path, f"{HEADER},{columns}\n1,a,b,COMPLETED,1740830400,1740830460,n1,{fields}\n")
    assert reasons(refusals) == [(reason, 2)]


def test_a_name_may_hold_newlines_and_lines_are_counted_on(tmp_path: Path) -> None:
    text = f'{HEADER},name\n1,a,b,COMPLETED,1740830400,1740830460,n1,"two\nlines"\n\nbad\n'
    (job,), refusals, *_ = read(tmp_path, text)
    assert job.name == "two\nlines"
    assert reasons(refusals) == [("too few fields", 5)]


def test_an_open_quote_costs_its_own_line_even_before_quoted_ones(tmp_path: Path) -> None:
    good = "".join(f'{i},a,b,COMPLETED,1740830400,1740830460,"n[1,2]"\n' for i in range(2, 90))
    jobs, refusals, *_ = read(tmp_path, f'{HEADER}\n1,a,b,COMPLETED,1740830400,1740830460,"n1\n{good}')
    assert reasons(refusals) == [("broken quotes", 2)]
    assert len(jobs) == 88


def test_ambiguous_local_times_are_decided_by_order_or_refused(tmp_path: Path) -> None:
    rows = [
        "1,a,b,COMPLETED,2024-10-27T02:50:00,2024-10-27T02:10:00,n1,",  # only first, then second pass
        "2,a,b,COMPLETED,2024-10-27T02:10:00,2024-10-27T02:50:00,n1,",  # within either pass, or across
        "3,a,b,COMPLETED,2024-10-27T02:10:00,2024-10-27T04:00:00,n1,2024-10-27T00:40:00Z",  # submitted between both
        "4,a,b,COMPLETED,2024-03-31T02:30:00,2024-03-31T04:00:00,n1,",  # the clock never showed this
        "5,a,b,COMPLETED,2024-10-27T04:00:00,2024-10-27T05:00:00,n1,2024-10-27T02:30:00",  # only the submission
        "6,a,b,COMPLETED,2024-10-27T00:45:00Z,2024-10-27T05:00:00,n1,2024-10-27T02:30:00",  # it came before the start
    ]
    jobs, refusals, *_ = read(tmp_path, f"{HEADER},submit\n" + "\n".join(rows) + "\n", BERLIN)
    assert reasons(refusals) == [("ambiguous local time", 3), ("nonexistent local time", 5)]
    assert [(job.job_id, job.end_ms - job.start_ms) for job in jobs if job.start_ms and job.end_ms] == [
        *(("1", 1_200_000), ("3", 6_600_000), ("5", 3_600_000), ("6", 11_700_000)),
    ]
    assert jobs[2].submit_ms is None, "it is no guess which one is meant"
    assert (jobs[3].start_ms or 0) - (jobs[3].submit_ms or 0) == 900_000


def test_bytes_that_are_no_utf_8_are_replaced(tmp_path: Path) -> None:
    text = f"{HEADER}\n1,m\xfcller,b,COMPLETED,1740830400,1740830460,n1\n".encode("latin-1")
    (job,), *_ = read(tmp_path, text)
    assert job.username == "m�ller"


def test_unknown_columns_are_told_and_missing_ones_make_the_file_unusable(tmp_path: Path) -> None:
    _, _, warnings, *_ = read(tmp_path, f"{HEADER},colour\n1,a,b,COMPLETED,1740830400,1740830460,n1,red\n")
    assert warnings == ["columns not read: colour"]
    with pytest.raises(UnusableFile, match="no column account, nodes"):
        read(tmp_path, "job_id,user,state,start,end\n1,a,COMPLETED,1,2\n")


def test_times_ahead_of_the_clock_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(f"{HEADER}\n1,a,b,COMPLETED,1740830400,1741430400,n1\n")
    (chunk,) = jobs_csv.read(Source(path), ParseOptions(), NOON_MS)
    assert reasons(list(chunk.refusals)) == [("time out of range", 2)]


def test_chunks_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    row = "{},a,b,COMPLETED,1740830400,1740830460,{}\n"
    path.write_text(f"{HEADER}\n" + "".join(row.format(i, "n1") for i in range(1, 5_003)))
    assert [chunk.read for chunk in jobs_csv.read(Source(path), ParseOptions())] == [5_000, 2]
    path.write_text(f"{HEADER}\n" + "".join(row.format(i, "n[1-60000]") for i in range(1, 4)))
    assert [chunk.read for chunk in jobs_csv.read(Source(path), ParseOptions())] == [2, 1]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_spreadsheets_separator(tmp_path: Path, separator: str) -> None:
    columns = ("job_id", "user", "account", "state", "start", "end", "nodes", "gpu_indices", "name")
    row = ("7", "anna", "phys", "COMPLETED", "2025-03-01T01:00:00Z", "2025-03-01T02:00:00Z")
    lines = [separator.join(columns), separator.join((*row, "cn[1-2],gpu1", "0,2", f'"a{separator}b"')), "8,bob"]
    path = tmp_path / "jobs.csv"
    path.write_text(f"sep={separator}\n" + "\n".join(lines) + "\n")
    source = Source(path)
    (chunk,) = detect_jobs(source)(source, ParseOptions())
    (job,) = chunk.records
    assert (job.line, job.username, job.name) == (3, "anna", f"a{separator}b")
    assert [(share.node, share.gpu_indices) for share in job.shares] == [
        (node, (0, 2)) for node in ("cn1", "cn2", "gpu1")
    ]
    assert [(refusal.reason, refusal.line) for refusal in chunk.refusals] == [("too few fields", 4)]
    assert f"all are divided by {separator!r}" in chunk.refusals[0].detail
