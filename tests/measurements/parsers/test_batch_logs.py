"""Accounting of PBS, LSF, SWF and Grid Engine: the parsed results of their origin, and every trap a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from measurements.parsers.detect_jobs import detect_jobs
from measurements.parsers.records import JobRecord, NodeShare, ParseOptions, Refusal, UnusableFile
from measurements.parsers.source import Source

PBS_HEAD = (
    "01/26/2016 00:00:37;E;7.pbs;user=u group=g jobname=j queue=q qtime=1453756297 start=1453766281 end=1453766437"
)


def read(path: Path, fmt: str) -> tuple[list[JobRecord], list[Refusal], int]:
    """Records, refusals and how many rows are no jobs."""
    source = Source(path)
    parser = detect_jobs(source)
    assert parser.name == fmt
    chunks = list(parser(source, ParseOptions()))
    return (
        [record for chunk in chunks for record in chunk.records],
        [refusal for chunk in chunks for refusal in chunk.refusals],
        sum(chunk.skipped for chunk in chunks),
    )


def read_text(folder: Path, text: str, fmt: str) -> tuple[list[JobRecord], list[tuple[str, int]], int]:
    (folder / "acct").write_text(text)
    records, refusals, skipped = read(folder / "acct", fmt)
    return records, [(refusal.reason, refusal.line) for refusal in refusals], skipped


# --- PBS --------------------------------------------------------------------------------------------------------------


def test_pbs_as_its_origin_parses_it(shared_data: Path) -> None:
    folder = shared_data / "batch_accounting" / "pbs_xdmod"
    jobs, refusals, skipped = read(folder / "input" / "accounting-logs.log", "pbs")
    expected = list(json.loads((folder / "output" / "accounting-logs.json").read_text()).values())
    assert (len(jobs), refusals, skipped) == (len(expected), [], 0)
    for job, row in zip(jobs, expected, strict=True):
        assert (job.job_id, job.username, job.partition) == (row["job_id"], row["user"], row["queue"])
        assert (job.start_ms, job.end_ms) == (int(row["start"]) * 1000, int(row["end"]) * 1000)
        assert ",".join(share.node for share in job.shares) == row.get("node_list", "")
        assert (job.gpus or 0) == int(row["resources_used_gpus"])
        assert job.max_rss_bytes == row.get("resources_used_mem")
        assert job.time_limit_s == row.get("resource_list_walltime")
        if job.job_id != "3073070":  # exec_host counts no CPU there (host/0*0): Resource_List.ncpus does
            assert job.cpus == row.get("resources_used_cpus")
    assert jobs[0].shares[0] == NodeShare("i02n33", 8)
    assert jobs[-1].cpus == 48
    assert [job.state for job in jobs[:3]] == ["COMPLETED", "COMPLETED", "FAILED"]


@pytest.mark.parametrize(
    ("said", "cpus", "hosts"),
    [
        ("exec_host=h1/7+h1/6+h2/0", 3, ["h1", "h2"]),
        ("exec_host=h1/0,1,4-6", 5, ["h1"]),
        ("exec_host=h1/0*13+h2/1*13", 26, ["h1", "h2"]),
        ("exec_host=h1/0*0 Resource_List.ncpus=48", 48, ["h1"]),
        ("Resource_List.ncpus=4", 4, []),
    ],
)
def test_pbs_hosts(tmp_path: Path, said: str, cpus: int, hosts: list[str]) -> None:
    ((job,), refused, _) = read_text(tmp_path, f"{PBS_HEAD} Exit_status=0 {said}\n", "pbs")
    assert (job.cpus, [share.node for share in job.shares], refused) == (cpus, hosts, [])


@pytest.mark.parametrize(
    ("said", "gpus"),
    [
        ("Resource_List.ngpus=4", 4),
        ("Resource_List.gpus=2", 2),
        ("Resource_List.nodes=2:ppn=28:gpus=3:default", 6),
        ("Resource_List.nodes=1:ppn=4+3:ppn=2:gpus=1", 3),
        ("Resource_List.nodect=1:ppn=24:gpu=4", 4),
        ("Resource_List.nodes=2:ppn=28", None),
    ],
)
def test_pbs_gpus_stand_in_one_of_several_places(tmp_path: Path, said: str, gpus: int | None) -> None:
    ((job,), _, _) = read_text(tmp_path, f"{PBS_HEAD} Exit_status=0 exec_host=h/0 {said}\n", "pbs")
    assert job.gpus == gpus


def test_pbs_ids_states_and_events(tmp_path: Path) -> None:
    end = PBS_HEAD.partition(";E;7.pbs;")[2]
    text = "".join(
        f"01/26/2016 00:00:37;{event};{job};{end} {said}\n"
        for event, job, said in (
            ("S", "7.pbs", ""),
            ("E", "6[12].host", "Exit_status=271"),
            ("E", "6-13.host", "Exit_status=1"),
            ("E", "6[].host", "Exit_status=0"),
            ("E", "8", "Exit_status=271 resources_used.walltime=00:00:09 Resource_List.walltime=9"),
            ("E", "x", "Exit_status=0"),
            ("E", "9", "Exit_status=0 exec_host=h/a"),
        )
    ) + "garbage\n"  # fmt: skip
    jobs, refused, skipped = read_text(tmp_path, text, "pbs")
    assert [(job.job_id, job.raw_id, job.array_job_id, job.array_task_id, job.state) for job in jobs] == [
        ("6[12]", None, 6, 12, "CANCELLED"),
        ("6[13]", None, 6, 13, "FAILED"),
        ("8", 8, None, None, "TIMEOUT"),
    ]
    assert skipped == 2
    assert refused == [("bad job id", 6), ("bad exec_host", 7), ("not a record", 8)]


@pytest.mark.parametrize(
    ("said", "size"), [("15240", 15240 << 10), ("3b", 3), ("2gw", 16 << 30), ("1.5gb", None), ("12.27M", None)]
)
def test_pbs_memory(tmp_path: Path, said: str, size: int | None) -> None:
    ((job,), _, _) = read_text(tmp_path, f"{PBS_HEAD} Exit_status=0 resources_used.mem={said}\n", "pbs")
    assert job.max_rss_bytes == size


# --- LSF --------------------------------------------------------------------------------------------------------------


def test_lsf_as_its_origin_parses_it(shared_data: Path) -> None:
    folder = shared_data / "batch_accounting" / "lsf_xdmod"
    jobs, refusals, skipped = read(folder / "input" / "accounting-logs.log", "lsf")
    expected = json.loads((folder / "output" / "accounting-logs.json").read_text())
    assert (len(jobs), refusals, skipped) == (len(expected), [], 0)
    for job, row in zip(jobs, expected, strict=True):
        assert (job.job_id, job.username, job.account) == (row["job_id"], row["user_name"], row["project_name"])
        assert [share.node for share in job.shares] == row["exec_hosts"]
        assert job.cpus == int(row["num_processors"]) == sum(share.cpus or 0 for share in job.shares)
        assert (job.start_ms, job.end_ms) == (int(row["start_time"]) * 1000, int(row["event_time"]) * 1000)
        assert job.end_ms is not None
        assert job.start_ms is not None
        assert (job.end_ms - job.start_ms) / 1000 == 40_368, "not the 242 s that stand in the place of the run time"
    assert (jobs[0].partition, jobs[0].name, jobs[0].state) == ("regular", "abcde0040", "COMPLETED")


def test_lsf_text_that_is_no_utf_8(shared_data: Path) -> None:
    log = shared_data / "batch_accounting" / "lsf_xdmod" / "input" / "utf8-multibyte-chars.log"
    jobs, refusals, _ = read(log, "lsf")
    assert ([job.job_id for job in jobs], refusals) == (["404717"], [])


def lsf(
    start: int = 1389642771, status: str = "64", hosts: str = '2 "2*h1" "h2"', index: int = 0, asked: str = "0"
) -> str:
    return (
        f'"JOB_FINISH" "10.1" 1389683139 5 1 2 3 1389642318 0 0 {start} "u" "q" "" "" "" "f" "c" "i" "o" "e" "j" '
        f'{asked} {hosts} {status} 60.0 "a ""b""" "cmd" {" ".join(["1.5"] * 19)} "" "proj" 0 3 "" "" {index} 0\n'
    )


def test_lsf_rows(tmp_path: Path) -> None:
    text = (
        '"JOB_NEW" "10.1" 1389683139 5\n'
        + lsf()
        + lsf(index=4, asked='3 "x" "y" "9*z"')
        + lsf(start=0, status="32", hosts="0")
        + lsf(status="16")
        + lsf(hosts='9 "h1"')
        + lsf().replace('"cmd"', '"cmd')
        + lsf()[:200]
        + "\n"
    )
    jobs, refused, skipped = read_text(tmp_path, text, "lsf")
    assert [(job.job_id, job.array_task_id, job.state, job.cpus, len(job.shares)) for job in jobs] == [
        ("5", None, "COMPLETED", 3, 2),
        ("5[4]", 4, "COMPLETED", 3, 2),
        ("5", None, "FAILED", 3, 0),
    ]
    assert (jobs[0].name, jobs[0].account, jobs[0].total_cpu_s) == ('a "b"', "proj", 3.0)
    assert (jobs[2].start_ms, jobs[2].end_ms) == (None, None), "it never ran"
    assert skipped == 1
    assert [line for _, line in refused] == [5, 6, 7, 8]
    assert refused[0][0] == "unknown state"


# --- SWF --------------------------------------------------------------------------------------------------------------


def test_swf_counts_and_hours(shared_data: Path) -> None:
    folder = shared_data / "batch_accounting" / "swf_hpc2n"
    figures = json.loads((folder / "expected.json").read_text())["recomputed"]
    jobs, refusals, skipped = read(folder / "hpc2n.swf", "swf")
    assert (len(jobs) + len(refusals), len(jobs), skipped) == (figures["jobs"], figures["jobs_with_run_time"], 0)
    assert {refusal.reason for refusal in refusals} == {"no run time"}
    hours = [((job.end_ms or 0) - (job.start_ms or 0)) / 3.6e6 for job in jobs]
    assert sum(hours) == pytest.approx(figures["run_hours"], abs=1e-4)
    assert sum(h * (job.cpus or 0) for h, job in zip(hours, jobs, strict=True)) == pytest.approx(
        figures["processor_hours"], abs=1e-4
    )
    assert not any(job.shares for job in jobs)
    assert {job.partition for job in jobs} <= {"DEFAULT", "ALL"}
    assert jobs[0].submit_ms == 1027839845 * 1000


def test_swf_rows(tmp_path: Path) -> None:
    line = "{} {} 10 {} 4 -1 -1 8 60 -1 {} 1 2 -1 3 9 -1 -1\n"
    text = (
        "; UnixStartTime: 1740830400\n"
        + line.format(1, 0, 100, 1)
        + line.format(2, 5, 100.5, 0)
        + line.format(3, 5, -1, 5)
        + line.format(4, 5, 100, 2)
        + line.format(5, 5, -1, 1)
        + line.format(6, -1, 5, 1)
        + line.format(7, 5, 5, 9)
        + "1 2 3\n"
        + line.format(8, 5, "x", 1)
    )
    jobs, refused, skipped = read_text(tmp_path, text, "swf")
    assert [(job.job_id, job.state, job.username, job.account, job.qos, job.partition) for job in jobs] == [
        ("1", "COMPLETED", "user1", "group2", "queue3", "partition9"),
        ("2", "FAILED", "user1", "group2", "queue3", "partition9"),
        ("3", "CANCELLED", "user1", "group2", "queue3", "partition9"),
    ]
    assert (jobs[1].start_ms, jobs[1].end_ms) == (1740830415000, 1740830515500)
    assert (jobs[2].start_ms, jobs[2].end_ms) == (None, None)
    assert skipped == 1
    assert refused == [
        ("no run time", 6),
        ("no submit time", 7),
        ("unknown state", 8),
        ("wrong number of fields", 9),
        ("not a number", 10),
    ]


def test_swf_without_its_start_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "w.swf").write_text("; Version: 2.2\n1 0 10 5 4 -1 -1 8 60 -1 1 1 2 -1 3 9 -1 -1\n")
    with pytest.raises(UnusableFile, match="UnixStartTime"):
        read(tmp_path / "w.swf", "swf")


# --- Grid Engine ------------------------------------------------------------------------------------------------------


def sge(
    job: int = 7, host: str = "h1", times: str = "1740830300:1740830400:1740830500", task: int = 0, pe: str = "mpi",
    ended: str = "0:0", pe_task: str = "NONE", category: str = "-U x -l gpu=2,h_rt=60", project: str = "proj",
) -> str:  # fmt: skip
    rusage = ":".join(["0"] * 18)
    return (
        f"all.q:{host}:grp:alice:name:{job}:sge:0:{times}:{ended}:{rusage}:{project}:dep:{pe}:8:{task}"
        f":12.5:0:0:{category}:0:{pe_task}:1G:0:0\n"
    )


def test_the_lines_of_a_parallel_job_are_one_job(tmp_path: Path) -> None:
    text = (
        "# Version: 8.1.9\n"
        + sge(host="h2", times="1740830300:1740830405:1740830510", pe_task="1.h2")
        + sge(job=8, pe="NONE", project="NONE", ended="100 : x:137".replace(" : x", ""))
        + sge(host="h1")
        + sge(host="h2", times="1740830300:1740830406:1740830499", pe_task="2.h2")
    )
    jobs, refused, _ = read_text(tmp_path, text, "sge")
    assert refused == []
    assert [(job.job_id, job.line, job.state, job.account) for job in jobs] == [
        ("7", 2, "COMPLETED", "proj"),
        ("8", 3, "FAILED", "grp"),
    ]
    first = jobs[0]
    assert (first.submit_ms, first.start_ms, first.end_ms) == (1740830300000, 1740830400000, 1740830510000)
    assert first.shares == [NodeShare("h2", 4, 1), NodeShare("h1", 4, 1)]
    assert (first.cpus, first.gpus, first.total_cpu_s) == (8, 2, 37.5)


def test_grid_engine_in_milliseconds_tasks_and_broken_lines(tmp_path: Path) -> None:
    text = (
        sge(times="1740830300123:1740830400250:1740830500000", task=3)
        + sge(times="1740830300123:0:0", task=4, ended="25:0")
        + sge()[:80]
        + "\n"
    )
    jobs, refused, _ = read_text(tmp_path, text, "sge")
    assert [(job.job_id, job.array_job_id, job.array_task_id, job.start_ms, job.state) for job in jobs] == [
        ("7[3]", 7, 3, 1740830400250, "COMPLETED"),
        ("7[4]", 7, 4, None, "REQUEUED"),
    ]
    assert jobs[1].shares == []
    assert refused == [("not a record", 3)]


def test_a_parallel_job_of_one_line_is_said_to_name_one_host(tmp_path: Path) -> None:
    (tmp_path / "acct").write_text(sge())
    (chunk,) = detect_jobs(Source(tmp_path / "acct"))(Source(tmp_path / "acct"), ParseOptions())
    assert any("first host" in warning for warning in chunk.warnings)
