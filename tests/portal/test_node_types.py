"""Node types side by side: every figure of a small machine by hand, who sees what, the same from the interface."""

from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from measurements.domain.scopes import MeterScope
from measurements.models import (
    Allocation,
    ChannelPeriod,
    Cluster,
    Job,
    Node,
    NodeConfig,
    NodeType,
    ScopeCheck,
    WorkloadJob,
)
from measurements.selectors.node_kinds import sampled_days
from measurements.selectors.node_types import NodeTypes, Reader, TypeReport, node_types
from measurements.services.marks import mark_day
from tests.conftest import People
from tests.portal import machine_world as world
from tests.portal.machine_world import DAY_S, END_S, HOUR_S, START_S, covered_s, held_j
from tests.portal.world import run

UTC_ZONE, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")
FIRST, LAST = date(2025, 3, 28), date(2025, 3, 31)
PERIOD = f"first={FIRST}&last={LAST}"
OPERATOR, USER = Reader(nodes=True, gpus=True, k=5), Reader(nodes=False, gpus=False, k=5)


def report(
    first: date = FIRST, last: date = LAST, zone: ZoneInfo = UTC_ZONE, reader: Reader = OPERATOR, only: str = ""
) -> NodeTypes:
    found = node_types(Cluster.objects.all(), first, last, zone, world.NOW, reader, only)
    assert found is not None
    return found


def by_name(found: NodeTypes) -> dict[str, TypeReport]:
    return {kind.name: kind for kind in found.types}


def text(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return re.sub(r"\s+", " ", html.unescape(response.content.decode()))


def mean_w(start_s: int, end_s: int, *nodes: str) -> float:
    covered = {node: covered_s(node, start_s, end_s) for node in nodes}
    return sum(world.WATTS[node] * seconds for node, seconds in covered.items()) / sum(covered.values())


def test_every_figure_by_hand(hall: None) -> None:
    found = by_name(report())
    assert list(found) == ["fat", "thin"], "in the order of their names"
    thin, fat = found["thin"], found["fat"]
    power_w = mean_w(START_S, END_S, "a1", "a2")  # of 84.08 h of 200 W and as many of 100 W: 150 W
    assert power_w == pytest.approx(150.0, abs=0.01)
    assert thin.figures.mean_node_w == pytest.approx(power_w)
    assert thin.core_w == pytest.approx(power_w / 4)
    assert (thin.gpu_w, thin.gpus_held, thin.gpu_own_w) == (None, None, None)
    assert (fat.figures.mean_node_w, fat.core_w, fat.gpu_w) == pytest.approx((400.0, 400.0 / 8, 400.0))
    assert thin.share == pytest.approx(thin.figures.metered_j / world.metered_j(START_S, END_S))
    assert sum(kind.share or 0 for kind in found.values()) == pytest.approx(1)
    jobs_j = sum(kind.figures.jobs_j for kind in found.values())
    assert jobs_j == pytest.approx(held_j(START_S, END_S))
    # a1 is held for 24 h; two nodes are on for 2 x 96 h, less the 11 h 55 min in which a2 was off and not heard.
    on_s = 2 * 4 * DAY_S - (12 * HOUR_S - 2 * world.HALF_S)
    assert thin.unheld_share == pytest.approx(1 - 24 * HOUR_S / on_s)
    assert (thin.figures.coverage or 0) == pytest.approx(
        (covered_s("a1", START_S, END_S) + covered_s("a2", START_S, END_S)) / on_s
    )
    assert thin.scopes == {MeterScope.NODE_AC: 2}
    assert thin.spread is not None
    assert (thin.spread.n, thin.spread.low, thin.spread.median, thin.spread.high) == pytest.approx((2, 125, 150, 175))


def test_a_day_of_23_hours_is_one(hall: None) -> None:
    """30 March in Berlin begins at 23:00 UTC and ends at 22:00."""
    sunday = date(2025, 3, 30)
    fat = by_name(report(sunday, sunday, BERLIN))["fat"]
    assert fat.figures.wall_s == 23 * HOUR_S
    assert fat.figures.metered_j == pytest.approx(400.0 * 23 * HOUR_S)
    begin = START_S + 2 * DAY_S - HOUR_S
    thin = by_name(report(sunday, sunday, BERLIN))["thin"]
    assert thin.figures.mean_node_w == pytest.approx(mean_w(begin, begin + 23 * HOUR_S, "a1", "a2"), rel=0.01)


def test_hours_are_for_those_who_may_see_nodes(hall: None) -> None:
    day = date(2025, 3, 30)
    assert report(day, day).hourly
    assert len(by_name(report(day, day))["fat"].drawn.slots) == 24
    others = report(day, day, reader=USER)
    assert (others.hourly, len(by_name(others)["fat"].drawn.slots)) == (False, 1)


def test_a_gap_is_a_gap_and_nothing_measured_is_no_zero(hall: None, people: People, client: Client) -> None:
    Node.objects.filter(name="b1").update(first_sample_ms=None)
    slots = by_name(report(date(2025, 3, 29), date(2025, 3, 30)))["thin"].drawn.slots
    assert slots[12].mean_node_w == pytest.approx(100.0), "a1 is silent, a2 is not"
    both_off = by_name(report(date(2025, 3, 30), date(2025, 3, 30)))["thin"].drawn.slots
    assert both_off[6].mean_node_w == pytest.approx(200.0)
    after = report(date(2025, 4, 2), date(2025, 4, 9))
    assert all(slot.mean_node_w is None for kind in after.types for slot in kind.drawn.slots)
    assert all(kind.figures.mean_node_w is None and kind.spread is None for kind in after.types)
    client.force_login(people.alice)
    said = text(client, "/node-types/?first=2025-04-02&last=2025-04-09")
    assert "No node was in service" in said or "no measurement" in said
    assert "0 W" not in said


def test_a_node_that_changes_its_type_counts_in_each_with_its_days(hall: None) -> None:
    a2 = Node.objects.get(name="a2")
    wide = NodeType.objects.create(cluster=a2.cluster, name="wide")
    NodeConfig.objects.create(node=a2, valid_from=date(2025, 3, 31), node_type=wide, cpus=16, gpus=0)
    book_anew()
    found = by_name(report())
    assert found["wide"].figures.mean_node_w == pytest.approx(100.0)
    assert found["wide"].core_w == pytest.approx(100.0 / 16)
    assert found["wide"].figures.covered_s == pytest.approx(DAY_S)
    before = START_S, START_S + 3 * DAY_S
    covered = covered_s("a1", START_S, END_S) + covered_s("a2", *before)
    energy = 200.0 * covered_s("a1", START_S, END_S) + 100.0 * covered_s("a2", *before)
    assert found["thin"].figures.mean_node_w == pytest.approx(energy / covered)
    assert found["thin"].kind.cores is not None
    assert (found["thin"].kind.cores.mean, found["thin"].spread and found["thin"].spread.n) == (4, 2)
    assert found["wide"].spread is not None
    assert found["wide"].spread.n == 1
    assert found["wide"].spread.median == pytest.approx(100.0)


def book_anew() -> None:
    for day in range(4):
        mark_day(Cluster.objects.get().pk, FIRST + timedelta(days=day))
    run("attribute", *map(Path, ["--since", str(FIRST), "--until", str(LAST)]))


def test_cores_that_differ_are_averaged_and_unknown_ones_are_not_guessed(hall: None) -> None:
    NodeConfig.objects.filter(node__name="a2").update(cpus=8)
    thin = by_name(report())["thin"]
    assert thin.kind.cores is not None
    assert (thin.kind.cores.low, thin.kind.cores.high, thin.kind.cores.mean) == (4, 8, 6)
    assert thin.core_w == pytest.approx((thin.figures.mean_node_w or 0) / 6)
    NodeConfig.objects.filter(node__name="a2").update(cpus=None)
    assert by_name(report())["thin"].core_w is None


def test_idle_accelerators_and_their_power_are_those_of_the_ledger(hall: None) -> None:
    """b1 has one GPU of 100 W; what is known of it needs its idle power, and jobs that hold it."""
    NodeConfig.objects.filter(node__name="b1").update(gpu_idle_w=90.0)
    Allocation.objects.filter(run__job__job_id="770002").update(gpus=1, gpu_mask=1)
    book_anew()
    fat = by_name(report())["fat"]
    assert fat.gpus_held is not None
    assert (fat.gpus_held.held_s, fat.gpus_held.idle_s) == pytest.approx((6 * HOUR_S, 6 * HOUR_S))
    assert fat.gpus_held.idle_j == pytest.approx(100.0 * 6 * HOUR_S)
    assert fat.gpu_own_w == pytest.approx(100.0)
    others = by_name(report(reader=USER))["fat"]
    assert (others.gpus_held, others.gpu_own_w) == (None, None)


def test_gpus_of_jobs_and_few_nodes_are_not_shown_to_users(
    hall: None, people: People, operator: User, client: Client
) -> None:
    test_idle_accelerators_and_their_power_are_those_of_the_ledger(None)
    interface = f"/api/v1/node-types?since={FIRST}&until={LAST + timedelta(days=1)}"
    client.force_login(people.alice)
    said = text(client, f"/node-types/?{PERIOD}")
    assert "it could be told person by person" in said
    assert "Not shown" not in said, "of no type a spread is shown: there is no chart of it"
    assert "Idle accelerators" not in said
    assert "ranges-chart-data" not in said
    assert [(row["gpus_held"], row["spread"]) for row in client.get(interface).json()["node_types"]] == [
        (None, None)
    ] * 2
    assert not any(name in said for name in (*world.SECRETS, "a1", "b1"))
    client.force_login(operator)
    said = text(client, f"/node-types/?{PERIOD}")
    assert "Idle accelerators" in said
    assert "ranges-chart-data" in said
    fat, thin = client.get(interface).json()["node_types"]
    assert fat["gpus_held"]["idle_j"] == pytest.approx(100.0 * 6 * HOUR_S)
    assert (thin["gpus_held"], thin["spread"]["nodes"]) == (None, 2)
    with override_settings(SMALLEST_GROUP=2):
        client.force_login(people.alice)
        assert [row["spread"] and row["spread"]["nodes"] for row in client.get(interface).json()["node_types"]] == [
            None,
            2,
        ]
        assert "Not shown of types with fewer than 2 nodes: fat." in text(client, f"/node-types/?{PERIOD}")


def test_the_interface_gives_what_the_page_shows(hall: None, operator: User, client: Client) -> None:
    client.force_login(operator)
    answer = client.get(f"/api/v1/node-types?since={FIRST}&until={LAST + timedelta(days=1)}&cluster=alpha").json()
    rows = {row["node_type"]: row for row in answer["node_types"]}
    for name, kind in by_name(report()).items():
        row = rows[name]
        assert row["mean_power_per_node_hour_w"] == kind.figures.mean_node_w
        assert row["mean_power_per_core_hour_w"] == kind.core_w
        assert row["metered_j"] == kind.figures.metered_j
        assert row["unheld_time_share"] == kind.unheld_share
        assert row["unallocated_energy_share"] == kind.figures.unallocated_share
        assert row["spread"]["median_w"] == (kind.spread.median if kind.spread else None)
        assert row["meter_scopes"] == {"node_ac": kind.drawn.nodes}
    with override_settings(TIME_ZONE="UTC"):
        said = text(client, f"/node-types/?{PERIOD}")
    assert re.search(r"thin.{0,400}?>150<", said)
    assert re.search(r"fat.{0,600}?>400<.{0,200}?>50\.0<", said)
    assert client.get("/api/v1/node-types?cluster=beta").status_code == 404
    assert client.get("/node-types/?cluster=beta").status_code == 404


def test_rows_are_never_in_the_order_of_their_figures(hall: None, people: People, client: Client) -> None:
    client.force_login(people.alice)
    said = text(client, f"/node-types/?{PERIOD}")
    assert "it is no efficiency" in said
    heads = re.findall(r'scope="row">(fat|thin)', said)
    assert heads == ["fat", "thin"] * 2
    NodeType.objects.filter(name="fat").update(name="zoo")
    assert [kind.name for kind in report().types] == ["thin", "zoo"]


@pytest.mark.parametrize("url", ["/node-types/", "/node-types/nodes/"])
def test_who_may_come(hall: None, people: People, operator: User, client: Client, url: str) -> None:
    assert client.get(url).status_code == 302
    client.force_login(people.charlie)
    assert client.get(url).status_code == (200 if url == "/node-types/" else 404)
    client.force_login(operator)
    assert client.get(url).status_code == 200


@pytest.mark.parametrize("reader", ["alice", "oskar"])
def test_ten_queries_are_enough(hall: None, people: People, operator: User, client: Client, reader: str) -> None:
    test_idle_accelerators_and_their_power_are_those_of_the_ledger(None)
    client.force_login(User.objects.get(username=reader))
    for url in (f"/node-types/?{PERIOD}", "/node-types/nodes/", f"/node-types/?{PERIOD}&cluster=alpha"):
        client.get(url)
        with CaptureQueriesContext(connection) as seen:
            client.get(url)
        assert len(seen.captured_queries) <= 10, url


def test_of_a_long_time_days_are_looked_at_that_are_not_all_of_one_weekday() -> None:
    days = sampled_days(date(2025, 1, 1), date(2025, 12, 31), 200)
    assert len(days) <= 50
    assert len({day.weekday() for day in days}) == 7
    assert sampled_days(FIRST, LAST, 1) == [FIRST + timedelta(days=i) for i in range(4)]


# --- Meters --------------------------------------------------------------------------------------


def check(verdict: str, *, declared: bool, node: str = "b1") -> None:
    ScopeCheck.objects.update_or_create(
        node=Node.objects.get(name=node),
        defaults={
            "day": FIRST, "checked_at": datetime(2025, 4, 1, tzinfo=UTC), "minutes": 1_440, "slope": 1.06, "low": 0.8,
            "high": 1.3, "verdict": verdict, "declared_includes": declared,
        },
    )  # fmt: skip


def test_a_meter_that_is_other_than_declared_is_named_on_all_pages(
    hall: None, people: People, operator: User, client: Client
) -> None:
    client.force_login(operator)
    check("includes", declared=True)
    agreed = "1 of 1 nodes confirms"
    assert agreed in text(client, f"/node-types/?{PERIOD}")
    assert "declared wrongly" not in text(client, "/operations/")
    check("includes", declared=False)
    said = text(client, f"/node-types/?{PERIOD}")
    assert "1 of 1 nodes: its meter appears to include the GPUs, but is declared to exclude them." in said
    assert agreed not in said
    operations = text(client, "/operations/")
    assert "Meters that seem to be declared wrongly" in operations
    assert "b1</a>: appears to include the GPUs, declared to exclude them" in operations
    node = text(client, "/clusters/alpha/nodes/b1/")
    assert "This meter appears to include the GPUs, but is declared to exclude them. On Friday 28 March" in node
    check("unclear", declared=False)
    assert "cannot be told" in text(client, "/clusters/alpha/nodes/b1/")
    assert "declared wrongly" not in text(client, "/operations/")
    client.force_login(people.alice)
    check("excludes", declared=True)
    assert "appears to exclude the GPUs, but is declared to include them" in text(client, f"/node-types/?{PERIOD}")


def test_nodes_that_are_metered_in_several_ways_are_counted(hall: None, operator: User, client: Client) -> None:
    ChannelPeriod.objects.update_or_create(
        channel=Node.objects.get(name="a2").channels.get(name="node"), defaults={"dc": True}
    )
    assert by_name(report())["thin"].scopes == {MeterScope.NODE_AC: 1, MeterScope.NODE_DC: 1}
    client.force_login(operator)
    said = text(client, f"/node-types/?{PERIOD}")
    assert "1 node: whole node, at the wall (AC)" in said
    assert "1 node: whole node, behind the power supply (DC)" in said


# --- Nodes that draw more -------------------------------------------------------------------------


def test_where_no_work_is_declared_it_says_what_is_missing(hall: None, operator: User, client: Client) -> None:
    client.force_login(operator)
    assert "No job of a workload on a single node" in text(client, f"/node-types/nodes/?{PERIOD}")


def test_a_node_that_draws_more_for_the_same_work_is_named(hall: None, operator: User, client: Client) -> None:
    workload_jobs({"a1": 1.3, "a2": 1.0, "b1": 1.0})
    client.force_login(operator)
    said = text(client, f"/node-types/nodes/?{PERIOD}")
    assert "One of 3 nodes draws more than others for the same work; 60 jobs were compared." in said
    assert re.search(r'nodes/a1/">a1</a>.{0,300}?\+\d\d\.\d %', said)
    assert ">a2</a>" not in said
    WorkloadJob.objects.update(work=None)
    assert "None of the jobs on a single node says how much work it did" in text(client, f"/node-types/nodes/?{PERIOD}")


def workload_jobs(times: dict[str, float], each: int = 20) -> None:
    """Jobs of a workload on three nodes, ended one after the other."""
    cluster = Cluster.objects.get()
    kind = NodeType.objects.get(name="thin")
    for node_number, (name, more) in enumerate(times.items()):
        for i in range(each):
            start_ms, end_ms = START_S * 1000, (START_S + 60 * i + 60) * 1000
            job = Job.objects.create(
                cluster=cluster, job_id=f"8{node_number}{i:03d}", username="alice", account="physics",
                state="COMPLETED", workload="md", start_ms=start_ms, end_ms=end_ms,
            )  # fmt: skip
            WorkloadJob.objects.create(
                job=job, cluster=cluster, username="alice", account="physics", workload="md", work=10.0, unit="ns",
                state="COMPLETED", excused=False, node_type=kind, node=Node.objects.get(name=name), nodes=1, gpus=0,
                start_ms=start_ms, end_ms=end_ms, runtime_s=60, held_s=60, coverage=1.0, quality="metered",
                energy_j=5_000.0 * more * (1 + 0.001 * i), gpu_energy_j=0, gpu_held_s=0, gpu_idle_s=0, gpu_idle_j=0,
                scope=1, lot=i,
            )  # fmt: skip
