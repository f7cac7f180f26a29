"""A day that is not over: five-minute batches, folded as they come, and a job's curve read in between."""

from __future__ import annotations

from functools import partial
from statistics import median

import numpy as np

from measurements.domain.samples import Samples
from measurements.domain.units import HOUR_MS
from measurements.models import Batch, Channel, Cluster, Segment
from measurements.services import upkeep
from measurements.store import SampleStore
from tests.bench.generate import DAY_START_MS, INTERVAL_MS, SLOTS_PER_DAY, write_power_csv
from tests.bench.harness import Row, timed
from tests.bench.world import DAY, World, ingest, load_cluster, now

BATCH_SLOTS = 300_000 // INTERVAL_MS
BATCHES_PER_FOLD = HOUR_MS // 300_000
CURVE_MS = 50.0
JOB_NODES = 4
JOB_HOURS = 6
READS = 30


def rows(world: World) -> list[Row]:
    """All of them; the last batches are not folded yet when curves are read."""
    cluster, channels = _cluster(world)
    folds_s = []
    for number, first in enumerate(range(BATCH_SLOTS, SLOTS_PER_DAY - BATCH_SLOTS, BATCH_SLOTS), start=1):
        _append(world, cluster, channels, first)
        if number % BATCHES_PER_FOLD == 0:
            folds_s.append(timed(partial(upkeep.fold, cluster, DAY)))
    curve_s = median(timed(partial(_read_curve, channels, number)) for number in range(READS))
    return [
        Row("fold an hour's twelve batches", median(folds_s) * 1e3, "ms"),
        Row("segments of the open day", Segment.objects.filter(cluster=cluster).count(), "segments"),
        Row(f"curve of a job ({JOB_NODES} nodes, {JOB_HOURS} h) on the open day", curve_s * 1e3, "ms", CURVE_MS),
    ]


def _cluster(world: World) -> tuple[Cluster, dict[int, tuple[int, int]]]:
    """The cluster after its first batch, which made its channels: number of the node to (node, channel)."""
    cluster, path = load_cluster("open", world.scale.nodes, world.folder), world.folder / "power-open.csv"
    write_power_csv(path, world.power.slots(0, BATCH_SLOTS), world.scale.nodes)
    ingest(cluster, path)
    pairs = Channel.objects.filter(node__cluster=cluster).order_by("node__name").values_list("node_id", "pk")
    return cluster, dict(enumerate(pairs))


def _append(world: World, cluster: Cluster, channels: dict[int, tuple[int, int]], first: int) -> None:
    """One batch, as ingest stores it."""
    made = world.power.window(first, first + BATCH_SLOTS)
    ids = np.array([channels[number] for number in range(world.scale.nodes)], np.int32)
    samples = Samples(ids[made.node, 0], ids[made.node, 1], made.t_ms, made.value_mw)
    batch = Batch.objects.create(
        cluster=cluster,
        content=Batch.Content.POWER,
        source=f"push {first}",
        sha256=str(first),
        options_key="",
        stored=len(samples),
        committed_at=now(),
    )
    segment = SampleStore().write(cluster, DAY, samples, inline=True)
    segment.batch_no = batch.pk
    segment.save()


def _read_curve(channels: dict[int, tuple[int, int]], number: int) -> None:
    """Samples of a job's nodes while it ran."""
    first = number * JOB_NODES % max(1, len(channels) - JOB_NODES)
    wanted = [channels[node][1] for node in range(first, min(first + JOB_NODES, len(channels)))]
    start_ms = DAY_START_MS + (number % (24 - JOB_HOURS)) * HOUR_MS
    samples = SampleStore().read(wanted, start_ms, start_ms + JOB_HOURS * HOUR_MS)
    if not len(samples):
        raise RuntimeError("the open day has no samples")
