"""`/`: a person's own energy by day."""

from __future__ import annotations

import json
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client, override_settings

from measurements.domain.packing import unpacked
from measurements.domain.units import DAY_MS, QUARTER_MS, day_start_ms
from measurements.models import AllocationEnergy, Cluster, Job
from measurements.selectors.history import day_bounds_ms, energy_history
from measurements.selectors.joblist import JOBS_PER_PAGE, jobs_of_period
from tests.conftest import People
from tests.portal import world
from tests.portal.world import BOBS_J, DAY, PERIOD, TRAIN_J, WIDE_J

URL = f"/?{PERIOD}"


def context(client: Client, url: str = URL) -> Any:
    response = client.get(url)
    assert response.status_code == 200
    return response.context


def test_the_day_has_the_energy_of_ones_own_jobs(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    found = context(client)
    (day,) = found["history"].days
    assert day.energy_j == pytest.approx(WIDE_J + TRAIN_J, rel=1e-9)
    assert found["history"].node_types == ("mixed", "thin")
    assert day.by_type_j == pytest.approx((TRAIN_J, WIDE_J), rel=1e-9)
    assert day.filled_j == pytest.approx(600 * 3600)  # dark1 has no meter
    assert day.covered_s == 2 * 3600 - 19 * 60 + 3600
    assert day.elapsed_s == 4 * 3600
    page = client.get(URL).content.decode()
    assert "On this day your jobs drew 543\u00a0Wh." in page
    assert "67.0\u00a0% of your jobs&#x27; time was measured" in page


def test_everybody_sees_their_own_energy_only(site: None, people: People, client: Client) -> None:
    client.force_login(people.bob)
    found = context(client)
    assert found["history"].energy_j == pytest.approx(810_000 + BOBS_J, rel=1e-9)
    assert [row.job_id for row in found["jobs"].rows] == ["300", "36_2"]
    for other in (people.charlie, people.olga):  # olga may see every job, but none of them is hers
        client.force_login(other)
        page = client.get(URL)
        assert page.context["history"].elapsed_s == 0
        assert b"None of your jobs ran from Mon 10 Mar 2025 to Mon 10 Mar 2025" in page.content
        assert b"canvas" not in page.content


def test_nobody_is_asked_to_log_in(people: People, client: Client) -> None:
    assert client.get(URL).headers["Location"].startswith("/login/?next=/")
    assert client.post("/").status_code in (302, 405)


def test_the_table_has_the_chart_s_numbers(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    found = context(client)
    chart, unit = found["chart"], found["unit"]
    assert unit.label == chart["unit"] == "Wh"
    assert [s["label"] for s in chart["series"]] == ["mixed", "thin"]
    assert [s["values"] for s in chart["series"]] == [[275.0], [pytest.approx(WIDE_J / 3600, rel=1e-5)]]
    page = client.get(URL).content.decode()
    row = page.split(f'data-day="{DAY}"')[1].split("</tr>")[0]
    assert [cell.split("</td>")[0] for cell in row.split("<td>")[1:]] == ["543", "275", "268", "600", "67.0\u00a0%"]


def test_jobs_stand_newest_first_with_what_is_known_of_them(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    rows = {row.job_id: row for row in context(client)["jobs"].rows}
    assert list(rows) == ["201", "200", "93+1", "36_1", "123"]  # 202 has not started
    assert rows["123"].energy_j == pytest.approx(WIDE_J)
    assert rows["123"].quality == "partial"
    assert rows["123"].coverage == pytest.approx(6060 / 7200)
    assert rows["93+1"].energy_j is None
    page = client.get(URL).content.decode()
    assert page.count("no measurement") == 3
    assert 'href="/jobs/alpha/36_1/"' in page


def test_names_of_jobs_are_text(site: None, people: People, client: Client) -> None:
    client.force_login(people.bob)
    page = client.get(URL).content.decode()
    assert "<b>own</b>" not in page
    assert "&lt;b&gt;own&lt;/b&gt;" in page


def test_pages_of_jobs_hold_each_job_once(people: People, client: Client) -> None:
    cluster = Cluster.objects.create(name="many")
    start_ms = world.DAY_S * 1000
    Job.objects.bulk_create(
        Job(
            cluster=cluster,
            job_id=str(i),
            username="alice",
            state="COMPLETED",
            start_ms=start_ms + i // 3,  # several begin at once
            end_ms=start_ms + 9000,
        )
        for i in range(2 * JOBS_PER_PAGE + 7)
    )
    client.force_login(people.alice)
    seen, url = [], URL
    while url:
        page = client.get(url)
        seen += [row.job_id for row in page.context["jobs"].rows]
        link = page.context["links"]["next_jobs"]
        assert (link is None) == (b'rel="next">Older' not in page.content)
        url = f"/{link}" if link else ""
    assert seen == [str(i) for i in sorted(range(107), key=lambda i: (i // 3, i), reverse=True)]


@pytest.mark.parametrize("place", ["x", "1", "-1", "1-", "1-2-3", "٣-١x"])
def test_a_made_up_place_in_the_list_is_not_found(people: People, client: Client, place: str) -> None:
    client.force_login(people.alice)
    assert client.get("/", {"after": place}).status_code == 404


def test_an_id_used_again_leads_to_the_job_that_is_meant(people: People) -> None:
    cluster = Cluster.objects.create(name="old")
    starts = [world.DAY_S * 1000, world.DAY_S * 1000 + DAY_MS // 2]
    for start in starts:
        Job.objects.create(
            cluster=cluster, job_id="7", username="alice", state="COMPLETED", start_ms=start, end_ms=start + 1
        )
    page = jobs_of_period(people.alice, starts[0], starts[0] + DAY_MS)
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
        days = energy_history(person, first, last, ZoneInfo(zone)).days
        assert [d.energy_j for d in days] == pytest.approx(energy, rel=1e-9)
        assert [d.elapsed_s for d in days] == pytest.approx(elapsed, rel=1e-9)
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
    (found,) = energy_history(people.alice, shown, shown, ZoneInfo(zone)).days
    assert found.energy_j == pytest.approx(100 * hours * 3600, rel=1e-9)
    assert found.elapsed_s == pytest.approx(hours * 3600)
    assert found.covered_s == pytest.approx(hours * 3600)
    assert energy_history(people.alice, shown, shown, ZoneInfo(zone)).previous_j == pytest.approx(720_000, rel=1e-9)


def test_times_are_shown_in_the_site_s_zone(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    with override_settings(TIME_ZONE="Europe/Berlin"):
        page = client.get(URL).content.decode()
    assert "10 Mar 2025, 02:00" in page  # 01:00 UTC
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
    assert page.context["period"].days == 30


def test_the_period_before_and_after_are_a_click_away(people: People, client: Client) -> None:
    client.force_login(people.alice)
    links = context(client, "/?first=2025-03-01&last=2025-03-10")["links"]
    assert links["earlier"] == "?first=2025-02-19&last=2025-02-28"
    assert links["later"] == "?first=2025-03-11&last=2025-03-20"
    assert context(client, "/?days=7")["links"]["later"] is None
    assert context(client, "/?days=7")["period"].days == 7


# --- How ----------------------------------------------------------------------------------------


def test_the_number_of_queries_does_not_grow(
    site: None, people: People, client: Client, django_assert_num_queries: Any
) -> None:
    client.force_login(people.alice)
    client.get(URL)
    # session, user, roll-up, price lists, permissions of the user and of their groups, jobs with their
    # energy and cluster, ids used again, newest sample, jobs being booked
    with django_assert_num_queries(10):
        client.get(URL)


def test_in_german(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    client.post("/language/setlang/", {"language": "de", "next": URL})
    page = client.get(URL).content.decode()
    assert '<html lang="de">' in page
    assert "An diesem Tag brauchten Ihre Jobs 543\u00a0Wh." in page
    assert "anteilig" in page


def test_the_payload_says_nothing_of_looks(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    page = client.get(URL).content.decode()
    payload = json.loads(page.split('id="energy-chart-data" type="application/json">')[1].split("</script>")[0])
    assert set(payload) == {
        "title", "unit", "size", "quantity", "table", "labels", "titles", "series", "coverage", "words",
    }  # fmt: skip
    assert " style=" not in page
    assert "onclick" not in page
