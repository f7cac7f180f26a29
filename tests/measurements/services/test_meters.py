"""What counts as a node's energy where nobody says: no zone twice."""

from __future__ import annotations

import pytest

from measurements.domain.units import Kind
from measurements.models import Channel, MeterPeriod, Node
from measurements.services.machine import create_cluster
from measurements.services.meters import choose_meters

pytestmark = pytest.mark.django_db


@pytest.fixture
def node() -> Node:
    return Node.objects.create(cluster=create_cluster("atlas"), name="n1")


def channel(node: Node, name: str, kind: Kind = Kind.GAUGE) -> None:
    Channel.objects.create(node=node, name=name, kind=kind)


@pytest.mark.parametrize(
    ("present", "chosen"),
    [
        (["node", "cpu0", "gpu0"], ["node"]),
        (["cpu0", "cpu1", "dram0", "gpu0"], ["cpu0", "cpu1", "dram0", "gpu0"]),
        (["cpu", "cpu0", "cpu1", "dram", "dram0"], ["cpu", "dram"]),
        (["core0", "cpu0"], ["cpu0"]),
        (["cpu0", "host", "psys0", "uncore0"], ["cpu0"]),
        (["gpu0", "host", "psys"], ["host", "gpu0"]),
        (["psys0", "psys1"], ["psys0", "psys1"]),
        (["psys", "psys0"], ["psys"]),
        (["gpu0", "gpu1"], []),
    ],
)
def test_the_meter_nobody_declared(node: Node, present: list[str], chosen: list[str]) -> None:
    for name in present:
        channel(node, name)
    choose_meters([node.pk])
    assert [c.name for meter in MeterPeriod.objects.all() for c in meter.channels.order_by("name")] == sorted(chosen)


def test_a_meter_stays_until_somebody_changes_it(node: Node) -> None:
    channel(node, "cpu0")
    choose_meters([node.pk])
    channel(node, "node")
    choose_meters([node.pk])
    assert [c.name for c in MeterPeriod.objects.get().channels.all()] == ["cpu0"]


def test_of_a_gauge_and_a_counter_of_one_name_the_counter_is_the_meter(node: Node) -> None:
    channel(node, "node")
    channel(node, "node", Kind.COUNTER)
    choose_meters([node.pk])
    assert [c.kind for c in MeterPeriod.objects.get().channels.all()] == [Kind.COUNTER]
