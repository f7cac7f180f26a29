"""Jobs of a workload as rows to compare: made anew with the job's total, by this module alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from django.db.models import QuerySet
from pandas.core.groupby import SeriesGroupBy

from measurements.domain.figures import estimated_j
from measurements.domain.scopes import MeterScope, scope_of
from measurements.domain.units import US_PER_S, day_from_ms
from measurements.models import Job, NodeConfig, WorkloadJob
from measurements.models.workloads import LOTS
from measurements.selectors.excused import excused_jobs
from measurements.selectors.frames import frame_of
from measurements.selectors.meters import meters_at
from measurements.services.bulk import insert

_JOB = {
    "job": "pk",
    "cluster": "cluster_id",
    **{name: name for name in ("username", "account", "workload", "phase", "state", "start_ms", "end_ms")},
    **{name: f"tags__{name}" for name in ("size", "target", "unit", "work")},
}
_SUMS = {  # of allocations: the column, and what to divide it by
    "held_s": ("elapsed_us", US_PER_S),
    "energy_j": ("energy_j", 1.0),
    "gpu_energy_j": ("gpu_energy_j", 1.0),
    "gpu_held_s": ("gpu_held_us", US_PER_S),
    "gpu_idle_s": ("gpu_idle_us", US_PER_S),
    "gpu_idle_j": ("gpu_idle_j", 1.0),
}
_HELD = ["node_type", "node", "nodes", "cpus", "gpus", "runtime_s", "estimate_j", "coverage", "scope", *_SUMS]
FIELDS = [*_JOB, *_HELD, "excused", "quality", "lot"]
_SPREAD = 2_654_435_761  # Knuth's multiplier: ids in a row fall into lots far apart


def write_workload_jobs(jobs: QuerySet[Job], rows: list[tuple[Any, ...]]) -> None:
    """Put the rows of some jobs in the place of those they had."""
    WorkloadJob.objects.filter(job__in=jobs).delete()
    insert(WorkloadJob, FIELDS, rows)


def workload_rows(jobs: QuerySet[Job], held: pd.DataFrame, quality: Mapping[int, str]) -> list[tuple[Any, ...]]:
    """Rows of those of some jobs that have ended, with a workload, on known nodes, as values of `FIELDS`.

    ``held`` has what the jobs held, one row an allocation, filled (`measurements.domain.figures.fill`); ``quality``
    that of their totals.
    """
    wanted = jobs.exclude(workload="").filter(start_ms__isnull=False, end_ms__isnull=False).order_by("pk")
    listed = frame_of(wanted.values_list(*_JOB.values()), list(_JOB))
    held = held[held["job_id"].isin(listed["job"]) & (held["elapsed_us"] > 0)]
    if held.empty:
        return []
    rows = listed.merge(_sums(_described(held)), left_on="job", right_index=True)
    rows[["size", "target", "unit"]] = rows[["size", "target", "unit"]].fillna("")
    excused = excused_jobs(dict(zip(rows["job"].tolist(), rows["state"].tolist(), strict=True)))
    rows["excused"] = rows["job"].isin(excused)
    rows["quality"] = rows["job"].map(quality)
    rows["lot"] = lots(rows["job"].to_numpy(np.int64))
    table = rows[FIELDS].astype(object)
    return list(table.where(table.notna(), None).itertuples(index=False, name=None))


def lots(jobs: np.ndarray[tuple[int], np.dtype[np.int64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """0 to 9999 for each id, as if drawn by chance, always the same."""
    return ((jobs.astype(np.uint64) * np.uint64(_SPREAD) >> np.uint64(8)) % np.uint64(LOTS)).astype(np.int64)


def _sums(held: pd.DataFrame) -> pd.DataFrame:
    """By job: what it held and drew."""
    of_run = held.groupby(["job_id", "run_id"])
    runs = pd.DataFrame(
        {"wall_us": of_run["wall_us"].max(), "cpus": of_run["cpus"].sum(min_count=1), "gpus": of_run["gpus"].sum()}
    ).groupby("job_id")
    by_job = held.groupby("job_id")
    found = pd.DataFrame({name: by_job[column].sum() / unit for name, (column, unit) in _SUMS.items()})
    found["coverage"] = by_job["covered_us"].sum() / by_job["elapsed_us"].sum()
    found["estimate_j"] = by_job["estimate_j"].sum().where(by_job["estimate_j"].count() == by_job.size())
    found["node_type"], found["node"] = _only(by_job["node_type"]), _only(by_job["known_node"])
    found["scope"] = _only(by_job["scope"]).fillna(MeterScope.MIXED).astype(np.int64)
    found["nodes"] = of_run["node_name"].nunique().groupby("job_id").max()
    found["runtime_s"] = runs["wall_us"].sum() / US_PER_S
    found["cpus"], found["gpus"] = runs["cpus"].max(), runs["gpus"].max().astype(np.int64)
    for name in ("node_type", "node", "cpus"):  # may be missing, are whole numbers
        found[name] = found[name].astype("Int64")
    return found


def _only(values: SeriesGroupBy[Any]) -> pd.Series:
    """Of each group the one value that all have; nan if they differ, or one is missing."""
    least = values.min()
    return least.where((least == values.max()) & (values.count() == values.size()))


def _described(held: pd.DataFrame) -> pd.DataFrame:
    """With node type and meter scope of each allocation when it began, and the estimate from its runtime."""
    nodes = held["node_id"].to_numpy(np.int64)
    starts = held["start_ms"].to_numpy(np.int64)
    days = [day_from_ms(start) for start in starts.tolist()]
    configs = _configs(np.unique(nodes).tolist())
    at = [_on(configs.get(node, []), day) for node, day in zip(nodes.tolist(), days, strict=True)]
    keys = list(zip(nodes.tolist(), (day.toordinal() for day in days), strict=True))
    meters = meters_at(dict(zip(keys, starts.tolist(), strict=True)))
    scopes = {key: scope_of(meters[key], has_gpus=row[1]) for key, row in zip(keys, at, strict=True)}
    elapsed_s = held["elapsed_us"].to_numpy(np.float64) / US_PER_S
    return held.assign(
        known_node=np.where(nodes > 0, nodes, np.nan),
        node_type=[np.nan if row[0] is None else float(row[0]) for row in at],
        scope=[int(scopes[key]) for key in keys],
        cpus=pd.to_numeric(held["cpus"]).astype(np.float64),
        gpus=pd.to_numeric(held["gpus"]).fillna(0),
        estimate_j=estimated_j(held, elapsed_s),
    )


_Config = tuple[date, int | None, bool]  # since when, node type, whether it has GPUs


def _configs(nodes: list[int]) -> dict[int, list[_Config]]:
    found: dict[int, list[_Config]] = {}
    rows = NodeConfig.objects.filter(node__in=nodes).order_by("valid_from")
    for node, since, node_type, gpus in rows.values_list("node_id", "valid_from", "node_type_id", "gpus"):
        found.setdefault(node, []).append((since, node_type, bool(gpus)))
    return found


def _on(periods: list[_Config], day: date) -> tuple[int | None, bool]:
    """Type, and whether there are GPUs, on a day; a node not yet described then is as it was described first."""
    if not periods:
        return None, False
    return next((row[1:] for row in reversed(periods) if row[0] <= day), periods[0][1:])
