"""`/clusters/<cluster>/nodes/<node>/`: one node for operators; nobody's job is named to whom it is not visible."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db import connection
from django.http.response import StreamingHttpResponse
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from measurements.domain.units import DAY_MS, HOUR_MS, datetime_from_ms, ms_from_datetime
from measurements.models import Node, NodeAlias, NodeConfig, NodeDay, NodeState, NodeType
from measurements.selectors import node_curve as node_curve_selector
from measurements.selectors import node_jobs
from measurements.selectors.node import NodeReport, node_report
from measurements.selectors.node_jobs import Band, job_bands, laid_out
from tests.conftest import People
from tests.portal import machine_world as machine
from tests.portal.machine_world import ABOVE, DAY_S, END_S, HALF_S, HOUR_S, SECRETS, SILENT, START_S, WATTS, covered_s

A1 = "/clusters/alpha/nodes/a1/"
B1 = "/clusters/alpha/nodes/b1/"
LATER_MS = ms_from_datetime(machine.NOW)
SUNDAY = "span=day&end=2025-03-31T00:00Z"  # 2025-03-30, UTC
WHOLE = "span=week&end=2025-04-01T00:00Z"
MOST_QUERIES = 30  # whatever the window has in it


def report_of(name: str, start_s: int, end_s: int, now_ms: int = LATER_MS) -> NodeReport:
    return node_report(Node.objects.select_related("cluster").get(name=name), start_s * 1000, end_s * 1000, now_ms)


def page(client: Client, person: User, url: str) -> str:
    client.force_login(person)
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def payload(text: str) -> Any:
    return json.loads(text.split('id="node-chart-data" type="application/json">')[1].split("</script>")[0])


# --- Who may see it -----------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?format=csv", f"?{SUNDAY}"])
@pytest.mark.parametrize("who", ["alice", "bob", "charlie"])
def test_a_node_does_not_exist_for_users(hall: None, people: People, client: Client, who: str, query: str) -> None:
    client.force_login(getattr(people, who))
    response = client.get(f"{A1}{query}")
    assert response.status_code == 404
    missing = client.get(f"/clusters/alpha/nodes/a9/{query}")
    bare = [r.content.decode().split("<main")[1].replace("a9", "a1") for r in (response, missing)]
    assert bare[0] == bare[1]


def test_operators_may_see_it_and_others_log_in(hall: None, people: People, operator: User, client: Client) -> None:
    assert client.get(A1).headers["Location"] == f"/login/?next={A1}"
    for person in (people.olga, operator):
        client.force_login(person)
        assert client.get(A1).status_code == 200
        assert client.get("/clusters/beta/nodes/a1/").status_code == 404
    operator.is_active = False
    operator.save()
    client.force_login(operator)
    assert client.get(A1).status_code == 302


@pytest.mark.parametrize("url", [f"{B1}?{SUNDAY}", f"{B1}?{WHOLE}", f"{B1}?{SUNDAY}&format=csv", f"{A1}?{WHOLE}"])
def test_other_people_s_jobs_have_no_name(hall: None, operator: User, client: Client, url: str) -> None:
    client.force_login(operator)
    response = client.get(url)
    data = response.getvalue() if isinstance(response, StreamingHttpResponse) else response.content
    for word in (*SECRETS, "770001", "770003", "alice", "physics"):
        assert word.encode() not in data


def test_own_jobs_are_named_beside_others(hall: None, people: People, client: Client) -> None:
    people.alice.user_permissions.add(Permission.objects.get(codename="view_operations"))
    text = page(client, people.alice, f"{B1}?{SUNDAY}")
    bands = payload(text)["bands"]
    assert [(b["label"], b["named"], b["lane"]) for b in bands] == [
        ("another job", False, 0),
        ("770003 alices half", True, 1),
    ]
    assert bands[0]["start"] == (START_S + 2 * DAY_S) * 1000
    assert bands[0]["end"] == (START_S + 2 * DAY_S + 6 * HOUR_S) * 1000
    assert set(bands[0]) == {"start", "end", "lane", "label", "named"}
    assert 'href="/jobs/alpha/770003/' in text
    assert "One is somebody else&#x27;s and has no name here." in text
    for word in SECRETS:
        assert word not in text


def test_holders_of_both_rights_see_every_name_as_text(hall: None, people: People, client: Client) -> None:
    text = page(client, people.olga, f"{B1}?{SUNDAY}")
    assert "770002" in text
    assert "secret-&lt;i&gt;plan" in text
    assert "secret-<i>" not in text


# --- Figures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", ["a1", "a2", "b1"])
def test_a_window_closes(hall: None, node: str) -> None:
    start, end = START_S + 5 * HOUR_S, START_S + 3 * DAY_S + 7 * HOUR_S
    report = report_of(node, start, end)
    ledger = report.ledger
    before = report_of(node, start + 2 * DAY_S, start + 3 * DAY_S).previous
    assert before.metered_j == pytest.approx(WATTS[node] * covered_s(node, start + DAY_S, start + 2 * DAY_S), rel=1e-9)
    covered = covered_s(node, start, end)
    assert ledger.covered_s == pytest.approx(covered)
    assert ledger.metered_j == pytest.approx(WATTS[node] * covered, rel=1e-9)
    assert ledger.wall_s == end - start
    assert ledger.covered_s + ledger.off_s + ledger.gap_s == pytest.approx(ledger.wall_s)
    assert ledger.off_s == pytest.approx(12 * HOUR_S - 2 * HALF_S if node == "a2" else 0)
    held = {"a1": 200.0 * covered_s("a1", START_S + 10 * HOUR_S, START_S + 34 * HOUR_S), "a2": 0.0}
    held["b1"] = 2 * 150.0 * 6 * HOUR_S  # half the cores of what is not gpu0, twice six hours
    assert ledger.jobs_j == pytest.approx(held[node], rel=1e-9, abs=1e-6)


def test_a_dead_bmc_lowers_coverage_and_not_power(hall: None, operator: User, client: Client) -> None:
    report = report_of("a1", START_S + DAY_S, START_S + 2 * DAY_S)
    gap_s = 12 * HOUR_S - 2 * HALF_S
    assert report.ledger.share_covered == pytest.approx(1 - gap_s / DAY_S)
    assert report.ledger.mean_w == pytest.approx(200)
    assert report.previous.mean_w == pytest.approx(200)
    text = page(client, operator, f"{A1}?span=day&end=2025-03-30T00:00Z")
    said = (
        "Measured 50.3\u00a0% of the time; while measured it drew 200\u00a0W on average, in the time before 200\u00a0W."
    )
    assert said in text


def test_gaps_are_listed_with_what_the_batch_system_says(hall: None) -> None:
    (gap,) = report_of("a1", START_S, END_S).gaps
    begin, end = SILENT["a1"]
    assert (gap.start_ms, gap.end_ms) == ((begin + HALF_S) * 1000, (end - HALF_S) * 1000)
    assert (gap.missing_s, gap.off_s) == (end - begin - 2 * HALF_S, 0)
    assert (gap.state, gap.reason) == ("DRAIN", "BMC does not answer")
    (off,) = report_of("a2", START_S, END_S).gaps
    assert off.off_s == off.missing_s == 12 * HOUR_S - 2 * HALF_S
    assert (off.state, off.reason) == ("POWERED_DOWN", "power saving")


def test_states_that_overlap_are_off_once(hall: None) -> None:
    node, begin = Node.objects.get(name="a2"), SILENT["a2"][0]
    node.states.update(end_ms=(begin + 4 * HOUR_S) * 1000)
    more = {"node": node, "reason": ""}
    spell = ((begin - 60) * 1000, (begin + HOUR_S) * 1000)
    NodeState.objects.create(start_ms=spell[0], end_ms=spell[1], state="DOWN", power="off", **more)
    NodeState.objects.create(
        start_ms=spell[1] + HOUR_MS, end_ms=spell[1] + 4 * HOUR_MS, state="DOWN", power="off", **more
    )
    NodeState.objects.create(start_ms=spell[1] + 2 * HOUR_MS, end_ms=None, state="DRAIN", power="on", **more)
    (hole,) = report_of("a2", START_S, END_S).gaps
    assert hole.missing_s == 12 * HOUR_S - 2 * HALF_S
    assert hole.off_s == 5 * HOUR_S - HALF_S
    assert not hole.is_off  # for less than half of it
    now = report_of("a2", START_S, END_S).state
    assert now is not None
    assert now.state == "DRAIN"


def test_the_same_figures_come_from_samples_and_from_hours(hall: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for node in ("a1", "a2", "b1"):
        window = (START_S + DAY_S, START_S + 3 * DAY_S)
        fine = report_of(node, *window)
        with monkeypatch.context() as patch:
            patch.setattr(node_curve_selector, "MOST_SAMPLES", 0)
            coarse = report_of(node, *window)
        assert (fine.curve.by_hour, coarse.curve.by_hour) == (False, True)
        for report in (fine, coarse):
            curve = report.curve.curve
            energy = float(np.nansum(curve.mean_w * curve.covered_ms)) / 1000
            assert energy == pytest.approx(report.ledger.metered_j, rel=1e-9)
            assert curve.covered_ms.sum() / 1000 == pytest.approx(report.ledger.covered_s)
        assert coarse.ledger == fine.ledger
        assert [g.missing_s for g in coarse.gaps] == pytest.approx([g.missing_s for g in fine.gaps])
        assert [g.off_s for g in coarse.gaps] == pytest.approx([g.off_s for g in fine.gaps])


def test_a_month_is_read_from_hours(hall: None) -> None:
    report = report_of("a1", END_S - 31 * DAY_S, END_S)
    assert report.curve.by_hour
    assert report.ledger.wall_s == 4 * DAY_S  # in service from the UTC day of its first sample on
    assert np.nanmax(report.curve.curve.max_w) == pytest.approx(200)
    assert [c.energy_j for c in report.curve.channels] == [None]


def test_time_that_is_to_come_is_no_gap(hall: None) -> None:
    now_ms = (START_S + 3 * DAY_S + 10 * HOUR_S + 90) * 1000
    node = Node.objects.get(name="b1")
    report = node_report(node, now_ms // HOUR_MS * HOUR_MS - HOUR_MS, now_ms // HOUR_MS * HOUR_MS + HOUR_MS, now_ms)
    assert report.ledger.wall_s == HOUR_S + 90
    assert report.gaps == ()


def test_channels_say_what_they_are_for(hall: None, operator: User, client: Client) -> None:
    report = report_of("b1", START_S + 2 * DAY_S, START_S + 3 * DAY_S)
    found = {c.name: c for c in report.curve.channels}
    assert found["node"].in_meter
    assert not found["gpu0"].in_meter
    assert found["node"].energy_j == pytest.approx(400 * DAY_S)
    assert found["gpu0"].energy_j == pytest.approx(100 * DAY_S)
    assert found["gpu0"].nominal_ms == 300_000
    text = page(client, operator, f"{B1}?{SUNDAY}").split('id="channels-table"')[1]
    assert "of which; not added" in text
    assert "the whole node with its GPUs, at the wall (AC)" in text


def test_a_meter_above_nodes_shows_its_children_and_other(hall: None, operator: User, client: Client) -> None:
    begin, end = START_S + 2 * DAY_S + 5 * HOUR_S, START_S + 3 * DAY_S + 5 * HOUR_S
    report = report_of("hall", begin, end)
    below = report.below
    assert below is not None
    assert [child.name for child in below.children] == ["a1", "a2", "b1", "cool"]
    expected = {n: WATTS[n] * covered_s(n, begin, end) for n in WATTS}
    expected["cool"] = ABOVE["cool"] * DAY_S
    assert {c.name: c.energy_j for c in below.children} == pytest.approx(expected)
    assert below.other_j == pytest.approx(1000 * DAY_S - sum(expected.values()), rel=1e-9)
    text = page(client, operator, f"/clusters/alpha/nodes/hall/?{SUNDAY}")
    assert "Energy of a meter above nodes is never booked to jobs." in text
    assert 'href="/clusters/alpha/nodes/cool/"' in text
    assert 'href="/clusters/alpha/nodes/hall/"' in page(client, operator, A1)


def test_children_are_compared_only_where_the_meter_was_measured(hall: None) -> None:
    window = (START_S + DAY_S, START_S + 2 * DAY_S)
    a1, b1 = Node.objects.get(name="a1"), Node.objects.get(name="b1")
    Node.objects.filter(pk=b1.pk).update(parent=a1)
    Node.objects.filter(pk=a1.pk).update(level="chassis", parent=None)
    below = report_of("a1", *window).below
    assert below is not None
    assert below.compared_s == 12 * HOUR_S  # of the hours from 06:00 and from 17:00 it has 150 s: not whole
    assert below.children_j == pytest.approx(400 * below.compared_s)
    assert below.metered_j == pytest.approx(200 * below.compared_s)


# --- The page -----------------------------------------------------------------------------------


def test_the_chart_its_table_and_the_csv_say_the_same(hall: None, operator: User, client: Client) -> None:
    text = page(client, operator, f"{A1}?span=day&end=2025-03-30T00:00Z")
    chart = payload(text)
    (series,) = chart["series"]
    response = client.get(f"{A1}?span=day&end=2025-03-30T00:00Z&format=csv")
    assert isinstance(response, StreamingHttpResponse)
    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
    assert list(rows[0]) == ["start", "end", "power_w", "min_w", "max_w", "covered_s"]
    assert len(rows) == len(series["mean"]) == 288
    assert rows[0]["start"] == "2025-03-29T00:00:00+00:00"
    assert [r["power_w"] == "" for r in rows] == [v is None for v in series["mean"]]
    energy = sum(float(r["power_w"]) * float(r["covered_s"]) for r in rows if r["power_w"])
    assert energy == pytest.approx(200 * covered_s("a1", START_S + DAY_S, START_S + 2 * DAY_S), rel=1e-9)
    table = text.split('id="node-table"')[1].split("</table>")[0]
    assert table.count("<tr>") == len(rows) + 1
    assert table.count("gap: not measured") == sum(v is None for v in series["mean"])
    assert " style=" not in text
    assert text.count("<h1") == 1


def test_times_are_the_site_s(hall: None, operator: User, client: Client) -> None:
    with override_settings(TIME_ZONE="Europe/Berlin"):
        client.force_login(operator)
        response = client.get(f"{A1}?{SUNDAY}&format=csv")
        assert isinstance(response, StreamingHttpResponse)
        rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
        text = page(client, operator, f"{A1}?span=day&end=2025-03-31T02:00")  # naive: the site's zone
    assert rows[0]["start"] == "2025-03-30T01:00:00+01:00"
    assert rows[-1]["end"] == "2025-03-31T02:00:00+02:00"
    assert "zone Europe/Berlin" in text
    assert payload(text)["end"] == ms_from_datetime(datetime.fromisoformat("2025-03-31T00:00+00:00"))


def test_the_window_stays_in_the_address(hall: None, operator: User, client: Client) -> None:
    client.force_login(operator)
    found: Any = client.get(f"{A1}?span=3days&end=2025-03-31T00:00Z").context
    assert found["links"]["earlier"] == "?span=3days&end=2025-03-28T00%3A00%2B00%3A00"
    assert found["links"]["later"] == "?span=3days&end=2025-04-03T00%3A00%2B00%3A00"
    assert found["links"]["csv"] == "?span=3days&end=2025-03-31T00%3A00%2B00%3A00&format=csv"
    now: Any = client.get(A1).context
    assert now["links"]["later"] is None
    assert now["window"].end_ms - now["window"].start_ms == DAY_MS
    assert now["window"].end_ms % HOUR_MS == 0
    shown: Any = client.get(f"{A1}{now['links']['newest']}").context  # samples ended long ago
    assert shown["report"].ledger.covered_s > 0
    assert shown["links"]["newest"] is None


@pytest.mark.parametrize(
    "query", ["span=year", "end=tomorrow", "end=9999-12-31T23:59Z", "end=0001-01-01", "end=" + "1" * 50]
)
def test_a_window_that_makes_no_sense_is_explained(hall: None, operator: User, client: Client, query: str) -> None:
    text = page(client, operator, f"{A1}?{query}")
    assert 'class="error"' in text


def test_a_node_without_anything_has_a_page(hall: None, operator: User, client: Client) -> None:
    Node.objects.create(cluster=Node.objects.get(name="a1").cluster, name="bare")
    text = page(client, operator, "/clusters/alpha/nodes/bare/")
    assert "It has never sent a sample." in text
    assert "The node was not in service" in text
    assert "Nothing is declared about it." in text
    assert "<canvas" not in text


def test_descriptions_and_names_are_dated(hall: None, operator: User, client: Client) -> None:
    node = Node.objects.get(name="a1")
    newer = NodeType.objects.create(cluster=node.cluster, name="thick")
    NodeConfig.objects.create(node=node, valid_from=date(2025, 3, 30), node_type=newer, cpus=8, cpu_model="Model 9")
    NodeAlias.objects.create(node=node, alias="old-a1", valid_to=date(2025, 3, 1))
    text = page(client, operator, f"{A1}?{SUNDAY}").split('id="description"')[1]
    assert text.index("thick") < text.index("thin")
    assert "8 Model 9" in text
    assert "Sun 30 Mar 2025" in text
    assert "old-a1" in text
    assert "until Sat 1 Mar 2025" in text


def test_the_number_of_queries_does_not_grow(hall: None, operator: User, client: Client) -> None:
    client.force_login(operator)
    counts = []
    for url in (f"{B1}?span=day&end=2025-03-28T12:00Z", f"{B1}?{SUNDAY}", f"{A1}?{WHOLE}"):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        counts.append(len(queries))
    assert max(counts) <= MOST_QUERIES
    assert max(counts) - min(counts) <= 1  # where no job ran nobody's name is asked for


# --- Bands --------------------------------------------------------------------------------------


def test_concurrent_jobs_lie_in_lanes_of_their_own() -> None:
    times = [(0, 10), (0, 4), (4, 9), (2, 6), (10, 12), (6, 7)]
    laid = laid_out([Band(a, b, begins_before=False, goes_on=False, cpus=None, gpus=None, job=None) for a, b in times])
    for one in laid:
        for other in laid:
            if one is not other and one.lane == other.lane:
                assert one.end_ms <= other.start_ms or other.end_ms <= one.start_ms
    assert max(band.lane for band in laid) == 2  # never more lanes than jobs at once


def test_of_very_many_jobs_the_newest_are_shown(hall: None, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_jobs, "MOST_BANDS", 1)
    node = Node.objects.select_related("cluster").get(name="b1")
    found = job_bands(node, START_S * 1000, END_S * 1000, LATER_MS, people.olga)
    assert found.more
    assert [b.job.job_id for b in found.bands if b.job] == ["770003"]
    assert job_bands(node, START_S * 1000, END_S * 1000, LATER_MS, AnonymousUser()).others == 1


def test_a_job_that_runs_ends_now(hall: None, people: People) -> None:
    node = Node.objects.select_related("cluster").get(name="b1")
    node.allocations.update(end_ms=None)
    now_ms = (START_S + 2 * DAY_S + 5 * HOUR_S) * 1000
    found = job_bands(node, START_S * 1000, END_S * 1000, now_ms, people.olga)
    assert {b.end_ms for b in found.bands} == {now_ms}
    assert all(b.goes_on for b in found.bands)
    assert datetime_from_ms(now_ms) == found.bands[0].ended_at
    assert NodeDay.objects.filter(node=node).exists()


def test_a_name_may_have_the_signs_of_an_address(hall: None, operator: User, client: Client) -> None:
    cluster = Node.objects.get(name="a1").cluster
    for name in ("rack/1", "a?c#d", "ä%2F"):
        Node.objects.create(cluster=cluster, name=name, level="rack")
    text = page(client, operator, f"/clusters/alpha/?{WHOLE}")
    links = [part.split('"')[0] for part in text.split('href="')[1:] if "/nodes/" in part.split('"')[0]]
    assert len(links) == 8
    for link in links:
        assert client.get(link).status_code == 200
