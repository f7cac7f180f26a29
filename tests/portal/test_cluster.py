"""`/clusters/` and `/clusters/<name>/`: what a machine draws, and how much of it is known."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from measurements.domain.packing import packed
from measurements.domain.units import DAY_MS, HOUR_MS, QUARTER_MS, day_from_ms, day_start_ms, ms_from_datetime
from measurements.models import Cluster, DirtyNodeDay, Node, NodeType, TypeDay
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.machine import ClusterReport, cluster_report
from measurements.selectors.nodelist import NODES_PER_PAGE
from measurements.services.pricing import reprice
from tests.conftest import People
from tests.portal import machine_world as machine
from tests.portal.machine_world import DAY_S, END_S, HOUR_S, SECRETS, START_S, WATTS, covered_s, held_j, metered_j
from tests.portal.world import BOBS_J, DAY, WIDE_J
from tests.portal.world import HOUR as WORLD_HOUR

FIRST, LAST = "2025-03-28", "2025-03-31"
URL = f"/clusters/alpha/?first={FIRST}&last={LAST}"
MOST_QUERIES = 10
Payload = dict[str, Any]


def report_of(first: str, last: str, zone: str = "UTC", now: datetime = machine.NOW) -> ClusterReport:
    cluster = Cluster.objects.get(name="alpha")
    return cluster_report(cluster, date.fromisoformat(first), date.fromisoformat(last), ZoneInfo(zone), now)


def page(client: Client, person: User, url: str = URL) -> str:
    client.force_login(person)
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def payload(text: str, name: str) -> Payload:
    found: Payload = json.loads(text.split(f'id="{name}-data" type="application/json">')[1].split("</script>")[0])
    return found


# --- Figures ------------------------------------------------------------------------------------


def test_the_small_day_is_what_was_worked_out_by_hand(site: None) -> None:
    total = report_of(DAY, DAY).total
    sampled_s = 12 * WORLD_HOUR + 30  # the last sample holds for half a minute
    thin1_s = sampled_s - 19 * 60
    assert total.metered_j == pytest.approx(100 * thin1_s + 700 * sampled_s, rel=1e-9)
    assert total.jobs_j == pytest.approx(WIDE_J + 500 * WORLD_HOUR + BOBS_J, rel=1e-9)
    assert total.covered_s == pytest.approx(2 * sampled_s + thin1_s)
    assert total.wall_s == 4 * DAY_S  # dark1 was held by a job, though nothing measures it
    assert total.gap_s == pytest.approx(4 * DAY_S - 2 * sampled_s - thin1_s)
    assert (total.off_s, total.other_j) == (0, None)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_each_local_day_closes(hall: None, zone: str) -> None:
    """Over the change of the clock too: every day against powers × seconds, added up independently."""
    report = report_of("2025-03-29", "2025-03-31", zone)
    bounds = day_bounds_ms(report.first, report.last, ZoneInfo(zone))
    hours = [(s.end_ms - s.start_ms) // HOUR_MS for s in report.slots]
    assert hours == ([24, 23, 24] if zone == "Europe/Berlin" else [24, 24, 24])
    off_begin, off_end = machine.SILENT["a2"]
    for slot, start_ms, end_ms in zip(report.slots, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        assert (slot.start_ms, slot.end_ms) == (start_ms, end_ms)
        start, end = start_ms // 1000, end_ms // 1000
        figures = slot.figures
        assert figures.metered_j == pytest.approx(metered_j(start, end), rel=1e-9)
        assert figures.jobs_j == pytest.approx(held_j(start, end), rel=1e-9, abs=1e-3)
        assert figures.covered_s == pytest.approx(sum(covered_s(node, start, end) for node in WATTS))
        off_s = max(min(off_end - 150, end) - max(off_begin + 150, start), 0)
        assert figures.off_s == pytest.approx(off_s)
        assert figures.wall_s == pytest.approx(3 * (min(end, END_S) - start), abs=3 * 7 * HOUR_S)
        assert figures.covered_s + figures.off_s + figures.gap_s == pytest.approx(figures.wall_s)
    assert report.total.metered_j == pytest.approx(sum(s.figures.metered_j for s in report.slots), rel=1e-12)


def test_types_add_up_to_the_whole(hall: None) -> None:
    report = report_of(FIRST, LAST)
    kinds = {kind.name: kind for kind in report.types}
    assert list(kinds) == ["fat", "thin"]  # most energy first; meters above nodes are no type of node
    assert (kinds["thin"].nodes, kinds["thin"].measured_nodes) == (2, 2)
    assert kinds["fat"].figures.mean_node_w == pytest.approx(400)
    thin = {node: covered_s(node, START_S, END_S) for node in ("a1", "a2")}
    mean = (200 * thin["a1"] + 100 * thin["a2"]) / sum(thin.values())
    assert kinds["thin"].figures.mean_node_w == pytest.approx(mean)
    for name in ("metered_j", "unallocated_j", "covered_s", "off_s", "wall_s"):
        assert sum(getattr(k.figures, name) for k in report.types) == pytest.approx(getattr(report.total, name))


def test_other_is_the_meter_above_less_the_nodes(hall: None) -> None:
    whole_day = report_of("2025-03-31", "2025-03-31").total
    assert whole_day.other_j == pytest.approx((1000 - 700) * DAY_S, rel=1e-9)
    dead_bmc = report_of("2025-03-29", "2025-03-29").total
    gap_s = DAY_S - covered_s("a1", START_S + DAY_S, START_S + 2 * DAY_S)
    assert dead_bmc.other_j == pytest.approx(300 * DAY_S + 200 * gap_s, rel=1e-9)  # what was not measured is in it


def test_other_is_not_guessed_where_some_nodes_are_elsewhere(hall: None) -> None:
    Node.objects.filter(name="a2").update(parent=None)
    assert report_of(LAST, LAST).total.other_j is None
    Node.objects.update(parent=None)  # no node below any meter: what is infrastructure counts alone
    assert report_of(LAST, LAST).total.other_j == pytest.approx(150 * DAY_S, rel=1e-9)


def test_the_power_now_is_of_the_last_whole_quarter_hour(hall: None) -> None:
    report = report_of(LAST, LAST)
    assert report.now is not None
    assert report.now.end_ms == END_S * 1000
    assert report.now.end_ms - report.now.start_ms == QUARTER_MS
    assert report.now.power_w == pytest.approx(700)
    assert report.now.nodes == 3
    Node.objects.filter(name="a1").update(last_sample_ms=(END_S - HOUR_S) * 1000)
    later = report_of(LAST, LAST)
    assert later.now is not None
    assert (later.now.nodes, later.machine.silent, later.machine.never) == (2, 1, 0)


def test_power_keeps_its_height_where_coverage_falls(hall: None) -> None:
    power = report_of("2025-03-29", "2025-03-29").power
    place = int(np.searchsorted(power.edges_ms, (START_S + DAY_S + 8 * HOUR_S) * 1000))
    assert power.power_w[place] == pytest.approx(500)  # a1 is missing from it,
    assert power.coverage[place] == pytest.approx(2 / 3)  # and the line says so
    assert power.power_w[0] == pytest.approx(700)
    assert np.diff(power.edges_ms).max() == QUARTER_MS


def test_a_day_that_is_not_over_is_compared_with_as_much_of_the_day_before(hall: None) -> None:
    TypeDay.objects.filter(day__gte="2025-04-01").delete()
    day = TypeDay.objects.filter(day="2025-03-31")
    quarters = np.full(96, 90_000.0)
    quarters[41:] = 0.0  # up to 10:15 is booked, the last quarter hour in part
    quarters[40] = 1_000.0
    day.update(metered_quarters=packed(quarters))
    report = report_of(LAST, LAST, now=datetime(2025, 3, 31, 10, 9, tzinfo=UTC))
    assert not report.previous_is_whole
    assert report.known.wall_s == report.previous.wall_s == 3 * 10 * HOUR_S
    assert report.known.metered_j == pytest.approx(2 * 40 * 90_000)  # two node types
    assert report.previous.metered_j == pytest.approx(metered_j(START_S + 2 * DAY_S, START_S + 2 * DAY_S + 10 * HOUR_S))
    assert report.total.wall_s == pytest.approx(3 * (10 * HOUR_S + 9 * 60))  # nothing in the future is a gap
    assert report.now is not None
    assert report.now.end_ms == (START_S + 3 * DAY_S + 10 * HOUR_S) * 1000


# --- The page -----------------------------------------------------------------------------------


def test_the_page_says_what_the_report_has(hall: None, people: People, client: Client) -> None:
    text = page(client, people.charlie)
    assert "In these 4 days the nodes drew 63.6\u00a0kWh." in text
    chart = payload(text, "split-chart")
    assert [s["role"] for s in chart["series"]] == ["jobs", "unallocated", "other"]
    shown_j = sum(v for s in chart["series"][:2] for v in s["values"]) * chart["size"]
    assert shown_j == pytest.approx(metered_j(START_S, END_S), rel=1e-4)
    wall = payload(text, "wall-chart")
    for column in zip(*(s["values"] for s in wall["series"]), strict=True):
        assert sum(column) == pytest.approx(100, rel=1e-4)
    row = text.split('id="wall-table"')[1].split("Sunday, 30 March 2025")[1].split("</tr>")[0]
    assert [cell.split("</td>")[0] for cell in row.split("<td>")[1:]] == [
        "83.4\u00a0%",
        "16.5\u00a0%",
        "0.0\u00a0%",
        "100\u00a0%",
    ]
    assert text.count("<h1") == 1
    assert " style=" not in text
    assert "onclick" not in text


def test_a_short_period_is_shown_by_hour(hall: None, people: People, client: Client) -> None:
    with override_settings(TIME_ZONE="Europe/Berlin"):
        text = page(client, people.charlie, "/clusters/alpha/?first=2025-03-30&last=2025-03-30")
    chart = payload(text, "split-chart")
    assert len(chart["labels"]) == 23
    assert chart["labels"][:4] == ["00:00", "01:00", "03:00", "04:00"]
    assert chart["title"] == "Energy by hour"


def test_a_period_without_anything_says_so(hall: None, people: People, client: Client) -> None:
    text = page(client, people.charlie, "/clusters/alpha/?first=2024-03-01&last=2024-03-02")
    assert "Nothing was measured from Fri 1 Mar 2024 to Sat 2 Mar 2024." in text
    assert "<canvas" not in text


def test_an_empty_cluster_has_a_page(people: People, client: Client) -> None:
    Cluster.objects.create(name="alpha")
    text = page(client, people.olga)
    assert "No power sample has come in yet." in text
    assert "No nodes are known here." in text


def test_work_that_waits_is_told(hall: None, people: People, client: Client) -> None:
    node = Node.objects.get(name="a1")
    for day in (1, 2):
        DirtyNodeDay.objects.create(cluster=node.cluster, node=node, day=date(2025, 3, day), version=1)
    assert "2 node-days are being booked." in page(client, people.charlie)


def test_the_only_cluster_is_shown_at_once(site: None, people: People, client: Client) -> None:
    client.force_login(people.charlie)
    assert client.get("/clusters/").headers["Location"] == "/clusters/alpha/"
    Cluster.objects.create(name="beta")
    text = client.get("/clusters/").content.decode()
    assert 'href="/clusters/alpha/"' in text
    assert 'href="/clusters/beta/"' in text


def test_the_period_stays_in_the_address(hall: None, operator: User, client: Client) -> None:
    client.force_login(operator)
    context: Any = client.get(URL).context
    assert context["links"]["earlier"] == "?first=2025-03-24&last=2025-03-27"
    assert context["links"]["later"] == "?first=2025-04-01&last=2025-04-04"
    found: Any = client.get(f"{URL}&q=a").context
    assert found["nodes_links"]["first"] == f"?first={FIRST}&last={LAST}&q=a"


# --- Who sees what ------------------------------------------------------------------------------


def test_nobody_is_asked_to_log_in(site: None, client: Client) -> None:
    for url in ("/clusters/", "/clusters/alpha/"):
        assert client.get(url).headers["Location"] == f"/login/?next={url}"


def test_an_unknown_cluster_is_not_found(site: None, people: People, client: Client) -> None:
    client.force_login(people.olga)
    assert client.get("/clusters/beta/").status_code == 404


@pytest.mark.parametrize("who", ["alice", "bob", "charlie"])
def test_users_see_sums_only(hall: None, people: People, client: Client, who: str) -> None:
    text = page(client, getattr(people, who))
    body = text.split("<main")[1]
    for word in (*SECRETS, "770001", "alices", "physics", "/nodes/", ">a1<", ">b1<", "hall"):
        assert word not in body
    assert "a1" not in page(client, getattr(people, who), f"{URL}&q=a1").split("<main")[1]


def test_operators_see_nodes_and_nobody_s_jobs(hall: None, operator: User, client: Client) -> None:
    text = page(client, operator)
    assert 'href="/clusters/alpha/nodes/a1/"' in text
    for word in (*SECRETS, "770001", "alices"):
        assert word not in text


def test_nodes_are_searched_and_paged(hall: None, operator: User, client: Client) -> None:
    cluster = Cluster.objects.get(name="alpha")
    Node.objects.bulk_create(Node(cluster=cluster, name=f"n{i:05d}") for i in range(2 * NODES_PER_PAGE))
    client.force_login(operator)
    seen: list[str] = []
    url = URL
    while url:
        context: Any = client.get(url).context
        seen += [row.name for row in context["nodes"].rows]
        following = context["nodes_links"]["next"]
        url = f"/clusters/alpha/{following}" if following else ""
    assert seen == sorted(["a1", "a2", "b1", "cool", "hall", *(f"n{i:05d}" for i in range(2 * NODES_PER_PAGE))])
    found: Any = client.get(f"{URL}&q=N0000").context
    assert [row.name for row in found["nodes"].rows] == [f"n{i:05d}" for i in range(10)]
    (row, *_) = client.get(f"{URL}&q=a1").context["nodes"].rows
    assert (row.node_type, row.state, row.mean_w) == ("thin", "", pytest.approx(200))


# --- How much work it is ------------------------------------------------------------------------


def test_the_page_reads_sums_only(hall: None, operator: User, people: People, client: Client) -> None:
    for person, most in ((people.charlie, MOST_QUERIES - 1), (operator, MOST_QUERIES)):
        client.force_login(person)
        client.get(URL)
        with CaptureQueriesContext(connection) as queries:
            client.get(URL)
        assert len(queries) <= most, [q["sql"][:90] for q in queries]
        read = " ".join(q["sql"] for q in queries)
        for table in ("measurements_job", "measurements_allocation", "measurements_run", "measurements_nodehour"):
            assert table not in read


def test_a_large_cluster_s_year_takes_no_more_queries(operator: User, client: Client) -> None:
    cluster = Cluster.objects.create(name="alpha")
    kinds = [NodeType.objects.create(cluster=cluster, name=f"t{i}") for i in range(3)]
    newest = ms_from_datetime(datetime.now(UTC))
    Node.objects.bulk_create(Node(cluster=cluster, name=f"n{i}", last_sample_ms=newest - i) for i in range(1_000))
    quarters, hours = packed(np.full(96, 9e4)), packed(np.full(24, 333 * 3600.0))
    days = [day_from_ms(newest - i * DAY_MS) for i in range(400)]
    TypeDay.objects.bulk_create(
        (
            TypeDay(
                cluster=cluster, day=day, node_type=kind, nodes=333, measured_nodes=333, metered_j=96 * 9e4, jobs_j=0,
                unallocated_j=96 * 9e4, unplaced_j=0, covered_us=333 * DAY_S * 10**6, off_us=0,
                covered_hours=hours, metered_quarters=quarters, unallocated_quarters=quarters,
            )
            for day in days for kind in kinds
        ),
        500,
    )  # fmt: skip
    reprice(cluster, datetime.now(UTC))  # as each roll-up does
    client.force_login(operator)
    for url in ("/clusters/alpha/?days=365", "/clusters/alpha/?days=30", "/clusters/alpha/?days=1"):
        with CaptureQueriesContext(connection) as queries:
            response = client.get(url)
        assert len(queries) <= MOST_QUERIES
        assert response.context["report"].total.metered_j > 0
    year: Any = client.get("/clusters/alpha/?days=365").context["report"]
    today_ms = newest - day_start_ms(day_from_ms(newest))
    known = 364 * 96 + 96  # the roll-up of the last day is given whole
    assert year.total.metered_j == pytest.approx(known * 3 * 9e4)
    assert year.total.wall_s == pytest.approx(999 * (364 * DAY_S + today_ms / 1000), rel=1e-4)
    assert timedelta(days=364) == year.last - year.first
