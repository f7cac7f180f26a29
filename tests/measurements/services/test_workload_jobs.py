"""A row a job for comparing workloads: made with the job's total, from what it held, drew and declared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from django.utils import timezone

from measurements.models import Channel, ChannelPeriod, Job, Scope, WorkloadJob
from measurements.selectors.workload_rows import frame, workload_jobs
from measurements.services.rollups import rebuild_rollups
from measurements.services.tags import edit_tags
from measurements.services.workload_jobs import lots
from tests.portal import world

pytestmark = [pytest.mark.django_db]
NOW = timezone.now


@pytest.fixture(autouse=True)
def site(tmp_path: Path) -> None:
    world.build(tmp_path)


def tag(*job_ids: str, **said: object) -> None:
    jobs = Job.objects.filter(job_id__in=job_ids).values_list("pk", flat=True)
    edit_tags("olga", list(jobs), said, NOW())
    rebuild_rollups(NOW)


def row(job_id: str) -> WorkloadJob:
    return WorkloadJob.objects.get(job__job_id=job_id)


def test_untagged_jobs_have_none() -> None:
    assert not WorkloadJob.objects.exists()


def test_a_job_on_two_nodes_of_one_type() -> None:
    tag("123", workload="wide", phase="training", work=10, unit="steps", size="big", target="99")
    found = row("123")
    assert (found.nodes, found.cpus, found.gpus, found.node_id) == (2, 8, 0, None)
    assert found.node_type is not None
    assert found.node_type.name == "thin"
    assert (found.runtime_s, found.held_s) == (world.HOUR, 2 * world.HOUR)
    assert found.energy_j == pytest.approx(world.WIDE_J)
    assert found.estimate_j == pytest.approx(2 * 300.0 * world.HOUR)
    assert found.coverage == pytest.approx((2 * 60 - 19) / 120)
    assert (found.workload, found.phase, found.work, found.unit) == ("wide", "training", 10.0, "steps")
    assert (found.size, found.target, found.quality, found.scope) == ("big", "99", "partial", Scope.NODE_AC)


def test_a_job_that_shares_a_node_with_gpus() -> None:
    tag("36_1", workload="train")
    found = row("36_1")
    assert (found.nodes, found.cpus, found.gpus) == (1, 4, 1)
    assert found.node is not None
    assert found.node.name == "mixed1"
    assert found.energy_j == pytest.approx(world.TRAIN_J)
    assert found.gpu_energy_j == pytest.approx(150.0 * world.HOUR)
    assert found.estimate_j is None, "its rated power is not known"


def test_jobs_that_held_nothing_known_or_wait_have_no_row() -> None:
    tag("200", "202", workload="none")
    assert not WorkloadJob.objects.exists()


def test_a_job_on_a_node_that_nobody_described_has_no_type_and_no_scope() -> None:
    tag("201", workload="elsewhere")
    assert (row("201").node_type, row("201").scope, row("201").coverage) == (None, Scope.UNKNOWN, 0.0)


def test_a_node_without_a_meter_has_an_unknown_scope() -> None:
    tag("93+1", workload="unmetered")
    assert row("93+1").scope == Scope.UNKNOWN


def test_what_the_meter_is_declared_to_leave_out_is_its_scope() -> None:
    ChannelPeriod.objects.filter(channel__node__name="mixed1", channel__name="node").delete()
    channel = Channel.objects.get(node__name="mixed1", name="node")
    ChannelPeriod.objects.create(channel=channel, covers_gpus=False)
    tag("36_1", workload="train")
    assert row("36_1").scope == Scope.NODE_WITHOUT_GPUS


def test_nodes_metered_in_different_ways_are_said_to_be_mixed() -> None:
    channel = Channel.objects.get(node__name="thin1", name="node")
    ChannelPeriod.objects.filter(channel=channel).delete()
    ChannelPeriod.objects.create(channel=channel, dc=True)
    tag("123", "300", workload="wide")
    assert (row("123").scope, row("300").scope) == (Scope.MIXED, Scope.NODE_AC)


def test_a_workload_taken_away_takes_the_row() -> None:
    tag("123", "300", workload="wide")
    assert WorkloadJob.objects.count() == 2
    tag("123", workload="")
    assert list(WorkloadJob.objects.values_list("job__job_id", flat=True)) == ["300"]


def test_all_of_a_few_jobs_are_read_and_of_many_a_fixed_sample() -> None:
    tag("123", "300", "36_1", "36_2", workload="one")
    whole = workload_jobs(WorkloadJob.objects.filter(workload="one"))
    assert whole.whole
    part = workload_jobs(WorkloadJob.objects.filter(workload="one"), most=1)
    assert not part.whole
    expected = set(WorkloadJob.objects.filter(lot__lt=5_000).values_list("pk", flat=True))
    assert set(part.rows["job"].tolist()) == expected


def test_lots_are_even() -> None:
    counts = np.bincount(lots(np.arange(1, 1_000_001)), minlength=10_000)
    assert counts.min() > 50
    assert counts.max() < 200
    of_a_tenth = lots(np.arange(5_000, 15_000)) < 1_000
    assert 0.08 < of_a_tenth.mean() < 0.12


def test_a_frame_of_nothing_has_its_columns() -> None:
    assert {"energy_j", "work", "node_type"} <= set(frame(WorkloadJob.objects.none()).names())
