"""A GPU that is exchanged for another one takes no joules with it."""

from __future__ import annotations

from datetime import date
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command

from measurements.domain.curves import curve_of
from measurements.domain.units import day_start_ms
from measurements.models import Cluster, GpuPlace, Node, NodeDay
from measurements.selectors.metered import MeteredNodes
from measurements.services.marks import mark_node_days

pytestmark = [pytest.mark.django_db]
DAY = date(2025, 3, 10)
START_S = day_start_ms(DAY) // 1000
SWAP_S = START_S + 6 * 3600
HOURS = 12
POWER_W = 100


def run(*argv: str) -> None:
    call_command(*argv, "--cluster", "alpha", stdout=StringIO(), stderr=StringIO())


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Two GPUs of 100 W each for twelve hours; at six o'clock gpu0 is another device, whose counter stands higher."""
    lines = ["timestamp,node,joules,channel"]
    for t in range(START_S, START_S + HOURS * 3600 + 1, 60):
        more = 5_000 if t >= SWAP_S else 0
        lines += [f"{t},g1,{POWER_W * (t - START_S) + extra},gpu{i}" for i, extra in enumerate((more, 0))]
        lines.append(f"{t},g1,{200 * (t - START_S)},cpu0")
    (tmp_path / "nodes.csv").write_text("node,node_type,cpus,gpus\ng1,gpu,64,2\n")
    (tmp_path / "power.csv").write_text("\n".join(lines) + "\n")
    run("load_nodes", str(tmp_path / "nodes.csv"))
    run("ingest_power", str(tmp_path / "power.csv"))
    return Node.objects.get(name="g1")


def metered_j() -> float:
    run("attribute")
    return NodeDay.objects.get(day=DAY).metered_j


def exchange(node: Node) -> None:
    for uuid, since_s in (("GPU-old", 0), ("GPU-new", SWAP_S)):
        GpuPlace.objects.create(node=node, index=0, uuid=uuid, valid_from_ms=since_s * 1000)
    mark_node_days(Cluster.objects.get(), [(node.pk, DAY)])


def test_the_step_from_one_device_to_the_next_is_a_gap(node: Node) -> None:
    whole_j = HOURS * 3600 * (2 * POWER_W + 200)
    assert metered_j() == pytest.approx(whole_j + 5_000, rel=1e-12), "nothing is known of an exchange yet"
    exchange(node)
    assert metered_j() == pytest.approx(whole_j - 60 * (2 * POWER_W + 200), rel=1e-12), (
        "the minute is a gap of the meter"
    )


def test_one_device_told_twice_is_no_exchange(node: Node) -> None:
    for since_s in (0, SWAP_S):
        GpuPlace.objects.create(node=node, index=1, uuid="GPU-same", valid_from_ms=since_s * 1000)
    assert metered_j() == pytest.approx(HOURS * 3600 * (2 * POWER_W + 200) + 5_000, rel=1e-12)


def test_the_curve_leaves_the_same_minute_open(node: Node) -> None:
    exchange(node)
    metered = MeteredNodes([node.pk])
    metered.read(SWAP_S * 1000 - 300_000, SWAP_S * 1000 + 300_000)
    (window,) = metered.windows(node.pk, [(SWAP_S * 1000 - 300_000, SWAP_S * 1000 + 300_000)])
    edges = np.arange(window.start_ms, window.end_ms + 1, 60_000)
    curve = curve_of([window], edges)
    open_at = edges[:-1][np.isnan(curve.mean_w)]
    assert open_at.tolist() == [SWAP_S * 1000 - 60_000]
