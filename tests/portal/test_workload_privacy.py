"""What others' jobs drew is told of crowds only, the same way on the page, in files and by the interface."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from measurements.models import WorkloadJob
from measurements.selectors.workload_report import Asked, Span, workload_report
from tests.conftest import People
from tests.portal.workload_world import CROWD, crowd, ran

SECRET_J = 7_317_913.0
PAGES = ("/workloads/nnunet/", "/workloads/nnunet/?view=together", "/workloads.csv?name=nnunet")
FILES = tuple(f"/workloads.csv?name=nnunet&format={kind}" for kind in ("csv", "csv-de", "json"))


def body(client: Client, address: str) -> str:
    response = client.get(address)
    sent = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
    text = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", sent.decode())
    return f"{response.status_code} {text}"


def figures(client: Client, query: str = "") -> dict[str, Any]:
    return json.loads(client.get(f"/api/v1/workloads/nnunet{query}").content)  # type: ignore[no-any-return]


def types(client: Client, query: str = "") -> dict[str, dict[str, Any]]:
    return {
        f"{one['phase']} {one['size']} {row['node_type']}": row
        for one in figures(client, query)["comparisons"]
        for row in one["node_types"]
    }


@pytest.fixture
def site(people: People, client: Client) -> Client:
    """Six people on cpu and gpu in training; five on rare, of whom one drew nearly all; two of them used size odd."""
    crowd("cpu", 1e6, 2)
    crowd("gpu", 2e6, 2)
    for who in CROWD[:4]:
        ran(who, "loner9", SECRET_J)
    for who, energy_j in zip(CROWD, (1e9, 1e6, 1e6, 1e6, 1e6, 1e6), strict=True):
        ran(who, "rare", energy_j)
    for who in CROWD[:2]:
        ran(who, "cpu", SECRET_J, size="odd-size", unit="odd-unit", target="odd-target")
    client.force_login(people.charlie)
    return client


def test_groups_of_too_few_or_of_one_who_makes_most_are_not_there_at_all(site: Client) -> None:
    assert set(types(site)) == {"training  cpu", "training  gpu"}
    for address in (*PAGES, *FILES, "/api/v1/workloads/nnunet"):
        sent = body(site, address)
        assert sent.startswith("200")
        for secret in ("loner9", "rare", "odd-size", "odd-unit", "odd-target", "7317913", *CROWD):
            assert secret not in sent, f"{secret} at {address}"


def test_who_asks_for_a_withheld_size_gets_what_one_that_is_nowhere_gets(site: Client) -> None:
    for parameter in ("size", "target", "unit"):
        there, nowhere = (body(site, f"/workloads/nnunet/?{parameter}={v}") for v in (f"odd-{parameter}", "no-such"))
        assert there.replace(f"odd-{parameter}", "no-such") == nowhere


def test_nothing_changes_for_others_when_withheld_jobs_come(site: Client) -> None:
    before = [body(site, address) for address in (*PAGES[:2], "/api/v1/workloads/nnunet", "/api/v1/workloads")]
    ran("ada", "loner9", 5e6)
    ran("ada", "rare", 5e6, state="FAILED")
    ran("ben", "cpu", 5e6, size="another")
    ran("ben", "cpu", 5e6, phase="inference")
    ran("ben", "", 5e6)
    after = [body(site, address) for address in (*PAGES[:2], "/api/v1/workloads/nnunet", "/api/v1/workloads")]
    assert before == after


def test_a_job_that_ends_now_changes_nothing_until_a_crowd_s_months_are_over(site: Client) -> None:
    before = types(site)
    ran("ada", "cpu", SECRET_J, when=timezone.now())
    ran("ada", "cpu", SECRET_J, when=datetime(2025, 4, 5, tzinfo=UTC))
    for who in CROWD[:4]:
        ran(who, "gpu", 1.0, when=datetime(2025, 5, 5, tzinfo=UTC))
    assert types(site) == before, "no crowd stands behind the difference"
    crowd("gpu", 9e6, when=datetime(2025, 6, 5, tzinfo=UTC))
    assert types(site)["training  gpu"]["jobs"] == before["training  gpu"]["jobs"] + 10


def test_two_periods_differ_by_a_crowd(people: People) -> None:
    """One of six was there in the year before: that year is not shown apart, and neither is what is left without it."""
    now = datetime(2026, 6, 15, tzinfo=UTC)
    ran("ada", "cpu", SECRET_J, when=datetime(2025, 12, 5, tzinfo=UTC))
    crowd("cpu", 1e6, 2, when=datetime(2026, 3, 5, tzinfo=UTC))
    shown = {}
    for span in Span:
        report = workload_report(people.charlie, "nnunet", Asked(span), now)
        assert report is not None
        shown[span] = sum(part.comparison.jobs for part in report.parts)
    assert shown == {Span.ALL: 13, Span.THIS_YEAR: 0, Span.LAST_YEAR: 0}


def test_of_free_days_there_are_own_jobs_only(site: Client, people: People) -> None:
    for energy_j in (1e6, 2e6, 3e6):
        ran("charlie", "cpu", energy_j)
    days = "?first=2025-03-10&last=2025-03-10"
    found = figures(site, days)
    assert found["own_jobs_only"]
    (row,) = types(site, days).values()
    assert (row["whose"], row["jobs"], row["energy_j"]["median"]) == ("own", 3, 2e6)
    assert "gpu" not in body(site, f"/workloads/nnunet/{days}")


def test_own_jobs_are_shown_to_oneself_from_three_on_where_there_is_no_crowd(site: Client) -> None:
    for energy_j in (1e6, 2e6):
        ran("charlie", "loner9", energy_j)
    assert "training  loner9" not in types(site)
    ran("charlie", "loner9", 6e6, when=timezone.now())
    row = types(site)["training  loner9"]
    assert (row["whose"], row["jobs"], row["energy_j"]["median"]) == ("own", 3, 2e6)
    page = body(site, "/workloads/nnunet/")
    assert "your jobs" in page
    assert "Not ranked: of some node types only your own jobs are shown." in page


def test_failed_jobs_of_few_and_idle_gpus_of_one_are_not_told(site: Client) -> None:
    for place in range(5):
        ran("ada", "cpu", SECRET_J, state="FAILED")
        ran(CROWD[place], "gpu", 2e6, gpu_held_s=3600.0, gpu_idle_j=1e6 if place == 0 else 0.0)
    found = types(site)
    assert found["training  cpu"]["failed_energy_j"] is None
    assert found["training  gpu"]["idle_gpu_share"] is None
    for who in CROWD:
        ran(who, "cpu", 3e6, state="FAILED")
        ran(who, "gpu", 2e6, gpu_held_s=3600.0, gpu_idle_j=1e6)
    found = types(site)
    assert found["training  gpu"]["idle_gpu_share"] == pytest.approx(7e6 / 22e6)


def test_of_equal_work_done_by_few_there_is_no_front(site: Client, people: People) -> None:
    for who in CROWD[:2]:
        for node_type in ("cpu", "gpu"):
            for _ in range(20):
                ran(who, node_type, 1e6, work=64.0)
    (shown,) = figures(site)["comparisons"]
    assert all(point["jobs"] < 40 for point in (shown["front"] or {"points": []})["points"])
    site.force_login(people.olga)
    assert {point["jobs"] for one in figures(site)["comparisons"] if one["front"] for point in one["front"]["points"]}


def test_a_workload_of_few_does_not_exist_for_others(people: People, client: Client) -> None:
    for who in CROWD[:4]:
        ran(who, "cpu", 1e6, workload="secret/run:1@a+b")
    address = "/workloads/secret/run:1@a+b/"
    client.force_login(people.charlie)
    assert client.get(address).status_code == 404
    assert client.get("/api/v1/workloads/secret/run:1@a+b").status_code == 404
    assert client.get("/workloads.csv?name=secret/run:1@a%2Bb").status_code == 404
    assert "secret" not in body(client, "/workloads/") + body(client, "/api/v1/workloads")
    client.force_login(people.olga)
    assert client.get(address).status_code == 200
    assert "secret/run:1@a+b" in body(client, "/workloads/")


def test_the_list_counts_own_jobs_and_names_those_of_crowds(site: Client) -> None:
    (row,) = json.loads(site.get("/api/v1/workloads").content)
    assert row == {
        "workload": "nnunet", "jobs": None, "energy_j": None, "phases": [], "units": [], "last_ended": None,
        "own": False,
    }  # fmt: skip
    ran("charlie", "cpu", 5e6, workload="mine", unit="cases")
    mine, _ = json.loads(site.get("/api/v1/workloads").content)
    assert (mine["workload"], mine["jobs"], mine["energy_j"], mine["units"]) == ("mine", 1, 5e6, ["cases"])
    assert site.get("/workloads/mine/").status_code == 200


@pytest.mark.parametrize("address", ["/workloads/", *PAGES, "/api/v1/workloads", "/api/v1/workloads/nnunet"])
def test_nobody_learns_anything_without_logging_in(site: Client, address: str) -> None:
    site.logout()
    assert site.get(address).status_code in (302, 401)


def test_the_operator_sees_all(site: Client, people: People) -> None:
    site.force_login(User.objects.get(username="olga"))
    found = types(site)
    assert {"training  loner9", "training  rare", "training odd-size cpu"} <= set(found)
    assert sum(row["jobs"] for row in found.values()) == WorkloadJob.objects.count()
