"""Meters are checked a few at a time: never checked ones first, a week apart, and when they are declared anew."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command

from measurements.domain.plausibility import Rule
from measurements.domain.units import HOUR_MS, day_start_ms
from measurements.models import Channel, ChannelPeriod, Cluster, Doubt, MeterPeriod, Node, NodeConfig, ScopeCheck
from measurements.selectors.scope_pairs import liveliest_days, meters_to_check, pairs_of
from measurements.services import chores, scope_checks
from measurements.services.scope_checks import check_due, due_nodes

pytestmark = [pytest.mark.django_db]
DAY = date(2025, 3, 10)
NOW = datetime(2025, 3, 12, 1, tzinfo=UTC)
STEP_S = 60
NODES = """node,node_type,cpus,gpus,idle_w,rated_w
g1,gpu,64,2,200,500
g2,gpu,64,2,200,500
g3,gpu,64,2,200,500
c1,cpu,64,0,100,400
"""


def run(*argv: str) -> None:
    call_command(*argv, "--cluster", "alpha", stdout=StringIO(), stderr=StringIO())


@pytest.fixture
def site(tmp_path: Path) -> None:
    """Two days: g1's meter holds its GPUs, g2's does not, g3's GPUs never change, c1 has none. On the 11th all idle."""
    rng = np.random.default_rng(1)
    start_s = day_start_ms(DAY) // 1000
    lines = ["timestamp,node,watts,channel"]
    for minute in range(2 * 24 * 60):
        t = start_s + STEP_S * minute
        busy = (minute // 90) % 2 and minute < 24 * 60
        rest = 210 + 250 * ((minute // 50) % 2) + rng.normal(0, 3)
        gpu = 700.0 if busy else 60.0
        lines += [f"{t},g1,{1.06 * (rest + 2 * gpu):.0f},node", f"{t},g2,{1.06 * rest:.0f},node", f"{t},g3,600,node"]
        lines += [f"{t},{node},{gpu:.0f},gpu{i}" for node in ("g1", "g2") for i in (0, 1)]
        lines += [f"{t},g3,100,gpu0", f"{t},g3,100,gpu1", f"{t},c1,{rest:.0f},node"]
    (tmp_path / "nodes.csv").write_text(NODES)
    (tmp_path / "power.csv").write_text("\n".join(lines) + "\n")
    run("load_nodes", str(tmp_path / "nodes.csv"))
    run("ingest_power", str(tmp_path / "power.csv"))
    run("attribute")


def checked() -> dict[str, ScopeCheck]:
    return {row.node.name: row for row in ScopeCheck.objects.select_related("node")}


def declare(name: str, *, covers: bool) -> None:
    channel = Channel.objects.get(node__name=name, name="node")
    ChannelPeriod.objects.update_or_create(channel=channel, valid_from=DAY, defaults={"covers_gpus": covers})


def test_what_meters_hold_is_told_from_the_liveliest_day(site: None) -> None:
    assert check_due(NOW) == 3
    found = checked()
    assert {name: row.verdict for name, row in found.items()} == {"g1": "includes", "g2": "excludes", "g3": "unclear"}
    assert all(row.declared_includes for row in found.values()), "that is what nothing being declared means"
    assert (found["g1"].day, found["g1"].minutes) == (DAY, 24 * 60)
    assert found["g1"].slope == pytest.approx(1.06, abs=0.15)
    assert found["g1"].low is not None
    assert found["g1"].high is not None
    assert found["g1"].low < 1.06 < found["g1"].high


def test_the_bucket_means_are_those_of_the_samples(site: None) -> None:
    (meter,) = meters_to_check([Node.objects.get(name="g2").pk], DAY)
    pairs = pairs_of(meter, DAY)
    assert pairs is not None
    assert pairs.rest_swing_w == 300
    assert len(pairs.gpu_w) == 288
    assert pairs.gpu_w[10] == pytest.approx(120.0)
    assert pairs.gpu_w[20] == pytest.approx(1_400.0)
    assert pairs.gpu_w[18] == pytest.approx((120 * 0.5 + 1_400 * 4.5) / 5 - 640 * 0.0, rel=0.2)


def test_what_is_left_out_of_the_ledger_tells_nothing_of_the_meter(site: None) -> None:
    """Nor is anything put in its place, though gaps of an hour are declared to be bridged."""
    channel = Channel.objects.get(node__name="g2", name="node")
    declare("g2", covers=False)
    ChannelPeriod.objects.filter(channel=channel, valid_from=DAY).update(max_gap_ms=7_200_000, nominal_ms=60_000)
    at = day_start_ms(DAY) + 10 * HOUR_MS
    Doubt.objects.create(
        cluster=channel.node.cluster, channel=channel, day=DAY, rule=Rule.FROZEN, start_ms=at, end_ms=at + HOUR_MS,
        samples=60, state=Doubt.State.REFUSED, found_at=NOW,
    )  # fmt: skip
    (meter,) = meters_to_check([channel.node_id], DAY)
    pairs = pairs_of(meter, DAY)
    assert pairs is not None
    unknown = np.flatnonzero(np.isnan(pairs.node_w)).tolist()
    assert unknown == list(range(120, 132))
    assert not np.isnan(pairs.gpu_w).any()
    Doubt.objects.update(state=Doubt.State.LIFTED)
    pairs = pairs_of(meter, DAY)
    assert pairs is not None
    assert not np.isnan(pairs.node_w).any()


def test_a_node_is_checked_once_a_week_and_when_it_is_declared_anew(site: None) -> None:
    check_due(NOW)
    assert due_nodes(NOW + timedelta(days=6)) == []
    assert len(due_nodes(NOW + timedelta(days=7))) == 3
    declare("g1", covers=False)
    g1 = Node.objects.get(name="g1").pk
    assert due_nodes(NOW + timedelta(hours=1)) == [g1]
    assert check_due(NOW + timedelta(hours=1)) == 1
    assert checked()["g1"].declared_includes is False
    assert due_nodes(NOW + timedelta(hours=2)) == []
    later_ms = int((NOW + timedelta(hours=3)).timestamp() * 1000)
    period = MeterPeriod.objects.create(node_id=g1, valid_from_ms=later_ms)
    period.channels.set(Channel.objects.filter(node=g1, name="node"))
    assert due_nodes(NOW + timedelta(hours=2)) == [], "another meter from three o'clock on"
    assert due_nodes(NOW + timedelta(hours=4)) == [g1]


def test_one_call_checks_a_bounded_number_and_the_next_goes_on(site: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope_checks, "NODES_AT_ONCE", 2)
    assert [check_due(NOW), check_due(NOW), check_due(NOW)] == [2, 1, 0]
    assert set(checked()) == {"g1", "g2", "g3"}


def test_a_node_with_a_silent_gpu_or_no_samples_is_not_judged(site: None) -> None:
    NodeConfig.objects.filter(node__name="g1").update(gpus=4)
    new = Node.objects.create(cluster=Cluster.objects.get(), name="g9")
    for name in ("node", "gpu0"):
        Channel.objects.create(node=new, name=name, kind="gauge")
    assert check_due(NOW) == 4
    assert {name: (row.verdict, row.minutes) for name, row in checked().items() if name in ("g1", "g9")} == {
        "g1": ("unclear", 0),
        "g9": ("unclear", 0),
    }, "two of its four GPUs have no channel; no sample of the other is known"
    assert due_nodes(NOW + timedelta(hours=1)) == [], "and they are not first in line again"


def test_the_day_is_over_and_not_long_ago(site: None) -> None:
    nodes = list(Node.objects.filter(name__startswith="g").values_list("pk", flat=True))
    assert set(liveliest_days(nodes, date(2025, 3, 12)).values()) == {DAY}
    assert liveliest_days(nodes, DAY) == {}, "it is not over"
    assert liveliest_days(nodes, DAY + timedelta(days=9)) == {}


def test_it_is_a_chore() -> None:
    assert chores._CHORES["check what meters cover"].run is check_due
