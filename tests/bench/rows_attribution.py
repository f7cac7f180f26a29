"""A busy day: booking it against decoding it, and the whole way through ledger and roll-ups."""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from measurements.domain.attribution import Holdings, NodeDay, attribute_block
from measurements.domain.samples import Samples
from measurements.domain.units import DAY_MS
from measurements.models import Cluster, Node
from measurements.services.attribution import BLOCK_NODES
from measurements.store import SampleStore, Selection
from tests.bench.generate import DAY_START_MS
from tests.bench.harness import FULL, Row
from tests.bench.inputs import holdings_by_node, node_day
from tests.bench.world import World

OVER_DECODE = 4.0
COMMIT_S = 15.0  # at 1,000 nodes
MARGIN_MS = 900_000


def rows(world: World) -> list[Row]:
    """All of them; the day's jobs are ingested before."""
    assert world.compact_s
    holdings = holdings_by_node(world.jobs, world.scale.nodes)
    passes = [decode_and_book(world.cluster, holdings) for _ in range(world.scale.repeats)]
    decode_s, book_s = (median(column) for column in zip(*passes, strict=True))
    whole_s = median(world.attribute_s)
    bound_s = COMMIT_S * max(world.scale.nodes / FULL.nodes, 0.1)
    return [
        Row(f"decode {world.samples:,} samples", decode_s, "s"),
        Row(f"book them on {world.jobs.allocations:,} allocations", book_s, "s"),
        Row("booking over decoding", book_s / decode_s, "x", OVER_DECODE),
        Row(f"ingest {world.jobs.first.size:,} jobs", world.booked_jobs, "s"),
        Row(f"attribute {world.scale.nodes:,} nodes' day, roll-ups committed", whole_s, "s", bound_s),
    ]


def decode_and_book(cluster: Cluster, holdings: list[Holdings]) -> tuple[float, float]:
    """Seconds to read a day's samples from the store, and to book them, block by block of nodes."""
    store, decode_s, book_s = SampleStore(), 0.0, 0.0
    ids = np.array(Node.objects.filter(cluster=cluster).order_by("name").values_list("pk", flat=True), np.int32)
    for first in range(0, ids.size, BLOCK_NODES):
        block = ids[first : first + BLOCK_NODES]
        began = time.perf_counter()
        wanted = Selection(np.sort(block), DAY_START_MS - MARGIN_MS, DAY_START_MS + DAY_MS + MARGIN_MS)
        samples = store.scan(cluster.pk, wanted)
        decode_s += time.perf_counter() - began
        days = _node_days(samples, block, holdings[first : first + BLOCK_NODES])
        began = time.perf_counter()
        attribute_block(days, DAY_START_MS)
        book_s += time.perf_counter() - began
    return decode_s, book_s


def _node_days(samples: Samples, nodes: np.ndarray, holdings: list[Holdings]) -> list[NodeDay]:
    low, high = (np.searchsorted(samples.node, nodes, side=side) for side in ("left", "right"))
    return [
        node_day(samples.t_ms[a:b], samples.value[a:b], held) for a, b, held in zip(low, high, holdings, strict=True)
    ]
