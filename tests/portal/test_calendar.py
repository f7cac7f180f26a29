"""`/calendar/`: a year of days; `/energy/jobs/`: the jobs behind a bar."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any

import pytest
from django.test import Client
from django.test.utils import override_settings

from tests.conftest import People
from tests.portal import world
from tests.portal.world import DAY, PERIOD, TRAIN_J, WIDE_J


def cell(page: Any, day: str) -> str:
    """A day's cell of the table."""
    text = page.content.decode().split(f"at={day}")[0]
    return str(text.rpartition("<td")[2] + page.content.decode().split(f"at={day}")[1].split("</td>")[0])


def test_figure_no_job_not_measured_and_not_yet_are_four_things(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    page = client.get("/calendar/?year=2025")
    assert 'class="heat-6"' in cell(page, DAY)
    assert ">543" in cell(page, DAY)
    assert "10 March 2025: 543\u00a0Wh" in cell(page, DAY)
    assert "no jobs" in cell(page, "2025-03-11")
    from measurements.models import UsageDay

    UsageDay.objects.exclude(node_type__name="dark").delete()
    unmeasured = client.get("/calendar/?year=2025")
    assert "not measured" in cell(unmeasured, DAY)
    assert ">?" in cell(unmeasured, DAY)
    client.force_login(people.charlie)
    assert b"None of your jobs ran in 2025" in client.get("/calendar/?year=2025").content


def test_days_to_come_are_no_days_without_jobs(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    with override_settings(TIME_ZONE="Pacific/Kiritimati"):
        months = client.get("/calendar/?year=2025").context["months"]
    assert [day.address for day in months[1][1]][28:] == ["", "", ""], "29 to 31 February 2025"


@pytest.mark.parametrize("year", ["x", "20255", "0000", "9999", "-1"])
def test_no_such_year(people: People, client: Client, year: str) -> None:
    client.force_login(people.alice)
    assert client.get(f"/calendar/?year={year}").status_code == 404


def test_a_bar_leads_to_the_jobs_that_it_is_made_of(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    page = client.get(f"/?{PERIOD}")
    links = page.context["chart"]["links"]
    groups = [series["label"] for series in page.context["chart"]["series"]]
    mixed = links["bars"][3] + links["series"][groups.index("mixed")]
    found = client.get(mixed).context["found"]
    assert [job.job_id for job in found.jobs] == ["36_1"]
    assert found.energy_j == pytest.approx(TRAIN_J)
    whole = client.get(page.context["jobs_address"]).context["found"]
    assert [job.job_id for job in whole.jobs][:2] == ["36_1", "123"], "most first"
    assert whole.energy_j == pytest.approx(TRAIN_J + WIDE_J)
    assert {job.job_id for job in whole.jobs if job.inside_j is None} == {"93+1", "201"}, "ran, but was not measured"
    assert [job.job_id for job in whole.jobs if job.inside_j == 0] == ["200"], "took no time"


MADE_UP = (
    "from=x&to=1",
    "from=1",
    f"from={world.DAY_S * 1000 + 1}&to={world.DAY_S * 1000 + 900_000}",
    "row=x",
    "row=-1",
)


@pytest.mark.parametrize("part", [*MADE_UP, "from=1&to=900000"])
def test_a_made_up_time_is_not_found(site: None, people: People, client: Client, part: str) -> None:
    client.force_login(people.alice)
    assert client.get(f"/energy/jobs/?{PERIOD}&{part}").status_code == 404


def test_the_tables_to_take_away_have_the_page_s_figures(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    sent = b"".join(client.get(f"/energy.csv?{PERIOD}&bars=day").streaming_content).decode()  # type: ignore[attr-defined]
    (row,) = csv.DictReader(StringIO(sent))
    assert float(row["energy_j"]) == pytest.approx(TRAIN_J + WIDE_J, rel=1e-12)
    assert float(row["energy_j: mixed"]) == pytest.approx(TRAIN_J, rel=1e-12)
    assert row["energy_j: dark"] == "", "not measured is not 0"
    assert float(row["filled_j"]) == 600 * 3600
    jobs = b"".join(client.get(f"/energy/jobs.csv?{PERIOD}").streaming_content).decode()  # type: ignore[attr-defined]
    rows = list(csv.DictReader(StringIO(jobs)))
    assert sum(float(row["energy_in_time_j"] or 0) for row in rows) == pytest.approx(TRAIN_J + WIDE_J, rel=1e-12)
