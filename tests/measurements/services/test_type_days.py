"""The roll-up by node type: every figure recomputed from node-days, and silent nodes counted."""

from __future__ import annotations

from datetime import date
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command

from measurements.domain.packing import stacked, unpacked
from measurements.models import Cluster, Node, NodeDay, NodeHour, NodeState, TypeDay
from tests.portal import world

pytestmark = [pytest.mark.django_db]
DAY, NEXT = date(2025, 3, 10), date(2025, 3, 11)


def run(*argv: str) -> None:
    call_command(*argv, stdout=StringIO(), stderr=StringIO())


def power(folder: Path, name: str, rows: list[tuple[str, str, int]]) -> str:
    path = folder / name
    path.write_text("timestamp,node,watts\n" + "".join(f"{t},{node},{w}\n" for t, node, w in rows))
    return str(path)


def minutes(day: str, node: str, watts: int) -> list[tuple[str, str, int]]:
    return [(f"{day}T{m // 60:02d}:{m % 60:02d}:00Z", node, watts) for m in range(60)]


def type_day(day: date, name: str) -> TypeDay:
    return TypeDay.objects.get(day=day, node_type__name=name)


@pytest.fixture
def site(tmp_path: Path) -> Cluster:
    (tmp_path / "nodes.csv").write_text(world.NODES)
    run("load_nodes", str(tmp_path / "nodes.csv"), "--cluster", "alpha")
    (tmp_path / "power.csv").write_text(world.power_csv())
    run("ingest_power", str(tmp_path / "power.csv"), "--cluster", "alpha")
    run("attribute", "--cluster", "alpha")
    return Cluster.objects.get(name="alpha")


def test_every_figure_is_the_sum_of_its_node_days(site: Cluster) -> None:
    for row in TypeDay.objects.filter(cluster=site):
        days = list(NodeDay.objects.filter(day=row.day, node__configs__node_type=row.node_type).order_by("node__name"))
        hours = NodeHour.objects.filter(day=row.day, node__configs__node_type=row.node_type)
        assert row.measured_nodes == len(days)
        assert row.nodes == (len(days) if row.day == DAY else 0), "the eve has but half an interval"
        assert row.metered_j == sum(d.metered_j for d in days) > 0
        assert row.unallocated_j == sum(d.unallocated_j for d in days)
        assert row.covered_us == sum(d.covered_us for d in days)
        assert unpacked(row.metered_quarters).tolist() == stacked(d.metered_quarters for d in days).sum(axis=0).tolist()
        covered_s = [sum(h.covered_us for h in hours if h.hour == hour) / 1e6 for hour in range(24)]
        assert unpacked(row.covered_hours).tolist() == covered_s
        assert np.isclose(sum(covered_s), row.covered_us / 1e6)
    assert {row.node_type.name for row in TypeDay.objects.select_related("node_type")} == {"thin", "mixed"}, (
        "dark1 is dark"
    )


def test_a_silent_node_counts_from_its_first_day_on(site: Cluster, tmp_path: Path) -> None:
    run("ingest_power", power(tmp_path, "next.csv", minutes("2025-03-11", "thin1", 100)), "--cluster", "alpha")
    run("attribute", "--cluster", "alpha")
    later = type_day(NEXT, "thin")
    assert (later.nodes, later.measured_nodes) == (2, 1), "thin2 was measured the day before and is silent"
    # It was switched off: no node-day of its own says so, the roll-up does.
    states = tmp_path / "states.csv"
    states.write_text("node,start,end,state\nthin2,2025-03-11T06:00:00Z,2025-03-11T12:00:00Z,off\n")
    run("load_node_states", str(states), "--cluster", "alpha")
    run("attribute", "--cluster", "alpha")
    assert type_day(NEXT, "thin").off_us == 6 * 3_600_000_000
    assert NodeState.objects.count() == 1


def test_older_samples_that_come_later_are_counted_in_all_days_since(site: Cluster, tmp_path: Path) -> None:
    assert not TypeDay.objects.filter(node_type__name="dark").exists()
    run("ingest_power", power(tmp_path, "old.csv", minutes("2025-03-08", "dark1", 300)), "--cluster", "alpha")
    run("attribute", "--cluster", "alpha")
    assert Node.objects.get(name="dark1").first_sample_ms == 1_741_392_000_000
    assert (type_day(DAY, "dark").nodes, type_day(DAY, "dark").measured_nodes) == (1, 0)


def test_a_meter_above_nodes_is_in_no_type(site: Cluster, tmp_path: Path) -> None:
    before = type_day(DAY, "thin").metered_j
    nodes = tmp_path / "meters.csv"
    nodes.write_text(
        "node,node_type,level,parent\nhall,meter,facility,\nthin1,thin,,hall\nthin2,thin,,gone\nhall,meter,facility,thin1\n"
    )
    said = StringIO()
    call_command("load_nodes", str(nodes), "--cluster", "alpha", stdout=StringIO(), stderr=said)
    assert "thin2: its parent gone is no node of alpha" in said.getvalue()
    assert Node.objects.get(name="thin1").parent == Node.objects.get(name="hall")
    run("ingest_power", power(tmp_path, "hall.csv", minutes("2025-03-10", "hall", 900)), "--cluster", "alpha")
    run("attribute", "--cluster", "alpha")
    assert NodeDay.objects.filter(node__name="hall").exists()
    assert not TypeDay.objects.filter(node_type__name="meter").exists()
    assert type_day(DAY, "thin").metered_j == before


def test_a_node_cannot_lie_below_itself(site: Cluster, tmp_path: Path) -> None:
    nodes = tmp_path / "ring.csv"
    nodes.write_text("node,node_type,level,parent\na,meter,rack,b\nb,meter,facility,a\n")
    said = StringIO()
    call_command("load_nodes", str(nodes), "--cluster", "alpha", stdout=StringIO(), stderr=said)
    assert "b: a can't be its parent, it lies below it" in said.getvalue()
    assert Node.objects.get(name="b").parent is None


def test_half_an_interval_before_midnight_is_no_day_in_service(site: Cluster, tmp_path: Path) -> None:
    run("ingest_power", power(tmp_path, "first.csv", minutes("2025-03-09", "dark1", 300)), "--cluster", "alpha")
    run("attribute", "--cluster", "alpha")
    eve = type_day(date(2025, 3, 8), "dark")
    assert (eve.nodes, eve.metered_j) == (0, 300 * 30), "its joules are there, the day is no gap"
    assert type_day(date(2025, 3, 9), "dark").nodes == 1
