"""The description of the machine: dated, and dirtying what it changes."""

from __future__ import annotations

import pytest

from measurements.models import Cluster, Node, NodeConfig
from measurements.parsers.records import NodeRecord
from measurements.services.machine import create_cluster, load_nodes
from tests.measurements.services.booked import MARCH, booked, dirty_days

pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster() -> Cluster:
    return create_cluster("atlas")


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
