"""The job page beyond its figures: idle GPUs, parts, gaps, company, the curve as CSV, jobs that run."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import pytest
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.test import Client

from measurements.models import Allocation, Channel, Job, NodeConfig, Run
from measurements.selectors import company as company_selector
from measurements.selectors.gpu_idle import IdleUnknown, gpu_idle
from measurements.selectors.job import job_report
from tests.conftest import People
from tests.portal import world
from tests.portal.world import DAY_S, HOUR

WIDE, TRAIN = "/jobs/alpha/123/", "/jobs/alpha/36_1/"


def text(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def with_idle_w(monkeypatch: pytest.MonkeyPatch, folder: Path, idle_w: str) -> None:
    """The cluster, in whose node list stands what a GPU of mixed1 draws without work."""
    rows = world.NODES.splitlines()
    ends = {"node": "gpu_idle_w", "mixed1": idle_w}
    lines = [f"{row},{ends.get(row.split(',')[0], '')}" for row in rows]
    monkeypatch.setattr(world, "NODES", "\n".join(lines) + "\n")
    world.build(folder)


# --- GPUs held but idle -------------------------------------------------------------------------


def test_idle_gpus_are_told_with_their_energy(
    people: People, alice: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_idle_w(monkeypatch, tmp_path, "130")  # gpu0 draws 150 W: at most 1.2 times as much
    page = text(alice, TRAIN)
    assert "Its GPU was idle 100\u00a0% of the time it held it: 150\u00a0Wh, 54.5\u00a0% of its energy." in page


def test_gpus_at_work_are_never_idle(
    people: People, alice: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_idle_w(monkeypatch, tmp_path, "60")
    assert "Its GPUs were never idle while it held them." in text(alice, TRAIN)


def test_what_is_not_measured_is_said_with_what_to_connect(site: None, alice: Client) -> None:
    page = text(alice, TRAIN)
    assert "Whether its GPUs were idle is not measured." in page
    assert "gpu_idle_w" in page
    assert ">0\u00a0%" not in page


@pytest.mark.parametrize("missing", list(IdleUnknown))
def test_the_first_thing_that_is_missing_is_named(site: None, missing: IdleUnknown) -> None:
    job = Job.objects.select_related("cluster").get(job_id="36_1")
    if missing is not IdleUnknown.IDLE_POWER:
        NodeConfig.objects.filter(node__name="mixed1").update(gpu_idle_w=50)
    if missing is IdleUnknown.CHANNELS:
        Channel.objects.filter(name__startswith="gpu").update(name=Concat(Value("fan of "), F("name")))
    if missing is IdleUnknown.MAP:
        Allocation.objects.filter(run__job=job).update(gpu_mask=0)
    found = gpu_idle(job, job_report(job).figures)
    assert found is not None
    assert (found.unknown, found.share, found.gpus) == (missing, None, 1)


def test_a_job_without_gpus_has_no_word_of_them(site: None, alice: Client) -> None:
    page = text(alice, WIDE)
    assert "held but idle" not in page
    Allocation.objects.filter(run__job__job_id="36_1").update(gpus=0, gpu_mask=0)
    assert "held but idle" not in text(alice, TRAIN)  # on a node with GPUs, which it didn't hold


# --- Parts and gaps -----------------------------------------------------------------------------


def test_of_the_gpus_those_it_held_are_a_line(site: None, alice: Client) -> None:
    response = alice.get(TRAIN)
    (part,) = response.context["chart"]["parts"]
    assert part["label"] == "of which GPUs"
    assert set(part["mean"]) == {150.0}  # gpu0; gpu1 is bob's
    (row,) = response.context["parts"]
    assert (row["energy_j"], row["of_job"], row["coverage"]) == (pytest.approx(150 * HOUR), True, 1.0)
    assert response.context["report"].figures.energy_j == pytest.approx(275 * HOUR)


def test_processors_and_memory_are_parts_where_they_have_channels(
    people: People, alice: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    extra = [
        f"{DAY_S + 60 * minute},{node},{watts},{channel}"
        for minute in range(12 * 60 + 1)
        for node, watts, channel in (("thin2", 70, "cpu0"), ("thin2", 20, "cpu1"), ("thin2", 15, "dram0"))
    ]
    plain = world.power_csv()
    monkeypatch.setattr(world, "power_csv", lambda: plain + "\n".join(extra) + "\n")
    world.build(tmp_path)
    response = alice.get(WIDE)
    found = {row["name"]: row["energy_j"] for row in response.context["parts"]}
    assert found == {"processor packages": pytest.approx(90 * HOUR), "memory": pytest.approx(15 * HOUR)}
    assert response.context["report"].figures.energy_j == pytest.approx(world.WIDE_J)
    page = response.content.decode()
    assert "never added to it" in page
    assert "measured 100" not in page


def test_gaps_are_listed_with_their_times(site: None, alice: Client) -> None:
    (gap,) = alice.get(WIDE).context["curve"].gaps
    at_ms = (DAY_S + HOUR) * 1000
    assert (gap.node, gap.start_ms - at_ms, gap.end_ms - at_ms) == ("thin1", 1_230_000, 2_370_000)
    page = text(alice, WIDE)
    assert "10 Mar 2025, 01:20:30" in page
    assert "10 Mar 2025, 01:39:30" in page
    assert 'id="gaps"' not in text(alice, TRAIN)


# --- Company ------------------------------------------------------------------------------------


def test_others_are_bands_without_names(site: None, alice: Client, people: People) -> None:
    page = text(alice, TRAIN)
    assert "It shared mixed1 with up to 1 other job at a time." in page
    assert "another job" in page
    assert "36_2" not in page
    assert "bob" not in page
    (band,) = alice.get(TRAIN).context["bands"]
    assert (band.cpus, band.share, band.job) == (4, 0.5, None)
    alice.force_login(people.olga)
    assert '<a href="/jobs/alpha/36_2/?start=' in text(alice, TRAIN)


def test_a_job_that_was_alone_has_no_company(site: None, alice: Client) -> None:
    assert alice.get(WIDE).context["company"] is None
    Run.objects.filter(job__job_id="36_2").update(start_ms=(DAY_S + 4 * HOUR) * 1000)
    Allocation.objects.filter(run__job__job_id="36_2").update(
        start_ms=(DAY_S + 4 * HOUR) * 1000, end_ms=(DAY_S + 5 * HOUR) * 1000
    )
    assert alice.get(TRAIN).context["company"] is None  # it came the moment the other went


def test_very_many_others_are_looked_at_in_part(site: None, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.objects.get(job__job_id="300")
    held = Allocation.objects.get(run__job__job_id="36_2")
    job = Job.objects.create(cluster=run.job.cluster, job_id="77", username="bob", state="COMPLETED")
    more = Run.objects.create(job=job, state="COMPLETED")
    Allocation.objects.create(
        run=more, node=held.node, node_name="mixed1", start_ms=held.start_ms, end_ms=held.end_ms, cpus=1
    )
    assert "with up to 2 other jobs at a time" in text(alice, TRAIN)
    monkeypatch.setattr(company_selector, "MOST_BANDS", 1)
    assert "with at least 1 other job at a time" in text(alice, TRAIN)


# --- Export, state ------------------------------------------------------------------------------


def test_the_curve_as_csv(site: None, alice: Client, people: People) -> None:
    response = alice.get(WIDE, {"format": "csv"})
    assert response.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(StringIO(response.getvalue().decode())))
    assert len(rows) == 60
    assert (rows[0]["from"], rows[0]["mean_w"], rows[0]["covered_s"]) == ("2025-03-10T01:00:00+00:00", "300.0", "120.0")
    assert [row["mean_w"] for row in rows].count("") == 18
    joules = sum(float(row["mean_w"] or 0) * 60 for row in rows if float(row["covered_s"]) == 120)
    assert joules == pytest.approx(300 * (60 - 20) * 60)
    assert "gpu_mean_w" in alice.get(TRAIN, {"format": "csv"}).getvalue().decode()
    assert alice.get("/jobs/alpha/93+1/", {"format": "csv"}).status_code == 404
    alice.force_login(people.bob)
    assert alice.get(WIDE, {"format": "csv"}).status_code == 404


def test_how_a_job_ended_is_said(site: None, alice: Client) -> None:
    assert "ended by itself, with exit code 0" in text(alice, WIDE)
    Job.objects.filter(job_id="123").update(state="TIMEOUT")
    assert "Its time limit was up" in text(alice, WIDE)


def test_tasks_of_an_array_lead_to_the_others(site: None, alice: Client) -> None:
    assert "/jobs/?cluster=alpha&amp;array=36" in text(alice, TRAIN)


def test_a_running_job_says_up_to_when_it_is_booked(site: None, alice: Client) -> None:
    Job.objects.filter(job_id="123").update(end_ms=None, state="RUNNING")
    Run.objects.filter(job__job_id="123").update(end_ms=None, state="RUNNING")
    Allocation.objects.filter(run__job__job_id="123").update(end_ms=None)
    assert "what it draws is booked up to 10 Mar 2025, 02:00" in text(alice, WIDE)
