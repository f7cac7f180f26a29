"""Job records into allocations: what a record means for who holds a node."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from measurements.models import Allocation, Cluster, Job, Run
from measurements.parsers.detect_jobs import detect_jobs
from measurements.parsers.records import NodeRecord
from measurements.parsers.source import Source
from measurements.selectors.lookup import find_jobs
from measurements.services.batches import IngestReport
from measurements.services.ingest_jobs import JobsInput, ingest_jobs
from measurements.services.machine import create_cluster, load_nodes

NOW = datetime(2026, 3, 1, tzinfo=UTC)
START = 1_762_529_704
pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster() -> Cluster:
    made = create_cluster("atlas")
    load_nodes(made, [NodeRecord(1, "gpu1", "gpu", cpus=32)])
    return made


def take(cluster: Cluster, folder: Path, *jobs: dict[str, object]) -> None:
    path = folder / "jobs.json"
    path.write_text(json.dumps({"jobs": jobs, "errors": []}), encoding="utf-8")
    source = Source(path)
    ingest_jobs(cluster, source, JobsInput(detect_jobs(source, None)), NOW)


def slurmdb(state: str, end: int = 0) -> dict[str, object]:
    """A job as slurmdb tells it."""
    return {
        "job_id": 16,
        "user": "alice",
        "account": "physics",
        "cluster": "atlas",
        "name": "wrap",
        "nodes": "gpu1",
        "state": {"current": [state], "reason": "None"},
        "time": {"submission": START - 5, "start": START, "end": end, "elapsed": 1, "suspended": 0},
        "tres": {"allocated": [{"type": "cpu", "name": "", "id": 1, "count": 8}], "requested": []},
        "steps": [],
    }


def test_a_job_that_waits_holds_nothing_even_where_a_stale_snapshot_names_a_node(
    cluster: Cluster, tmp_path: Path
) -> None:
    take(cluster, tmp_path, slurmdb("PENDING"))
    assert Job.objects.get().state == "PENDING"
    assert not Allocation.objects.exists()
    take(cluster, tmp_path, slurmdb("RUNNING"))
    assert Allocation.objects.get().end_ms is None
    take(cluster, tmp_path, slurmdb("COMPLETED", START + 30))
    assert Allocation.objects.get().end_ms == (START + 30) * 1000


def test_an_older_view_does_not_open_a_run_that_has_ended(cluster: Cluster, tmp_path: Path) -> None:
    take(cluster, tmp_path, slurmdb("COMPLETED", START + 30))
    take(cluster, tmp_path, slurmdb("RUNNING"))
    take(cluster, tmp_path, slurmdb("PENDING"))
    assert Allocation.objects.get().end_ms == (START + 30) * 1000
    assert Job.objects.get().state == "COMPLETED"


def read_all(cluster: Cluster, path: Path, text: str) -> IngestReport:
    path.write_text(text, encoding="utf-8")
    source = Source(path)
    return ingest_jobs(cluster, source, JobsInput(detect_jobs(source, None)), NOW)


def test_notes_about_lines_are_kept_within_a_bound(cluster: Cluster, tmp_path: Path) -> None:
    row = "03/01/2026 02:00:00;E;{}.pbs;user=anna qtime=1740787200 start=1740790800 end=1740794400 exec_host=gpu1/0*4"
    report = read_all(cluster, tmp_path / "pbs", "\n".join(row.format(number) for number in range(1, 61)) + "\n")
    assert report.stored == 60
    assert report.warnings[:2] == [f"line {line}: no Exit_status; taken as completed" for line in (1, 2)]
    assert (len(report.warnings), report.warnings[-1]) == (51, "and 10 more notes like these")


def test_a_task_of_another_batch_systems_array_has_slurms_name_too(cluster: Cluster, tmp_path: Path) -> None:
    row = "03/01/2026 02:00:00;E;6[{}].pbs;user=anna Exit_status=0 start=1740790800 end=1740794400 exec_host=gpu1/0*4\n"
    read_all(cluster, tmp_path / "pbs", row.format(12) + row.format(2))
    for name in ("6[12]", "6_12"):
        assert [job.job_id for job in find_jobs(cluster, name)] == ["6[12]"]
    assert {job.job_id for job in find_jobs(cluster, "6_*")} == {"6[2]", "6[12]"}


def test_changed_jobs_are_written_by_statements_that_do_not_grow_with_them(cluster: Cluster, tmp_path: Path) -> None:
    header = "job_id,user,account,state,start,end,nodes,name,cpus\n"
    row = "{},anna,phys,COMPLETED,1740790800,{},gpu1,{},{}\n"
    path, jobs = tmp_path / "jobs.csv", range(1, 41)
    read_all(cluster, path, header + "".join(row.format(job, 1740794400, "first", 4) for job in jobs))
    with CaptureQueriesContext(connection) as queries:
        report = read_all(cluster, path, header + "".join(row.format(job, 1740794400 + job, "x", 8) for job in jobs))
    assert report.stored == 40
    updates = [query["sql"] for query in queries if "UPDATE " in query["sql"]]
    assert max(map(len, updates)) < 2_000
    assert [(job.name, job.end_ms) for job in Job.objects.order_by("raw_id")] == [
        ("x", (1740794400 + job) * 1000) for job in jobs
    ]
    assert set(Run.objects.values_list("cpus", flat=True)) == {8}
    assert set(Allocation.objects.values_list("cpus", flat=True)) == {8}
