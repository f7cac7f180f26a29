"""What a review of the pages of usage found: odd periods, jobs that are not measured, fair comparisons."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.core.management import call_command
from django.http import StreamingHttpResponse
from django.test import Client, override_settings
from django.utils import timezone

from measurements.domain.usage import Granularity
from measurements.models import Cluster, Job, Node, NodeState, PublishedValue, Supply
from measurements.selectors.own_timing import own_timing
from measurements.selectors.usage import Asked, Dimension, Scope, usage
from measurements.selectors.usage_emissions import Quarters
from measurements.services.pricing import add_supply
from portal.charts_carbon import hour_rows
from portal.forms import Compare, Period, Span
from portal.quantities import Unit
from portal.usage_metric import comparable
from portal.usage_view import Metric, View
from portal.wording_usage import before_words, hour_name, usage_sentences
from tests.conftest import People
from tests.measurements.statement_world import AFTER, declare, series
from tests.portal import world
from tests.portal.world import DAY_S, PERIOD

PAGES = (
    "/",
    "/energy.csv",
    "/energy/jobs/",
    "/energy/jobs.csv",
    "/report/",
    "/waste/",
    "/calendar/",
    "/clusters/alpha/",
)
ENDS_OF_TIME = (
    "first=0001-01-01&last=0001-01-02",
    "first=9999-12-30&last=9999-12-31",
    *(f"span={span}&at={at}" for span in ("day", "week", "month", "year") for at in ("0001-01-01", "9999-12-31")),
)


@pytest.mark.parametrize("period", ENDS_OF_TIME)
def test_a_period_at_the_end_of_time_is_no_fault_of_the_server(
    site: None, people: People, client: Client, period: str
) -> None:
    client.force_login(people.alice)
    assert [client.get(f"{page}?{period}").status_code for page in PAGES] == [200] * len(PAGES)
    assert b"Give days between 1971 and 2100." in client.get(f"/?{period}").content
    answer = client.get(f"/api/v1/users/me/usage?{period}")
    assert answer.status_code in (200, 422)


# --- Four states ----------------------------------------------------------------------------------------

HOUR_MS = 3_600_000


@pytest.fixture
def odd(db: None, own_var: Path, tmp_path: Path) -> None:
    """n1 draws 100 W and is silent from 05:00 to 08:00; d1 has no meter; nowhere is not known."""
    nodes = "node,node_type,cpus,gpus,idle_w,rated_w\nn1,thin,4,0,50,300\nd1,dark,4,0,,\n"
    at = [DAY_S + 60 * minute for minute in range(24 * 60) if not 5 * 60 < minute < 8 * 60]
    power = "".join(f"{t},n1,100,node\n" for t in at)
    jobs = [
        ("1", "alice", "a & b", "COMPLETED", 0, 20, "n1", "=cmd|' /C calc'!A0", "workload=a/b+c phase=train"),
        ("2", "alice", 'ü ""q"" <b>', "TIMEOUT", 1, 2, "d1", "<script>alert(1)</script>", "workload=llm:1.0@x"),
        ("3", "bob", "@x", "COMPLETED", 1, 2, "nowhere", "-1+2", ""),
        ("4", "charlie", "x", "COMPLETED", 1, 2, "d1", "+ü☃", ""),
    ]
    rows = "".join(
        f'{job},{user},"{account}",{state},{DAY_S + 3600 * begin},{DAY_S + 3600 * end},'
        f'{node},{DAY_S},"{name}",4,"{said}"\n'
        for job, user, account, state, begin, end, node, name, said in jobs
    )
    header = "job_id,user,account,state,start,end,nodes,submit,name,cpus,comment\n"
    for name, text in (("nodes", nodes), ("power", f"timestamp,node,watts,channel\n{power}"), ("jobs", header + rows)):
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    world.run("load_nodes", tmp_path / "nodes.csv")
    world.run("ingest_power", tmp_path / "power.csv")
    world.run("ingest_jobs", tmp_path / "jobs.csv")
    world.run("attribute")


def text_of(client: Client, address: str) -> str:
    """A table to take away."""
    answer = client.get(address)
    assert isinstance(answer, StreamingHttpResponse)
    return b"".join(answer.streaming_content).decode()


def rows_of(client: Client, query: str) -> dict[int, Any]:
    """The rows of the page's table by the hour they begin with."""
    found = client.get(f"/?{PERIOD}&{query}").context["bars"].rows
    return {(row.start_ms - DAY_S * 1000) // HOUR_MS: row for row in found}


def test_an_hour_in_which_a_meter_was_silent_is_not_measured_and_not_0(
    odd: None, people: People, client: Client
) -> None:
    client.force_login(people.alice)
    rows = rows_of(client, "group=workload")
    assert (rows[6].total, rows[6].coverage, rows[6].note) == ("–", "0.0\u00a0%", "not measured")
    assert rows[4].total == rows[9].total == "100"
    whole = client.get(f"/?{PERIOD}").context["usage"]
    assert whole.covered_s == pytest.approx(20 * 3600 - 3 * 3600 + 60, abs=1), "what was covered of the day stays"
    begin = (DAY_S + 6 * 3600) * 1000
    page = client.get(f"/energy/jobs/?{PERIOD}&from={begin}&to={begin + HOUR_MS}").content.decode()
    assert "1 job ran in this time: not measured" in page
    assert "0&nbsp;Wh" not in page
    assert "0\u00a0Wh" not in page


@pytest.mark.parametrize("metric", ["emissions", "cost"])
def test_what_is_not_measured_has_no_emissions_and_no_cost_of_0(
    odd: None, people: People, client: Client, metric: str
) -> None:
    client.force_login(people.alice)
    rows = rows_of(client, f"metric={metric}")
    assert rows[6].note == "not measured"
    assert rows[1].parts == ("–", "–"), "thin has no factor, dark no meter"
    sent = text_of(client, f"/energy.csv?{PERIOD}&metric={metric}&bars=day")
    assert sent.splitlines()[1].split(",")[2] == ""


def test_without_a_tariff_no_empty_brackets_stand_for_a_unit(odd: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    assert b"[]" not in client.get(f"/?{PERIOD}&metric=cost").content


def test_jobs_on_nodes_that_are_not_known_are_not_denied(odd: None, people: People, client: Client) -> None:
    client.force_login(people.bob)
    page = client.get(f"/?{PERIOD}").content
    assert b"None of your jobs ran" not in page
    assert b"1 of your jobs ran in this time, but it is not measured" in page
    assert b"1 job ran in this time: not measured" in client.get(f"/energy/jobs/?{PERIOD}").content


def test_a_person_whose_jobs_are_not_measured_reads_no_0(odd: None, people: People, client: Client) -> None:
    client.force_login(people.charlie)
    tiles = {tile.metric: tile for tile in client.get(f"/?{PERIOD}").context["tiles"]}
    assert [(tile.shown, tile.why) for tile in tiles.values()] == [("", "not measured")] * 4
    said = client.get(f"/?{PERIOD}&metric=emissions").context["sentences"]
    assert said == ["Jobs ran, but nothing of it was measured."]


def test_a_failed_run_without_a_figure_is_not_said_to_have_drawn_0(odd: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    page = client.get(f"/report/?{PERIOD}")
    assert page.context["body"]["failed_jobs"] == 1
    assert "0\u00a0Wh of it" not in page.context["statement"]


def test_names_are_text_on_every_page_and_in_every_file(odd: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    for page in (f"/?{PERIOD}&group=project", f"/energy/jobs/?{PERIOD}", f"/report/?{PERIOD}&workload=a/b%2Bc"):
        html = client.get(page).content
        assert b"<script>alert" not in html
        assert b"<b>" not in html
    assert b"Of these jobs only: Workload: a/b+c." in client.get(f"/report/?{PERIOD}&workload=a/b%2Bc").content
    for format_, quoted in (("csv", True), ("csv-de", True), ("json", False)):
        sent = text_of(client, f"/energy/jobs.csv?{PERIOD}&format={format_}")
        assert ("'=cmd" in sent) is quoted, format_


def test_a_row_behind_the_last_does_not_exist(odd: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    assert client.get(f"/energy/jobs/?{PERIOD}&row=100").status_code == 404


def test_a_single_day_is_one_day(odd: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    assert " on 1 day; the most was" in client.get("/calendar/?year=2025").context["sentence"]


# --- Reports --------------------------------------------------------------------------------------------


def test_runs_that_the_machine_ended_are_not_reported_as_failed(site: None, people: People, client: Client) -> None:
    node = Node.objects.get(name="thin1")
    end_ms = (DAY_S + 2 * 3600) * 1000
    Job.objects.filter(job_id="123").update(state="FAILED")
    NodeState.objects.create(
        node=node, start_ms=end_ms, end_ms=end_ms + HOUR_MS, state="DOWN", power=NodeState.Power.ON
    )
    client.force_login(people.alice)
    assert client.get(f"/report/?{PERIOD}").context["body"]["failed_jobs"] == 1, "200 alone"
    body = client.get("/report/?job=alpha/123").context["body"]
    assert (body["failed_jobs"], body["failed_j"]) == (0, 0.0)


@override_settings(TIME_ZONE="America/St_Johns")
def test_a_job_s_report_has_the_days_of_the_site_s_zone(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    page = client.get("/report/?job=alpha/123")  # 01:00 to 02:00 UTC
    assert "on 9 March 2025" in page.context["statement"]
    assert page.context["body"]["start"] == "2025-03-09T22:30:00-02:30"


def test_whoever_withdrew_a_report_may_freeze_it_again(site: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    url = f"/report/?{PERIOD}"
    seen = client.get(url).context["sha256"]
    address = client.post(url, {"seen": seen}).headers["Location"]
    client.post(f"{address}withdraw/")
    assert client.get(address).status_code == 410
    assert client.post(url, {"seen": seen}).headers["Location"] == address
    assert Client().get(address).status_code == 200


# --- Fair comparisons -----------------------------------------------------------------------------------


def test_a_day_that_goes_on_is_held_against_as_much_of_the_day_before(
    odd: None, people: People, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_noon = datetime.fromtimestamp(DAY_S + 12 * 3600, UTC)
    view = View(Period(date(2025, 3, 11), date(2025, 3, 11), None, Span.DAY))
    zone = ZoneInfo("UTC")
    noon_ms = (DAY_S + 24 * 3600 + 12 * 3600) * 1000
    whole = usage(Scope(username="alice"), view.before(zone, date(2025, 3, 11)))
    part = usage(Scope(username="alice"), view.before(zone, date(2025, 3, 11), noon_ms))
    assert whole.energy_j == pytest.approx(17 * 360_000, rel=0.01)
    assert part.energy_j == pytest.approx(9 * 360_000, rel=0.01), "12 hours, of which 3 were silent"
    monkeypatch.setattr(timezone, "now", lambda: at_noon)
    client.force_login(people.alice)
    said = client.get("/?span=day&at=2025-03-10").context["sentences"]
    assert "On the day before, up to the same time, no job ran." in said
    assert "up to the same time" not in " ".join(client.get("/?span=day&at=2025-03-09").context.get("sentences", []))


def test_times_that_were_not_measured_alike_are_not_compared(odd: None, people: People, client: Client) -> None:
    week = usage(Scope(username="alice"), Asked(date(2025, 3, 10), date(2025, 3, 10), ZoneInfo("UTC")))
    worse = replace(week, cells=replace(week.cells, covered_s=week.cells.covered_s / 2))
    view = View(Period(date(2025, 3, 10), date(2025, 3, 10)))
    said = " ".join(usage_sentences(week, worse, view, date(2026, 1, 1)))
    assert "of the jobs' time was measured, now" in said
    assert "not compared" in said
    assert comparable(week, week, Metric.ENERGY, market=False)
    assert not comparable(week, worse, Metric.WASTE, market=False)


def test_a_bar_s_address_keeps_the_filter_it_was_drawn_with(odd: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    links = client.get(f"/?{PERIOD}&group=workload&workload=a/b%2Bc").context["chart"]["links"]
    assert "workload=a%2Fb%2Bc" in links["bars"][0]
    assert "&workload=" not in links["parts"][0]
    assert links["series"] == ["&workload=a%2Fb%2Bc"]
    assert client.get(f"/?{PERIOD}&group=workload").context["chart"]["links"]["parts"] is None


def test_a_running_month_is_held_against_the_first_days_of_the_one_before_and_says_so() -> None:
    november = Period.of(Span.MONTH, date(2026, 11, 1))
    assert before_words(Compare.PREVIOUS, november, date(2026, 11, 21)) == "In the first 21 days of the period before"
    assert before_words(Compare.PREVIOUS, november, date(2026, 12, 1)) == "In the 31 days before"


@override_settings(TIME_ZONE="Europe/Berlin")
def test_the_hour_that_a_clock_shows_twice_has_two_names(people: People, client: Client) -> None:
    asked = Asked(date(2025, 10, 26), date(2025, 10, 26), ZoneInfo("Europe/Berlin"), Granularity.HOUR)
    found = usage(Scope(username="alice"), asked)
    assert [hour_name(found, place) for place in range(1, 5)] == ["01:00", "02:00 CEST", "02:00 CET", "03:00"]


def test_hours_that_are_not_over_are_not_0() -> None:
    at_ms = np.arange(0, 24 * HOUR_MS, HOUR_MS // 4)
    quarters = Quarters(at_ms, np.zeros(96), np.full(96, 100.0), np.ones(96, bool))
    found = own_timing(quarters, ZoneInfo("UTC"), 10 * HOUR_MS)
    assert found.energy_j[9] == 0
    assert np.isnan(found.energy_j[10:]).all()
    assert hour_rows(found, Unit("Wh", 3600.0))[10][1] == "–"


# --- Several clusters -----------------------------------------------------------------------------------


@pytest.fixture
def three(odd: None, tmp_path: Path) -> None:
    """Besides alpha (CHF): beta, priced in JPY, with a tenth of the energy; gamma, without a tariff, with as much."""
    for name in ("beta", "gamma"):
        power = "".join(f"{DAY_S + 60 * minute},m1,100,node\n" for minute in range(2 * 60 + 1))
        files = {
            "nodes": "node,node_type,cpus,gpus,idle_w,rated_w\nm1,fat,4,0,50,300\n",
            "power": f"timestamp,node,watts,channel\n{power}",
            "jobs": "job_id,user,account,state,start,end,nodes,submit,name,cpus\n"
            f"1,alice,x,COMPLETED,{DAY_S},{DAY_S + 2 * 3600},m1,{DAY_S},n,4\n",
        }
        for kind, text in files.items():
            (tmp_path / f"{kind}-{name}.csv").write_text(text, encoding="utf-8")
        for command, kind in (("load_nodes", "nodes"), ("ingest_power", "power"), ("ingest_jobs", "jobs")):
            call_command(command, str(tmp_path / f"{kind}-{name}.csv"), "--cluster", name, stdout=StringIO())
        call_command("attribute", "--cluster", name, stdout=StringIO())
    declare(Cluster.objects.get(name="alpha"), "tariff", 0.25, unit="CHF/kWh")
    declare(Cluster.objects.get(name="beta"), "tariff", 40.0, unit="JPY/kWh")


def test_the_cost_is_in_the_currency_of_most_energy_and_says_of_how_much(
    three: None, people: People, client: Client
) -> None:
    client.force_login(people.alice)
    page = client.get(f"/?{PERIOD}&metric=cost&group=cluster&bars=day")
    found = page.context["usage"]
    assert found.currency == "CHF"
    assert found.cost == pytest.approx(1.7 * 0.25, rel=0.01)
    tile = next(tile for tile in page.context["tiles"] if tile.metric is Metric.COST)
    assert tile.beside == "for 80.9\u00a0% of the energy"
    table = page.context["bars"]
    assert [column.name for column in table.columns] == ["alpha", "beta", "gamma"]
    assert table.rows[0].parts[1:] == ("–", "–")
    assert found.footprint.cost["JPY"] == pytest.approx(0.2 * 40, rel=0.01), "shown besides"


def test_costs_in_two_currencies_are_not_compared(three: None) -> None:
    day = date(2025, 3, 10)
    francs, yen = (
        usage(Scope(username="alice"), Asked(day, day, ZoneInfo("UTC"), filters={Dimension.CLUSTER: (name,)}))
        for name in ("alpha", "beta")
    )
    assert (francs.currency, yen.currency) == ("CHF", "JPY")
    assert comparable(francs, francs, Metric.COST, market=False)
    assert not comparable(francs, yen, Metric.COST, market=False)


def test_with_every_factor_known_what_is_not_measured_still_reads_as_no_0(
    odd: None, people: People, client: Client
) -> None:
    alpha, years = Cluster.objects.get(), series("years", "consumption")
    PublishedValue.objects.create(series=years, start=date(2025, 1, 1), g_per_kwh=400.0)
    add_supply(Supply(cluster=alpha, yearly=years), AFTER)
    declare(alpha, "tariff", 0.3, unit="EUR/kWh")
    client.force_login(people.charlie)
    page = client.get(f"/?{PERIOD}")
    tiles = page.context["tiles"]
    assert [(tile.shown, tile.why) for tile in tiles] == [("", "not measured")] * 4
    text = re.sub(r"<script.*?</script>|<[^>]*>", " ", page.content.decode(), flags=re.DOTALL)
    assert re.findall(r"(?<![\d.,-])0(?:&nbsp;|\s)\s*(?:Wh|g CO₂e|EUR|mg)", text) == []
    client.force_login(people.alice)
    tiles = {tile.metric: tile for tile in client.get(f"/?{PERIOD}").context["tiles"]}
    assert tiles[Metric.EMISSIONS].shown == "681\u00a0g\u00a0CO₂e"
