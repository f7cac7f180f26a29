"""What each story shows stands in the ledger, after the simulated files went through the real pipeline."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import mean, median

import pytest
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.db.models import QuerySet
from django.test import override_settings
from pytest_django.plugin import DjangoDbBlocker

from measurements.demo.boards import NODE_TYPES, correct_node_types, publish_node_types
from measurements.demo.live import carry_on
from measurements.demo.lots import plan_lots
from measurements.demo.note import Simulated, read_note
from measurements.demo.people import OPERATOR, PERMISSIONS, SECOND_OPERATOR
from measurements.demo.recipes import NNUNET
from measurements.demo.rhythm import DAY_S
from measurements.demo.site import book_all, describe, take_in, written
from measurements.demo.stories import Stories, StoryJob, find_stories
from measurements.domain.board_document import read
from measurements.domain.units import MS_PER_S, US_PER_S
from measurements.models import (
    Batch,
    Cluster,
    Edition,
    Job,
    JobEnergy,
    JobTags,
    Node,
    NodeConfig,
    NodeDay,
    NodeState,
    TypeDay,
    WorkloadJob,
)

pytestmark = pytest.mark.django_db

SEED = 2212
SINCE = date(2025, 2, 4)  # four weeks before the day whose log comes late: two editions of a leaderboard
A_SUNDAY = date(2025, 3, 2)
FINE_FROM = date(2025, 3, 4)  # a Tuesday: GPUs are held idle, and a log is to come late
NOW = datetime(2025, 3, 9, 7, 0, tzinfo=UTC)
DELIVERED = datetime(2025, 3, 9, 8, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Booked:
    stories: Stories
    var: Path
    late_before_s: float  # covered time of the day whose log came late, before it came


@pytest.fixture(scope="module")
def booked(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Booked]:
    var = tmp_path_factory.mktemp("story")
    with django_db_blocker.unblock(), transaction.atomic(), override_settings(JOULEBOOK_VAR=var):
        cluster = simulate(var)
        stories = find_stories(SEED, seconds(SINCE), int(DELIVERED.timestamp()))
        before_s = covered_s(*late(stories))
        operators()
        assert stories.late
        publish_node_types(stories.late)
        while carry_on(DELIVERED):
            pass
        book_all(cluster, lambda _share, _what: None)
        correct_node_types(stories.late)
        yield Booked(stories, var, before_s)
        transaction.set_rollback(True)


def operators() -> None:
    """The two who make leaderboards."""
    for name in (OPERATOR, SECOND_OPERATOR):
        permissions = Permission.objects.filter(codename__in=PERMISSIONS[name])
        User.objects.create_user(name).user_permissions.set(permissions)


def simulate(var: Path) -> Cluster:
    """As a first start, but with a younger history."""
    now_s = int(NOW.timestamp())
    begun = Simulated(SEED, seconds(SINCE), seconds(FINE_FROM), seconds(SINCE))
    cluster = describe(begun, now_s)
    take_in(cluster, begun, written(plan_lots(begun, now_s)), lambda _lot: None)
    book_all(cluster, lambda _share, _what: None)
    done = read_note(var)
    assert done is not None
    assert done.until_s == now_s
    return cluster


def seconds(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_S


def late(stories: Stories) -> tuple[str, date]:
    assert stories.late is not None
    return stories.late.node, stories.late.day


def covered_s(node: str, *days: date) -> float:
    rows = NodeDay.objects.filter(node__name=node, day__in=days)
    return sum(row.covered_us for row in rows) / US_PER_S


def energy(job: StoryJob) -> JobEnergy:
    return JobEnergy.objects.get(job__job_id=job.job_id)


def metered_j(jobs: Iterable[StoryJob]) -> list[float]:
    rows = [energy(job) for job in jobs]
    assert {row.quality for row in rows} == {"metered"}
    return [row.energy_j for row in rows]


def estimated_j(job: StoryJob) -> float:
    """Rated power × time × share of cores, from what the site knows of the job."""
    allocation = Job.objects.get(job_id=job.job_id).runs.get().allocations.get()
    config = NodeConfig.objects.get(node=allocation.node)
    assert config.rated_w is not None
    assert config.cpus is not None
    assert allocation.cpus is not None
    assert allocation.end_ms is not None
    held_s = (allocation.end_ms - allocation.start_ms) / MS_PER_S
    return config.rated_w * held_s * allocation.cpus / config.cpus


def test_twins_of_equal_estimates_are_metered_several_times_apart(booked: Booked) -> None:
    twins = booked.stories.twins
    assert twins is not None
    assert estimated_j(twins.busy) == pytest.approx(estimated_j(twins.stalled), rel=0.01)
    busy_j, stalled_j = metered_j([twins.busy, twins.stalled])
    assert busy_j > 3 * stalled_j


def test_the_ranking_by_estimate_is_the_ranking_by_meter_turned_round(booked: Booked) -> None:
    ranking = booked.stories.ranking
    assert ranking is not None
    estimates, metered = [estimated_j(job) for job in ranking.jobs], metered_j(ranking.jobs)
    assert estimates == sorted(estimates, reverse=True)
    assert metered == sorted(metered)
    assert metered[-1] > 1.2 * metered[0]


def test_four_gpus_are_held_and_idle_all_night(booked: Booked) -> None:
    held = booked.stories.held_gpus
    assert held is not None
    row = energy(held.job)
    length_s = held.job.end_s - held.job.start_s
    assert row.gpu_held_us / US_PER_S == pytest.approx(4 * length_s, rel=0.02)
    assert row.gpu_idle_us == pytest.approx(row.gpu_held_us, rel=0.01)
    assert 0.1 < row.gpu_idle_j / row.energy_j < 0.5


def test_training_is_clearly_better_on_gpus_and_inference_is_not(booked: Booked) -> None:
    nnunet = booked.stories.nnunet
    assert nnunet is not None
    training_gpu, training_cpu = metered_j(nnunet.training_gpu), metered_j(nnunet.training_cpu)
    assert min(training_cpu) > 3 * max(training_gpu)
    inference_gpu, inference_cpu = metered_j(nnunet.inference_gpu), metered_j(nnunet.inference_cpu)
    assert min(inference_gpu) < mean(inference_cpu) < max(inference_gpu)
    assert max(inference_gpu) > 1.1 * min(inference_gpu)
    for jobs, phase in ((nnunet.training_gpu, "training"), (nnunet.inference_cpu, "inference")):
        comments = {Job.objects.get(job_id=job.job_id).comment for job in jobs}
        assert len(comments) == 1
        assert f"workload=nnunet phase={phase} work=" in comments.pop()


def test_every_task_of_the_array_failed_and_drew_power(booked: Booked) -> None:
    array = booked.stories.failing_array
    assert array is not None
    jobs = Job.objects.filter(array_job_id=int(array.array_id))
    assert {job.state for job in jobs} == {"FAILED"}
    assert jobs.count() == len(array.tasks)
    total_j = sum(energy(task).energy_j for task in array.tasks)
    assert total_j > 10 * 3.6e6


def test_a_dead_bmc_lowers_coverage_and_not_power(booked: Booked) -> None:
    dead = booked.stories.dead_meter
    assert dead is not None
    days = [date(1970, 1, 1) + timedelta(days=dead.start_s // DAY_S + offset) for offset in range(4)]
    assert covered_s(dead.node, *days[1:3]) < 60  # half an interval reaches over midnight
    assert covered_s(dead.node, *days) < 0.35 * 4 * DAY_S
    metered = {
        row.day: row for row in NodeDay.objects.filter(node__name=dead.node) if row.covered_us > DAY_S * US_PER_S / 4
    }
    power_w = {day: row.metered_j / (row.covered_us / US_PER_S) for day, row in metered.items()}
    assert {days[0], days[3]} <= power_w.keys()
    usual_w = power_w[days[0] - timedelta(days=1)]
    assert all(watts == pytest.approx(usual_w, rel=0.05) for watts in power_w.values())


def test_a_late_log_is_a_batch_of_its_own_and_fills_its_day(booked: Booked) -> None:
    node, day = late(booked.stories)
    assert booked.late_before_s < 60
    assert covered_s(node, day) > 0.98 * DAY_S
    assert booked.stories.late is not None
    (batch,) = Batch.objects.filter(source__endswith=booked.stories.late.file_name)
    assert batch.stored > 2_800
    assert batch.refused == 0


def test_several_people_do_the_same_work_on_nodes_of_every_type(booked: Booked) -> None:
    assert booked
    rows = WorkloadJob.objects.filter(workload=NNUNET, phase="inference", state="COMPLETED")
    assert set(rows.values_list("work", "unit", "size")) == {(200.0, "cases", "liver")}
    for kind in ("cpu", "gpu4", "mixed", "highmem"):
        people = set(rows.filter(node_type__name=kind).values_list("username", flat=True))
        assert len(people - {"alice"}) >= 8, kind
    median_j = {kind: median(of_type(rows, kind, "energy_j")) for kind in ("cpu", "gpu4", "mixed")}
    assert median_j["cpu"] == pytest.approx(median_j["gpu4"], rel=0.05)
    assert median(of_type(rows, "mixed", "estimate_j")) > median(of_type(rows, "gpu4", "estimate_j"))
    assert median_j["mixed"] < 0.9 * median_j["gpu4"], "metered, it is the other way round"


def of_type(rows: QuerySet[WorkloadJob], kind: str, field: str) -> list[float]:
    return list(rows.filter(node_type__name=kind).values_list(field, flat=True))


def test_people_need_unlike_energy_for_the_same_work(booked: Booked) -> None:
    assert booked
    rows = WorkloadJob.objects.filter(workload=NNUNET, phase="inference", state="COMPLETED", node_type__name="gpu4")
    median_j = {
        name: median(rows.filter(username=name).values_list("energy_j", flat=True)) for name in ("ivan", "yusuf")
    }
    assert median_j["ivan"] > 1.1 * median_j["yusuf"]


@pytest.mark.parametrize(("name", "workload"), [("cfd-channel", "openfoam"), ("ocean-forecast", "fesom")])
def test_jobs_that_say_nothing_are_tagged_by_a_rule(booked: Booked, name: str, workload: str) -> None:
    assert booked
    jobs = Job.objects.filter(name=name)
    assert jobs.exists()
    assert set(jobs.values_list("comment", "workload")) == {("", workload)}
    origins = JobTags.objects.filter(job__in=jobs).values_list("workload_origin", flat=True)
    assert {origin.split()[0] for origin in origins} == {"rule"}


def test_the_edition_from_before_the_late_log_stays_and_the_correction_stands_beside_it(booked: Booked) -> None:
    assert booked.stories.late
    before, after = Edition.objects.filter(board__slug=NODE_TYPES, last=booked.stories.late.day).order_by("revision")
    assert (before.state, after.state) == ("corrected", "published")
    assert before.published_at
    assert before.published_at.timestamp() < booked.stories.late.due_s < after.cutoff_at.timestamp()  # type: ignore[union-attr]
    assert hashlib.sha256(before.frozen.encode()).hexdigest() == before.sha256
    kinds = [{row.name for row in read(edition.frozen).rows} for edition in (before, after)]
    assert kinds == [{"cpu", "gpu4", "mixed"}, {"cpu", "gpu4", "mixed", "highmem"}]
    assert [(one.reason, one.subject) for one in read(before.frozen).withheld] == [("low_coverage", "highmem")]
    assert len({before.drafted_by, before.approved_by}) == len({after.submitted_by, after.approved_by}) == 2


def test_nothing_of_all_that_was_refused(booked: Booked) -> None:
    assert booked
    assert sum(Batch.objects.values_list("refused", flat=True)) == 0


def test_the_building_draws_what_is_in_it_and_its_losses(booked: Booked) -> None:
    assert booked
    day = SINCE + timedelta(days=4)
    by_level: dict[str, float] = {}
    for row in NodeDay.objects.filter(day=day).select_related("node"):
        by_level[row.node.level] = by_level.get(row.node.level, 0.0) + row.metered_j
    assert set(by_level) == {Node.Level.NODE, Node.Level.INFRASTRUCTURE, Node.Level.FACILITY}
    below_j = by_level[Node.Level.NODE] + by_level[Node.Level.INFRASTRUCTURE]
    assert 1.08 < by_level[Node.Level.FACILITY] / below_j < 1.4


def test_nodes_that_are_switched_off_are_off_and_no_gap(booked: Booked) -> None:
    assert booked
    assert NodeState.objects.filter(power=NodeState.Power.OFF, end_ms__isnull=False).exists()
    off_us = sum(TypeDay.objects.filter(day=A_SUNDAY).values_list("off_us", flat=True))
    assert off_us > 0
    unallocated_j = sum(TypeDay.objects.values_list("unallocated_j", flat=True))
    metered = sum(TypeDay.objects.values_list("metered_j", flat=True))
    assert 0.02 < unallocated_j / metered < 0.3


def test_the_clock_goes_on(booked: Booked) -> None:
    assert booked
    newest = max(row.last_sample_ms or 0 for row in Node.objects.all())
    assert abs(newest / 1_000 - DELIVERED.timestamp()) < 60
