"""One job as its page shows it: figures, nodes, runs, what the meter covers, the runtime-only estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import pandas as pd

from measurements.domain.chain import Footprint
from measurements.domain.estimate import RuntimeEstimate, runtime_estimate
from measurements.domain.figures import BOOKING_FIELDS, by_allocation, fill, summed, summed_by
from measurements.domain.hostlist import compress
from measurements.domain.nodeday import Flag, Policy
from measurements.domain.quality import ratio
from measurements.domain.units import MS_PER_S, US_PER_MS, US_PER_S, datetime_from_ms, day_from_ms
from measurements.models import Allocation, AllocationEnergy, DirtyJob, Job, PolicyPeriod, Run
from measurements.selectors.allocations import allocation_figures
from measurements.selectors.job_emissions import jobs_footprint
from measurements.selectors.meters import JobMeter, meters_of


class Unmeasured(StrEnum):
    """Why nothing of a job was measured."""

    NOT_STARTED = "not_started"
    NO_TIME = "no_time"
    UNKNOWN_NODES = "unknown_nodes"
    NOT_BOOKED = "not_booked"
    NO_METER = "no_meter"
    NO_SAMPLES = "no_samples"


@dataclass(frozen=True, slots=True)
class Figures:
    """Energy of a job, or of a part of it, and how sure it is."""

    energy_j: float | None  # metered; None: nothing was
    gpu_energy_j: float  # part of energy_j
    filled_j: float  # reported or estimated instead; not part of energy_j
    covered_s: float  # node-seconds
    elapsed_s: float  # node-seconds
    samples: int
    expected_samples: float
    quality: str
    flags: Flag
    gpu_held_s: float = 0.0  # GPU-seconds held of which it is known whether the GPU was idle; 0: not known
    gpu_idle_s: float = 0.0  # part of gpu_held_s
    gpu_idle_j: float = 0.0  # drawn in gpu_idle_s; part of gpu_energy_j

    @property
    def gpu_idle_share(self) -> float | None:
        """Idle ÷ held time of its GPUs; None where it is not known."""
        return ratio(self.gpu_idle_s, self.gpu_held_s)

    @property
    def coverage(self) -> float | None:
        """Covered ÷ elapsed, 0 to 1."""
        return ratio(self.covered_s, self.elapsed_s)

    @property
    def density(self) -> float | None:
        """Samples ÷ those expected at the nominal interval; may be a little above 1."""
        return ratio(self.samples, self.expected_samples)

    @property
    def mean_node_w(self) -> float | None:
        """Mean power of one node while it was metered [W]."""
        return ratio(self.energy_j, self.covered_s) if self.energy_j is not None else None


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """What a job drew on one of its nodes."""

    node: str
    known: bool  # whether the site knows such a node
    figures: Figures


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One run of a job."""

    sluid: str
    started_at: datetime | None
    ended_at: datetime | None
    state: str
    elapsed_s: float | None
    suspended_s: float
    nodes: str  # a hostlist
    node_count: int
    reported_j: float | None  # the batch system's own figure


@dataclass(frozen=True, slots=True)
class JobReport:
    """All that a job's page shows, except its power curve."""

    job: Job
    figures: Figures
    mean_w: float | None  # of all its nodes together, while metered
    unmeasured: Unmeasured | None
    nodes: tuple[NodeFigures, ...]
    runs: tuple[RunFigures, ...]
    meters: tuple[JobMeter, ...]
    estimate: RuntimeEstimate
    shared: bool  # somewhere it was given less than the whole rest of its node
    policy: Policy
    being_booked: bool
    booked_to: datetime | None  # of a running job: up to when it is booked
    footprint: Footprint  # emissions, cost and water, with every step

    @property
    def ratio(self) -> float | None:
        """Metered ÷ estimated from runtime, over the same time."""
        return self.estimate.ratio(self.figures.energy_j) if self.figures.energy_j is not None else None


def job_report(job: Job) -> JobReport:
    """The figures of a job, from its ledger rows."""
    totals = _totals(job)
    figures = figures_of(totals)
    runs = _runs(job)
    meters = meters_of(_held_nodes(totals), job.start_ms or 0, job.end_ms)
    waiting = DirtyJob.objects.filter(job=job).exists()
    return JobReport(
        job=job,
        figures=figures,
        mean_w=mean_power_w(totals, figures),
        unmeasured=_why(job, totals, meters, being_booked=waiting) if figures.energy_j is None else None,
        nodes=_nodes(totals),
        runs=runs,
        meters=meters,
        estimate=runtime_estimate(totals),
        shared=bool(totals["apportioned"].any()),
        policy=_policy(job),
        being_booked=waiting,
        booked_to=_booked_to(totals) if job.end_ms is None else None,
        footprint=jobs_footprint(totals, AllocationEnergy.objects.filter(job=job)),
    )


def _totals(job: Job) -> pd.DataFrame:
    """One row an allocation, its bookings added up, filled and graded."""
    parts = allocation_figures(Allocation.objects.filter(run__job=job))
    rows = AllocationEnergy.objects.filter(job=job).order_by("pk").values_list(*BOOKING_FIELDS)
    return fill(by_allocation(parts, pd.DataFrame(rows, columns=BOOKING_FIELDS)))


def figures_of(totals: pd.DataFrame) -> Figures:
    """The sums over filled allocations of one job."""
    if totals.empty:
        return _figures({**summed(totals), "flags": 0})
    return _figures(summed_by(totals, []).to_dict("records")[0])


def _figures(sums: Mapping[Any, Any]) -> Figures:
    return Figures(
        energy_j=sums["energy_j"] if sums["covered_us"] else None,
        gpu_energy_j=sums["gpu_energy_j"],
        filled_j=sums["filled_j"],
        covered_s=sums["covered_us"] / US_PER_S,
        elapsed_s=sums["elapsed_us"] / US_PER_S,
        samples=sums["samples"],
        expected_samples=sums["expected_samples"],
        quality=sums["quality"],
        flags=Flag(sums["flags"]),
        gpu_held_s=sums["gpu_held_us"] / US_PER_S,
        gpu_idle_s=sums["gpu_idle_us"] / US_PER_S,
        gpu_idle_j=sums["gpu_idle_j"],
    )


def _nodes(totals: pd.DataFrame) -> tuple[NodeFigures, ...]:
    if totals.empty:
        return ()
    known = totals.groupby("node_name")["node_id"].min() > 0
    rows = summed_by(totals, ["node_name"]).to_dict("records")
    return tuple(NodeFigures(row["node_name"], bool(known[row["node_name"]]), _figures(row)) for row in rows)


def wall_time_s(totals: pd.DataFrame) -> float:
    """How long the job ran, as far as it is booked; several runs one after the other."""
    return float(totals.groupby("run_id")["elapsed_us"].max().sum()) / US_PER_S


def mean_power_w(totals: pd.DataFrame, figures: Figures) -> float | None:
    """Mean of one node × the mean number of nodes held."""
    wall_s = wall_time_s(totals)
    if figures.mean_node_w is None or not wall_s:
        return None
    return figures.mean_node_w * figures.elapsed_s / wall_s


def _booked_to(totals: pd.DataFrame) -> datetime | None:
    """How far the bookings of what it still holds reach."""
    open_ones = totals[totals["end_ms"].isna() & (totals["elapsed_us"] > 0)] if len(totals) else totals
    if open_ones.empty:
        return None
    return datetime_from_ms(int((open_ones["start_ms"] + open_ones["elapsed_us"] // US_PER_MS).max()))


def _held_nodes(totals: pd.DataFrame) -> dict[int, str]:
    return {int(pk): str(name) for pk, name in zip(totals["node_id"], totals["node_name"], strict=True) if pk}


def _why(job: Job, totals: pd.DataFrame, meters: tuple[JobMeter, ...], *, being_booked: bool) -> Unmeasured:
    if job.start_ms is None or totals.empty:
        return Unmeasured.NOT_STARTED if job.start_ms is None else Unmeasured.UNKNOWN_NODES
    if not (totals["node_id"] > 0).any():
        return Unmeasured.UNKNOWN_NODES
    if job.end_ms is not None and job.end_ms <= job.start_ms:
        return Unmeasured.NO_TIME
    if being_booked:
        return Unmeasured.NOT_BOOKED
    return Unmeasured.NO_SAMPLES if any(m.channels for m in meters) else Unmeasured.NO_METER


def _runs(job: Job) -> tuple[RunFigures, ...]:
    rows = Run.objects.filter(job=job).order_by("start_ms", "pk").prefetch_related("allocations")
    return tuple(_run(row) for row in rows)


def _run(row: Run) -> RunFigures:
    names = [allocation.node_name for allocation in row.allocations.all()]
    return RunFigures(
        sluid=row.sluid,
        started_at=datetime_from_ms(row.start_ms) if row.start_ms is not None else None,
        ended_at=datetime_from_ms(row.end_ms) if row.end_ms is not None else None,
        state=row.state,
        elapsed_s=(row.end_ms - row.start_ms) / MS_PER_S
        if row.start_ms is not None and row.end_ms is not None
        else None,
        suspended_s=row.suspended_s,
        nodes=compress(names),
        node_count=len(names),
        reported_j=row.consumed_energy_j,
    )


def _policy(job: Job) -> Policy:
    """How shared nodes were split on the day it began."""
    day = day_from_ms(job.start_ms or 0)
    row = PolicyPeriod.objects.filter(cluster=job.cluster_id, valid_from__lte=day).order_by("-valid_from").first()
    return Policy(row.policy) if row else Policy.ALLOCATION
