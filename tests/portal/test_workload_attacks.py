"""What somebody who may not see others' jobs can learn of one person from the pages of a workload: nothing.

People have run 1, 2, 4, 8, … jobs, so that each count that is shown says whose jobs are in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import product
from typing import Any
from unittest import mock

import pytest
from django.test import Client
from django.utils import timezone

from measurements.models import Job, WorkloadJob
from tests.portal.attack_world import KWH, Part, add, user

K = 5
CROWD = [f"low-person-{i}" for i in range(6)] + [f"middle-person-{i}" for i in range(2)]
READERS = ("zoe", CROWD[0], CROWD[4])
JUNE = datetime(2025, 6, 10, 12, tzinfo=UTC)
QUESTIONS = (
    "", "?period=this-year", "?period=last-year", "?size=large", "?size=", "?target=", "?unit=query", "?unit=",
    "?first=2025-03-01&last=2025-03-31", "?first=2025-03-01&last=2025-04-30", "?first=2025-01-01&last=2025-12-31",
    "?first=2025-03-05&last=2025-03-05", "?size=large&unit=query", "?period=this-year&size=large",
)  # fmt: skip


def part(place: int, **more: Any) -> Part:
    """2 to the power of its place jobs; all of like energy, so that nobody has most of it by one job."""
    return Part(CROWD[place], KWH, 1_000.0, jobs=2**place, **more)


def people_of(count: int) -> set[str]:
    return {name for place, name in enumerate(CROWD) if count >> place & 1}


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(user(name))
    return client


@pytest.fixture(autouse=True)
def clock(db: None) -> Iterator[mock.MagicMock]:
    """The site's clock."""
    with mock.patch.object(timezone, "now", return_value=JUNE) as now:
        yield now


def rows(client: Client, question: str = "") -> list[dict[str, Any]]:
    """All types of all comparisons that the interface tells."""
    answer = client.get(f"/api/v1/workloads/nnunet{question}")
    if answer.status_code == 404:
        return []
    found = answer.json()
    return [{**row, **{key: part[key] for key in ("phase", "size", "target", "unit")}}
            for part in found["comparisons"] for row in part["node_types"]]  # fmt: skip


def counts(viewer: str, question: str = "") -> dict[tuple[str, ...], int]:
    """Jobs of others by what they are of."""
    return {
        (row["node_type"], row["phase"], row["size"], row["unit"]): row["jobs"]
        for row in rows(client_of(viewer), question)
        if row["whose"] != "own"
    }


def assert_nothing_small(said: list[dict[tuple[str, ...], int]], viewer: str) -> None:
    """No count, and no difference of two of one group, is of fewer than k people (the viewer's own are known)."""
    by_group: dict[tuple[str, ...], set[int]] = {}
    for one in said:
        for key, count in one.items():
            assert len(people_of(count)) >= K, (key, people_of(count))
            by_group.setdefault(key, set()).add(count)
    for key, found in by_group.items():
        for mine, theirs in product(found, found):
            between = people_of(mine ^ theirs) - {viewer}
            assert not between or len(between) >= K - 1, (key, mine, theirs, between)


# --- One moment -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("viewer", READERS)
def test_no_count_and_no_difference_of_two_is_of_few_people(viewer: str) -> None:
    add([part(place) for place in range(5)])
    add([Part(CROWD[place - 5], KWH, 1_000.0, jobs=2**place, first=date(2024, 9, 1)) for place in range(5, 8)])
    add([part(place, size="large") for place in range(4)])  # four people
    add([part(place, node_type="gpu") for place in range(3, 7)])
    add([part(place, phase="training", first=date(2025, 4, 2)) for place in range(8)])
    said = [counts(viewer, question) for question in QUESTIONS]
    assert any(said), "something is shown"
    both = {one["cpu", "inference", "", "query"] for one in said if ("cpu", "inference", "", "query") in one}
    assert both <= {0b11111, 0b11111111}, "three people of September are not told"
    assert {one.get(("cpu", "training", "", "query")) for one in said if one} == {0b11111111}
    told = {key[2] for one in said for key in one}
    assert "large" not in told


@pytest.mark.parametrize("viewer", READERS)
def test_a_size_of_few_people_is_as_one_that_is_nowhere(viewer: str) -> None:
    add([part(place) for place in range(8)])
    add([part(place, size="large") for place in range(3)])
    client = client_of(viewer)
    answers = []
    for size in ("large", "nowhere"):
        page = client.get(f"/workloads/nnunet/?size={size}")
        answers.append((page.status_code, client.get(f"/api/v1/workloads/nnunet?size={size}").status_code))
        if viewer == "zoe":
            assert "large" not in client.get("/workloads/nnunet/").content.decode()
    assert answers[0] == answers[1]


def test_a_workload_of_few_people_is_as_one_that_is_nowhere() -> None:
    add([part(place, workload="secret") for place in range(4)])
    client = client_of("zoe")
    for path in ("/workloads/{}/", "/api/v1/workloads/{}", "/workloads/{}/?format=csv"):
        assert client.get(path.format("secret")).status_code == client.get(path.format("nowhere")).status_code == 404
    for path in ("/workloads/", "/workloads.csv", "/api/v1/workloads"):
        assert b"secret" not in b"".join([client.get(path).getvalue()]), path


def test_one_who_has_most_of_the_energy_hides_the_figures() -> None:
    add([replace(part(place), joules=KWH * (1 if place else 400)) for place in range(6)])
    assert not [row for row in rows(client_of("zoe")) if row["whose"] != "own"]


def test_nobody_s_name_or_job_stands_on_the_pages() -> None:
    add([part(place) for place in range(8)])
    for path in ("/workloads/", "/workloads/nnunet/", "/workloads.csv", "/api/v1/workloads/nnunet", "/node-types/"):
        body = client_of("zoe").get(path).getvalue().decode()
        for word in (*CROWD, "secret-of", "7000"):
            assert word not in body, (path, word)


def test_failed_jobs_of_few_people_are_not_counted() -> None:
    add([part(place) for place in range(8)])
    add([part(place, state="FAILED") for place in range(3)])
    for row in rows(client_of("zoe")):
        assert row["failed_energy_j"] is None


# --- As time goes on --------------------------------------------------------------------------------------------------


def view(viewer: str) -> bytes:
    return b"".join(json.dumps(rows(client_of(viewer), one), sort_keys=True).encode() for one in QUESTIONS)


def test_the_month_that_is_not_over_changes_nothing() -> None:
    add([part(place) for place in range(8)])
    before = view("zoe")
    add([Part(CROWD[2], 9 * KWH, 10.0, first=date(2025, 6, 1), jobs=7)])
    assert view("zoe") == before


def test_nor_does_it_where_there_are_so_many_jobs_that_some_are_drawn() -> None:
    add([replace(part(place), jobs=100 + place) for place in range(8)])
    before = view("zoe")
    assert before != b"[]" * len(QUESTIONS)
    add([Part(CROWD[2], 9 * KWH, 10.0, first=date(2025, 6, 1), jobs=90)])
    assert view("zoe") == before


def test_months_that_come_to_an_end_are_told_of_enough_people_together(clock: mock.MagicMock) -> None:
    add([part(place) for place in range(5)])
    said = []
    for month, place in ((6, None), (7, 5), (8, 6), (9, 7)):
        if place is not None:
            add([part(place, first=date(2025, month - 1, 2))])
        clock.return_value = datetime(2025, month, 10, tzinfo=UTC)
        said += [counts("zoe", question) for question in QUESTIONS]
    assert any(said)
    assert_nothing_small(said, "zoe")


def test_two_readers_together_learn_no_more_than_one() -> None:
    """What is shown to one less what is shown to another is of enough people, or is theirs."""
    add([part(place, first=date(2025, 1, 2)) for place in range(5)])
    add([part(5, first=date(2025, 2, 2))])
    add([part(place, first=date(2025, 3, 2)) for place in (6, 7)])
    readers = ("zoe", CROWD[0], CROWD[1])
    said = {reader: set(counts(reader).values()) for reader in readers}
    for one, other in product(readers, readers):
        for mine, theirs in product(said[one], said[other]):
            between = people_of(mine ^ theirs) - {one, other}
            assert not between or len(between) >= K - 1, (one, other, between)


@pytest.mark.parametrize("viewer", ["zoe", CROWD[0]])
def test_the_page_of_a_job_says_no_more_of_others_than_the_workload_s(viewer: str) -> None:
    add([part(place) for place in range(8)])
    add([part(place, node_type="gpu") for place in range(4)])
    add([Part("zoe", KWH, 1_000.0, jobs=4), Part(CROWD[0], KWH, 1_000.0, jobs=4, size="large")])
    for job in Job.objects.filter(username=viewer).order_by("pk"):
        found = client_of(viewer).get(f"/api/v1/jobs/alpha/{job.job_id}/elsewhere").json()
        for row in found["node_types"]:
            if row["whose"] == "crowd":
                assert len(people_of(row["jobs"]) - {viewer}) >= K - 1 or row["jobs"] > 255, row
                assert row["node_type"] == "cpu"
    assert WorkloadJob.objects.filter(username=viewer).exists()


def test_others_jobs_are_not_there_on_the_page_of_a_job_of_somebody_else() -> None:
    add([part(place) for place in range(8)])
    job = Job.objects.filter(username=CROWD[7]).first()
    assert job is not None
    assert client_of("zoe").get(f"/api/v1/jobs/alpha/{job.job_id}/elsewhere").status_code == 404


# --- Values -----------------------------------------------------------------------------------------------------------


def test_no_figure_is_the_value_of_one_job() -> None:
    """A median of five jobs is one of them, in full; of others' jobs no digit is told that says which."""
    add([Part(CROWD[place], (1 + 0.0123456 * place) * KWH, 1_000.0, jobs=1) for place in range(5)])
    exact = {round(value, 3) for value in WorkloadJob.objects.values_list("energy_j", flat=True)}
    exact |= {round(value / 1_000.0, 6) for value in WorkloadJob.objects.values_list("energy_j", flat=True)}
    told = set()
    for row in rows(client_of("zoe")):
        for name in ("energy_j", "energy_per_unit_j"):
            figures = row[name] or {}
            for value in (*(figures.get(key) for key in ("median", "first_quartile", "third_quartile")),
                          *(figures.get("median_interval") or ())):  # fmt: skip
                told |= {round(value, 3), round(value, 6)}
    assert not told & exact, told & exact
