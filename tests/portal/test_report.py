"""Report this: a statement of jobs for a paper, frozen under its hash."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client

from measurements.domain.statement import hash_of
from measurements.models import AllocationEnergy, Job, Report, UsageDay
from measurements.services.marks import mark_day
from tests.conftest import People
from tests.portal import world
from tests.portal.world import PERIOD, TRAIN_J, WIDE_J

URL = f"/report/?{PERIOD}"


def plain(text: str) -> str:
    return re.sub(r"[ \n]+", " ", text).replace("\u00a0", " ").replace("&#x27;", "'")


def freeze(client: Client, url: str = URL) -> str:
    seen = client.get(url).context["sha256"]
    answer = client.post(url, {"seen": seen})
    assert answer.status_code == 302
    return str(answer.headers["Location"])


@pytest.fixture
def tagged(site: None) -> None:
    """One of alice's jobs says what it is, and another one failed."""
    Job.objects.filter(job_id="36_1").update(workload="nnunet", phase="training", state="FAILED")
    rows = UsageDay.objects.filter(username="alice", node_type__name="mixed")
    assert rows.update(workload="nnunet", phase="training", state="FAILED") == 1


def test_the_statement_says_energy_parts_failures_and_coverage(tagged: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    page = client.get(URL)
    body = page.context["body"]
    assert body["energy_j"] == pytest.approx(WIDE_J + TRAIN_J, rel=1e-9)
    assert (body["jobs"], body["failed_jobs"]) == (5, 2), "200 took no time, 202 has not begun"
    assert body["failed_j"] == pytest.approx(TRAIN_J, rel=1e-9)
    assert [(part["workload"], part["phase"]) for part in body["parts"]] == [("nnunet", "training"), ("", "")]
    text = plain(page.content.decode())
    assert "The computations (5 jobs, on 10 March 2025) drew 543 Wh at the nodes' power meters (67.0 %" in text
    assert "By workload and phase: nnunet training 275 Wh." in text
    assert "275 Wh of it by 2 runs that failed" in text
    assert "For nodes without a meter 600 Wh more are estimated." in text
    assert "alice" not in page.context["statement"] + page.context["bibtex"] + json.dumps(body)


def test_a_filter_of_jobs_is_reported_alone(tagged: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    body = client.get(f"{URL}&workload=nnunet").context["body"]
    assert body["energy_j"] == pytest.approx(TRAIN_J, rel=1e-9)
    assert body["filters"] == {"workload": ["nnunet"]}
    assert body["jobs"] == 1


def test_one_job_is_reported_whole(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    body = client.get("/report/?job=alpha/123").context["body"]
    assert (body["of"], body["job_id"]) == ("job", "123")
    assert body["energy_j"] == pytest.approx(WIDE_J, rel=1e-9)
    assert client.get("/report/?job=alpha/300").status_code == 404, "it is bob's"
    client.force_login(people.olga)
    assert client.get("/report/?job=alpha/123").status_code == 404, "an operator reports nobody's job either"
    assert b'href="/report/?job=' not in client.get("/jobs/alpha/123/").content


def test_what_is_frozen_never_changes(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    address = freeze(client)
    before = client.get(address)
    report = Report.objects.get()
    assert report.sha256 == hash_of(report.body) == before.context["sha256"]
    sent = client.get(f"{address}report.json").content
    assert hash_of(sent.decode()) == report.sha256
    UsageDay.objects.all().delete()
    AllocationEnergy.objects.update(energy_j=1.0)
    mark_day(Job.objects.all()[0].cluster_id, UsageDay.objects.model._meta.get_field("day").to_python(world.DAY))
    after = Client().get(address)
    assert after.status_code == 200, "a reader of the paper is not logged in"
    assert after.context["statement"] == before.context["statement"]
    assert after.context["bibtex"] == before.context["bibtex"]
    assert Client().get(f"{address}report.json").content == sent
    assert b"alice" not in after.content


def test_the_same_report_is_one(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    assert freeze(client) == freeze(client)
    assert Report.objects.count() == 1


def test_figures_that_moved_on_are_shown_before_they_are_frozen(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    answer = client.post(URL, {"seen": "0" * 64})
    assert answer.status_code == 409
    assert b"The figures have moved on" in answer.content
    assert not Report.objects.exists()


def test_only_its_maker_withdraws_a_report(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    address = freeze(client)
    client.force_login(people.bob)
    assert client.post(f"{address}withdraw/").status_code == 404
    client.force_login(people.alice)
    assert client.get(f"{address}withdraw/").status_code == 405
    client.post(f"{address}withdraw/")
    gone = Client().get(address)
    assert gone.status_code == 410
    assert b"withdrawn" in gone.content
    assert b"543" not in gone.content
    assert Client().get(f"{address}report.json").status_code == 410


def test_nothing_measured_is_no_report(site: None, people: People, client: Client) -> None:
    client.force_login(people.charlie)
    page = client.get(URL)
    assert "there is nothing to report" in plain(page.content.decode())
    assert client.post(URL, {"seen": page.context["sha256"]}).status_code == 404


def test_the_bibliography_entry_has_address_and_hash(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    client.post("/language/setlang/", {"language": "de", "next": "/"})
    page = client.get(URL)
    entry = page.context["bibtex"]
    assert entry.startswith("@misc{joulebook-")
    assert f"/reports/{page.context['sha256']}/" in entry
    assert "Energy and emissions of 5 computing jobs, on 10 March 2025" in entry, "in English"
    assert entry.count("{") == entry.count("}")
