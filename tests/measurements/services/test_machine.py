"""The description of the machine: dated, order-independent, and dirtying what it changes."""

from __future__ import annotations

from datetime import date
from itertools import permutations

import pytest

from measurements.domain.nodeday import Policy
from measurements.domain.units import EPOCH_DAY, Kind
from measurements.models import (
    Channel,
    ChannelPeriod,
    Cluster,
    DirtyNodeDay,
    MeterPeriod,
    Node,
    NodeConfig,
    NodeDay,
    PolicyPeriod,
)
from measurements.parsers.records import NodeRecord
from measurements.services.machine import (
    Declaration,
    choose_meters,
    create_cluster,
    declare_channels,
    load_nodes,
    policy_on,
    set_policy,
)

MARCH = [date(2025, 3, day) for day in range(1, 32)]
pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster() -> Cluster:
    return create_cluster("atlas")


def booked(node: Node, *days: date) -> None:
    NodeDay.objects.bulk_create(
        NodeDay(
            cluster=node.cluster, node=node, day=day, metered_j=0, jobs_j=0, unallocated_j=0, unplaced_j=0,
            covered_us=0, samples=0, margin_ms=0, metered_quarters=b"", unallocated_quarters=b"",
        )
        for day in days
    )  # fmt: skip


def dirty_days() -> list[date]:
    return list(DirtyNodeDay.objects.order_by("day").values_list("day", flat=True))


def channel(node: Node, name: str, kind: Kind = Kind.GAUGE) -> Channel:
    return Channel.objects.create(node=node, name=name, kind=kind)


@pytest.mark.parametrize("name", ["../etc", "a/b", "", "ä", "x" * 65])
def test_a_cluster_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="can't name a cluster"):
        create_cluster(name)


def test_loading_nodes_twice_changes_nothing(cluster: Cluster) -> None:
    records = [NodeRecord(1, "n1", "big", cpus=64, idle_w=120.0), NodeRecord(2, "n2", "big")]
    assert load_nodes(cluster, records).created == 2
    report = load_nodes(cluster, records)
    assert (report.created, report.changed, report.unchanged) == (0, 0, 2)


def test_a_dated_record_inherits_what_it_does_not_say_and_dirties_from_its_day_on(cluster: Cluster) -> None:
    load_nodes(cluster, [NodeRecord(1, "n1", "big", cpus=64, idle_w=120.0)])
    node = Node.objects.get()
    booked(node, *MARCH[:5])
    since = 1_740_960_000_000  # 2025-03-03
    load_nodes(cluster, [NodeRecord(1, "n1", "bigger", idle_w=150.0, valid_from_ms=since)])
    newest = NodeConfig.objects.get(valid_from=MARCH[2])
    assert (newest.cpus, newest.idle_w, newest.node_type.name) == (64, 150.0, "bigger")
    assert dirty_days() == MARCH[2:5]


@pytest.mark.parametrize("order", list(permutations([(0, 10_000), (4, 10_000), (9, 60_000)])))
def test_declared_intervals_come_out_the_same_in_any_order(cluster: Cluster, order: list[tuple[int, int]]) -> None:
    node = Node.objects.create(cluster=cluster, name="n1")
    gauge = channel(node, "node")
    for day, nominal in order:
        declare_channels(cluster, {gauge.pk: MARCH[day]}, Declaration(nominal_ms=nominal))
    in_force = [
        ChannelPeriod.objects.filter(channel=gauge, valid_from__lte=day).latest("valid_from").nominal_ms
        for day in (MARCH[0], MARCH[4], MARCH[9])
    ]
    assert in_force == [10_000, 10_000, 60_000]


def test_another_max_gap_keeps_the_interval_and_dirties_its_days_and_the_one_before(cluster: Cluster) -> None:
    node = Node.objects.create(cluster=cluster, name="n1")
    gauge = channel(node, "node")
    declare_channels(cluster, {gauge.pk: MARCH[0]}, Declaration(nominal_ms=10_000))
    booked(node, *MARCH[:6])
    declare_channels(cluster, {gauge.pk: MARCH[3]}, Declaration(max_gap_ms=99_000))
    row = ChannelPeriod.objects.get(valid_from=MARCH[3])
    assert (row.nominal_ms, row.max_gap_ms) == (10_000, 99_000)
    assert dirty_days() == MARCH[2:6]


@pytest.mark.parametrize(
    ("present", "chosen"),
    [
        (["node", "cpu0", "gpu0"], ["node"]),
        (["cpu0", "cpu1", "dram0", "gpu0"], ["cpu0", "cpu1", "dram0", "gpu0"]),
        (["cpu", "cpu0", "cpu1", "dram", "dram0"], ["cpu", "dram"]),
        (["core0", "cpu0"], ["cpu0"]),
        (["gpu0", "gpu1"], []),
    ],
)
def test_the_meter_nobody_declared(cluster: Cluster, present: list[str], chosen: list[str]) -> None:
    node = Node.objects.create(cluster=cluster, name="n1")
    for name in present:
        channel(node, name)
    choose_meters([node.pk])
    found = [c.name for meter in MeterPeriod.objects.all() for c in meter.channels.order_by("name")]
    assert found == chosen


def test_a_meter_stays_until_somebody_changes_it(cluster: Cluster) -> None:
    node = Node.objects.create(cluster=cluster, name="n1")
    channel(node, "cpu0")
    choose_meters([node.pk])
    channel(node, "node")
    choose_meters([node.pk])
    assert [c.name for c in MeterPeriod.objects.get().channels.all()] == ["cpu0"]


def test_of_a_gauge_and_a_counter_of_one_name_the_counter_is_the_meter(cluster: Cluster) -> None:
    node = Node.objects.create(cluster=cluster, name="n1")
    channel(node, "node")
    channel(node, "node", Kind.COUNTER)
    choose_meters([node.pk])
    assert [c.kind for c in MeterPeriod.objects.get().channels.all()] == [Kind.COUNTER]


def test_a_policy_for_some_days_ends_with_them(cluster: Cluster) -> None:
    node = Node.objects.create(cluster=cluster, name="n1")
    booked(node, *MARCH[:8])
    set_policy(cluster, Policy.HYBRID, MARCH[2], MARCH[5])
    assert [policy_on(cluster, day) for day in MARCH[:7]] == [Policy.ALLOCATION] * 2 + [Policy.HYBRID] * 3 + [
        Policy.ALLOCATION
    ] * 2
    assert dirty_days() == MARCH[2:5]


def test_setting_the_policy_that_is_in_force_dirties_nothing(cluster: Cluster) -> None:
    node = Node.objects.create(cluster=cluster, name="n1")
    booked(node, *MARCH[:3])
    set_policy(cluster, Policy.ALLOCATION, None, None)
    assert not dirty_days()
    set_policy(cluster, Policy.HYBRID, None, None)
    assert PolicyPeriod.objects.get().valid_from == EPOCH_DAY
    DirtyNodeDay.objects.all().delete()
    set_policy(cluster, Policy.HYBRID, None, None)
    assert not dirty_days()
