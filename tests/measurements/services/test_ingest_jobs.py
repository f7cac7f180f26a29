"""Job records into allocations: what a record means for who holds a node."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from measurements.models import Allocation, Cluster, Job
from measurements.parsers.detect_jobs import detect_jobs
from measurements.parsers.records import NodeRecord
from measurements.parsers.source import Source
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
