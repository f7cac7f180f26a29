"""Ten thousand nodes: as quick per sample as a hundred, and within a bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import numpy as np

from measurements.domain.samples import Samples
from measurements.models import Batch, Channel, Cluster, Node
from measurements.store import SampleStore
from tests.bench.generate import SLOTS_PER_DAY, PowerDay, jobs_of_day, write_jobs_csv, write_power_csv
from tests.bench.harness import Row
from tests.bench.inputs import holdings_by_node
from tests.bench.rows_attribution import decode_and_book
from tests.bench.world import DAY, World, compact_day, ingest, load_cluster, now

SMALL_OVER_LARGE = 2.5
PEAK_GIB = 1.5
SEGMENT_SAMPLES = 2_000_000  # as ingest writes them
ROOT = Path(__file__).resolve().parents[2]


def rows(world: World) -> list[Row]:
    """All of them; booking, ingest and compaction of the large cluster run in a process of their own."""
    small, large = world.scale.small_nodes, world.scale.large_nodes
    few, many = (_cluster(name, nodes, world.folder) for name, nodes in (("small", small), ("large", large)))
    compact_day(few)
    peaks = _measured_apart(world, many)
    few_ns, many_ns = (_ns_per_sample(cluster, world.scale.repeats) for cluster in (few, many))
    return [
        Row(f"decode and book at {small:,} nodes", few_ns, "ns/sample"),
        Row(f"decode and book at {large:,} nodes", many_ns, "ns/sample"),
        Row("the latter over the former", many_ns / few_ns, "x", SMALL_OVER_LARGE),
        *[Row(f"peak memory at {large:,} nodes: {step}", gib, "GiB", PEAK_GIB) for step, gib in peaks.items()],
    ]


def _cluster(name: str, nodes: int, folder: Path) -> Cluster:
    """A cluster whose day lies in the store in segments as ingest writes them, not yet compacted.

    The first hour comes through ingest, so that channels and meters are what they would be.
    """
    cluster, power = load_cluster(name, nodes, folder), PowerDay(nodes)
    path = folder / f"power-{name}.csv"
    write_power_csv(path, power.slots(0, SLOTS_PER_DAY // 240), nodes)
    ingest(cluster, path)
    ids = np.array(Node.objects.filter(cluster=cluster).order_by("name").values_list("pk", flat=True), np.int32)
    by_node = dict(Channel.objects.filter(node__cluster=cluster).values_list("node_id", "pk"))
    channels = np.array([by_node[node] for node in ids.tolist()], np.int32)
    step = max(1, SEGMENT_SAMPLES // nodes)
    for first in range(SLOTS_PER_DAY // 240, SLOTS_PER_DAY, step):
        made = power.window(first, min(first + step, SLOTS_PER_DAY))
        samples = Samples(ids[made.node], channels[made.node], made.t_ms, made.value_mw)
        _store(cluster, samples, first)
    return cluster


def _store(cluster: Cluster, samples: Samples, number: int) -> None:
    """One segment and its batch."""
    batch = Batch.objects.create(
        cluster=cluster,
        content=Batch.Content.POWER,
        source=f"bench {number}",
        sha256=f"{cluster.pk}-{number}",
        options_key="",
        stored=len(samples),
        committed_at=now(),
    )
    segment = SampleStore().write(cluster, DAY, samples)
    segment.batch_no = batch.pk
    segment.save()


def _measured_apart(world: World, cluster: Cluster) -> dict[str, float]:
    """Peak memory [GiB] of each step on a cluster, in a process that has not made its data."""
    nodes, folder = world.scale.large_nodes, world.folder
    jobs, power = folder / "jobs-large.csv", folder / "power-later.csv"
    write_jobs_csv(jobs, jobs_of_day(nodes, per_lane=1))
    write_power_csv(power, PowerDay(nodes, seed=8).slots(0, SLOTS_PER_DAY // 24), nodes)
    arguments = [sys.executable, "-m", "tests.bench.peaks", cluster.name, str(power), str(jobs)]
    done = subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True, text=True)
    peaks: dict[str, float] = json.loads(done.stdout)
    return peaks


def _ns_per_sample(cluster: Cluster, repeats: int) -> float:
    """Median of some passes over the compacted day, ns."""
    nodes = Node.objects.filter(cluster=cluster).count()
    holdings = holdings_by_node(jobs_of_day(nodes), nodes)
    samples = len(PowerDay(nodes))
    return median(sum(decode_and_book(cluster, holdings)) for _ in range(repeats)) / samples * 1e9
