"""sacct text: real files with published totals, and the traps one by one."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from measurements.parsers.detect_jobs import detect_jobs
from measurements.parsers.records import JobRecord, ParseOptions, Refusal, UnusableFile
from measurements.parsers.source import Source

SONAR_FIELDS = (
    "sacct:JobID,JobIDRaw,User,Account,State,Start,End,AveCPU,AveDiskRead,AveDiskWrite,AveRSS,AveVMSize,ElapsedRaw,"
    "ExitCode,Layout,MaxRSS,MaxVMSize,MinCPU,ReqCPUS,ReqMem,ReqNodes,Reservation,Submit,Suspended,SystemCPU,"
    "TimelimitRaw,UserCPU,NodeList,Partition,AllocTRES,Priority,JobName"
)
HOUR_MS = 3_600_000
MIB = 1024**2
BERLIN = ZoneInfo("Europe/Berlin")
HEADER = "JobID|State|Submit|Start|End|Elapsed|NodeList|NCPUS|AllocTRES"


class Result:
    """What came out of one file."""

    def __init__(self, path: Path, fmt: str | None = None, zone: tzinfo | None = UTC) -> None:
        source = Source(path)
        chunks = list(detect_jobs(source, fmt)(source, ParseOptions(time_zone=zone)))
        self.jobs: list[JobRecord] = [record for chunk in chunks for record in chunk.records]
        self.refusals: list[Refusal] = [refusal for chunk in chunks for refusal in chunk.refusals]
        self.warnings = [warning for chunk in chunks for warning in chunk.warnings]
        self.read = sum(chunk.read for chunk in chunks)
        self.skipped = sum(chunk.skipped for chunk in chunks)
        assert self.read == len(self.jobs) + len(self.refusals) + self.skipped

    @property
    def reasons(self) -> list[tuple[str, int]]:
        return [(refusal.reason, refusal.line) for refusal in self.refusals]


def of(folder: Path, *rows: str, header: str = HEADER, fmt: str | None = None, zone: tzinfo | None = UTC) -> Result:
    """A file with this header and these rows."""
    path = folder / "sacct.txt"
    path.write_text("\n".join((header, *rows) if header else rows) + "\n")
    return Result(path, fmt, zone)


# --- real files -------------------------------------------------------------------------------------------------------


def test_phillips_meets_the_totals_xdmod_publishes(shared_data: Path) -> None:
    folder = shared_data / "slurm_accounting" / "xdmod_phillips"
    expected = json.loads((folder / "expected.json").read_text())["recomputed"]
    result = Result(folder / "phillips.log")
    assert (result.read, result.refusals, result.skipped) == (expected["rows_in_file"], [], 0)
    assert Counter(job.state for job in result.jobs) == expected["states_all_rows"]
    assert len({job.username for job in result.jobs}) == expected["distinct_users"]
    assert len({job.account for job in result.jobs}) == expected["distinct_accounts"]
    ran = [job for job in result.jobs if job.shares]
    assert (len(ran), len(result.jobs) - len(ran)) == (expected["jobs"], expected["rows_none_assigned"])
    hours = [((job.end_ms or 0) - (job.start_ms or 0)) / HOUR_MS for job in ran]
    totals = {
        "wall_hours": sum(hours),
        "cpu_hours": sum(h * (job.cpus or 0) for h, job in zip(hours, ran, strict=True)),
        "node_hours": sum(h * len(job.shares) for h, job in zip(hours, ran, strict=True)),
        "gpu_hours": sum(h * (job.gpus or 0) for h, job in zip(hours, ran, strict=True)),
    }
    assert totals == pytest.approx({name: expected[name] for name in totals}, abs=1e-4)
    assert sum(1 for job in ran if job.start_ms == job.end_ms and job.state == "FAILED") == 22
    assert all(sum(share.cpus or 0 for share in job.shares) == job.cpus for job in ran)
    assert all(job.elapsed_s == ((job.end_ms or 0) - (job.start_ms or 0)) / 1000 for job in ran)


def test_phillips_memory_with_the_per_cpu_bit_is_the_allocated_memory(shared_data: Path) -> None:
    result = Result(shared_data / "slurm_accounting" / "xdmod_phillips" / "phillips.log")
    job = next(job for job in result.jobs if job.job_id == "167758")
    assert job.memory_bytes == 24_000 * MIB


def test_fox_with_declared_fields_counts_as_its_authors_do(shared_data: Path) -> None:
    folder = shared_data / "slurm_accounting" / "fox_sonar"
    expected = json.loads((folder / "expected.json").read_text())["recomputed"]
    result = Result(folder / "sacct_output.txt", SONAR_FIELDS, ZoneInfo("Europe/Oslo"))
    assert (result.read, len(result.jobs), result.skipped) == (
        *(expected["rows"], expected["allocations"], expected["steps"]),
    )
    assert Counter(job.state for job in result.jobs) == expected["states_allocations"]
    assert sum(job.elapsed_s or 0 for job in result.jobs) == expected["elapsed_seconds_allocations"]
    gpu_seconds = sum((job.elapsed_s or 0) * (job.gpus or 0) for job in result.jobs)
    assert gpu_seconds == expected["gpu_seconds_allocations"]
    assert all(job.end_ms is None for job in result.jobs if job.state in ("RUNNING", "PENDING"))
    assert all(job.start_ms is None and not job.shares for job in result.jobs if job.state == "PENDING")
    assert all(job.total_cpu_s is None for job in result.jobs if job.state == "RUNNING"), "not counted yet"
    assert any(job.total_cpu_s for job in result.jobs if job.state == "COMPLETED")


def test_fox_is_read_only_when_its_fields_are_declared(shared_data: Path) -> None:
    with pytest.raises(UnusableFile, match="rows of sacct without a header"):
        Result(shared_data / "slurm_accounting" / "fox_sonar" / "sacct_output.txt")


@pytest.mark.parametrize("name", ["test-data1.csv", "test-data2.csv"])
def test_aalto_energy_is_of_the_allocation_and_a_missing_end_is_start_plus_elapsed(
    shared_data: Path, name: str
) -> None:
    folder = shared_data / "slurm_accounting" / "aalto_slurm2sql"
    expected = json.loads((folder / "expected.json").read_text())["jobs"]["43974388"]
    result = Result(folder / name, zone=ZoneInfo("Europe/Helsinki"))
    first, second = result.jobs
    assert (first.consumed_energy_j, first.elapsed_s) == (expected["ConsumedEnergyRaw_J"], expected["elapsed_s"])
    assert (first.state, first.cancelled_by_uid, first.total_cpu_s) == ("CANCELLED", 1_300_204, 15.057)
    assert result.skipped == 3
    assert (second.end_ms or 0) - (second.start_ms or 0) == 17_000
    assert second.consumed_energy_j == 999


def test_a_sacct_text_that_lacks_columns_or_width_is_told_how_to_make_it(shared_data: Path) -> None:
    folder = shared_data / "slurm_accounting"
    with pytest.raises(UnusableFile, match="no job records that are known"):
        Result(folder / "aalto_slurm2sql" / "test-data3.csv")
    with pytest.raises(UnusableFile, match="--parsable2"):
        Result(folder / "archer2_energy" / "sacct_energy.txt")


def test_archer2_energy_with_its_suffix(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "slurm_accounting" / "archer2_energy"
    expected = json.loads((folder / "expected.json").read_text())["official"]
    rows = [line.split() for line in (folder / "sacct_energy.txt").read_text().splitlines()[2:] if line.strip()]
    result = of(
        tmp_path,
        *(f"{job}|COMPLETED|{elapsed}|{energy}" for job, elapsed, _, energy in rows),
        header="JobID|State|Elapsed|ConsumedEnergy",
    )
    assert [(job.consumed_energy_j, job.elapsed_s) for job in result.jobs] == [
        (expected["energy_J"], expected["elapsed_s"])
    ], "steps repeat the job's energy: they are not added"


def test_greenalgorithms_elapsed_and_old_memory_notation(shared_data: Path) -> None:
    result = Result(shared_data / "slurm_accounting" / "greenalgorithms4hpc" / "example_sacctOutput_raw.txt")
    assert result.warnings == ["no column Start, End, NodeList: these jobs cannot be booked to nodes"]
    assert [(job.elapsed_s, job.cpus, job.gpus, job.memory_bytes) for job in result.jobs] == [
        *((14_425, 1, 0, 6_760 * MIB), (10_830, 32, 1, 250 * 1024 * MIB)),
    ]


def test_xdmod_cases_give_what_xdmod_stores(shared_data: Path) -> None:
    folder = shared_data / "slurm_accounting" / "xdmod_cases"
    stored = json.loads((folder / "output" / "accounting-logs.json").read_text())
    jobs = Result(folder / "input" / "accounting-logs.log").jobs
    got = [
        (job.job_id, (job.start_ms or 0) // 1000, (job.end_ms or 0) // 1000, job.elapsed_s, job.name) for job in jobs
    ]
    assert got == [
        (row["job_id"], row["start_time"], row["end_time"], row["elapsed"], row["job_name"]) for row in stored
    ]
    assert [job.gpus for job in jobs] == [row["ngpus"] for row in stored]
    assert [job.state for job in jobs] == [row["state"].split()[0] for row in stored]


def test_xdmod_array_rows_go_by_their_id(shared_data: Path) -> None:
    folder = shared_data / "slurm_accounting" / "xdmod_cases" / "input"
    jobs = Result(folder / "accounting-logs-with-job-arrays.log").jobs
    assert [(job.job_id, job.raw_id, job.array_task_id) for job in jobs[:2]] == [
        *(("4103947_100", 4103947, 100), ("4103947_[1-3]", None, None)),
    ]
    assert [len(job.shares) for job in jobs] == [32] * 6


def test_xdmod_unknown_states_are_refused_and_open_ones_have_no_end(shared_data: Path) -> None:
    folder = shared_data / "slurm_accounting" / "xdmod_cases" / "input"
    unknown = Result(folder / "unknown-job-state.log")
    assert (unknown.jobs, unknown.reasons) == ([], [("unknown state", 1), ("unknown state", 2)])
    running, pending = Result(folder / "non-ended-job-state.log").jobs
    assert (running.state, running.start_ms, running.end_ms) == ("RUNNING", 1_593_545_048_000, None)
    assert (pending.state, pending.start_ms, pending.end_ms, pending.shares) == ("PENDING", None, None, [])
    assert Result(folder / "utf8-multibyte-chars.log").jobs[0].name == "aàb"


# --- traps ------------------------------------------------------------------------------------------------------------

ROW = "{}|COMPLETED|2025-03-01T11:00:00|2025-03-01T12:00:00|2025-03-01T13:00:00|01:00:00|n1|4|cpu=4"


def test_surplus_separators_belong_to_the_job_name_wherever_it_stands(tmp_path: Path) -> None:
    header = "JobID|JobName|State|Start|End|NodeList"
    result = of(tmp_path, "1|a|b||c|COMPLETED|2025-03-01T12:00:00|2025-03-01T13:00:00|n1", header=header)
    assert (result.jobs[0].name, result.jobs[0].state) == ("a|b||c", "COMPLETED")
    header = "JobID|State|Start|End|NodeList|JobName"
    result = of(tmp_path, "1|COMPLETED|2025-03-01T12:00:00|2025-03-01T13:00:00|n1|a|b|", header=header)
    assert result.jobs[0].name == "a|b|"
    result = of(tmp_path, ROW.format(1) + "|more", ROW.format(2))
    assert result.reasons == [("too many fields", 2)]
    assert len(result.jobs) == 1


def test_a_job_name_may_go_on_in_the_next_lines(tmp_path: Path) -> None:
    header = "JobID|JobName|State|Start|End|NodeList"
    rest = "COMPLETED|2025-03-01T12:00:00|2025-03-01T13:00:00|n1"
    result = of(tmp_path, "1|two", f"lines|{rest}", "7|cut", f"2|whole|{rest}", header=header)
    assert [(job.name, job.line) for job in result.jobs] == [("two\nlines", 2), ("whole", 5)]
    assert result.reasons == [("too few fields", 4)]


def test_a_job_name_at_the_end_of_the_row_may_go_on_in_the_next_lines(tmp_path: Path) -> None:
    header = "JobID|State|Start|End|NodeList|JobName"
    row = "{}|COMPLETED|2025-03-01T12:00:00|2025-03-01T13:00:00|n1|{}"
    result = of(tmp_path, row.format(1, "two"), "li|nes", row.format(2, "whole"), "3|cut", header=header)
    assert [(job.job_id, job.name, job.line) for job in result.jobs] == [("1", "two\nli|nes", 2), ("2", "whole", 4)]
    assert result.reasons == [("too few fields", 5)]
    assert result.warnings == ["line 2: the name of this job goes on in the lines below it"]


def test_a_garbage_line_is_refused_and_swallows_nothing(tmp_path: Path) -> None:
    result = of(tmp_path, "garbage", ROW.format(1), "x|COMPLETED||||||", ROW.format(2), "y|COMPLETED|||||||")
    assert [job.job_id for job in result.jobs] == ["1", "2"]
    assert result.reasons == [("too few fields", 2), ("too few fields", 4), ("bad job id", 6)]


def test_trailing_separators_of_parsable_and_headers_in_between(tmp_path: Path) -> None:
    result = of(tmp_path, ROW.format(1) + "|", HEADER + "|", ROW.format(2) + "|", header=HEADER + "|")
    assert [job.job_id for job in result.jobs] == ["1", "2"]
    result = of(tmp_path, ROW.format(1), "State|JobID", "FAILED|2")
    assert [(job.job_id, job.state) for job in result.jobs] == [("1", "COMPLETED"), ("2", "FAILED")]
    result = of(tmp_path, "sacct: a warning", HEADER, ROW.format(1), header="")
    assert (len(result.jobs), result.refusals[0].reason) == (1, "too few fields")


def test_a_suspended_job_ends_after_its_suspension(tmp_path: Path) -> None:
    row = "1|CANCELLED|2025-03-01T11:00:00|2025-03-01T12:00:00|Unknown|00:10:00|n1|4|cpu=4|00:05:00"
    (job,) = of(tmp_path, row, header=HEADER + "|Suspended").jobs
    assert (job.elapsed_s, job.suspended_s, (job.end_ms or 0) - (job.start_ms or 0)) == (600, 300, 900_000)


def test_times_of_the_hour_that_comes_twice(tmp_path: Path) -> None:
    day = "2024-10-27T"
    row = "{}|COMPLETED|{}|" + day + "02:10:00|" + day + "02:40:00|{}|n1|4|cpu=4"
    result = of(
        tmp_path,
        row.format(1, day + "01:00:00", "01:30:00"),  # across the change: elapsed decides
        row.format(2, day + "01:00:00", "00:30:00"),  # within one of both passes
        row.format(3, day + "01:00:00", "Unknown"),
        zone=BERLIN,
    )
    assert [(job.job_id, (job.end_ms or 0) - (job.start_ms or 0)) for job in result.jobs] == [("1", 5_400_000)]
    assert result.reasons == [("ambiguous local time", 3), ("ambiguous local time", 4)]
    assert of(tmp_path, ROW.format(1), zone=None).reasons == [("time without zone", 2)]


@pytest.mark.parametrize(
    ("state", "end", "end_known"),
    [
        ("RUNNING", "2025-03-01T13:00:00", False),
        ("SUSPENDED", "2025-03-01T13:00:00", False),
        ("REQUEUED", "2025-03-01T13:00:00", True),
        ("RESIZING", "2025-03-01T13:00:00", True),
        ("REQUEUED", "Unknown", False),
        ("CA", "2025-03-01T13:00:00", True),
    ],
)
def test_which_runs_have_an_end(tmp_path: Path, state: str, end: str, *, end_known: bool) -> None:
    (job,) = of(tmp_path, f"1|{state}|2025-03-01T11:00:00|2025-03-01T12:00:00|{end}||n1|4|cpu=4").jobs
    assert (job.end_ms is not None) is end_known


def test_runs_that_cannot_be_booked_are_refused(tmp_path: Path) -> None:
    result = of(
        tmp_path,
        "1|FAILED|2025-03-01T11:00:00|2025-03-01T12:00:00|2025-03-01T11:59:00|00:00:00|n1|4|cpu=4",
        "2|FAILED|2025-03-01T11:00:00|2025-03-01T12:00:00|Unknown||n1|4|cpu=4",
        "3|FAILED|2025-03-01T11:00:00|Unknown|2025-03-01T12:00:00||n1|4|cpu=4",
        "4|CANCELLED|2025-03-01T11:00:00|Unknown|2025-03-01T12:00:00|00:00:00|None assigned|4|",
    )
    assert result.reasons == [("end before start", 2), ("ended without end", 3), ("no start time", 4)]
    assert [(job.job_id, job.shares) for job in result.jobs] == [("4", [])]


def test_what_is_held_goes_evenly_to_the_nodes(tmp_path: Path) -> None:
    row = "1|COMPLETED|2025-03-01T11:00:00|2025-03-01T12:00:00|2025-03-01T13:00:00||n[1-3]|99|"
    (job,) = of(tmp_path, row + "billing=7,cpu=7,gres/gpu:a100=2,gres/gpu:v100=2,mem=1G,node=3").jobs
    assert [(share.cpus, share.gpus) for share in job.shares] == [(3, 2), (2, 1), (2, 1)]
    assert (job.cpus, job.gpus, job.memory_bytes) == (7, 4, 1024 * MIB)
    (job,) = of(tmp_path, row).jobs
    assert (job.cpus, job.gpus) == (99, None), "without AllocTRES the CPUs are NCPUS"


@pytest.mark.parametrize(
    ("raw", "text", "tres", "joules"),
    [
        ("54156", "54.16K", "", 54_156),
        ("0", "0", "cpu=1", None),
        ("0", "", "cpu=1,energy=0", 0),
        ("", "4.58M", "", 4_580_000),
        ("18446744073709551614", "", "energy=18446744073709551614", None),
        ("", "", "energy=77", 77),
    ],
)
def test_slurms_own_energy(tmp_path: Path, raw: str, text: str, tres: str, joules: float | None) -> None:
    header = "JobID|State|ConsumedEnergyRaw|ConsumedEnergy|AllocTRES"
    (job,) = of(tmp_path, f"1|COMPLETED|{raw}|{text}|{tres}", header=header).jobs
    assert job.consumed_energy_j == joules


def test_het_jobs_arrays_sluids_and_comments(tmp_path: Path) -> None:
    header = "JobID|JobIDRaw|SLUID|State|Comment|AdminComment|WCKey|TimelimitRaw|Cluster"
    result = of(
        tmp_path,
        "93+1|94|sDXHK9Q5PW3N00|COMPLETED|mine|JS1:Short|key|5|here",
        "36_1|37||COMPLETED|||||",
        "40_[1-9%2]|40||PENDING|||||",
        "36_1.batch|37.batch||WHATEVER|||||",
        header=header,
    )
    het, array = result.jobs
    assert (het.job_id, het.raw_id, het.het_job_id, het.het_offset, het.sluid) == ("93+1", 94, 93, 1, "sDXHK9Q5PW3N00")
    assert (het.comment, het.admin_comment, het.wckey, het.time_limit_s, het.cluster) == (
        *("mine", "JS1:Short", "key", 300, "here"),
    )
    assert (array.raw_id, array.array_job_id, array.array_task_id) == (37, 36, 1)
    assert (result.skipped, result.refusals) == (2, [])


@pytest.mark.parametrize("trailing", [False, True])
@pytest.mark.parametrize("delimiter", [";", "\t", "^", "@@", "~|~", "§", "::", "\x1f"])
def test_the_header_shows_the_delimiter(tmp_path: Path, delimiter: str, *, trailing: bool) -> None:
    rows = (
        ("JobID", "User", "State", "Submit", "Start", "End", "NodeList", "AllocTRES", "JobName%50"),
        *(("1", "anna", "COMPLETED", "2025-03-01T00:00:00", "2025-03-01T01:00:00", "2025-03-01T02:00:00"),),
        *(("2", "bob", "CANCELLED by 7", "2025-03-01T00:00:00", "2025-03-01T01:00:00", "2025-03-01T02:00:00"),),
    )
    rest = ("cn[1-2],gpu1", "cpu=6,gres/gpu:a100=4", f"a|b{delimiter}c")
    header, *jobs = (delimiter.join(row if row[0] == "JobID" else (*row, *rest)) for row in rows)
    end = delimiter if trailing else ""
    result = of(tmp_path, *(job + end for job in jobs), header=header + end)
    assert [(job.job_id, job.username, job.state) for job in result.jobs] == [
        ("1", "anna", "COMPLETED"),
        ("2", "bob", "CANCELLED"),
    ]
    assert {job.name for job in result.jobs} == {f"a|b{delimiter}c"}
    assert [(share.node, share.cpus) for share in result.jobs[0].shares] == [("cn1", 2), ("cn2", 2), ("gpu1", 2)]


@pytest.mark.parametrize("delimiter", [",", ":"])
def test_a_delimiter_that_stands_in_fields_is_refused_with_the_cure(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "jobs.txt"
    path.write_text(delimiter.join(("JobID", "User", "State", "Start", "End", "NodeList")) + "\n")
    with pytest.raises(UnusableFile, match="--parsable2 without --delimiter"):
        detect_jobs(Source(path))


def test_a_header_without_state_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "jobs.txt"
    path.write_text("JobID|User|Start|End|NodeList\n1|anna|1740790800|1740794400|cn1\n")
    with pytest.raises(UnusableFile, match="without State: add it"):
        detect_jobs(Source(path))


def test_the_last_bar_of_a_name_over_several_lines_is_no_part_of_it(tmp_path: Path) -> None:
    rows = ["1|COMPLETED|one|", "2|COMPLETED|two", "lines|", "3|COMPLETED|three|"]
    result = of(tmp_path, *rows, header="JobID|State|JobName|")
    assert [job.name for job in result.jobs] == ["one", "two\nlines", "three"]


def test_formats_that_are_not_known_are_told(tmp_path: Path) -> None:
    for fmt in ("sacct:", "sacct:JobID,jobid,State", "moab"):
        with pytest.raises(UnusableFile):
            of(tmp_path, ROW.format(1), fmt=fmt)
    with pytest.raises(UnusableFile, match="needs JobID and State"):
        of(tmp_path, ROW.format(1), fmt="sacct:User,Account")
    with pytest.raises(UnusableFile, match="without a known header"):
        of(tmp_path, ROW.format(1), header="", fmt="sacct")
