"""Holds come before, with and after the job's record and the GPU's place: the allocation has the indices in the end."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from measurements.domain.units import ms_from_datetime
from measurements.models import (
    Allocation,
    Batch,
    Cluster,
    DirtyNodeDay,
    GpuHold,
    GpuPlace,
    Job,
    Node,
    PendingCorrection,
    SealedDay,
)
from measurements.parsers.gpu_holds import GpuHoldRecord
from measurements.parsers.source import Source
from measurements.services.gpu_holds import apply_waiting, take
from measurements.services.taking import take as take_file

pytestmark = pytest.mark.django_db
START = datetime(2025, 3, 1, 12, tzinfo=UTC)
START_MS = ms_from_datetime(START)
NOW = START + timedelta(hours=2)
PROLOG = GpuHold.Via.PROLOG
HOUR_MS = 3_600_000


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster.objects.create(name="alpha")
    Node.objects.create(cluster=made, name="n1")
    Node.objects.create(cluster=made, name="n2")
    return made


def record(cluster: Cluster, folder: Path, *rows: str) -> None:
    """Rows of sacct: raw id, id, state, submit, start, end."""
    path = folder / "jobs.txt"
    head = "JobIDRaw|JobID|User|Account|State|Submit|Start|End|AllocTRES|NodeList"
    path.write_text("\n".join([head, *rows]) + "\n")
    take_file(Batch.Content.JOBS, cluster, Source(path), {"time_zone": "UTC"}, NOW)


def row(raw: int, start: str = "12:00:00", end: str = "13:00:00", job: str = "", state: str = "COMPLETED") -> str:
    day = "2025-03-01T"
    until = f"{day}{end}" if end != "Unknown" else end
    return f"{raw}|{job or raw}|alice|physics|{state}|{day}{start}|{day}{start}|{until}|cpu=2,gres/gpu=2,node=1|n1"


def held(job: str, *gpus: int, seen_ms: int = START_MS + 1_000, node: str = "n1") -> list[GpuHoldRecord]:
    return [GpuHoldRecord(job, node, seen_ms, index=gpu) for gpu in gpus]


def mask(raw: int) -> list[int]:
    return list(Allocation.objects.filter(run__job__raw_id=raw).order_by("start_ms").values_list("gpu_mask", flat=True))


def test_a_hold_after_the_jobs_record_marks_its_node_days(cluster: Cluster, tmp_path: Path) -> None:
    record(cluster, tmp_path, row(5))
    DirtyNodeDay.objects.all().delete()
    report = take(cluster, held("5", 0, 2), PROLOG, NOW)
    assert (report.stored, report.applied, report.waiting) == (2, 2, 0)
    assert mask(5) == [0b101]
    assert list(DirtyNodeDay.objects.values_list("node__name", "day")) == [("n1", date(2025, 3, 1))]


def test_a_hold_before_the_jobs_record_waits_for_it(cluster: Cluster, tmp_path: Path) -> None:
    assert take(cluster, held("5", 1), PROLOG, NOW).waiting == 1
    assert apply_waiting(NOW) == 0
    record(cluster, tmp_path, row(5))
    assert apply_waiting(NOW) == 1
    assert mask(5) == [0b10]


def test_accounting_that_comes_again_wipes_nothing(cluster: Cluster, tmp_path: Path) -> None:
    record(cluster, tmp_path, row(5, end="Unknown", state="RUNNING"))
    take(cluster, held("5", 0, 1), PROLOG, NOW)
    record(cluster, tmp_path, row(5))
    assert mask(5) == [0b11]


def test_told_again_and_again_a_hold_is_kept_once(cluster: Cluster, tmp_path: Path) -> None:
    record(cluster, tmp_path, row(5))
    for minute in range(0, 50, 7):
        take(cluster, held("5", 0, seen_ms=START_MS + minute * 60_000), PROLOG, NOW)
    assert GpuHold.objects.count() == 1


def test_each_run_of_a_requeued_job_has_its_own_gpus(cluster: Cluster, tmp_path: Path) -> None:
    record(cluster, tmp_path, row(5, "12:00:00", "12:10:00", state="REQUEUED"), row(5, "12:30:00", "13:00:00"))
    take(cluster, held("5", 0), PROLOG, NOW)
    take(cluster, held("5", 0, 1, seen_ms=START_MS + HOUR_MS // 2), PROLOG, NOW)
    assert mask(5) == [0b1, 0b11]


def test_a_raw_id_goes_before_the_number_of_an_array(cluster: Cluster, tmp_path: Path) -> None:
    record(cluster, tmp_path, row(37, job="36_1"), row(36, job="36_3"))
    take(cluster, held("36", 0), PROLOG, NOW)
    take(cluster, held("36_1", 1), PROLOG, NOW)
    assert (mask(36), mask(37)) == ([0b1], [0b10])


def test_a_uuid_is_the_index_that_the_gpu_had_then(cluster: Cluster, tmp_path: Path) -> None:
    record(cluster, tmp_path, row(5))
    uuid = "GPU-01234567-89ab-cdef-0123-456789abcdef"
    told = [GpuHoldRecord("5", "n1", START_MS + 1_000, gpu=uuid.upper())]
    assert take(cluster, told, PROLOG, NOW).waiting == 1
    node = Node.objects.get(name="n1")
    GpuPlace.objects.create(node=node, index=3, uuid=uuid, valid_from_ms=0)
    GpuPlace.objects.create(node=node, index=1, uuid=uuid, valid_from_ms=START_MS + HOUR_MS)
    assert apply_waiting(NOW) == 1
    assert mask(5) == [0b1000]


def test_what_can_be_no_hold_is_refused_by_reason(cluster: Cluster) -> None:
    wrong = [
        GpuHoldRecord("", "n1", START_MS, index=0), GpuHoldRecord("5", "n1", START_MS, index=63),
        GpuHoldRecord("5", "n1", START_MS), GpuHoldRecord("5", "n9", START_MS, index=0),
        GpuHoldRecord("5", "n1", ms_from_datetime(NOW) + 48 * HOUR_MS, index=0),
        GpuHoldRecord("5", "n1", START_MS, gpu="x" * 65),
    ]  # fmt: skip
    report = take(cluster, wrong, PROLOG, NOW)
    assert (report.stored, sum(report.refused.values()), len(report.refused)) == (0, 6, 5)


def test_the_holds_of_one_cluster_are_nothing_to_another(cluster: Cluster, tmp_path: Path) -> None:
    other = Cluster.objects.create(name="beta")
    Node.objects.create(cluster=other, name="n1")
    record(cluster, tmp_path, row(5))
    take(other, held("5", 0), PROLOG, NOW)
    assert mask(5) == [0]


def test_a_sealed_day_keeps_a_pending_correction(cluster: Cluster, tmp_path: Path) -> None:
    record(cluster, tmp_path, row(5))
    SealedDay.objects.create(cluster=cluster, day=date(2025, 3, 1), sealed_at=NOW)
    DirtyNodeDay.objects.all().delete()
    take(cluster, held("5", 0), PROLOG, NOW)
    assert not DirtyNodeDay.objects.exists()
    assert PendingCorrection.objects.get().detail["now"] == {"gpu_mask": 1}


def test_a_hold_whose_job_never_comes_is_forgotten_in_the_end(cluster: Cluster) -> None:
    take(cluster, held("5", 0), PROLOG, NOW)
    apply_waiting(NOW + timedelta(days=29))
    assert GpuHold.objects.exists()
    apply_waiting(NOW + timedelta(days=31))
    assert not GpuHold.objects.exists()
    assert not Job.objects.exists()
