"""A busy day on a cluster of any size, made in columns: whole watts every 10 s, jobs on shared and whole nodes.

Every node's power is a level per hour with slowly wandering noise; time stamps are whole
seconds, up to one second early or late; 12 % of the samples are missing. Half of the nodes
are shared by 16 lanes of 4 cores, half are held whole by groups of 1 to 64 nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from measurements.domain.units import DAY_MS, HOUR_MS, MS_PER_S, MW_PER_W, IntArray

DAY_START_MS = 1_741_564_800_000  # 2025-03-10T00:00Z
INTERVAL_MS = 10_000
SLOTS_PER_DAY = DAY_MS // INTERVAL_MS
MISSING_SHARE = 0.12
CORES = 64
LANES = 16
JOBS_PER_LANE = 14
JOBS_PER_GROUP = 13
USERS = 40
TEMPLATE_NODES = 500  # larger clusters repeat this many nodes' power
MEAN_REVERSION = 0.9  # of the noise from one sample to the next
NOISE_W = 2.0
JOBS_HEADER = "job_id,user,account,state,start,end,nodes,submit,cpus,exclusive"


@dataclass(frozen=True, slots=True)
class Samples:
    """Power samples as columns of equal length; `node` counts from 0."""

    node: NDArray[np.int32]
    t_ms: IntArray
    watts: NDArray[np.int64]

    @property
    def value_mw(self) -> IntArray:
        """As the store holds them."""
        return self.watts * MW_PER_W

    def __len__(self) -> int:
        return self.t_ms.size


@dataclass(frozen=True, slots=True)
class Jobs:
    """Jobs as columns: each holds `cpus` cores of nodes [first, first + count) during [start, end)."""

    first: NDArray[np.int64]
    count: NDArray[np.int64]
    start_ms: IntArray
    end_ms: IntArray
    cpus: NDArray[np.int64]
    user: NDArray[np.int64]

    @property
    def allocations(self) -> int:
        """One per job and node."""
        return int(self.count.sum())


class PowerDay:
    """The day's power of `nodes` nodes."""

    def __init__(self, nodes: int, seed: int = 7) -> None:
        rng = np.random.default_rng(seed)
        self.nodes = nodes
        width = min(nodes, TEMPLATE_NODES)
        levels_w = rng.integers(150, 700, (SLOTS_PER_DAY * INTERVAL_MS // HOUR_MS, width))
        noise_w = np.zeros((SLOTS_PER_DAY, width))
        shocks_w = rng.normal(0.0, NOISE_W, noise_w.shape)
        for slot in range(1, SLOTS_PER_DAY):
            noise_w[slot] = MEAN_REVERSION * noise_w[slot - 1] + shocks_w[slot]
        levels_w = np.repeat(levels_w, HOUR_MS // INTERVAL_MS, axis=0)
        self._watts = np.rint(levels_w + noise_w).astype(np.int16)
        self._jitter_ms = rng.integers(-1, 2, noise_w.shape).astype(np.int16) * MS_PER_S
        self._jitter_ms[0] = np.abs(self._jitter_ms[0])  # the first sample stays in its day
        self._present = rng.random(noise_w.shape, dtype=np.float32) >= MISSING_SHARE

    def slots(self, first: int, last: int) -> Samples:
        """All nodes' samples of some slots, in order of arrival."""
        return self._samples(np.arange(self.nodes), first, last, by_node=False)

    def window(self, first: int, last: int) -> Samples:
        """All nodes' samples of some slots, node by node."""
        return self._samples(np.arange(self.nodes), first, last, by_node=True)

    def __len__(self) -> int:
        """How many samples the day has."""
        columns = np.arange(self.nodes) % self._present.shape[1]
        return int(self._present.sum(axis=0)[columns].sum())

    def _samples(self, nodes: NDArray[np.int64], first: int, last: int, *, by_node: bool) -> Samples:
        column = nodes % self._watts.shape[1]
        slot_ms = DAY_START_MS + np.arange(first, last, dtype=np.int64) * INTERVAL_MS
        t_ms = slot_ms[:, None] + self._jitter_ms[first:last, column]
        watts, present = self._watts[first:last, column], self._present[first:last, column]
        node = np.broadcast_to(nodes.astype(np.int32), t_ms.shape)
        if by_node:
            t_ms, watts, present, node = t_ms.T, watts.T, present.T, node.T
        return Samples(node[present], t_ms[present], watts[present].astype(np.int64))


def node_names(nodes: int) -> list[str]:
    """Host names."""
    return [f"n{number:05d}" for number in range(nodes)]


def write_power_csv(path: Path, samples: Samples, nodes: int) -> None:
    """The plain power form; times in ISO 8601 with whole seconds."""
    seconds, code = np.unique(samples.t_ms // MS_PER_S, return_inverse=True)
    stamps = np.char.add(np.datetime_as_string(seconds.astype("datetime64[s]")), "Z")
    table = pa.table(
        {
            "timestamp": pa.array(stamps.tolist()).take(pa.array(code)),
            "node": pa.array(node_names(nodes)).take(pa.array(samples.node)),
            "watts": pa.array(samples.watts),
        }
    )
    with path.open("wb") as file:
        file.write(b"timestamp,node,watts\n")
        pa_csv.write_csv(table, file, pa_csv.WriteOptions(include_header=False, quoting_style="none"))


def write_nodes_csv(path: Path, nodes: int) -> None:
    """The plain nodes form: one node type with 64 cores."""
    lines = [f"{name},bench,{CORES},0,150,700,900" for name in node_names(nodes)]
    path.write_text("\n".join(["node,node_type,cpus,gpus,idle_w,rated_w,ceiling_w", *lines]) + "\n", encoding="utf-8")


def jobs_of_day(nodes: int, seed: int = 7, *, per_lane: int = JOBS_PER_LANE) -> Jobs:
    """Shared nodes in pairs by lanes, then whole nodes in groups."""
    rng = np.random.default_rng((seed, 1))
    shared = nodes // 4 * 2
    lanes = np.repeat(np.arange(0, shared, 2), LANES)
    groups = np.array(list(_group_sizes(nodes - shared)), dtype=np.int64)
    starts = shared + np.concatenate([[0], np.cumsum(groups)])[:-1].astype(np.int64)
    parts = [
        _chains(rng, lanes, np.full(lanes.size, 2), CORES // LANES, per_lane),
        _chains(rng, starts, groups, CORES, min(per_lane, JOBS_PER_GROUP)),
    ]
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    first, count, start_ms, end_ms, cpus = columns
    user = np.where(rng.random(first.size) < 0.3, 0, rng.integers(0, USERS, first.size))
    return Jobs(first, count, start_ms, end_ms, cpus, user)


def _group_sizes(nodes: int) -> Iterator[int]:
    """64, 32, ... 1 over and over until all nodes are in a group."""
    size = 64
    while nodes:
        taken = min(size, nodes)
        yield taken
        nodes -= taken
        size = size // 2 or 64


def _chains(
    rng: np.random.Generator, first: NDArray[np.int64], count: NDArray[np.int64], cpus: int, jobs: int
) -> tuple[NDArray[np.int64], ...]:
    """On each place `jobs` jobs, one after the other with short breaks, in whole seconds."""
    cuts_s = np.sort(rng.integers(0, DAY_MS // MS_PER_S - 60, (first.size, jobs + 1)), axis=1)
    start_s = cuts_s[:, :-1]
    end_s = np.maximum(start_s + 1, cuts_s[:, 1:] - rng.integers(0, 60, start_s.shape))
    end_s[:, :-1] = np.minimum(end_s[:, :-1], np.maximum(start_s[:, 1:], start_s[:, :-1] + 1))
    span = (start_s.ravel() * MS_PER_S + DAY_START_MS, end_s.ravel() * MS_PER_S + DAY_START_MS)
    return np.repeat(first, jobs), np.repeat(count, jobs), *span, np.full(first.size * jobs, cpus)


def write_jobs_csv(path: Path, jobs: Jobs) -> None:
    """The plain jobs form; times in epoch seconds."""
    columns = (jobs.first, jobs.count, jobs.start_ms // MS_PER_S, jobs.end_ms // MS_PER_S, jobs.cpus, jobs.user)
    with path.open("w", encoding="utf-8") as file:
        file.write(JOBS_HEADER + "\n")
        for number, row in enumerate(zip(*(column.tolist() for column in columns), strict=True), start=1):
            first, count, start_s, end_s, cpus, user = row
            last = first + count - 1
            nodes = f"n{first:05d}" if count == 1 else f"n[{first:05d}-{last:05d}]"
            who = f"u{user:03d},p{user % 8}"
            whole = "true" if cpus == CORES else "false"
            file.write(f"{number},{who},COMPLETED,{start_s},{end_s},{nodes},{start_s - 60},{cpus},{whole}\n")
