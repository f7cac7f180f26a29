"""Readings below the floor of a powered node, and from the future: refused one by one, and given again later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from measurements.domain.units import ms_from_datetime
from measurements.models import Cluster, Node, NodeConfig, NodeState, Quarantine
from measurements.parsers import power_csv
from measurements.parsers.nodes_csv import read_nodes
from measurements.parsers.records import ParseOptions
from measurements.parsers.source import Source
from measurements.services.ingest_power import PowerInput, ingest_power
from measurements.services.machine import create_cluster, load_nodes
from measurements.services.push_folding import fold_pushes
from tests.measurements.services.pushing import send, token_for

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIST = """node,node_type,ceiling_w,floor_w,valid_from
n1,a,2000,60,
n1,a,2000,90,2026-03-02T00:00:00Z
n2,a,2000,,
"""


@pytest.fixture
def cluster(own_var: Path, tmp_path: Path) -> Cluster:
    path = tmp_path / "nodes.csv"
    path.write_text(LIST, encoding="utf-8")
    found = create_cluster("c")
    load_nodes(found, read_nodes(Source(path), ParseOptions())[0])
    return found


def give(cluster: Cluster, folder: Path, rows: list[str], now: datetime = NOON + timedelta(days=3)) -> dict[str, int]:
    """Give a log; what was stored and refused."""
    path = folder / "power.csv"
    path.write_text("\n".join(["timestamp,node,watts,channel", *rows]) + "\n", encoding="utf-8")
    report = ingest_power(cluster, Source(path), PowerInput(power_csv.read), now)
    return {"stored": report.stored} | {one.reason: one.count for one in report.refused}


def test_the_floor_is_of_whole_nodes_that_are_described_with_one(cluster: Cluster, tmp_path: Path) -> None:
    assert list(NodeConfig.objects.order_by("node", "valid_from").values_list("floor_w", flat=True)) == [60, 90, None]
    rows = [
        "2026-03-01T12:00:00Z,n1,59.999,node",
        "2026-03-01T12:01:00Z,n1,60,node",
        "2026-03-01T12:02:00Z,n1,12,gpu0",  # a part of it
        "2026-03-01T12:03:00Z,n2,4,node",  # no floor is declared
        "2026-03-02T12:00:00Z,n1,75,node",  # from this day on it is 90 W
    ]
    assert give(cluster, tmp_path, rows) == {"stored": 3, "below floor": 2}
    assert "floor_w" in Quarantine.objects.get().example


def test_a_node_that_is_off_has_no_floor_and_what_was_refused_goes_in_once_that_is_known(
    cluster: Cluster, tmp_path: Path
) -> None:
    rows = [f"2026-03-01T12:{minute:02d}:00Z,n1,7,node" for minute in range(10)]
    assert give(cluster, tmp_path, rows) == {"stored": 0, "below floor": 10}
    start = ms_from_datetime(NOON)
    NodeState.objects.create(
        node=Node.objects.get(name="n1"), start_ms=start, end_ms=start + 300_000, state="POWERED_DOWN", power="off"
    )
    assert give(cluster, tmp_path, rows) == {"stored": 5, "below floor": 5}


def test_what_is_dated_later_than_it_was_received_is_refused_and_goes_in_later(
    cluster: Cluster, tmp_path: Path
) -> None:
    rows = [f"2026-03-01T12:{minute:02d}:00Z,n1,300,node" for minute in range(10)]
    assert give(cluster, tmp_path, rows, NOON) == {"stored": 6, "from the future (clock skew)": 4}
    assert give(cluster, tmp_path, rows, NOON + timedelta(minutes=5)) == {"stored": 4}


def test_a_push_is_judged_by_the_clock_at_its_receipt(cluster: Cluster) -> None:
    token = token_for(cluster)
    late, early = NOON + timedelta(minutes=5), NOON + timedelta(minutes=5, seconds=1)
    report = send(token, [(late, "n1", 300.0), (early, "n1", 300.0)], NOON)
    assert [(one.reason, one.count) for one in report.refused] == [("from the future (clock skew)", 1)]
    assert report.stored == 1
    assert fold_pushes(cluster) == 1
