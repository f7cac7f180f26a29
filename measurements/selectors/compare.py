"""Some jobs side by side: what runtime says of them, and what the meter says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from django.contrib.auth.models import AbstractUser, AnonymousUser

from measurements.domain.estimate import RuntimeEstimate, runtime_estimate
from measurements.domain.figures import BOOKING_FIELDS, by_allocation, fill
from measurements.domain.quality import FULL_COVERAGE
from measurements.domain.units import day_from_ms
from measurements.models import Allocation, AllocationEnergy, Cluster, Job, NodeConfig
from measurements.selectors.allocations import allocation_figures
from measurements.selectors.frames import frame_of
from measurements.selectors.job import Figures, figures_of, mean_power_w, wall_time_s
from measurements.selectors.lookup import answers_to, by_ids

MOST_COMPARED = 8  # side by side on a page


@dataclass(frozen=True, slots=True)
class Pick:
    """A job as an address names it."""

    cluster: str
    job_id: str
    start_ms: int | None = None  # tells jobs of the same id apart; None: the newest


@dataclass(frozen=True, slots=True)
class ComparedJob:
    """One job of a comparison."""

    job: Job
    figures: Figures
    mean_w: float | None
    runtime_s: float
    estimate: RuntimeEstimate
    node_types: tuple[str, ...]
    nodes: int
    cpus: int | None  # held by its last run; None: not known
    gpus: int
    shared: bool

    @property
    def whole(self) -> bool:
        """Whether enough of it was measured to be compared."""
        return self.figures.energy_j is not None and (self.figures.coverage or 0.0) >= FULL_COVERAGE

    @property
    def ratio(self) -> float | None:
        """Metered ÷ estimated from runtime, over the same time."""
        return self.estimate.ratio(self.figures.energy_j) if self.figures.energy_j is not None else None


def picked_jobs(viewer: AbstractUser | AnonymousUser, picks: Sequence[Pick]) -> list[Job] | None:
    """The jobs that are named, each once; None if the viewer may not see one of them, or if there is no such job."""
    clusters = dict(Cluster.objects.visible_to(viewer).values_list("name", "pk"))
    ids = by_ids([(clusters[pick.cluster], pick.job_id) for pick in picks if pick.cluster in clusters])
    jobs = list(
        Job.objects.visible_to(viewer).filter(pk__in=ids).select_related("cluster").order_by("-start_ms", "-pk")
    )
    found = [next((job for job in jobs if _is(job, pick)), None) for pick in picks]
    known = [job for job in found if job is not None]
    return list({job.pk: job for job in known}.values()) if len(known) == len(picks) else None


def _is(job: Job, pick: Pick) -> bool:
    same = job.cluster.name == pick.cluster and answers_to(job, pick.job_id)
    return same and pick.start_ms in (None, job.start_ms)


def compare_jobs(jobs: Sequence[Job]) -> tuple[ComparedJob, ...]:
    """The figures of some jobs, in their order."""
    ids = [job.pk for job in jobs]
    parts = allocation_figures(Allocation.objects.filter(run__job__in=ids))
    rows = AllocationEnergy.objects.filter(job__in=ids).order_by("pk").values_list(*BOOKING_FIELDS)
    totals = fill(by_allocation(parts, frame_of(rows, BOOKING_FIELDS)))
    types = _types(totals)
    return tuple(_compared(job, totals[totals["job_id"] == job.pk], types) for job in jobs)


def _compared(job: Job, totals: pd.DataFrame, types: list[tuple[int, date, str]]) -> ComparedJob:
    figures = figures_of(totals)
    last = totals[totals["run_id"] == totals["run_id"].iloc[-1]] if len(totals) else totals
    cpus = pd.to_numeric(last["cpus"]).fillna(last["node_cpus"]).to_numpy(np.float64)
    return ComparedJob(
        job=job,
        figures=figures,
        mean_w=mean_power_w(totals, figures),
        runtime_s=wall_time_s(totals) if len(totals) else 0.0,
        estimate=runtime_estimate(totals),
        node_types=_types_of(set(totals["node_id"]), job.start_ms or 0, types),
        nodes=int(last["node_name"].nunique()),
        cpus=int(cpus.sum()) if len(cpus) and not np.isnan(cpus).any() else None,
        gpus=int(pd.to_numeric(last["gpus"]).fillna(0).sum()),
        shared=bool(totals["apportioned"].any()),
    )


def _types(totals: pd.DataFrame) -> list[tuple[int, date, str]]:
    nodes = [int(node) for node in set(totals["node_id"]) if node]
    rows = NodeConfig.objects.filter(node__in=nodes).order_by("node", "valid_from")
    return list(rows.values_list("node_id", "valid_from", "node_type__name"))


def _types_of(nodes: set[int], start_ms: int, types: list[tuple[int, date, str]]) -> tuple[str, ...]:
    """Of some nodes on the day a job began; a node not yet described then has its first type."""
    found: dict[int, str] = {}
    for node, since, name in types:
        if node in nodes and (node not in found or since <= day_from_ms(start_ms)):
            found[node] = name
    return tuple(sorted(set(found.values())))
