"""The energy of a job, a user, a project, a node or a cluster, unrounded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from django.db.models import Max, Min, Q, QuerySet
from django.utils import timezone

from measurements.domain.chain import NOTHING, Footprint
from measurements.domain.figures import BOOKING_FIELDS, by_allocation, fill, summed
from measurements.domain.hostlist import compress
from measurements.domain.quality import ratio
from measurements.domain.steps import steps
from measurements.domain.units import DAY_MS, S_PER_HOUR, US_PER_S, datetime_from_ms, day_start_ms, ms_from_datetime
from measurements.models import Allocation, AllocationEnergy, Cluster, Job, Node, NodeDay, Run, TypeDay
from measurements.selectors.allocations import allocation_figures
from measurements.selectors.emissions import cluster_footprints
from measurements.selectors.frames import frame_of
from measurements.selectors.job_emissions import jobs_footprint

_FAR_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class Period:
    """UTC days [since, until); None is open."""

    since: date | None = None
    until: date | None = None

    @property
    def bounds_ms(self) -> tuple[int, int]:
        """As instants."""
        start = day_start_ms(self.since) if self.since else 0
        return start, day_start_ms(self.until) if self.until else _FAR_MS

    def days(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Rows with a ``day`` in the period."""
        if self.since:
            rows = rows.filter(day__gte=self.since)
        return rows.filter(day__lt=self.until) if self.until else rows


@dataclass(frozen=True, slots=True)
class Energy:
    """What was drawn, by whom it was asked for; joules, seconds and hours are not rounded."""

    energy_j: float  # booked and filled
    booked_j: float  # metered
    filled_j: float  # reported or estimated for what was not metered
    gpu_energy_j: float
    covered_s: float
    elapsed_s: float  # node-seconds
    coverage: float | None
    density: float | None
    quality: str
    samples: int
    jobs: int
    cpu_hours: float
    node_hours: float
    gpu_hours: float
    wall_hours: float
    gpu_held_s: float  # GPU-seconds of which it is known whether the GPU was idle; 0: not measured
    gpu_idle_s: float
    gpu_idle_j: float  # part of gpu_energy_j
    footprint: Footprint
    more: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As the command and the API give it."""
        names = [name for name in self.__dataclass_fields__ if name not in {"footprint", "more"}]
        return {name: getattr(self, name) for name in names} | emissions_json(self.footprint) | self.more


def emissions_json(found: Footprint) -> dict[str, Any]:
    """The chain as plain data: the headline, what stands beside it, and every step."""
    return {
        "emissions_g_co2e": found.location_g,
        "emissions_market_g_co2e": found.market_g,
        "embodied_g_co2e": found.embodied.central_g if found.embodied else None,
        "facility_energy_j": found.facility_j,
        "cost": dict(found.cost),
        "water_l": found.water_l,
        "steps": steps(found),
        "factor_edition": found.factor_edition,
    }


def energy_of_jobs(jobs: QuerySet[Job], period: Period) -> Energy:
    """Of jobs: a user's, a project's, a cluster's."""
    return _energy(Allocation.objects.filter(run__job__in=jobs), AllocationEnergy.objects.filter(job__in=jobs), period)


def energy_of_job(jobs: list[Job], period: Period) -> Energy:
    """Of one job, or of an array's or het job's jobs, with its runs and nodes."""
    ids = [job.pk for job in jobs]
    allocations = Allocation.objects.filter(run__job__in=ids)
    booked = AllocationEnergy.objects.filter(job__in=ids)
    frame = _frame(allocations, booked, period)
    more = {"job": jobs[0].job_id, "state": jobs[0].state, "runs": _runs(ids), "nodes": _nodes(frame)}
    return _summed(frame, _footprint(frame, booked, period), more)


def energy_of_node(node: Node, period: Period) -> Energy:
    """Of the jobs on a node, beside what its meter says."""
    more = _metered(NodeDay.objects.filter(node=node), period)
    return _energy(Allocation.objects.filter(node=node), AllocationEnergy.objects.filter(node=node), period, more)


def energy_of_cluster(cluster: Cluster, period: Period) -> Energy:
    """Of all jobs of a cluster, beside what its nodes' meters say."""
    more = _metered(compute_days(cluster), period) | _own_emissions(cluster, period)
    allocations = Allocation.objects.filter(run__job__cluster=cluster)
    return _energy(allocations, AllocationEnergy.objects.filter(job__cluster=cluster), period, more)


def compute_days(cluster: Cluster) -> QuerySet[NodeDay]:
    """The node-days of a cluster's nodes; meters above nodes are not added to them."""
    return NodeDay.objects.filter(cluster=cluster, node__level=Node.Level.NODE)


def _metered(rows: QuerySet[NodeDay], period: Period) -> dict[str, Any]:
    columns = ["metered_j", "unallocated_j", "unplaced_j"]
    values = period.days(rows).order_by("day", "node__name").values_list(*columns)
    frame = frame_of(values, columns)
    return {name: total(frame[name]) for name in columns}


def _own_emissions(cluster: Cluster, period: Period) -> dict[str, Any]:
    """What the cluster emits beside its jobs: unallocated energy, and node-hours that no job reserved."""
    span = period.days(TypeDay.objects.filter(cluster=cluster)).aggregate(first=Min("day"), last=Max("day"))
    if span["first"] is None:
        return {"unallocated": emissions_json(NOTHING)}
    end_ms = day_start_ms(span["last"]) + DAY_MS
    found = cluster_footprints(cluster, day_start_ms(span["first"]), end_ms, ms_from_datetime(timezone.now()))
    return {"unallocated": emissions_json(found.own)}


def total(values: Iterable[float]) -> float:
    """The sum in the order given."""
    array = np.fromiter(values, np.float64)
    return float(np.add.accumulate(array)[-1]) if len(array) else 0.0


def _energy(
    allocations: QuerySet[Allocation],
    booked: QuerySet[AllocationEnergy],
    period: Period,
    more: dict[str, Any] | None = None,
) -> Energy:
    frame = _frame(allocations, booked, period)
    return _summed(frame, _footprint(frame, booked, period), more or {})


def _footprint(frame: pd.DataFrame, booked: QuerySet[AllocationEnergy], period: Period) -> Footprint:
    return jobs_footprint(frame, period.days(booked), period.bounds_ms[0])


def _frame(allocations: QuerySet[Allocation], booked: QuerySet[AllocationEnergy], period: Period) -> pd.DataFrame:
    start, end = period.bounds_ms
    inside = Q(start_ms__lt=end) & (Q(end_ms__gt=start) | Q(end_ms__isnull=True) | Q(start_ms__gte=start))
    parts = allocation_figures(allocations.filter(inside))
    rows = period.days(booked).order_by("pk").values_list(*BOOKING_FIELDS)
    bookings = frame_of(rows, BOOKING_FIELDS)
    bookings = bookings[bookings["allocation_id"].isin(parts["allocation_id"])]
    return fill(by_allocation(parts, bookings, start, end))


def _summed(frame: pd.DataFrame, footprint: Footprint, more: dict[str, Any]) -> Energy:
    figures = summed(frame)
    hours = frame["elapsed_us"].to_numpy(np.float64) / US_PER_S / S_PER_HOUR
    # A job that states no cpus has its whole node's.
    cpus = pd.to_numeric(frame["cpus"]).fillna(frame["node_cpus"]).fillna(0).to_numpy(np.float64)
    gpus = pd.to_numeric(frame["gpus"]).fillna(0).to_numpy(np.float64)
    wall = frame.groupby("run_id", sort=False)["elapsed_us"].max().to_numpy(np.float64) / US_PER_S / S_PER_HOUR
    return Energy(
        energy_j=figures["energy_j"] + figures["filled_j"],
        booked_j=figures["energy_j"],
        filled_j=figures["filled_j"],
        gpu_energy_j=figures["gpu_energy_j"],
        covered_s=figures["covered_us"] / US_PER_S,
        elapsed_s=figures["elapsed_us"] / US_PER_S,
        coverage=ratio(figures["covered_us"], figures["elapsed_us"]),
        density=ratio(figures["samples"], figures["expected_samples"]),
        quality=figures["quality"],
        samples=figures["samples"],
        jobs=int(frame["job_id"].nunique()),
        cpu_hours=float((cpus * hours).sum()),
        node_hours=float(hours.sum()),
        gpu_hours=float((gpus * hours).sum()),
        wall_hours=float(wall.sum()),
        gpu_held_s=figures["gpu_held_us"] / US_PER_S,
        gpu_idle_s=figures["gpu_idle_us"] / US_PER_S,
        gpu_idle_j=figures["gpu_idle_j"],
        footprint=footprint,
        more=more,
    )


def _runs(job_ids: list[int]) -> list[dict[str, Any]]:
    runs = Run.objects.filter(job__in=job_ids).order_by("start_ms", "pk").prefetch_related("allocations")
    return [
        {
            "start": _iso(run.start_ms),
            "end": _iso(run.end_ms),
            "state": run.state,
            "elapsed_s": (run.end_ms - run.start_ms) / 1000 if run.start_ms and run.end_ms else None,
            "suspended_s": run.suspended_s,
            "nodes": compress([a.node_name for a in run.allocations.all()]),
        }
        for run in runs
    ]


def _iso(ms: int | None) -> str | None:
    return None if ms is None else datetime_from_ms(ms).isoformat().replace("+00:00", "Z")


def _nodes(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {"node": name, "known": bool((group["node_id"] > 0).all())} | _of_node(group)
        for name, group in frame.groupby("node_name", sort=True)
    ]


def _of_node(group: pd.DataFrame) -> dict[str, Any]:
    figures = summed(group)
    return {
        "energy_j": figures["energy_j"] + figures["filled_j"],
        "gpu_energy_j": figures["gpu_energy_j"],
        "covered_s": figures["covered_us"] / US_PER_S,
        "elapsed_s": figures["elapsed_us"] / US_PER_S,
        "coverage": ratio(figures["covered_us"], figures["elapsed_us"]),
        "density": ratio(figures["samples"], figures["expected_samples"]),
        "quality": figures["quality"],
    }
