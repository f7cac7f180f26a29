"""`/jobs/`: filters, places, sums, the export; `/jobs/compare/`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from django.test import Client

from measurements.models import Allocation, Cluster, Job, JobEnergy, Node, Run
from measurements.selectors import jobfilter, jobsums
from measurements.selectors.jobfilter import JobFilter, Selection, machines
from measurements.selectors.joblist import JOBS_PER_PAGE, all_rows
from portal.csvs import cell
from tests.conftest import People
from tests.portal.world import BOBS_J, DAY, DAY_S, HOUR, TRAIN_J, WIDE_J


def listed(client: Client, query: str) -> list[str]:
    response = client.get(f"/jobs/{query}")
    assert response.status_code == 200
    return [row.job_id for row in response.context["jobs"].rows]


def exported(client: Client, query: str = "") -> list[dict[str, str]]:
    text = client.get(f"/jobs.csv{query}").getvalue().decode()
    return list(csv.DictReader(StringIO(text)))


def made(count: int, *, state: str = "COMPLETED", start_ms: int | None = None, **fields: Any) -> list[Job]:
    """Jobs of alice with an hour on a thin node and 1 kJ each, one a second, or all at once."""
    cluster, node = Cluster.objects.get(name="alpha"), Node.objects.get(name="thin1")
    first = Job.objects.count() + 10_000
    begin = [start_ms if start_ms is not None else (DAY_S + 12 * HOUR + i) * 1000 for i in range(count)]
    fields = {"username": "alice", "account": "physics", "name": "made"} | fields
    jobs = Job.objects.bulk_create(
        [
            Job(
                cluster=cluster,
                raw_id=first + i,
                job_id=str(first + i),
                state=state,
                start_ms=at,
                end_ms=at + 3_600_000,
            )
            for i, at in enumerate(begin)
        ]
    )
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(**fields)
    runs = Run.objects.bulk_create([Run(job=j, start_ms=j.start_ms, end_ms=j.end_ms, state=state) for j in jobs])
    Allocation.objects.bulk_create(
        [Allocation(run=r, node=node, node_name="thin1", start_ms=r.start_ms or 0, end_ms=r.end_ms) for r in runs]
    )
    book(jobs, 1_000.0)
    return jobs


def book(jobs: Sequence[Job], joules: float) -> None:
    hour_us = 3_600_000_000
    figures = {"gpu_energy_j": 0.0, "filled_j": 0.0, "covered_us": hour_us, "elapsed_us": hour_us, "samples": 60}
    JobEnergy.objects.bulk_create(
        [JobEnergy(job=job, energy_j=joules, expected_samples=60.0, quality="metered", **figures) for job in jobs]
    )


# --- Filters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["300", "201", "200", "93+1", "36_2", "36_1", "123"]),
        ("?q=123", ["123"]),
        ("?q=36_1", ["36_1"]),
        ("?q=36_*", ["36_2", "36_1"]),
        ("?q=93%2B1", ["93+1"]),
        ("?q=202", ["202"]),  # waits: found by its id, not listed
        ("?q=TRAI", ["36_2", "36_1"]),
        ("?q=n%25", []),  # a wildcard is a letter
        ("?user=bob", ["300", "36_2"]),
        ("?user=bob&q=train", ["36_2"]),
        ("?project=physics&user=bob", ["300", "36_2"]),
        ("?project=chemistry", []),
        ("?cluster=alpha", ["300", "201", "200", "93+1", "36_2", "36_1", "123"]),
        ("?partition=gpu", []),
        ("?type=mixed", ["36_2", "36_1"]),
        ("?type=thin&user=alice", ["200", "123"]),
        ("?state=failed", ["200"]),
        ("?state=FAILED", ["200"]),
        ("?state=failed&user=bob", []),
        ("?quality=apportioned", ["36_2", "36_1"]),
        ("?quality=none&state=COMPLETED", ["201"]),
        ("?array=36", ["36_2", "36_1"]),
        ("?array=36&user=alice", ["36_1"]),
        ("?running=on", []),
        (f"?first={DAY}&last={DAY}&type=mixed", ["36_2", "36_1"]),
        ("?first=2025-03-11", []),
        ("?last=2025-03-09", []),
    ],
)
def test_a_filter_finds_what_it_says(site: None, olga: Client, query: str, found: list[str]) -> None:
    assert listed(olga, query) == found
    assert [row["job_id"] for row in exported(olga, query)] == found


def test_a_person_has_their_own_jobs_whatever_they_ask_for(site: None, alice: Client) -> None:
    assert listed(alice, "") == listed(alice, "?user=bob") == ["201", "200", "93+1", "36_1", "123"]
    assert listed(alice, "?q=36_*") == ["36_1"]
    assert "User" not in str(alice.get("/jobs/").context["form"])


def test_running_jobs_and_a_sluid(site: None, olga: Client) -> None:
    Job.objects.filter(job_id="300").update(end_ms=None, state="RUNNING")
    Run.objects.filter(job__job_id="123").update(sluid="s0000000000001")
    assert listed(olga, "?running=on") == ["300"]
    assert listed(olga, "?q=s0000000000001") == ["123"]


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("?array=x", "whole number"),
        ("?state=NONSENSE", "valid choice"),
        ("?first=2025-03-10&last=2025-03-09", "ends before it begins"),
        ("?first=never", "valid date"),
    ],
)
def test_a_field_that_makes_no_sense_is_explained_and_left_out(
    site: None, olga: Client, query: str, fault: str
) -> None:
    assert fault in olga.get(f"/jobs/{query}").content.decode()
    assert len(listed(olga, query)) == 7


# --- Pages --------------------------------------------------------------------------------------


def all_pages(client: Client, query: str) -> list[str]:
    """The ids of all pages, one after the other."""
    found: list[str] = []
    url = f"/jobs/?{query}"
    while url:
        response = client.get(url)
        found += [row.job_id for row in response.context["jobs"].rows]
        url = f"/jobs/?{response.context['next']}" if response.context["next"] else ""
    return found


def test_pages_hold_every_job_once_also_of_one_instant(site: None, alice: Client) -> None:
    jobs = made(2 * JOBS_PER_PAGE + 3, start_ms=(DAY_S + 12 * HOUR) * 1000)
    wanted = [job.job_id for job in reversed(jobs)]
    assert all_pages(alice, "q=made") == wanted
    assert all_pages(alice, "") == [*wanted, *["201", "200", "93+1", "36_1", "123"]]


@pytest.mark.parametrize("state", ["failed", "OUT_OF_MEMORY"])
def test_a_page_looks_at_so_many_jobs_and_says_so(
    site: None, olga: Client, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(jobfilter, "LOOKED_AT", 20)
    made(1, state="OUT_OF_MEMORY")
    made(65, start_ms=(DAY_S + 13 * HOUR) * 1000, name="other")
    made(30)
    query = f"state={state}&project=physics&user=alice&q=made"
    first = olga.get(f"/jobs/?{query}")
    assert first.context["jobs"].looked_to is not None
    assert "older ones were not looked at yet" in first.content.decode()
    assert first.context["sums"] is None
    assert all_pages(olga, query) == [Job.objects.get(state="OUT_OF_MEMORY").job_id]


@pytest.mark.parametrize("text", ["x", "1-", "-1", "1-2-3", "1-x", f"{'9' * 30}-1", "١-١"])
def test_a_place_that_is_none_does_not_exist(people: People, alice: Client, text: str) -> None:
    assert alice.get("/jobs/", {"after": text}).status_code == 404
    assert alice.get("/jobs.csv", {"after": text}).status_code == 404


def test_no_job_is_a_sentence(people: People, alice: Client) -> None:
    assert "There is no job that you may see." in alice.get("/jobs/").content.decode()


# --- Sums ---------------------------------------------------------------------------------------


def test_sums_of_a_selection(site: None, olga: Client) -> None:
    sums = olga.get("/jobs/?type=mixed").context["sums"]
    assert (sums.jobs, sums.measured_jobs, sums.failed) == (2, 2, 0)
    assert sums.energy_j == pytest.approx(TRAIN_J + 225 * HOUR)
    assert sums.node_hours == pytest.approx(2)
    (mixed,) = sums.by_type
    assert (mixed.node_type, mixed.jobs, mixed.measured, mixed.median_runtime_s) == ("mixed", 2, 2, HOUR)
    assert mixed.median_j == pytest.approx(250 * HOUR)


def test_what_failed_jobs_drew_is_said(site: None, olga: Client) -> None:
    for job in made(3, state="FAILED"):
        JobEnergy.objects.filter(job=job).update(energy_j=97_000.0)
    (good,) = made(1)
    JobEnergy.objects.filter(job=good).update(energy_j=97_000.0)
    page = olga.get("/jobs/?q=made").content.decode()
    assert "3 of 4 jobs failed; they drew 80.8\u00a0Wh, 75.0\u00a0% of the energy of this selection." in page


def test_medians_by_node_type_warn_of_comparing_them(site: None, olga: Client) -> None:
    page = olga.get("/jobs/?project=physics").content.decode()
    assert "Median energy of a job: 250\u00a0Wh on mixed (n = 2), 200\u00a0Wh on thin (n = 1): only comparable" in page


def test_a_job_on_nodes_of_two_types_is_of_several(site: None, olga: Client) -> None:
    run = Run.objects.get(job__job_id="300")
    Allocation.objects.create(
        run=run, node=Node.objects.get(name="mixed1"), node_name="mixed1", start_ms=run.start_ms or 0, end_ms=run.end_ms
    )
    sums = olga.get("/jobs/?q=300").context["sums"]
    assert [(t.node_type, t.jobs) for t in sums.by_type] == [(jobsums.SEVERAL, 1)]
    assert sums.jobs == 1
    assert sums.energy_j == pytest.approx(BOBS_J)


def test_too_many_jobs_have_no_sums_and_too_many_nodes_no_types(
    site: None, people: People, olga: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobsums, "MOST_HELD", 7)
    sums = olga.get("/jobs/").context["sums"]
    assert (sums.jobs, sums.by_type) == (7, ())
    monkeypatch.setattr("portal.views.jobs.MOST_SUMMED", 5)
    response = olga.get("/jobs/")
    assert response.context["sums"] is None
    assert "narrow the filter for sums" in response.content.decode()


# --- Export -------------------------------------------------------------------------------------


def test_the_export_has_base_units_and_times_with_their_offset(site: None, olga: Client) -> None:
    row = next(row for row in exported(olga) if row["job_id"] == "123")
    assert float(row["energy_j"]) == pytest.approx(WIDE_J, rel=1e-12)
    assert (row["start"], row["end"]) == ("2025-03-10T01:00:00+00:00", "2025-03-10T02:00:00+00:00")
    assert (row["quality"], row["state"], row["node_hours"]) == ("partial", "COMPLETED", "2.0")
    nothing = next(row for row in exported(olga) if row["job_id"] == "201")
    assert (nothing["energy_j"], nothing["gpu_energy_j"]) == ("", "")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_spreadsheet_computes_nothing(site: None, alice: Client, text: str) -> None:
    Job.objects.filter(job_id="123").update(name=text)
    assert next(row["name"] for row in exported(alice) if row["job_id"] == "123") == f"'{text}"
    assert (cell(-1.5), cell(None), cell("a=b")) == ("-1.5", "", "a=b")


def test_the_export_is_bounded_and_read_in_lots(site: None, people: People) -> None:
    made(30)
    selection = Selection(people.olga, JobFilter(text="made"), machines(people.olga))
    whole = [row.job_id for row in all_rows(selection, None, 1_000, 7)]
    assert len(whole) == len(set(whole)) == 30
    assert [row.job_id for row in all_rows(selection, None, 10, 7)] == whole[:10]


# --- Comparison ---------------------------------------------------------------------------------


def compared(client: Client, *jobs: str) -> Any:
    return client.get("/jobs/compare/", {"job": [f"alpha/{job}" for job in jobs]})


def test_jobs_side_by_side(site: None, olga: Client) -> None:
    wide, bobs = (column["of"] for column in compared(olga, "123", "300").context["columns"])
    assert (wide.figures.energy_j, bobs.figures.energy_j) == pytest.approx((WIDE_J, BOBS_J))
    assert (wide.node_types, wide.nodes, wide.cpus, wide.runtime_s) == (("thin",), 2, 8, HOUR)
    assert (wide.whole, bobs.whole) == (False, True)


def test_equal_by_runtime_and_apart_by_the_meter(site: None, olga: Client) -> None:
    first, second = made(1)[0], made(1)[0]
    ledger(first, 4_200.0)
    ledger(second, 1_000.0)
    page = compared(olga, first.job_id, second.job_id).content.decode()
    assert f"Runtime alone calls jobs {first.job_id} and {second.job_id} equal (300\u00a0Wh and 300\u00a0Wh" in page
    assert f"metered, job {first.job_id} drew 4.20 times as much as job {second.job_id}." in page
    assert "the ranking flips" not in page
    assert "only if they did the same work" in page


def test_a_ranking_that_flips(site: None, olga: Client) -> None:
    short, long = made(1)[0], made(1)[0]
    Run.objects.filter(job=long).update(end_ms=(long.start_ms or 0) + 7_200_000)
    Allocation.objects.filter(run__job=long).update(end_ms=(long.start_ms or 0) + 7_200_000)
    ledger(short, 5_000.0)
    ledger(long, 2_000.0, hours=2)
    page = compared(olga, short.job_id, long.job_id).content.decode()
    assert f"By runtime alone job {short.job_id} comes out most economical; metered, it is job {long.job_id}" in page
    ledger(long, 6_000.0, hours=2)
    assert "the ranking flips" not in compared(olga, short.job_id, long.job_id).content.decode()


def test_nothing_is_said_of_a_job_that_was_measured_in_part(site: None, olga: Client) -> None:
    page = compared(olga, "123", "300").content.decode()
    assert "Nothing is said of job 123: less than 95\u00a0% of its time was measured." in page.replace(
        "95 %", "95\u00a0%"
    )
    assert "times as much" not in page


@pytest.mark.parametrize(
    ("jobs", "status"),
    [(["123", "36_1"], 200), (["123", "36_2"], 404), (["123", "9999"], 404), (["36_2"], 404), (["123"], 200)],
)
def test_only_visible_jobs_are_compared(site: None, alice: Client, jobs: list[str], status: int) -> None:
    assert compared(alice, *jobs).status_code == status


@pytest.mark.parametrize("text", ["alpha", "alpha/123/x", "a/b/c/d", "beta/123", ""])
def test_a_job_that_is_named_badly_does_not_exist(site: None, olga: Client, text: str) -> None:
    assert olga.get("/jobs/compare/", {"job": ["alpha/123", text]}).status_code == 404


def test_too_few_and_too_many_are_explained(site: None, olga: Client) -> None:
    for jobs in ([], ["123"], ["123", "123"], [str(i) for i in range(9)]):
        assert "A comparison takes 2 to 8 jobs" in compared(olga, *jobs).content.decode()


def ledger(job: Job, joules: float, hours: int = 1) -> None:
    """Ledger rows that say what a job drew, covered throughout."""
    allocation = Allocation.objects.get(run__job=job)
    time_us = hours * 3_600_000_000
    allocation.energies.update_or_create(
        job=job,
        node=allocation.node,
        day=DAY,
        defaults={
            "energy_j": joules, "gpu_energy_j": 0.0, "first_quarter": 0, "quarters": b"", "covered_us": time_us,
            "elapsed_us": time_us, "samples": 60, "expected_samples": 60.0, "apportioned": False,
        },
    )  # fmt: skip
