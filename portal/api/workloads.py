"""Workloads: which there are, their node types side by side, and what a job would draw elsewhere."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Field, Query, Router, Schema
from pydantic import model_validator

from measurements.models import Cluster
from measurements.selectors.like_jobs import like_jobs
from measurements.selectors.lookup import find_jobs
from measurements.selectors.workload_json import elsewhere_json, report_json
from measurements.selectors.workload_report import Asked, Span, workload_report
from measurements.selectors.workloads import workloads
from measurements.services.audit import Page
from portal.forms import EARLIEST_YEAR, LATEST_YEAR
from portal.noting import note_jobs

router = Router(tags=["workloads"])


class WorkloadRow(Schema):
    """A workload; null: its jobs are others', and are not counted."""

    workload: str
    jobs: int | None
    energy_j: Annotated[float | None, Field(description="metered")]
    phases: list[str]
    units: Annotated[list[str], Field(description="of declared work")]
    last_ended: datetime | None
    own: Annotated[bool, Field(description="some of the jobs are yours")]


class WorkloadQuestion(Schema):
    """A period, and one size, target and unit; of days only one's own jobs, unless one may see all."""

    period: Span = Span.ALL
    first: date | None = None
    last: Annotated[date | None, Field(description="the last day, included")] = None
    size: str | None = None
    target: str | None = None
    unit: str | None = None

    @model_validator(mode="after")
    def bounded(self) -> WorkloadQuestion:
        """Both days or neither, in order."""
        if (self.first is None) != (self.last is None):
            raise ValueError("give both days of the period")
        if self.first and self.last:
            if self.last < self.first:
                raise ValueError("last lies before first")
            if self.first.year < EARLIEST_YEAR or self.last.year > LATEST_YEAR:
                raise ValueError(f"give days between {EARLIEST_YEAR} and {LATEST_YEAR}")
        return self


class Lying(Schema):
    """How values lie; the interval is that of the median, at 90 %, null of one job."""

    first_quartile: float
    median: float
    third_quartile: float
    median_interval: list[float] | None


class WorkloadType(Schema):
    """Completed jobs on one node type, measured throughout."""

    node_type: str
    whose: Annotated[str, Field(description="all, crowd (enough people) or own")]
    jobs: int
    rank: Annotated[int | None, Field(description="1 + those proven to draw less")]
    worst_rank: int | None
    not_ranked_because: str | None
    ties: Annotated[list[str], Field(description="node types it cannot be told apart from")]
    energy_per_unit_j: Lying | None
    energy_j: Lying
    runtime_s: Lying
    metered_by_estimate: Annotated[Lying | None, Field(description="metered ÷ rated power × time")]
    idle_gpu_share: Annotated[float | None, Field(description="of the energy; null: not known, or not told")]
    energy_per_unit_without_idle_j: float | None
    failed_energy_j: Annotated[float | None, Field(description="of such jobs that did not complete; null: not told")]
    accelerated: bool
    meter_scope: str


class WorkloadFlip(Schema):
    """Two node types whose order by a guess is not the metered one."""

    guess: Annotated[str, Field(description="estimate or runtime")]
    less: str
    more: str
    metered_ratio: float
    guessed_ratio: float
    proven: bool


class WithoutAccelerators(Schema):
    """A node type without accelerators against the best one with them, in median energy per unit of work."""

    node_type: str
    accelerated: str
    ratio: float
    interval: list[float]
    verdict: Annotated[str, Field(description="near, untold, less or more")]


class FrontPoint(Schema):
    """Jobs that did one amount of work on a node type."""

    node_type: str
    jobs: int
    runtime_s: Lying
    energy_j: Lying
    on_front: bool


class WorkloadFront(Schema):
    """Time to solution against energy to solution, of equal work."""

    work: float
    unit: str
    points: list[FrontPoint]


class WorkloadComparison(Schema):
    """Node types of one phase, size, target and unit, least energy first."""

    phase: str
    size: str
    target: str
    unit: Annotated[str, Field(description="of the declared work; empty: none is declared")]
    ranked: bool
    not_ranked_because: str | None
    node_types: list[WorkloadType]
    flips: list[WorkloadFlip]
    without_accelerators: list[WithoutAccelerators]
    front: WorkloadFront | None


class WorkloadFigures(Schema):
    """What a workload drew, as far as one may see it."""

    workload: str
    period: str
    first: date | None
    last: date | None
    own_jobs_only: bool
    sample: Annotated[bool, Field(description="of many jobs some, drawn by lot")]
    comparisons: list[WorkloadComparison]
    left_out: Annotated[dict[str, int] | None, Field(description="jobs in no comparison; null: not told")]


class Predicted(Schema):
    """The middle, and the interval that holds eight of ten."""

    median: float
    low: float
    high: float


class ElsewhereType(Schema):
    """One node type; null: of fewer than three jobs."""

    node_type: str
    whose: str
    jobs: int
    here: Annotated[bool, Field(description="where the job itself ran")]
    energy_j: Predicted | None
    runtime_s: Predicted | None


class Elsewhere(Schema):
    """What a job would draw on each node type, from jobs of like work."""

    basis: Annotated[str, Field(description="work, workload (no work declared: weaker) or name (own jobs: weaker)")]
    missing: Annotated[str | None, Field(description="workload or jobs: why nothing is said of other node types")]
    phase: str
    size: str
    target: str
    work: float | None
    unit: str
    node_types: list[ElsewhereType]


@router.get("/workloads", response=list[WorkloadRow])
def listed(request: HttpRequest) -> list[dict[str, Any]]:
    """Own workloads with their sums, the names of those that enough people run; all for whoever may see all jobs."""
    return [
        {
            "workload": line.name,
            "jobs": line.jobs,
            "energy_j": line.energy_j,
            "phases": line.phases,
            "units": line.units,
            "last_ended": line.last_seen,
            "own": line.own,
        }
        for line in workloads(request.user, timezone.now())
    ]


@router.get("/workloads/{path:name}", response=WorkloadFigures)
def workload(request: HttpRequest, name: str, question: Query[WorkloadQuestion]) -> dict[str, Any]:
    """The figures of a workload's page; 404 where nothing of it may be shown."""
    asked = Asked(question.period, question.first, question.last, question.size, question.target, question.unit)
    report = None if "\0" in name else workload_report(request.user, name, asked, timezone.now())
    if report is None:
        raise Http404
    return report_json(report)


@router.get("/jobs/{cluster}/{job}/elsewhere", response=Elsewhere)
def elsewhere(request: HttpRequest, cluster: str, job: str) -> dict[str, Any]:
    """What a job would draw on other node types. Where an id was used again: the newest."""
    machine = get_object_or_404(Cluster.objects.visible_to(request.user), name=cluster)
    found = find_jobs(machine, job).visible_to(request.user)[:1]
    if not found:
        raise Http404
    note_jobs(request, found, Page.API_JOB)
    return elsewhere_json(like_jobs(found[0], request.user, timezone.now()))
