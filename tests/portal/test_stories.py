"""Each story is a link of a demo's front page, and the page it leads to says it, in figures of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from statistics import median

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings
from pytest_django import DjangoAssertNumQueries

from measurements.demo.people import LOOK_AS, PASSWORD, PEOPLE, PERMISSIONS
from measurements.demo.stories import StoryJob
from measurements.models import Batch, JobEnergy, NodeHour
from portal.quantities import format_quantity, number, percent
from portal.stories import stories
from tests.measurements.demo.test_story_ledger import SINCE, Booked, booked, seconds

__all__ = ["booked"]
pytestmark = pytest.mark.django_db
SLUGS = {
    "runtime", "ranking", "idle-gpus", "training", "inference", "failed-array", "silent-meter", "late-data",
}  # fmt: skip


@pytest.fixture(autouse=True)
def demo(booked: Booked) -> Iterator[None]:
    """A demo with its people."""
    for username in LOOK_AS.values():
        person = User.objects.create_user(username, password=PASSWORD)
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
