"""What the same work drew on other node types: of one's own jobs, from three on, to oneself."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from measurements.models import Allocation, Cluster, Job, JobEnergy, Node, NodeConfig, NodeType, Run
from measurements.selectors.alike import alike
from tests.conftest import People

HOUR_MS = 3_600_000
START = 1_741_564_800_000


@pytest.fixture
def jobs(people: People) -> Cluster:
    """alice's runs of nnunet: five on fat, four on thin of which one failed, two on odd; bob's on thin."""
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
            ran(cluster, nodes[name], number, "alice", energy_j, (place + 1) * HOUR_MS, state=state)
    for number_ in (91, 92, 93):
        ran(cluster, nodes["thin"], number_, "bob", 1e3, HOUR_MS)
    return cluster


def ran(
    cluster: Cluster, node: Node, number: int, who: str, energy_j: float, length_ms: int, *, state: str = "COMPLETED"
) -> Job:
    times = {"start_ms": START + number * HOUR_MS, "end_ms": START + number * HOUR_MS + length_ms}
    tags = {"workload": "nnunet", "phase": "training", "name": f"run{number}"}
    job = Job.objects.create(cluster=cluster, job_id=str(number), username=who, state=state, **tags, **times)
    run = Run.objects.create(job=job, state=state, **times)
    Allocation.objects.create(run=run, node_name=node.name, node=node, **times)
    JobEnergy.objects.create(
        job=job, energy_j=energy_j, gpu_energy_j=0, filled_j=0, covered_us=1000 * length_ms,
        elapsed_us=1000 * length_ms, samples=100, expected_samples=100, quality="metered",
    )  # fmt: skip
    return job


def test_median_and_quartiles_of_each_type_the_least_first(jobs: Cluster, people: People) -> None:
    found = alike(Job.objects.get(job_id="1"), people.alice)
    assert found is not None
    rows = {kind.node_type: kind for kind in found.types}
    assert [kind.node_type for kind in found.types] == ["thin", "fat", "odd"], "what can't be compared comes last"
    assert (rows["fat"].low_j, rows["fat"].median_j, rows["fat"].high_j) == (20e6, 30e6, 40e6)
    assert (rows["thin"].jobs, rows["thin"].median_j, rows["thin"].runtime_s) == (3, 4e6, 7200.0)
    assert (rows["odd"].jobs, rows["odd"].median_j) == (2, None), "fewer than three"
    assert [kind.this for kind in found.types] == [False, True, False]


def test_nobody_else_sees_it(jobs: Cluster, people: People, client: Client) -> None:
    job = Job.objects.get(job_id="1")
    assert alike(job, people.olga) is None
    assert alike(job, people.bob) is None
    client.force_login(people.olga)
    assert b"other node types" not in client.get("/jobs/c/1/").content
    client.force_login(people.alice)
    page = client.get("/jobs/c/1/").content.decode().replace("\u00a0", " ")
    assert "On thin such a job drew 1.11 kWh (median); on fat 7.50 times as much." in page
    assert "too few to compare" in page


def test_a_job_of_one_type_has_nothing_to_compare(jobs: Cluster, people: People) -> None:
    job = Job.objects.get(job_id="91")
    assert alike(job, people.bob) is None


def test_without_a_declared_workload_the_name_tells(jobs: Cluster, people: People) -> None:
    Job.objects.filter(username="alice").update(workload="", phase="", name="solve")
    found = alike(Job.objects.get(job_id="1"), people.alice)
    assert found is not None
    assert len(found.compared) == 2
    Job.objects.filter(job_id="1").update(name="other")
    assert alike(Job.objects.get(job_id="1"), people.alice) is None


def test_two_queries(jobs: Cluster, people: People, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    job = Job.objects.get(job_id="1")
    people.alice.has_perm("measurements.view_all_jobs")  # asks once for all
    with django_assert_num_queries(2):  # jobs with their nodes, descriptions of the nodes
        alike(job, people.alice)
