"""What advice needs of jobs beside themselves: what of them falls into a period, and what their nodes are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from django.db.models import QuerySet

from measurements.domain.blame import NOBODYS, WASTED
from measurements.domain.slot_sums import expanded, first_quarter_of
from measurements.domain.units import (
    DAY_MS,
    QUARTER_MS,
    US_PER_S,
    FloatArray,
    IntArray,
    day_from_ms,
)
from measurements.models import Allocation, AllocationEnergy, Job
from measurements.selectors.excused import ended_with_a_node
from measurements.selectors.frames import frame_of

_BYTES_PER_GIB = 1024.0**3
_ROW = ("job_id", "day", "first_quarter", "quarters", "covered_us", "energy_j", "gpu_idle_j")
_HELD = {
    "allocation": "pk", "job": "run__job_id", "run": "run_id", "node": "node_id", "end_ms": "end_ms",
    "alone": "exclusive", "since": "node__configs__valid_from", "node_cpus": "node__configs__cpus",
    "node_memory_bytes": "node__configs__memory_gib", "node_idle_w": "node__configs__idle_w",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Inside:
    """Of k jobs what falls into a period [k]."""

    energy_j: FloatArray  # nan: nothing was measured
    idle_j: FloatArray
    covered_s: FloatArray


def inside_of(jobs: IntArray, start_ms: int, end_ms: int) -> Inside:
    """Sums of the ledger's quarter hours in [start, end); a day's idle energy and time are spread as in the roll-up."""
    days = {"day__gte": day_from_ms(start_ms), "day__lte": day_from_ms(end_ms - 1)}
    rows = AllocationEnergy.objects.filter(job__in=jobs.tolist(), **days).order_by("pk")
    frame = frame_of(rows.values_list(*_ROW), _ROW)
    place = pd.Series(np.arange(len(jobs)), index=jobs)
    owner = place[frame["job_id"]].to_numpy(np.int64) if len(frame) else np.zeros(0, np.int64)
    midnight = np.array([first_quarter_of(day) for day in frame["day"]], np.int64)
    row, quarter, joules = expanded(midnight + frame["first_quarter"].to_numpy(np.int64), frame["quarters"].tolist())
    keep = (quarter >= start_ms // QUARTER_MS) & (quarter < -(-end_ms // QUARTER_MS))
    energy, idle, covered_us = (frame[name].to_numpy(np.float64) for name in ("energy_j", "gpu_idle_j", "covered_us"))
    idle_share = np.divide(idle, energy, out=np.zeros(len(frame)), where=energy > 0)
    sizes = np.bincount(row, minlength=len(frame))
    kept = np.bincount(row[keep], minlength=len(frame)) / np.maximum(sizes, 1)
    inside_us = np.bincount(owner, covered_us * kept, len(jobs)).astype(np.float64)
    drawn = np.bincount(owner[row[keep]], joules[keep], len(jobs)).astype(np.float64)
    return Inside(
        energy_j=np.where(inside_us > 0, drawn, np.nan),
        idle_j=np.bincount(owner[row[keep]], joules[keep] * idle_share[row[keep]], len(jobs)).astype(np.float64),
        covered_s=inside_us / US_PER_S,
    )


def held_nodes(jobs: QuerySet[Job, Any] | list[int]) -> pd.DataFrame:
    """What jobs held, a row a node and description of it (none: one row without); in no order; one query."""
    rows = Allocation.objects.filter(run__job__in=jobs).order_by()
    frame = pd.DataFrame(list(rows.values_list(*_HELD.values())), columns=list(_HELD))
    frame["since"] = pd.to_datetime(frame["since"]).to_numpy("datetime64[D]").astype(np.int64)
    frame["alone"] = frame["alone"].eq(other=True)  # None: not stated
    numbers = ["node", "end_ms", "node_cpus", "node_memory_bytes", "node_idle_w"]
    frame[numbers] = frame[numbers].astype(np.float64)
    frame["node_memory_bytes"] *= _BYTES_PER_GIB
    return frame


def excused_of(jobs: pd.DataFrame, held: pd.DataFrame) -> pd.Series[bool]:
    """Which jobs the machine ended, as in the roll-up (`selectors/excused.py`); one query where any failed."""
    known = held[["job", "node", "end_ms"]].dropna().drop_duplicates()
    failed = known[known["job"].isin(jobs.loc[jobs["state"].isin(WASTED), "key"])].astype(np.int64)
    return jobs["state"].isin(NOBODYS) | jobs["key"].isin(ended_with_a_node(failed))


def node_parts(jobs: pd.DataFrame, held: pd.DataFrame) -> pd.DataFrame:
    """How many nodes each job's last run held, and of a single one its description when the job began."""
    rows = held[held["run"].isin(jobs["run"])]
    one_each = rows.drop_duplicates("allocation").groupby("run")["alone"]
    found = pd.DataFrame({"nodes": one_each.size().astype(np.float64), "alone": one_each.any()})
    day = jobs.set_index("run")["start_ms"].to_dict()
    began = rows["run"].map(day) // DAY_MS
    # A node that was described later had its first description before.
    rank = np.where(rows["since"] <= began, rows["since"], -1e9 - rows["since"])
    newest = rows.assign(rank=rank).sort_values("rank", kind="stable").drop_duplicates("run", keep="last")
    described = newest.set_index("run")[["node_cpus", "node_memory_bytes", "node_idle_w"]]
    found = found.join(described.where(found["nodes"].reindex(described.index) == 1))
    return found.reindex(jobs["run"]).set_index(jobs.index)
