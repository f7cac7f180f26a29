"""What a job would draw on other node types: from jobs of like work, one's own from three on, others' of a crowd."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from measurements.models import Allocation, Cluster, Job, JobEnergy, Node, NodeConfig, NodeType, Run
from measurements.selectors.like_jobs import Basis, LikeJobs, Missing, like_jobs
from tests.conftest import People
from tests.portal.workload_world import CROWD, crowd, ran

NOW = datetime(2025, 6, 15, tzinfo=UTC)
HOUR_MS = 3_600_000
START = 1_741_564_800_000


def found_for(job: Job, viewer: Any) -> LikeJobs:
    viewer.has_perm("measurements.view_all_jobs")
    return like_jobs(job, viewer, NOW)


def medians(found: LikeJobs) -> dict[str, float | None]:
    return {one.node_type: one.energy_j.median if one.energy_j else None for one in found.types}


def test_energy_per_unit_times_this_job_s_work_the_least_first(people: People) -> None:
    job = ran("alice", "fat", 50e6, work=500.0)
    for place in range(5):
        ran("alice", "fat", (10 + place) * 1e6, work=100.0)
        ran("alice", "thin", (2 + place) * 1e6, work=100.0, runtime_s=60.0)
    found = found_for(job, people.alice)
    assert found.basis is Basis.WORK
    assert list(medians(found).items()) == [("thin", 20e6), ("fat", 60e6)]
    thin, fat = found.types
    assert (thin.n, thin.whose, thin.this, fat.this) == (5, "own", False, True)
    assert thin.runtime_s is not None
    assert thin.runtime_s.median == pytest.approx(300.0)
    assert thin.energy_j is not None
    assert thin.energy_j.low < 10e6 < 30e6 < thin.energy_j.high


def test_the_job_itself_failed_ones_and_other_work_say_nothing(people: People) -> None:
    job = ran("alice", "fat", 50e6, size="big", target="99")
    for more in ({}, {"size": "big"}, {"size": "big", "target": "98"}, {"size": "big", "target": "99", "unit": "ns"}):
        for _ in range(3):
            ran("alice", "thin", 1e6, **more)  # type: ignore[arg-type]
    for _ in range(3):
        ran("alice", "thin", 1e6, size="big", target="99", state="FAILED")
        ran("alice", "thin", 1e6, size="big", target="99", phase="inference")
    found = found_for(job, people.alice)
    assert found.types == ()
    assert found.missing is Missing.JOBS


def test_without_declared_work_energies_of_jobs_that_declare_none_marked_weaker(people: People) -> None:
    job = ran("alice", "fat", 50e6, work=None)
    for place in range(3):
        ran("alice", "thin", (2 + place) * 1e6, work=None)
        ran("alice", "thin", 900e6, work=5.0)
    found = found_for(job, people.alice)
    assert (found.basis, medians(found)) == (Basis.WORKLOAD, {"thin": 3e6})


def test_own_jobs_count_from_three_on(people: People) -> None:
    job = ran("alice", "fat", 1e6)
    for _ in range(2):
        ran("alice", "thin", 1e6)
    assert found_for(job, people.alice).missing is Missing.JOBS
    assert medians(found_for(job, people.olga)) == {"thin": None}, "too few even for whoever sees all"
    ran("alice", "thin", 1e6)
    assert found_for(job, people.alice).missing is None


def test_others_jobs_count_as_a_crowd(people: People) -> None:
    job = ran("alice", "fat", 1e6)
    for who in CROWD[:5]:
        ran(who, "thin", 2e6)
    assert found_for(job, people.alice).types == (), "one of five would see four"
    ran(CROWD[5], "thin", 2e6, when=timezone.now())
    assert found_for(job, people.alice).types == (), "its month is not over"
    ran(CROWD[5], "thin", 2e6)
    (thin,) = found_for(job, people.alice).types
    assert (thin.whose, thin.n) == ("crowd", 6)
    assert [one.n for one in found_for(job, people.olga).types] == [7]


def test_figures_of_a_crowd_are_rounded_before_they_are_scaled(people: People) -> None:
    """So that the work one names for one's own job does not tell their digits."""
    crowd("thin", 1_234_567.0, work=100.0)
    predicted = set()
    for work in (100.0, 101.0, 137.0, 1000.0):
        types = found_for(ran("alice", "fat", 1e6, work=work), people.alice).types
        thin = next(one for one in types if one.node_type == "thin")
        assert thin.whose == "crowd"
        assert thin.energy_j is not None
        predicted.add(round(thin.energy_j.median / work, 6))
    assert predicted == {13_000.0}


def test_the_page_and_the_interface_say_the_same(people: People, client: Client) -> None:
    job = ran("alice", "fat", 1e6)
    crowd("thin", 36e6, 2)
    crowd("fat", 72e6, 2)
    client.force_login(people.alice)
    page = client.get(f"/jobs/c/{job.job_id}/").content.decode().replace("\u00a0", " ")
    assert "What this job would draw on other node types" in page
    assert "On thin it would draw about 10.3 kWh; eight times in ten between 10.0 kWh and 10.6 kWh." in page
    assert "On fat about 2.00 times as much." in page
    said = json.loads(client.get(f"/api/v1/jobs/c/{job.job_id}/elsewhere").content)
    assert (said["basis"], said["missing"], said["work"], said["unit"]) == ("work", None, 100.0, "epochs")
    thin, fat = said["node_types"]
    assert (thin["node_type"], thin["jobs"], thin["here"], fat["here"]) == ("thin", 12, False, True)
    assert thin["energy_j"]["median"] == pytest.approx(37e6)
    client.force_login(people.charlie)
    assert client.get(f"/api/v1/jobs/c/{job.job_id}/elsewhere").status_code == 404


def test_seven_queries(people: People, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    job = ran("alice", "fat", 1e6)
    crowd("thin", 36e6)
    people.alice.has_perm("measurements.view_all_jobs")
    with django_assert_num_queries(7):  # tags; names of types; own and all groups and rows; where it ran
        like_jobs(job, people.alice, NOW)


# --- Jobs without a workload: by name -----------------------------------------------------------


@pytest.fixture
def named(people: People) -> Cluster:
    """alice's runs of one name: five on fat, four on thin of which one failed, two on odd; bob's on thin."""
    cluster = Cluster.objects.create(name="c")
    nodes = {}
    for name in ("fat", "thin", "odd"):
        nodes[name] = Node.objects.create(cluster=cluster, name=f"{name}1")
        NodeConfig.objects.create(node=nodes[name], node_type=NodeType.objects.create(cluster=cluster, name=name))
    energies = {"fat": [50e6, 10e6, 20e6, 30e6, 40e6], "thin": [2e6, 4e6, 6e6, 999e6], "odd": [1e6, 1e6]}
    number = 0
    for name, joules in energies.items():
        for place, energy_j in enumerate(joules):
            number += 1
            state = "FAILED" if energy_j == 999e6 else "COMPLETED"
            booked(cluster, nodes[name], number, "alice", energy_j, (place + 1) * HOUR_MS, state=state)
    for bobs in (91, 92, 93):
        booked(cluster, nodes["thin"], bobs, "bob", 1e3, HOUR_MS)
    return cluster


def booked(
    cluster: Cluster, node: Node, number: int, who: str, energy_j: float, length_ms: int, *, state: str = "COMPLETED"
) -> None:
    times = {"start_ms": START + number * HOUR_MS, "end_ms": START + number * HOUR_MS + length_ms}
    job = Job.objects.create(cluster=cluster, job_id=str(number), username=who, state=state, name="solve", **times)
    run = Run.objects.create(job=job, state=state, **times)
    Allocation.objects.create(run=run, node_name=node.name, node=node, **times)
    JobEnergy.objects.create(
        job=job, energy_j=energy_j, gpu_energy_j=0, filled_j=0, covered_us=1000 * length_ms,
        elapsed_us=1000 * length_ms, samples=100, expected_samples=100, quality="metered",
    )  # fmt: skip


def test_without_a_workload_one_s_own_jobs_of_the_name_tell(named: Cluster, people: People) -> None:
    found = found_for(Job.objects.get(job_id="1"), people.alice)
    assert found.basis is Basis.NAME
    assert list(medians(found).items()) == [("thin", 4e6), ("fat", 30e6), ("odd", None)], "too few come last"
    assert [one.this for one in found.types] == [False, True, False]
    Job.objects.filter(job_id="1").update(name="other")
    assert found_for(Job.objects.get(job_id="1"), people.alice).missing is Missing.WORKLOAD


def test_nobody_else_is_told_by_name(named: Cluster, people: People, client: Client) -> None:
    job = Job.objects.get(job_id="1")
    for viewer in (people.olga, people.bob):
        assert found_for(job, viewer).types == ()
    client.force_login(people.alice)
    page = client.get("/jobs/c/1/").content.decode().replace("\u00a0", " ")
    assert "On thin it would draw about 1.11 kWh" in page
    assert "too few to compare" in page
    client.force_login(people.olga)
    assert "Not known: the job names no workload" in client.get("/jobs/c/1/").content.decode()
