"""Job totals and roll-ups, rebuilt from ledger rows: one writer a key, in numpy, in a fixed order."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
from django.db import transaction
from django.db.models import QuerySet

from measurements.domain.figures import (
    BOOKING_FIELDS,
    FIGURE_FIELDS,
    by_allocation,
    counts_of,
    fill,
    group_of,
    summed_by,
    summed_in,
)
from measurements.domain.packing import packed
from measurements.domain.profiles import FILLED, HOURS_PER_DAY, IDLE, RECORD, RESERVED, Rows, packed_hours, profiles
from measurements.domain.units import US_PER_MS, FloatArray, day_start_ms
from measurements.models import (
    Allocation,
    AllocationEnergy,
    Cluster,
    DirtyDay,
    Job,
    JobEnergy,
    NodeConfig,
    TypeDay,
    UsageDay,
)
from measurements.selectors.allocations import allocation_figures
from measurements.selectors.excused import excused_jobs
from measurements.selectors.frames import frame_of, plain
from measurements.services.bulk import adapted, insert
from measurements.services.marks import claim, dirty_jobs, free, give_back, settle, still_mine
from measurements.services.pricing import hold, price_day
from measurements.services.type_days import type_days
from measurements.services.workload_jobs import workload_rows, write_workload_jobs

JOBS_AT_ONCE = 5_000
_TOTAL_FIELDS = (
    "job_id",
    "energy_j",
    "gpu_energy_j",
    "filled_j",
    "covered_us",
    "elapsed_us",
    "samples",
    "expected_samples",
    "gpu_held_us",
    "gpu_idle_us",
    "gpu_idle_j",
    "reserved_us",
    "quality",
    "flags",
)
_KEYS = ["username", "account", "partition", "state", "workload", "phase", "node_type_id", "excused"]
_TYPE = _KEYS.index("node_type_id")
USAGE_FIELDS = ["cluster", "day", "first_hour", "hours", *_KEYS[:_TYPE], "node_type", "excused", *FIGURE_FIELDS]
_HELD_COLUMNS = {name: plain(name) if name in ("day", "apportioned") else name for name in BOOKING_FIELDS}
_DAY_COLUMNS = {name: field for name, field in _HELD_COLUMNS.items() if name != "day"} | {
    "first_quarter": "first_quarter",
    "quarters": "quarters",
    "node_id": "node_id",
    "job_id": "job_id",
    **{name: f"job__{name}" for name in _KEYS[:6]},
    "cpus": "allocation__cpus",
    "exclusive": plain("allocation__exclusive"),
    "start_ms": "allocation__start_ms",
    "end_ms": "allocation__end_ms",
}


def rebuild_rollups(
    now: Callable[[], datetime], cluster: Cluster | None = None, progress: Callable[[int], None] | None = None
) -> int:
    """Rebuild all dirty job totals and days that nobody else is at; how many keys."""
    done = 0
    while (count := rebuild_next(now(), cluster)) is not None:
        done += count
        if progress:
            progress(count)
    return done


def rebuild_next(now: datetime, cluster: Cluster | None = None, at_once: int = JOBS_AT_ONCE) -> int | None:
    """Rebuild one lot: jobs first, else a day; how many keys, None if nothing is free, 0 if others were quicker."""
    jobs = _next_jobs(now, cluster, at_once)
    return _next_day(now, cluster) if jobs is None else jobs


def _next_jobs(now: datetime, cluster: Cluster | None, at_once: int) -> int | None:
    waiting = dirty_jobs(cluster).filter(free(now))
    if not waiting.exists():
        return None
    marks = claim(waiting.order_by("pk")[:at_once], now)
    if not marks:
        return 0
    jobs = Job.objects.filter(dirty__claimed_by=marks[0].claimed_by)
    held = held_by(jobs)
    totals = summed_by(held, ["job_id"])
    compared = workload_rows(jobs, held, dict(zip(totals["job_id"], totals["quality"], strict=True)))
    with transaction.atomic():
        current = still_mine(marks)
        kept = {mark.job_id for mark in marks if mark.pk in current}
        rows = [row for row in totals[list(_TOTAL_FIELDS)].itertuples(index=False, name=None) if row[0] in kept]
        JobEnergy.objects.filter(job__dirty__claimed_by=marks[0].claimed_by).delete()
        insert(JobEnergy, ["job", *_TOTAL_FIELDS[1:]], rows)
        write_workload_jobs(jobs, [row for row in compared if row[0] in kept])
        settle(marks, current)
    give_back(marks)
    return len(marks)


def held_by(jobs: QuerySet[Job]) -> pd.DataFrame:
    """What some jobs held and drew, one row an allocation, filled where nothing was metered."""
    parts = allocation_figures(Allocation.objects.filter(run__job__in=jobs))
    rows = AllocationEnergy.objects.filter(job__in=jobs).order_by("pk").values_list(*_HELD_COLUMNS.values())
    return fill(by_allocation(parts, frame_of(rows, list(_HELD_COLUMNS))))


def _next_day(now: datetime, cluster: Cluster | None) -> int | None:
    waiting = DirtyDay.objects.filter(free(now))
    if cluster is not None:
        waiting = waiting.filter(cluster=cluster)
    if not waiting.exists():
        return None
    marks = claim(waiting.order_by("cluster", "day")[:1], now)
    for mark in marks:
        node_types = _types_on(mark.cluster, mark.day)
        usage, held, gpus = day_usage(mark.cluster, mark.day, node_types)
        machine = type_days(mark.cluster, mark.day, {node: row[1] for node, row in node_types.items()})
        _add_jobs(machine, held, gpus)
        with transaction.atomic():
            hold(mark.cluster)  # before the mark: ingest, which marks, holds the cluster already
            current = still_mine([mark])
            if current:
                UsageDay.objects.filter(cluster=mark.cluster, day=mark.day).delete()
                TypeDay.objects.filter(cluster=mark.cluster, day=mark.day).delete()
                TypeDay.objects.bulk_create(machine)
                insert(UsageDay, USAGE_FIELDS, usage)
                price_day(mark.cluster, mark.day, now)
                settle([mark], current)
    give_back(marks)
    return len(marks)


_NodeTypes = dict[int, tuple[str, int, float | None, int | None]]  # per node: name, type, rated power, cpus


_Gpus = dict[int, tuple[float, int, int]]  # by node type, of GPUs whose use is known: joules, µs held, of them idle


def day_usage(
    cluster: Cluster, day: date, types: _NodeTypes
) -> tuple[list[tuple[Any, ...]], dict[int, FloatArray], _Gpus]:
    """One UTC day's rows as values of `USAGE_FIELDS`, and by node type the records of its hours [24, 12], and its
    GPUs."""
    frame = _day_frame(day, types)
    if frame.empty:
        return [], {}, {}
    group, count = group_of(frame, _KEYS)
    sums = summed_in(frame, group, count, _KEYS)[[*_KEYS, *FIGURE_FIELDS]]
    hours = profiles(_profile_rows(frame, day), group, count)
    rows = []
    held: dict[int, FloatArray] = {}
    stored_day = adapted(day)
    for row, records in zip(sums.itertuples(index=False, name=None), hours, strict=True):
        rows.append((cluster.pk, stored_day, *packed_hours(records), *row))
        of_type = held.setdefault(row[_TYPE], np.zeros((HOURS_PER_DAY, RECORD)))
        of_type += records
    return rows, held, _gpus(frame)


def _gpus(frame: pd.DataFrame) -> _Gpus:
    """Only of ledger rows of which it is known how long they held GPUs, so that joules and time belong together."""
    known = frame[frame["gpu_held_us"] > 0]
    return {
        int(kind): (math.fsum(rows["gpu_energy_j"]), int(rows["gpu_held_us"].sum()), int(rows["gpu_idle_us"].sum()))
        for kind, rows in known.groupby("node_type_id")
    }


def _add_jobs(machine: list[TypeDay], held: dict[int, FloatArray], gpus: _Gpus) -> None:
    """What the jobs of each node type have, by hour; and what is known of their GPUs."""
    nothing = np.zeros((HOURS_PER_DAY, RECORD))
    for row in machine:
        records = held.get(row.node_type_id, nothing)
        row.filled_hours = packed(records[:, FILLED])
        row.reserved_hours = packed(records[:, RESERVED])
        row.idle_hours = packed(records[:, IDLE].sum(axis=1))
        row.gpu_energy_j, row.gpu_held_us, row.gpu_idle_us = gpus.get(row.node_type_id, (0.0, 0, 0))


def _profile_rows(frame: pd.DataFrame, day: date) -> Rows:
    start_ms = day_start_ms(day)
    energy_j, idle_j = (frame[name].to_numpy(np.float64) for name in ("energy_j", "gpu_idle_j"))
    return Rows(
        first_quarter=frame["first_quarter"].to_numpy(np.int64),
        quarters=frame["quarters"].tolist(),
        begin_us=(np.maximum(frame["start_ms"].to_numpy(np.int64), start_ms) - start_ms) * US_PER_MS,
        elapsed_us=frame["elapsed_us"].to_numpy(np.int64),
        covered_us=frame["covered_us"].to_numpy(np.int64),
        reserved_us=frame["reserved_us"].to_numpy(np.int64),
        filled_j=frame["filled_j"].to_numpy(np.float64),
        idle_share=np.divide(idle_j, energy_j, out=np.zeros(len(frame)), where=energy_j > 0),
    )


def _day_frame(day: date, types: _NodeTypes) -> pd.DataFrame:
    """A day's ledger rows with whose they are, what kind of node they ran on, and what is filled."""
    rows = AllocationEnergy.objects.filter(node_id__in=types, day=day).order_by("pk")
    frame = frame_of(rows.values_list(*_DAY_COLUMNS.values()), list(_DAY_COLUMNS))
    if frame.empty:
        return frame
    node = frame["node_id"].to_numpy(np.int64)
    table = {key: np.full(int(node.max()) + 1, np.nan) for key in ("node_type_id", "rated_w", "node_cpus", "node_name")}
    for rank, (node_id, (_, *description)) in enumerate(sorted(types.items(), key=lambda item: item[1][0])):
        if node_id < len(table["rated_w"]):
            values = (*description, rank)  # for sorting, the place of its name stands for it
            for key, value in zip(table, values, strict=True):
                table[key][node_id] = np.nan if value is None else value
    for key, values_of_nodes in table.items():
        frame[key] = values_of_nodes[node]
    frame["node_type_id"] = frame["node_type_id"].astype(np.int64)
    frame["reserved_us"] = counts_of(frame["reserved_us"])
    states = dict(zip(frame["job_id"].tolist(), frame["state"].tolist(), strict=True))
    frame["excused"] = frame["job_id"].isin(excused_jobs(states))
    frame["run_id"], frame["consumed_j"], frame["wall_us"] = 0, np.nan, 0  # a reported figure has no days
    return fill(frame)


def _types_on(cluster: Cluster, day: date) -> _NodeTypes:
    """Per node its name, type, rated power and cpus on a UTC day; a node not yet described then has its first one."""
    rows = NodeConfig.objects.filter(node__cluster=cluster).order_by("valid_from")
    found: _NodeTypes = {}
    for node, since, name, node_type, rated_w, cpus in rows.values_list(
        "node_id", "valid_from", "node__name", "node_type_id", "rated_w", "cpus"
    ):
        if node not in found or since <= day:
            found[node] = (name, node_type, rated_w, cpus)
    return found
