"""The jobs behind a bar: what each of them drew inside a time, most first; they add up to the bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
from django.db.models import Count, Exists, OuterRef, Q, Subquery, Value

from measurements.domain.blame import WASTED
from measurements.domain.quality import ratio
from measurements.domain.slot_sums import expanded, first_quarter_of
from measurements.domain.units import (
    QUARTER_MS,
    US_PER_MS,
    IntArray,
    datetime_from_ms,
    day_from_ms,
)
from measurements.models import Allocation, AllocationEnergy, Cluster, Job, JobQuerySet, NodeConfig
from measurements.selectors.excused import excused_jobs
from measurements.selectors.frames import frame_of
from measurements.selectors.joblist import REQUEUED_WITHIN_MS
from measurements.selectors.usage import Dimension, Scope

MOST_JOBS = 5_000  # the newest; a bar of more says so
_JOB_FIELD = {
    Dimension.PROJECT: "account",
    Dimension.WORKLOAD: "workload",
    Dimension.PHASE: "phase",
    Dimension.STATE: "state",
    Dimension.PARTITION: "partition",
    Dimension.CLUSTER: "cluster__name",
    Dimension.USER: "username",
}
_JOB_COLUMNS = (
    "pk", "cluster__name", "job_id", "name", "username", "account", "state", "workload", "phase", "start_ms", "end_ms",
    "energy__quality", "energy__energy_j", "energy__covered_us",
)  # fmt: skip
_ROW_COLUMNS = ("job_id", "node_id", "day", "first_quarter", "quarters", "covered_us", "elapsed_us")
Filters = Mapping[Dimension, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class DrawnJob:
    """A job, and what of its energy falls into the time asked for."""

    cluster: str
    job_id: str
    name: str
    username: str
    account: str
    state: str
    workload: str
    phase: str
    start_ms: int
    started_at: datetime
    ended_at: datetime | None  # None: it runs
    inside_j: float | None  # metered; None: nothing was measured, 0: it drew nothing, or took no time
    energy_j: float | None  # of the whole job
    quality: str
    coverage: float | None  # of the days of the time

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class Drawn:
    """Jobs, most energy first."""

    jobs: tuple[DrawnJob, ...]
    energy_j: float  # metered, of all of them
    cut_off: bool  # there are more jobs: these are the newest

    @property
    def measured(self) -> bool:
        """Whether anything of them was."""
        return any(job.inside_j is not None for job in self.jobs)


def drawn_jobs(scope: Scope, filters: Filters, start_ms: int, end_ms: int) -> Drawn:
    """The jobs of a scope that ran in [start, end), both on quarter hours; three queries at most."""
    found = list(_jobs(scope, filters, start_ms, end_ms).values_list(*_JOB_COLUMNS)[: MOST_JOBS + 1])
    listed = found[:MOST_JOBS]
    jobs = pd.DataFrame(listed, columns=list(_JOB_COLUMNS))
    rows = _rows(jobs["pk"].tolist(), start_ms, end_ms)
    if Dimension.NODE_TYPE in filters:
        rows = rows[_of_types(rows, filters[Dimension.NODE_TYPE])]
    inside = _inside(rows, jobs["pk"].to_numpy(np.int64), start_ms, end_ms)
    order = np.lexsort((-jobs["start_ms"].to_numpy(np.float64), -np.nan_to_num(inside["joules"], nan=-1.0)))
    made = [_drawn(listed[i], inside, i) for i in order.tolist()]
    return Drawn(tuple(made), float(np.nansum(inside["joules"])), len(found) > MOST_JOBS)


def jobs_by_state(scope: Scope, filters: Filters, start_ms: int, end_ms: int) -> dict[str, int]:
    """How many jobs of a scope ran in [start, end), by their state; one query."""
    rows = _jobs(scope, filters, start_ms, end_ms).order_by().values_list("state").annotate(count=Count("pk"))
    return dict(rows)


def jobs_failed(scope: Scope, filters: Filters, start_ms: int, end_ms: int) -> int:
    """How many of them came to nothing, and not by the machine's fault; three queries."""
    failed = _jobs(scope, filters, start_ms, end_ms).order_by().filter(state__in=WASTED)
    states = dict(failed.values_list("pk", "state"))
    return len(states.keys() - excused_jobs(states))


def _jobs(scope: Scope, filters: Filters, start_ms: int, end_ms: int) -> JobQuerySet:
    """Those that hold nodes in the time, newest first, along the index of whose they are."""
    longest_ms = Subquery(Cluster.objects.order_by("-longest_run_ms").values("longest_run_ms")[:1])
    jobs = Job.objects.filter(start_ms__lt=end_ms)
    if scope.username is None and scope.projects is None:
        return jobs.none()
    if scope.username is not None:
        jobs = jobs.filter(username=scope.username)
    if scope.projects is not None:
        jobs = jobs.filter(account__in=scope.projects)
    for dimension, values in filters.items():
        if dimension is Dimension.NODE_TYPE:
            held = Allocation.objects.filter(run__job=OuterRef("pk"), node__configs__node_type__name__in=values)
            jobs = jobs.filter(Exists(held))
        else:
            jobs = jobs.filter(**{f"{_JOB_FIELD[dimension]}__in": values})
    return (
        jobs.filter(start_ms__gte=Value(start_ms - REQUEUED_WITHIN_MS) - longest_ms)
        .filter(Q(end_ms__gt=start_ms) | Q(end_ms__isnull=True))
        .order_by("-start_ms", "-pk")
    )


def _rows(jobs: list[int], start_ms: int, end_ms: int) -> pd.DataFrame:
    """Their ledger rows of the time's UTC days."""
    rows = AllocationEnergy.objects.filter(
        job__in=jobs, day__gte=day_from_ms(start_ms), day__lte=day_from_ms(end_ms - 1)
    ).order_by("pk")
    return frame_of(rows.values_list(*_ROW_COLUMNS), _ROW_COLUMNS)


def _of_types(rows: pd.DataFrame, names: tuple[str, ...]) -> Any:
    """Which rows are of nodes that were of these types on their day; a node not yet described has its first type."""
    kinds: dict[int, list[tuple[date, str]]] = {}
    configs = NodeConfig.objects.filter(node__in=set(rows["node_id"].tolist())).order_by("node", "valid_from")
    for node, since, name in configs.values_list("node_id", "valid_from", "node_type__name"):
        kinds.setdefault(node, []).append((since, name))
    pairs = zip(rows["node_id"].tolist(), rows["day"].tolist(), strict=True)
    return np.array([_type_on(kinds.get(node, []), day) in names for node, day in pairs], bool)


def _type_on(periods: list[tuple[date, str]], day: date) -> str:
    held = [name for since, name in periods if since <= day]
    return held[-1] if held else periods[0][1] if periods else ""


def _inside(rows: pd.DataFrame, jobs: IntArray, start_ms: int, end_ms: int) -> dict[str, Any]:
    """Per job its joules inside (nan: not measured), covered and elapsed time of those days."""
    place = pd.Series(np.arange(len(jobs)), index=jobs)
    owner = place[rows["job_id"]].to_numpy(np.int64) if len(rows) else np.zeros(0, np.int64)
    midnight = np.array([first_quarter_of(day) for day in rows["day"]], np.int64)
    row, quarter, joules = expanded(midnight + rows["first_quarter"].to_numpy(np.int64), rows["quarters"].tolist())
    keep = (quarter >= start_ms // QUARTER_MS) & (quarter < -(-end_ms // QUARTER_MS))
    energy = np.bincount(owner[row[keep]], joules[keep], len(jobs))
    covered = np.bincount(owner, rows["covered_us"].to_numpy(np.float64), len(jobs))
    elapsed = np.bincount(owner, rows["elapsed_us"].to_numpy(np.float64), len(jobs))
    # Coverage is known of days only: where a quarter hour of them is missing, a time without a joule was not measured.
    known = (covered > 0) & ((energy != 0) | (elapsed - covered < QUARTER_MS * US_PER_MS))
    return {"joules": np.where(known, energy, np.nan), "covered_us": covered, "elapsed_us": elapsed}


def _drawn(row: tuple[Any, ...], inside: dict[str, Any], place: int) -> DrawnJob:
    said = dict(zip(_JOB_COLUMNS, row, strict=True))
    joules = float(inside["joules"][place])
    if said["start_ms"] == said["end_ms"]:
        joules = 0.0  # it took no time: there was nothing to measure
    return DrawnJob(
        cluster=said["cluster__name"],
        **{name: said[name] for name in ("job_id", "name", "username", "account", "state", "workload", "phase")},
        start_ms=said["start_ms"],
        started_at=datetime_from_ms(said["start_ms"]),
        ended_at=None if said["end_ms"] is None else datetime_from_ms(said["end_ms"]),
        inside_j=None if np.isnan(joules) else joules,
        energy_j=said["energy__energy_j"] if said["energy__covered_us"] else None,
        quality=said["energy__quality"] or "none",
        coverage=ratio(float(inside["covered_us"][place]), float(inside["elapsed_us"][place])),
    )
