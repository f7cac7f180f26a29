"""What the interface takes and gives, as its description shows it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any

from django.utils import timezone
from ninja import Field, Schema
from pydantic import model_validator

from measurements.selectors.energy import Period

DEFAULT_DAYS = 30
LONGEST_DAYS = 732


class Days(Schema):
    """UTC days [since, until); the last 30 if neither is said."""

    since: Annotated[date | None, Field(description="first UTC day")] = None
    until: Annotated[date | None, Field(description="first UTC day not included any more")] = None

    @model_validator(mode="after")
    def bounded(self) -> Days:
        """No more days than can be answered at once."""
        since, until = self.bounds()
        if (until - since).days > LONGEST_DAYS:
            raise ValueError(f"more than {LONGEST_DAYS} days: ask for them in parts")
        return self

    def bounds(self) -> tuple[date, date]:
        """Both days, whatever was said."""
        until = self.until or timezone.now().date() + timedelta(days=1)
        since = self.since or until - timedelta(days=DEFAULT_DAYS)
        return since, max(until, since)

    def period(self) -> Period:
        """As selectors take it."""
        return Period(*self.bounds())


class Emissions(Schema):
    """Emissions, cost and water with every step."""

    emissions_g_co2e: Annotated[
        float | None, Field(description="operational, location-based, of metered and filled energy; null: no intensity")
    ]
    emissions_market_g_co2e: float | None
    embodied_g_co2e: Annotated[float | None, Field(description="of reserved node-hours, central value")]
    facility_energy_j: Annotated[float, Field(description="with shared infrastructure and PUE")]
    cost: Annotated[dict[str, float], Field(description="by currency")]
    water_l: float | None
    steps: Annotated[
        list[dict[str, Any]],
        Field(description="metered, filled, infrastructure, pue, …: each with its figures and factors"),
    ]
    factor_edition: Annotated[str, Field(description="names the set of factors; empty: none")]


class Energy(Emissions):
    """What jobs drew, and how sure that is."""

    energy_j: Annotated[float, Field(description="booked and filled")]
    booked_j: Annotated[float, Field(description="metered")]
    filled_j: Annotated[float, Field(description="reported or estimated for what was not metered")]
    gpu_energy_j: float
    covered_s: float
    elapsed_s: Annotated[float, Field(description="node-seconds")]
    coverage: float | None
    density: float | None
    quality: str
    samples: int
    jobs: int
    cpu_hours: float
    node_hours: float
    gpu_hours: float
    wall_hours: float
    gpu_held_s: float
    gpu_idle_s: float
    gpu_idle_j: float


class JobEnergy(Energy):
    """A job with its runs and nodes."""

    job: str
    state: str
    runs: list[dict[str, Any]]
    nodes: list[dict[str, Any]]


class ClusterRow(Schema):
    """A cluster."""

    name: str


class ClusterEnergy(Schema):
    """A cluster's sums: of its jobs, and its own."""

    cluster: str
    since: date
    until: date
    metered_j: float
    jobs_j: float
    unallocated_j: float
    jobs: Emissions
    unallocated: Emissions


class Slot(Schema):
    """A quarter hour of a cluster's electricity."""

    start: datetime
    g_co2e_per_kwh: float | None
    market_g_co2e_per_kwh: float | None
    pue: float | None
    rung: Annotated[str, Field(description="how the intensity is known: measured, estimated, monthly, yearly, …")]


class ProjectMonth(Schema):
    """A month of a project, in the site's time zone; null: not shown, or not known."""

    month: Annotated[str, Field(description="YYYY-MM")]
    shown: Annotated[bool, Field(description="false: of too few people, or nothing ran")]
    energy_j: Annotated[float | None, Field(description="metered")]
    filled_j: Annotated[float | None, Field(description="reported or estimated where nothing was metered")]
    emissions_g_co2e: Annotated[float | None, Field(description="operational, location-based")]
    failed_j: Annotated[float | None, Field(description="of energy_j: of jobs that came to nothing")]
    idle_j: Annotated[float | None, Field(description="of energy_j: of idle GPUs of the other jobs")]
