"""A cluster with a year of a million jobs, written straight into the tables: what pages are measured on.

Figures are made up, but hang together: a job's energy is its nodes' power × its time, a user's day is the sum of the
jobs that began on it. One user has a third of all jobs. Nothing of it went through ingest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
from django.db import models, transaction
from django.db.models import Max

from measurements.domain.profiles import COVERED, ELAPSED, ENERGY, HOURS_PER_DAY, RECORD, RESERVED
from measurements.domain.units import DAY_MS, HOUR_MS, MS_PER_S, US_PER_MS, day_from_ms
from measurements.models import (
    Allocation,
    Cluster,
    Job,
    JobEnergy,
    Node,
    NodeConfig,
    NodeType,
    Run,
    SiteFactor,
    Supply,
    TypeDay,
    UsageDay,
)
from measurements.services.bulk import adapted, insert
from measurements.services.pricing import add_rows
from tests.bench.generate import DAY_START_MS
from tests.bench.priced_year import NOW, hourly_series

CLUSTER = "many"
HEAVY_USER, USUAL_USER = "u0000", "u0007"
DAYS = 365
END_MS = DAY_START_MS + DAY_MS
TYPES = {"cpu": (900, 420.0), "himem": (60, 510.0), "gpu4": (30, 1_600.0), "mixed": (10, 700.0)}  # nodes, mean watts
STATES = {
    "COMPLETED": 0.85,
    "FAILED": 0.08,
    "TIMEOUT": 0.03,
    "CANCELLED": 0.03,
    "OUT_OF_MEMORY": 0.0099,
    "NODE_FAIL": 0.0001,
}
PARTITIONS = ("standard", "long", "gpu", "test")
HEAVY_SHARE = 1 / 3
ARRAY_SHARE = 0.2
ARRAY_TASKS = 50
RUNNING = 500
PROJECTS = 80
CPUS, RATED_W = 64, 600.0  # of a node
ROWS_AT_ONCE = 20_000
_QUARTERS = np.full(96, 1.0e6).tobytes()
_HOURS = np.full(24, 3_600.0).tobytes()


@dataclass(frozen=True, slots=True)
class ManyJobs:
    """What was made."""

    cluster: Cluster
    jobs: int
    users: int


def make(jobs: int, users: int) -> ManyJobs:
    """The cluster, its nodes, jobs, totals and roll-ups."""
    cluster = Cluster.objects.create(name=CLUSTER, longest_run_ms=7 * DAY_MS)
    types = _machine(cluster)
    frame = jobs_frame(jobs, users)
    frame["id"] += _free_id()
    with transaction.atomic():
        _insert_jobs(cluster, frame)
        _insert_usage(cluster, frame, types)
        _insert_type_days(cluster, types)
    _price(cluster)
    return ManyJobs(cluster, jobs, users)


def _price(cluster: Cluster) -> None:
    """A grid by the hour and a tariff, so that pages have prices to read."""
    tariff = SiteFactor(cluster=cluster, kind="tariff", value=0.3, unit="EUR/kWh", source_title="contract")
    add_rows(cluster, [Supply(cluster=cluster, slots=hourly_series(7)), tariff], NOW)


def _free_id() -> int:
    """An id below which all jobs, runs and allocations there are have theirs."""
    newest = (model._default_manager.aggregate(newest=Max("pk"))["newest"] or 0 for model in (Job, Run, Allocation))
    return max(newest)


def _machine(cluster: Cluster) -> list[NodeType]:
    types = [NodeType.objects.create(cluster=cluster, name=name) for name in TYPES]
    named = [(f"{t.name}{i:04d}", t) for t in types for i in range(TYPES[t.name][0])]
    known = {"first_sample_ms": END_MS - DAYS * DAY_MS, "last_sample_ms": END_MS}
    nodes = Node.objects.bulk_create([Node(cluster=cluster, name=name, **known) for name, _ in named])
    NodeConfig.objects.bulk_create(
        [NodeConfig(node=n, node_type=t, cpus=CPUS, rated_w=RATED_W) for n, (_, t) in zip(nodes, named, strict=True)]
    )
    return types


def jobs_frame(count: int, users: int) -> pd.DataFrame:
    """One row a job, oldest first."""
    rng = np.random.default_rng(11)
    start = np.sort(rng.integers(END_MS - DAYS * DAY_MS, END_MS - HOUR_MS, count)) // MS_PER_S * MS_PER_S
    length = np.minimum(rng.exponential(2.5 * HOUR_MS, count).astype(np.int64) + 30_000, 3 * DAY_MS)
    kind = rng.choice(len(TYPES), count, p=[0.8, 0.1, 0.08, 0.02])
    first = np.cumsum([0] + [nodes for nodes, _ in TYPES.values()])
    width = np.array([nodes for nodes, _ in TYPES.values()])
    watts = np.array([mean for _, mean in TYPES.values()])[kind] * rng.uniform(0.2, 1.3, count)
    state = rng.choice(list(STATES), count, p=list(STATES.values())).astype(object)
    end = np.minimum(start + length, END_MS - 1).astype(object)
    running = np.arange(count) >= count - min(RUNNING, count // 10)
    state[running], end[running] = "RUNNING", None
    number = np.arange(count)
    array = (number // ARRAY_TASKS % round(1 / ARRAY_SHARE) == 0) & ~running
    user = np.where(rng.random(count) < HEAVY_SHARE, 0, rng.integers(0, users, count))
    return pd.DataFrame(
        {
            "id": number + 1,
            "raw_id": number + 1_000,
            "array": np.where(array, number // ARRAY_TASKS * ARRAY_TASKS + 1_000, -1),
            "task": number % ARRAY_TASKS,
            "user": user,
            "project": user % PROJECTS,
            "partition": rng.choice(len(PARTITIONS), count, p=[0.8, 0.1, 0.08, 0.02]),
            "state": state,
            "start": start,
            "end": end,
            "elapsed_us": (np.where(running, END_MS, start + length) - start) * US_PER_MS,
            "kind": kind,
            "node": first[kind] + rng.integers(0, width[kind]),
            "watts": watts,
        }
    )


def _insert_jobs(cluster: Cluster, frame: pd.DataFrame) -> None:
    nodes = list(Node.objects.filter(cluster=cluster).order_by("pk").values_list("pk", "name"))
    insert_rows(
        Job,
        "id cluster raw_id job_id array_job_id array_task_id username account name partition qos comment "
        "admin_comment wckey state start_ms end_ms",
        (
            (
                r.id, cluster.pk, r.raw_id, *_ids(r.raw_id, r.array, r.task), f"u{r.user:04d}", f"p{r.project:02d}",
                f"step{r.raw_id % 977}-{'train' if r.raw_id % 10 == 0 else 'solve'}", PARTITIONS[r.partition],
                "normal", "", "", "", r.state, r.start, r.end,
            )
            for r in frame.itertuples(index=False)
        ),
    )  # fmt: skip
    insert_rows(
        Run,
        "id job sluid submit_ms start_ms end_ms state suspended_s cpus exclusive",
        (
            (r.id, r.id, "", r.start - 60_000, r.start, r.end, r.state, 0.0, 64, True)
            for r in frame.itertuples(index=False)
        ),
    )  # fmt: skip
    insert_rows(
        Allocation,
        "id run node_name node start_ms end_ms cpus gpu_mask exclusive",
        (
            (r.id, r.id, nodes[r.node][1], nodes[r.node][0], r.start, r.end, 64, 0, True)
            for r in frame.itertuples(index=False)
        ),
    )
    insert_rows(
        JobEnergy,
        "job energy_j gpu_energy_j filled_j covered_us elapsed_us samples expected_samples gpu_held_us gpu_idle_us "
        "gpu_idle_j reserved_us quality flags",
        (
            (
                r.id, r.watts * r.elapsed_us / 1e6, 0.0, 0.0, r.elapsed_us, r.elapsed_us,
                r.elapsed_us // 10**7, r.elapsed_us / 10**7, 0, 0, 0.0, r.elapsed_us, "metered", 0,
            )
            for r in frame.itertuples(index=False)
        ),
    )  # fmt: skip


def _ids(raw: int, array: int, task: int) -> tuple[str, int | None, int | None]:
    """Shown id, array and task."""
    return (str(raw), None, None) if array < 0 else (f"{array}_{task}", array, task)


_KEYS = ["day", "user", "project", "partition", "state", "kind"]


def _insert_usage(cluster: Cluster, frame: pd.DataFrame, types: list[NodeType]) -> None:
    """The roll-up: a row a day for whatever agrees in all that usage is grouped by."""
    day_ms = frame["start"] // DAY_MS * DAY_MS
    frame = frame.assign(
        day=day_ms, energy=frame["watts"] * frame["elapsed_us"] / 1e6, hour=(frame["start"] - day_ms) // HOUR_MS
    )
    grouped = frame.groupby(_KEYS, sort=True)
    sums = grouped[["energy", "elapsed_us"]].sum().reset_index().assign(hour=grouped["hour"].min().to_numpy())
    blobs = _records(sums)
    days = {ms: adapted(day_from_ms(ms)) for ms in sums["day"].unique().tolist()}
    columns = zip(*(sums[name].tolist() for name in (*_KEYS, "energy", "elapsed_us", "hour")), blobs, strict=True)
    insert_rows(
        UsageDay,
        "cluster day username account partition state workload phase node_type excused first_hour hours energy_j "
        "gpu_energy_j filled_j covered_us elapsed_us samples expected_samples gpu_held_us gpu_idle_us gpu_idle_j "
        "reserved_us quality",
        (
            (
                cluster.pk, days[day], f"u{user:04d}", f"p{project:02d}", PARTITIONS[partition], state, "", "",
                types[kind].pk, state == "NODE_FAIL", hour, blob, energy, 0.0, 0.0, elapsed, elapsed, elapsed // 10**7,
                elapsed / 10**7, 0, 0, 0.0, elapsed, "metered",
            )
            for day, user, project, partition, state, kind, energy, elapsed, hour, blob in columns
        ),
    )  # fmt: skip


def _records(sums: pd.DataFrame) -> list[bytes]:
    """Records of as many hours as the jobs of a row take, those that the day still has at most."""
    elapsed_s = sums["elapsed_us"].to_numpy(np.float64) / 1e6
    hours = np.clip(np.ceil(elapsed_s / 3_600), 1, HOURS_PER_DAY - sums["hour"].to_numpy()).astype(np.int64)
    found = np.empty(len(sums), object)
    for count in np.unique(hours).tolist():
        rows = np.flatnonzero(hours == count)
        records = np.zeros((len(rows), count, RECORD))
        records[:, :, ENERGY] = (sums["energy"].to_numpy()[rows] / (4 * count))[:, None, None]
        for column in (COVERED, ELAPSED, RESERVED):
            records[:, :, column] = (elapsed_s[rows] / count)[:, None]
        found[rows] = [row.tobytes() for row in records]
    return found.tolist()


def _insert_type_days(cluster: Cluster, types: list[NodeType]) -> None:
    days = [day_from_ms(END_MS - (i + 1) * DAY_MS) for i in range(DAYS)]
    TypeDay.objects.bulk_create(
        [
            TypeDay(
                cluster=cluster,
                day=day,
                node_type=node_type,
                nodes=TYPES[node_type.name][0],
                measured_nodes=TYPES[node_type.name][0],
                metered_j=96e6,
                jobs_j=0.0,
                unallocated_j=96e6,
                unplaced_j=0.0,
                covered_us=24 * 3_600 * 10**6,
                off_us=0,
                metered_quarters=_QUARTERS,
                unallocated_quarters=_QUARTERS,
                covered_hours=_HOURS,
            )
            for day in days
            for node_type in types
        ],
        1_000,
    )


def insert_rows(model: type[models.Model], names: str, rows: Iterable[tuple[object, ...]]) -> None:
    """Rows straight into a model's table, in lots."""
    stream = iter(rows)
    while lot := list(islice(stream, ROWS_AT_ONCE)):
        insert(model, names.split(), lot)
