"""Slurm's JSON: real captures of two versions, the older shapes, and broken documents."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from measurements.domain.hostlist import expand
from measurements.parsers import slurm_json
from measurements.parsers.detect_jobs import detect_jobs
from measurements.parsers.json_stream import READ_BYTES, JsonList
from measurements.parsers.records import JobChunk, JobRecord, NodeShare, ParseOptions, UnusableFile
from measurements.parsers.source import Source
from measurements.parsers.source import expand as expand_paths

NOON_S = 1_740_830_400  # 2025-03-01T12:00Z
UNSET = {"set": False, "infinite": False, "number": 0}


def chunks_of(path: Path) -> list[JobChunk]:
    source = Source(path)
    parser = detect_jobs(source)
    assert parser.name == "slurm-json"
    return list(parser(source, ParseOptions()))


def jobs_in(path: Path) -> list[JobRecord]:
    chunks = chunks_of(path)
    assert [refusal for chunk in chunks for refusal in chunk.refusals] == []
    return [record for chunk in chunks for record in chunk.records]


def written(folder: Path, *jobs: Any, **beside: Any) -> Path:
    path = folder / "jobs.json"
    path.write_text(json.dumps({"meta": {}, "jobs": jobs, **beside}))
    return path


def wrapped(number: float) -> dict[str, Any]:
    return {"set": True, "infinite": False, "number": number}


def job(**more: Any) -> dict[str, Any]:
    """An accounting job of one hour on n1 and n2."""
    base = {
        "job_id": 7,
        "user": "alice",
        "state": {"current": ["COMPLETED"]},
        "nodes": "n[1-2]",
        "time": {"start": NOON_S, "end": NOON_S + 3600, "submission": NOON_S - 60, "elapsed": 3600, "suspended": 0},
        "tres": {"allocated": [{"type": "cpu", "name": "", "id": 1, "count": 6}]},
    }
    return {**base, **more}


# --- real captures ----------------------------------------------------------------------------------------------------


def test_accounting_jobs_of_both_versions_match_what_was_recorded(shared_data: Path) -> None:
    folder = shared_data / "slurm_accounting" / "slurmrestd_json"
    expected = json.loads((folder / "expected.json").read_text())["first_job_of_each_file"]
    checked = 0
    for version, files in expected.items():
        for name, first in files.items():
            jobs = jobs_in(folder / version / name)
            if first is None:
                assert jobs == []
                continue
            found = jobs[0]
            assert (found.raw_id, [found.state], found.elapsed_s) == (first["job_id"], first["state"], first["elapsed"])
            assert ((found.start_ms or 0) // 1000, (found.end_ms or 0) // 1000) == (first["start"], first["end"])
            assert [share.node for share in found.shares] == expand(first["nodes"])
            assert found.consumed_energy_j is None, "an unset energy (-2) is no energy"
            checked += 1
    assert checked >= 30


def test_controller_jobs_give_shares_of_each_node(shared_data: Path) -> None:
    folder = shared_data / "slurm_accounting" / "slurmrestd_json" / "25.11_0.0.44"
    (found,) = jobs_in(folder / "slurm-job-gpus-multi-nodes.json")
    assert (found.state, found.end_ms, found.username, found.sluid) == ("RUNNING", None, "dperez", "sDXHK9Q5PW3N00")
    assert found.shares == [NodeShare("gpu1", 1, 4, (0, 1, 2, 3)), NodeShare("gpu2", 1, 4, (0, 1, 2, 3))]
    assert (found.cpus, found.gpus, found.time_limit_s) == (2, 8, 60)
    (waiting,) = jobs_in(folder / "slurm-job-pending.json")
    assert (waiting.start_ms, waiting.end_ms, waiting.shares) == (None, None, []), "its start is a forecast"
    assert len(jobs_in(folder / "slurm-jobs.json")) == 15


def test_no_jobs_found_comes_with_slurms_own_words(shared_data: Path) -> None:
    folder = shared_data / "slurm_accounting" / "slurmrestd_json" / "25.11_0.0.44"
    (chunk,) = chunks_of(folder / "slurmdb-job-unfound.json")
    assert (chunk.records, chunk.refusals) == ([], [])
    assert chunk.warnings == ["Slurm: slurmdb_jobs_get() found nothing"]


def test_json_of_something_else_is_unusable(shared_data: Path) -> None:
    folder = shared_data / "slurm_accounting" / "slurmrestd_json" / "25.11_0.0.44"
    with pytest.raises(UnusableFile, match="without a list of jobs"):
        chunks_of(folder / "slurm-nodes.json")


def test_documents_one_behind_the_other_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "jobs.json"
    path.write_text('{"jobs": []}\n' * 2)
    with pytest.raises(UnusableFile, match="give each document as a file of its own"):
        chunks_of(path)


def test_an_error_in_place_of_jobs_is_told_in_slurms_words(tmp_path: Path) -> None:
    path = tmp_path / "jobs.json"
    path.write_text('{"meta": {}, "errors": [{"error_number": 2, "error": "x", "description": "not authenticated"}]}')
    with pytest.raises(UnusableFile, match="without a list of jobs; Slurm: not authenticated"):
        chunks_of(path)


def test_a_clustercockpit_job_is_not_taken_for_slurms_json(shared_data: Path) -> None:
    (source,) = expand_paths([shared_data / "job_archive" / "emmy_1403244"], Path())
    for given in (source, Source(shared_data / "job_archive" / "fritz_398764" / "meta.json")):
        parser = detect_jobs(given)
        (chunk,) = parser(given, ParseOptions())
        assert (parser.name, len(chunk.records)) == ("clustercockpit", 1)


# --- shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["COMPLETED", ["COMPLETED"], {"current": "COMPLETED"}, {"current": ["COMPLETED"]}])
def test_states_of_all_versions(tmp_path: Path, state: object) -> None:
    (found,) = jobs_in(written(tmp_path, job(state=state)))
    assert (found.state, found.end_ms) == ("COMPLETED", (NOON_S + 3600) * 1000)


def test_numbers_may_be_wrapped_or_plain(tmp_path: Path) -> None:
    time = {
        "start": wrapped(NOON_S),
        "end": wrapped(NOON_S + 60),
        "elapsed": wrapped(60),
        "limit": wrapped(5),
        "suspended": UNSET,
        "total": {"seconds": wrapped(30), "microseconds": 500_000},
    }
    plain, other = jobs_in(written(tmp_path, job(), job(time=time)))
    assert ((plain.end_ms or 0) - (plain.start_ms or 0), plain.time_limit_s) == (3_600_000, None)
    assert ((other.end_ms or 0) - (other.start_ms or 0), other.time_limit_s) == (60_000, 300)
    assert (other.total_cpu_s, other.suspended_s) == (30.5, 0)


def test_arrays_and_het_jobs_get_the_id_sacct_shows(tmp_path: Path) -> None:
    unset_het = {"job_id": 0, "job_offset": UNSET}
    found = jobs_in(
        written(
            tmp_path,
            job(job_id=37, array={"job_id": 36, "task_id": wrapped(1), "task": ""}, het=unset_het),
            job(job_id=36, array={"job_id": 36, "task_id": wrapped(0), "task": ""}),
            job(job_id=94, het={"job_id": 93, "job_offset": wrapped(1)}, array={"job_id": 0, "task_id": UNSET}),
        )
    )
    assert [(record.job_id, record.raw_id) for record in found] == [("36_1", 37), ("36_0", 36), ("93+1", 94)]
    assert (found[2].het_job_id, found[2].het_offset) == (93, 1)
    pending = job(
        job_id=40, array={"job_id": 40, "task_id": UNSET, "task": "1-9%2"}, state="PENDING", time={}, nodes=""
    )
    (chunk,) = chunks_of(written(tmp_path, pending))
    assert (chunk.records, chunk.skipped) == ([], 1)


def test_what_is_allocated(tmp_path: Path) -> None:
    allocated = [
        {"type": "cpu", "name": "", "count": 5},
        {"type": "mem", "name": "", "count": 1024},
        {"type": "energy", "name": "", "count": 9000},
        {"type": "gres", "name": "gpu:a100", "count": 3},
        {"type": "gres", "name": "gpu", "count": 3},
    ]
    (found,) = jobs_in(
        written(tmp_path, job(tres={"allocated": allocated}, comment={"job": "c", "administrator": "a"}))
    )
    assert (found.cpus, found.gpus, found.memory_bytes, found.consumed_energy_j) == (5, 3, 1024**3, 9000)
    assert found.shares == [NodeShare("n1", 3, 2), NodeShare("n2", 2, 1)]
    assert (found.comment, found.admin_comment) == ("c", "a")


def test_the_controller_knows_the_cpus_of_each_node(tmp_path: Path) -> None:
    allocation = [{"name": "n1", "cpus": {"count": 5}}, {"name": "n2", "cpus": {"count": 1}}]
    resources = {"nodes": {"list": "n[1-2]", "whole": True, "allocation": allocation}}
    more = {"job_state": ["RUNNING"], "start_time": wrapped(NOON_S), "tres_alloc_str": "cpu=6,mem=1G,node=2"}
    (found,) = jobs_in(written(tmp_path, job(job_resources=resources, shared=[], **more)))
    assert [(share.node, share.cpus) for share in found.shares] == [("n1", 5), ("n2", 1)]
    assert found.exclusive is True, "it holds its nodes whole"
    (found,) = jobs_in(written(tmp_path, job(job_resources={"nodes": {"allocation": allocation[:1]}}, **more)))
    assert [share.cpus for share in found.shares] == [3, 3], "evenly, where not all are named"
    assert found.exclusive is None


def test_account_and_user_may_stand_in_the_association(tmp_path: Path) -> None:
    (found,) = jobs_in(
        written(tmp_path, job(user="", association={"user": "bob", "account": "chem"}, sluid="sDXHK9Q5PW3N00"))
    )
    assert (found.username, found.account, found.sluid) == ("bob", "chem", "sDXHK9Q5PW3N00")


def test_bad_jobs_are_refused_by_place(tmp_path: Path) -> None:
    late = {"start": NOON_S, "end": NOON_S - 60}
    path = written(tmp_path, job(job_id=None), job(), 3, job(state="FOO"), job(nodes="n[2-1]"), job(time=late))
    (chunk,) = chunks_of(path)
    assert [(refusal.reason, refusal.line) for refusal in chunk.refusals] == [
        *(("bad job id", 1), ("not a job", 3), ("unknown state", 4), ("bad hostlist", 5), ("end before start", 6)),
    ]
    assert len(chunk.records) == 1


def test_half_surrogates_and_nul_do_not_reach_the_database(tmp_path: Path) -> None:
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"jobs": [job(name="a\ud800b\0c")]}))
    (found,) = jobs_in(path)
    assert found.name == "a�b�c"


# --- broken documents -------------------------------------------------------------------------------------------------


def test_a_document_cut_off_gives_the_jobs_before_the_cut(tmp_path: Path) -> None:
    path = written(tmp_path, job(), job(job_id=8), job(job_id=9))
    whole = path.read_text()
    path.write_text(whole[: whole.rindex('"job_id"') + 5])
    (chunk,) = chunks_of(path)
    assert [record.job_id for record in chunk.records] == ["7", "8"]
    assert [(refusal.reason, refusal.line) for refusal in chunk.refusals] == [("truncated JSON", 3)]


def test_a_compressed_document_cut_off_gives_the_jobs_before_the_cut(tmp_path: Path) -> None:
    jobs = [job(job_id=i, name=f"{i * 7919:x}" * 40) for i in range(1, 2_000)]
    packed = gzip.compress(written(tmp_path, *jobs).read_bytes())
    path = tmp_path / "jobs.json.gz"
    path.write_bytes(packed[: len(packed) // 2])
    chunks = chunks_of(path)
    assert 500 < sum(len(chunk.records) for chunk in chunks) < 1_999
    assert [refusal.reason for chunk in chunks for refusal in chunk.refusals] == ["truncated gzip"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"jobs": [JOB, {"a" 3}]}', "broken JSON"),
        ('{"jobs": [JOB, ' + "[" * 100_000 + "]}", "broken JSON"),
        ('{"jobs": [JOB] trailing', "broken JSON"),
        ('{"jobs": [JOB]} trailing', "broken JSON"),
        ('{"jobs": [JOB', "truncated JSON"),
    ],
)
def test_broken_json_behind_a_good_job(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "jobs.json"
    path.write_text(text.replace("JOB", json.dumps(job())))
    (chunk,) = chunks_of(path)
    assert [record.job_id for record in chunk.records] == ["7"]
    assert [(refusal.reason, refusal.line) for refusal in chunk.refusals] == [(reason, 2)]


@pytest.mark.parametrize("text", ["{", '{"jobs": [', '{"jobs": 3}', "{]", "[" * 100_000, '{"a": "' + "x" * 100, "{,}"])
def test_json_without_a_single_job_is_unusable(tmp_path: Path, text: str) -> None:
    path = tmp_path / "jobs.json"
    path.write_text(text)
    with pytest.raises(UnusableFile):
        list(slurm_json.read(Source(path), ParseOptions()))


def test_a_member_may_be_larger_than_what_is_read_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, job(comment={"job": "x" * 300_000}), job(job_id=8), job(job_id=9))
    found = jobs_in(path)
    assert [record.job_id for record in found] == ["7", "8", "9"]
    assert len(found[0].comment) == 65_536


@pytest.mark.parametrize("digits_read", [1, 3, 6])
def test_a_number_cut_by_the_end_of_what_was_read_is_one_number(tmp_path: Path, digits_read: int) -> None:
    begin = '{"jobs": [], "pad": "PAD", "last": '
    pad = "x" * (READ_BYTES - len(begin) + len("PAD") - digits_read)
    path = tmp_path / "jobs.json"
    path.write_text(begin.replace("PAD", pad) + "123456}")
    jobs = JsonList(Source(path), "jobs")
    assert list(jobs) == []
    assert jobs.beside["last"] == 123_456
