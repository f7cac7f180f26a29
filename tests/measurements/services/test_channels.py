"""What is said of channels: dated, order-independent, and dirtying what it changes."""

from __future__ import annotations

from itertools import permutations

import pytest

from measurements.domain.units import Kind
from measurements.models import Channel, ChannelPeriod, Node
from measurements.services.channels import Declaration, declare_channels
from measurements.services.machine import create_cluster
from tests.measurements.services.booked import MARCH, booked, dirty_days

pytestmark = pytest.mark.django_db


@pytest.fixture
def node() -> Node:
    return Node.objects.create(cluster=create_cluster("atlas"), name="n1")


@pytest.mark.parametrize("order", list(permutations([(0, 10_000), (4, 10_000), (9, 60_000)])))
def test_declared_intervals_come_out_the_same_in_any_order(node: Node, order: list[tuple[int, int]]) -> None:
    gauge = Channel.objects.create(node=node, name="node", kind=Kind.GAUGE)
    for day, nominal in order:
        declare_channels(node.cluster, {gauge.pk: MARCH[day]}, Declaration(nominal_ms=nominal))
    in_force = [
        ChannelPeriod.objects.filter(channel=gauge, valid_from__lte=day).latest("valid_from").nominal_ms
        for day in (MARCH[0], MARCH[4], MARCH[9])
    ]
    assert in_force == [10_000, 10_000, 60_000]


def test_another_max_gap_keeps_the_interval_and_dirties_its_days_and_the_one_before(node: Node) -> None:
    gauge = Channel.objects.create(node=node, name="node", kind=Kind.GAUGE)
    declare_channels(node.cluster, {gauge.pk: MARCH[0]}, Declaration(nominal_ms=10_000))
    booked(node, *MARCH[:6])
    declare_channels(node.cluster, {gauge.pk: MARCH[3]}, Declaration(max_gap_ms=99_000))
    row = ChannelPeriod.objects.get(valid_from=MARCH[3])
    assert (row.nominal_ms, row.max_gap_ms) == (10_000, 99_000)
    assert dirty_days() == MARCH[2:6]
