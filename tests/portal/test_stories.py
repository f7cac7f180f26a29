"""Each story is a link of a demo's front page, and the page it leads to says it, in figures of the ledger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from statistics import median

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings
from pytest_django import DjangoAssertNumQueries

from measurements.demo.boards import LATE_REASON, NODE_TYPES
from measurements.demo.people import LOOK_AS, PASSWORD, PEOPLE, PERMISSIONS
from measurements.demo.recipes import NNUNET
from measurements.demo.stories import StoryJob
from measurements.domain.board_document import read
from measurements.models import Batch, Edition, JobEnergy, NodeHour, WorkloadJob
from portal.quantities import format_quantity, number, percent
from portal.stories import stories
from tests.measurements.demo.test_story_ledger import SINCE, Booked, booked, seconds

__all__ = ["booked"]
pytestmark = pytest.mark.django_db
SLUGS = {
    "runtime", "ranking", "estimate", "idle-gpus", "nnunet", "training", "inference", "node-types-board",
    "failed-array", "silent-meter", "late-data", "corrected-board", "old-edition",
}  # fmt: skip


@pytest.fixture(autouse=True)
def demo(booked: Booked) -> Iterator[None]:
    """A demo with its people."""
    for username in LOOK_AS.values():
        person, _new = User.objects.get_or_create(username=username)
        person.set_password(PASSWORD)
        person.save()
        person.user_permissions.set(Permission.objects.filter(codename__in=PERMISSIONS.get(username, ())))
    with override_settings(JOULEBOOK_DEMO=True, JOULEBOOK_VAR=booked.var):
        yield


def told(client: Client, slug: str) -> str:
    """The text of the page that a story leads to."""
    answer = client.get(f"/demo/stories/{slug}/", follow=True)
    assert answer.redirect_chain, slug
    assert answer.status_code == 200
    assert "Simulated cluster: no figure here is a measurement." in answer.content.decode()
    return unescape(answer.content.decode())


def energies(jobs: Iterable[StoryJob]) -> list[float]:
    return [JobEnergy.objects.get(job__job_id=job.job_id).energy_j for job in jobs]


def test_every_story_is_a_link_of_the_front_page(
    client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(10):
        front = client.get("/").content.decode()
    assert not [name for name in PEOPLE if f">{name}<" in front or f" {name} " in front]
    links = {chapter.slug for story in stories() for chapter in story.chapters}
    assert links == SLUGS
    assert all(f'href="/demo/stories/{slug}/"' in front for slug in links)


def test_runtime_is_not_energy(client: Client, booked: Booked) -> None:
    assert booked.stories.twins
    busy, stalled = booked.stories.twins.busy, booked.stories.twins.stalled
    busy_j, stalled_j = energies([busy, stalled])
    page = told(client, "runtime")
    assert f"Runtime alone calls jobs {busy.job_id} and {stalled.job_id} equal" in page
    assert f"job {busy.job_id} drew {number(busy_j / stalled_j)} times as much as job {stalled.job_id}" in page


def test_a_ranking_flips(client: Client, booked: Booked) -> None:
    assert booked.stories.ranking
    jobs = booked.stories.ranking.jobs
    least = min(zip(energies(jobs), jobs, strict=True), key=lambda pair: pair[0])[1]
    shortest = min(jobs, key=lambda job: job.end_s - job.start_s)
    said = f"By runtime alone job {shortest.job_id} comes out most economical; metered, it is job {least.job_id}"
    assert f"{said}: the ranking flips." in told(client, "ranking")


def typical(kind: str, field: str, phase: str = "inference") -> float:
    """The median of the jobs that the workload's page compares, of a unit of work."""
    rows = WorkloadJob.objects.filter(workload=NNUNET, phase=phase, node_type__name=kind, state="COMPLETED")
    found = rows.filter(coverage__gte=0.95, quality="metered", excused=False)
    return float(median(each / work for each, work in found.values_list(field, "work")))


def test_runtime_ranks_node_types_the_other_way_round(client: Client, booked: Booked) -> None:
    assert booked.stories.nnunet
    page = told(client, "estimate")
    guessed = number(typical("mixed", "estimate_j") / typical("gpu4", "estimate_j"))
    metered = number(typical("gpu4", "energy_j") / typical("mixed", "energy_j"))
    assert f"By the estimate from runtime mixed would draw {guessed} times as much as gpu4" in page
    assert f"metered it is the other way round: gpu4 drew {metered} times as much for the same work" in page


def test_processors_keep_up_in_inference_and_not_in_training(client: Client, booked: Booked) -> None:
    assert booked.stories.nnunet
    page = re.sub(r"\s+", " ", told(client, "nnunet"))
    for phase, words in (("inference", "processors alone are comparable"), ("training", "accelerators pay")):
        times = number(typical("cpu", "energy_j", phase) / typical("gpu4", "energy_j", phase))
        said = re.findall(
            rf"In {phase} [^.]*{words}: on cpu[^.]* {re.escape(times)} \([^)]*\) times what it drew", page
        )
        assert said, (phase, times)


def test_the_public_leaderboard_says_the_same_without_a_login(client: Client, booked: Booked) -> None:
    assert booked.stories.nnunet
    page = told(client, "node-types-board")
    address = client.get("/demo/stories/node-types-board/")["Location"]
    newest = Edition.objects.get(board__slug=NODE_TYPES, number=2, state="published")
    for shown in (page, unescape(Client().get(address).content.decode())):
        assert newest.sha256 in shown
        for row in read(newest.frozen).rows:
            assert row.name in shown
            assert f"{row.value}" in shown


def test_a_leaderboard_is_corrected_after_late_data_and_the_old_edition_is_intact(
    client: Client, booked: Booked
) -> None:
    assert booked.stories.late
    before, after = Edition.objects.filter(board__slug=NODE_TYPES, number=2).order_by("revision")
    corrected, old = told(client, "corrected-board"), told(client, "old-edition")
    assert after.sha256 in corrected
    assert LATE_REASON in corrected
    assert "highmem" in corrected
    assert before.sha256 in old
    assert after.sha256 not in old.split("<footer")[0].split("</main>")[0].replace(LATE_REASON, "")
    assert "too much of the time was not measured" in old


def test_idle_accelerators(client: Client, booked: Booked) -> None:
    assert booked.stories.held_gpus
    energy = JobEnergy.objects.get(job__job_id=booked.stories.held_gpus.job.job_id)
    share = percent(energy.gpu_idle_us / energy.gpu_held_us)
    cost = f"{format_quantity(energy.gpu_idle_j, 'energy')}, {percent(energy.gpu_idle_j / energy.energy_j)}"
    assert f"Its 4 GPUs were idle {share} of the time it held them: {cost} of its energy." in told(client, "idle-gpus")


@pytest.mark.parametrize("phase", ["training", "inference"])
def test_training_and_inference_apart(client: Client, booked: Booked, phase: str) -> None:
    assert booked.stories.nnunet
    page = told(client, phase)
    for kind in ("gpu", "cpu"):
        jobs = getattr(booked.stories.nnunet, f"{phase}_{kind}")
        typical = format_quantity(median(energies(jobs)), "energy")
        assert f"{typical} on {'gpu4' if kind == 'gpu' else 'cpu'} (n = {len(jobs)})" in page


def test_an_array_fails_all_night(client: Client, booked: Booked) -> None:
    assert booked.stories.failing_array
    tasks = booked.stories.failing_array.tasks
    total = format_quantity(sum(energies(tasks)), "energy")
    page = told(client, "failed-array")
    assert f"{len(tasks)} of {len(tasks)} jobs failed; they drew {total}" in page


def test_coverage_falls_and_power_does_not(client: Client, booked: Booked) -> None:
    dead = booked.stories.dead_meter
    assert dead
    end = datetime.fromtimestamp(dead.end_s, UTC) + timedelta(hours=12)
    hours = NodeHour.objects.filter(node__name=dead.node)
    inside = [
        (hour.energy_j, hour.covered_us / 1e6)
        for hour in hours
        if end - timedelta(days=7) <= datetime(*hour.day.timetuple()[:3], hour.hour, tzinfo=UTC) < end
    ]
    mean_w = sum(energy for energy, _ in inside) / sum(covered for _, covered in inside)
    in_service_s = end.timestamp() - max(end.timestamp() - 7 * 86_400, seconds(SINCE))
    covered = sum(covered for _, covered in inside) / in_service_s
    drew = f"while measured it drew {format_quantity(mean_w, 'power')} on average"
    assert f"Measured {percent(covered)} of the time; {drew}" in told(client, "silent-meter")
    assert covered < 0.6


def test_late_data(client: Client, booked: Booked) -> None:
    assert booked.stories.late
    batch = Batch.objects.get(source__endswith=booked.stories.late.file_name)
    page = told(client, "late-data")
    assert booked.stories.late.file_name in page
    assert str(batch.stored) in page.replace(",", "").replace("\N{NARROW NO-BREAK SPACE}", "")
