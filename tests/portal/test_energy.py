"""`/`: a person's own energy."""

from __future__ import annotations

import json
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from measurements.domain.packing import unpacked
from measurements.domain.units import DAY_MS, QUARTER_MS, day_start_ms
from measurements.domain.usage import Granularity
from measurements.models import AllocationEnergy, Cluster, Job
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.jobfilter import JobFilter, Selection, machines
from measurements.selectors.joblist import jobs_page
from measurements.selectors.usage import Asked, Scope, Usage, usage
from tests.conftest import People
from tests.portal import world
from tests.portal.world import BOBS_J, PERIOD, TRAIN_J, WIDE_J

URL = f"/?{PERIOD}"
QUERIES = 8


def context(client: Client, url: str = URL) -> Any:
    response = client.get(url)
    assert response.status_code == 200
    return response.context


def usage_of(person: User, first: date, last: date, zone: str = "UTC", **more: Any) -> Usage:
    return usage(Scope(username=person.username), Asked(first, last, ZoneInfo(zone), **more))


def payload(text: str) -> Any:
    return json.loads(text.split('id="usage-chart-data" type="application/json">')[1].split("</script>")[0])


def test_the_day_has_the_energy_of_ones_own_jobs(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    found = context(client)["usage"]
    assert found.energy_j == pytest.approx(WIDE_J + TRAIN_J, rel=1e-9)
    assert found.groups == ("dark", "mixed", "thin"), "the most first, with what is only estimated"
    by_type = dict(zip(found.groups, found.cells.energy_j.sum(axis=0).tolist(), strict=True))
    assert by_type == pytest.approx({"dark": 0.0, "mixed": TRAIN_J, "thin": WIDE_J}, rel=1e-9)
    assert found.filled_j == pytest.approx(600 * 3600)  # dark1 has no meter
    assert found.covered_s == pytest.approx(2 * 3600 - 19 * 60 + 3600)
    assert found.elapsed_s == pytest.approx(4 * 3600)
    page = client.get(URL).content.decode()
    assert '<span class="value">543</span><span class="unit">&nbsp;Wh</span>' in page
    assert "67.0\u00a0% of the jobs&#x27; time was measured" in page


def test_everybody_sees_their_own_energy_only(site: None, people: People, client: Client) -> None:
    client.force_login(people.bob)
    assert context(client)["usage"].energy_j == pytest.approx(810_000 + BOBS_J, rel=1e-9)
    for other in (people.charlie, people.olga):  # olga may see every job, but none of them is hers
        client.force_login(other)
        page = client.get(URL)
        assert page.context["usage"].elapsed_s == 0
        assert b"None of your jobs ran from Mon 10 Mar 2025 to Mon 10 Mar 2025" in page.content
        first = client.get("/").content.decode()
        assert "The cluster knows no job and no project of your login" in first
        assert "None of your jobs ran" not in first, "it is said once"
        assert ('href="/operations/">Operations</a> <a' in first) == (other == people.olga)
        assert b"canvas" not in page.content


def test_nobody_is_asked_to_log_in(people: People, client: Client) -> None:
    assert client.get(URL).headers["Location"].startswith("/login/?next=/")
    assert client.post("/").status_code in (302, 405)


def test_the_table_has_the_chart_s_numbers(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    found = context(client)
    chart, unit = found["chart"], found["unit"]
    assert unit.label == chart["unit"] == "Wh"
    assert [series["label"] for series in chart["series"]] == ["dark", "mixed", "thin"]
    drawn = {series["label"]: series["values"] for series in chart["series"]}
    assert drawn["mixed"][3] == 275.0
    assert drawn["thin"][1] == pytest.approx(WIDE_J / 3600, rel=1e-5)
    assert drawn["dark"] == [None] * 24, "not measured is not 0"
    page = client.get(URL).content.decode()
    row = page.split(f'data-start="{(world.DAY_S + 3600) * 1000}"')[1].split("</tr>")[0]
    cells = [cell.split("</td>")[0] for cell in row.split("<td>")[1:]]
    assert cells[:5] == ["268", "–", "–", "268", "–"], "total, three types, estimated"
    dark = page.split(f'data-start="{(world.DAY_S + 5 * 3600) * 1000}"')[1].split("</tr>")[0]
    assert "not measured" in dark


def test_names_of_groups_are_text(site: None, people: People, client: Client) -> None:
    Job.objects.filter(job_id="300").update(partition="<b>own</b>")
    from measurements.models import UsageDay

    UsageDay.objects.update(partition="<b>own</b>")
    client.force_login(people.bob)
    page = client.get(f"{URL}&group=partition").content.decode()
    assert "<b>own</b>" not in page
    assert "&lt;b&gt;own&lt;/b&gt;" in page


def test_an_id_used_again_leads_to_the_job_that_is_meant(people: People) -> None:
    cluster = Cluster.objects.create(name="old")
    starts = [world.DAY_S * 1000, world.DAY_S * 1000 + DAY_MS // 2]
    for start in starts:
        Job.objects.create(
            cluster=cluster, job_id="7", username="alice", state="COMPLETED", start_ms=start, end_ms=start + 1
        )
    page = jobs_page(Selection(people.alice, JobFilter(), machines(people.alice)), None, None)
    assert [(row.start_ms, row.id_used_again) for row in page.rows] == [(starts[1], True), (starts[0], True)]


# --- Days ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"])
def test_local_days_are_the_ledger_s_quarter_hours(site: None, people: People, zone: str) -> None:
    first, last = date(2025, 3, 9), date(2025, 3, 11)
    bounds_ms = day_bounds_ms(first, last, ZoneInfo(zone)).tolist()
    for person in (people.alice, people.bob):
        energy, elapsed = [0.0] * 3, [0.0] * 3
        for row in AllocationEnergy.objects.filter(job__username=person.username).select_related("allocation"):
            midnight_ms = day_start_ms(row.day)
            for offset, joules in enumerate(unpacked(row.quarters).tolist()):
                at_ms = midnight_ms + (row.first_quarter + offset) * QUARTER_MS
                for i, (begin, end) in enumerate(pairwise(bounds_ms)):
                    energy[i] += joules if begin <= at_ms < end else 0.0
            start, stop = row.allocation.start_ms, row.allocation.end_ms
            for i, (begin, end) in enumerate(pairwise(bounds_ms)):
                elapsed[i] += max(0, min(stop, end) - max(start, begin)) / 1000
        cells = usage_of(person, first, last, zone).cells
        assert cells.energy_j.sum(axis=1).tolist() == pytest.approx(energy, rel=1e-9)
        assert cells.elapsed_s.sum(axis=1).tolist() == pytest.approx(elapsed, rel=1e-9)
        assert sum(energy) > 0


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2025-03-30", 23),
        ("Europe/Berlin", "2025-10-26", 25),
        ("Asia/Kathmandu", "2025-03-10", 24),  # UTC+5:45
        ("America/St_Johns", "2025-06-10", 24),  # UTC-2:30
    ],
)
def test_a_day_of_the_site_s_zone_has_all_its_hours(
    people: People, tmp_path: Path, zone: str, day: str, hours: int
) -> None:
    shown = date.fromisoformat(day)
    midnight_s = day_bounds_ms(shown, shown, ZoneInfo(zone))[0] // 1000
    samples = [f"{midnight_s + 900 * i},n1,100" for i in range(-12, 4 * hours + 12)]
    (tmp_path / "nodes.csv").write_text("node,node_type,cpus\nn1,thin,4\n")
    (tmp_path / "power.csv").write_text("\n".join(["timestamp,node,watts", *samples]) + "\n")
    (tmp_path / "jobs.csv").write_text(
        "job_id,user,account,state,start,end,nodes,submit\n"
        f"1,alice,a,COMPLETED,{midnight_s - 7200},{midnight_s + (hours + 2) * 3600},n1,{midnight_s - 7200}\n"
    )
    world.run("load_nodes", tmp_path / "nodes.csv")
    world.run("ingest_power", tmp_path / "power.csv")
    world.run("ingest_jobs", tmp_path / "jobs.csv")
    world.run("attribute")
    found = usage_of(people.alice, shown, shown, zone)
    assert found.energy_j == pytest.approx(100 * hours * 3600, rel=1e-9)
    assert found.elapsed_s == pytest.approx(hours * 3600)
    assert found.covered_s == pytest.approx(hours * 3600)
    by_hour = usage_of(people.alice, shown, shown, zone, granularity=Granularity.HOUR)
    assert by_hour.cells.energy_j.ravel().tolist() == pytest.approx([360_000.0] * hours, rel=1e-9)
    assert by_hour.cells.energy_j.sum() == found.energy_j


def test_times_are_shown_in_the_site_s_zone(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    with override_settings(TIME_ZONE="Europe/Berlin"):
        page = client.get(URL).content.decode()
    assert payload(page)["series"][1]["values"][4] == 275.0  # 03:00 UTC
    assert "zone Europe/Berlin" in page


# --- Period -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("first=2025-03-10", "Give both days"),
        ("first=2025-03-10&last=2025-03-09", "ends before it begins"),
        ("first=2024-03-10&last=2025-03-11", "366 days at most"),
        ("first=tomorrow&last=2025-03-11", "valid date"),
        ("days=8", "valid choice"),
    ],
)
def test_a_period_that_makes_no_sense_is_explained(people: People, client: Client, query: str, fault: str) -> None:
    client.force_login(people.alice)
    page = client.get(f"/?{query}")
    assert page.status_code == 200
    assert fault in page.content.decode()
    assert page.context["view"].period.days == 30


def test_the_period_before_and_after_are_a_click_away(people: People, client: Client) -> None:
    client.force_login(people.alice)
    bar = context(client, "/?first=2025-03-01&last=2025-03-10&group=state")["period_bar"]
    assert bar["earlier"] == "?first=2025-02-19&last=2025-02-28&group=state", "everything else is kept"
    assert bar["later"] == "?first=2025-03-11&last=2025-03-20&group=state"
    assert context(client, "/?days=7")["period_bar"]["later"] is None
    assert context(client, "/?days=7")["view"].period.days == 7


@pytest.mark.parametrize(
    ("span", "at", "first", "last", "earlier"),
    [
        ("day", "2024-02-29", "2024-02-29", "2024-02-29", "2024-02-28"),
        ("week", "2025-03-16", "2025-03-10", "2025-03-16", "2025-03-03"),
        ("month", "2024-02-10", "2024-02-01", "2024-02-29", "2024-01-01"),
        ("quarter", "2025-05-31", "2025-04-01", "2025-06-30", "2025-01-01"),
        ("year", "2025-12-31", "2025-01-01", "2025-12-31", "2024-01-01"),
    ],
)
def test_periods_of_the_calendar(
    people: People, client: Client, span: str, at: str, first: str, last: str, earlier: str
) -> None:
    client.force_login(people.alice)
    found = context(client, f"/?span={span}&at={at}")
    period = found["view"].period
    assert (period.first.isoformat(), period.last.isoformat()) == (first, last)
    assert found["period_bar"]["earlier"] == f"?span={span}&at={earlier}"


def test_what_an_address_does_not_know_is_left_out(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    found = context(client, f"{URL}&group=x&metric=y&bars=minute&compare=z&state=FAILED&state=COMPLETED&user=bob")
    assert found["view"].query == f"{PERIOD}&state=FAILED&state=COMPLETED"


# --- How ----------------------------------------------------------------------------------------


def test_the_number_of_queries_does_not_grow(
    site: None, people: People, client: Client, django_assert_num_queries: Any
) -> None:
    client.force_login(people.alice)
    client.get(URL)
    # session, user, roll-up and price lists of the period and of the one before it, permissions of the user and of
    # their groups, newest sample, jobs being booked
    with django_assert_num_queries(QUERIES):
        client.get(URL)


def test_in_german(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    client.post("/language/setlang/", {"language": "de", "next": URL})
    page = client.get(URL).content.decode()
    assert '<html lang="de">' in page
    assert "543" in page
    assert "67,0\u00a0%" in page


def test_the_payload_says_nothing_of_looks(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    page = client.get(URL).content.decode()
    assert set(payload(page)) == {
        "title", "unit", "size", "quantity", "table", "labels", "titles", "series", "coverage", "links", "words",
    }  # fmt: skip
    assert " style=" not in page
    assert "onclick" not in page
