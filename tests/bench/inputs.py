"""The generated day as the domain's own input, without a database between."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from measurements.domain.attribution import Holdings, MeterPeriod, NodeDay, Series
from measurements.domain.integrate import max_gap_ms
from measurements.domain.units import IntArray, Kind
from tests.bench.generate import CORES, INTERVAL_MS, Jobs

METER = (MeterPeriod(from_ms=0, channels=("node",)),)
MAX_GAP_MS = max_gap_ms(Kind.GAUGE, INTERVAL_MS, None)


def holdings_by_node(jobs: Jobs, nodes: int) -> list[Holdings]:
    """Each node's allocations, by node."""
    job = np.repeat(np.arange(jobs.first.size), jobs.count)
    offset = np.arange(job.size) - np.repeat(np.cumsum(jobs.count) - jobs.count, jobs.count)
    node = jobs.first[job] + offset
    order = np.argsort(node, kind="stable")
    bounds = np.searchsorted(node[order], np.arange(nodes + 1))
    return [_holdings(jobs, job[order[low:high]]) for low, high in pairwise(bounds)]


def _holdings(jobs: Jobs, of: NDArray[np.int64]) -> Holdings:
    count = of.size
    return Holdings(
        start_ms=jobs.start_ms[of],
        end_ms=jobs.end_ms[of],
        cpus=jobs.cpus[of],
        gpus=np.zeros(count, np.int64),
        gpu_mask=np.zeros(count, np.uint64),
        exclusive=(jobs.cpus[of] == CORES).astype(np.int8),
        cpu_rate=np.full(count, np.nan),
    )


def node_day(t_ms: IntArray, value_mw: IntArray, holdings: Holdings) -> NodeDay:
    """One node with one whole-node gauge."""
    series = Series("node", Kind.GAUGE, t_ms, value_mw, INTERVAL_MS, MAX_GAP_MS)
    return NodeDay([series], METER, holdings, cpus=CORES)
