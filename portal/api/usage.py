"""One's own usage by time and group: what the page `/` shows, as data."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Query, Router, Schema
from pydantic import model_validator

from measurements.domain.usage import Granularity
from measurements.selectors.usage import Asked, Dimension, Scope, usage
from measurements.selectors.usage_json import usage_json
from portal.api.forms import DEFAULT_DAYS, LONGEST_DAYS, Emissions
from portal.forms import EARLIEST_YEAR, LATEST_YEAR

MOST_HOURS_DAYS = 31
router = Router(tags=["usage"])


class UsageQuestion(Schema):
    """Days [first, last] of the site's zone, bars, groups, filters; the last 30 days if none are named."""

    first: date | None = None
    last: Annotated[date | None, Field(description="the last day, included")] = None
    group_by: Dimension = Dimension.NODE_TYPE
    bars: Granularity = Granularity.DAY
    node_type: list[str] = []
    project: list[str] = []
    workload: list[str] = []
    phase: list[str] = []
    state: list[str] = []
    partition: list[str] = []
    cluster: list[str] = []

    @model_validator(mode="after")
    def bounded(self) -> UsageQuestion:
        """Days in order, and no more bars than can be answered at once."""
        first, last = self.days()
        if first.year < EARLIEST_YEAR or last.year > LATEST_YEAR:
            raise ValueError(f"give days between {EARLIEST_YEAR} and {LATEST_YEAR}")
        if last < first:
            raise ValueError("last lies before first")
        longest = MOST_HOURS_DAYS if self.bars is Granularity.HOUR else LONGEST_DAYS
        if (last - first).days >= longest:
            raise ValueError(f"more than {longest} days: ask for them in parts")
        return self

    def days(self) -> tuple[date, date]:
        """Both days, whatever was said."""
        last = self.last or timezone.localdate()
        return self.first or last - timedelta(days=DEFAULT_DAYS - 1), last

    def asked(self) -> Asked:
        """As the selector takes it."""
        filters = {name: tuple(getattr(self, name.value, ())) for name in Dimension if getattr(self, name.value, ())}
        zone = ZoneInfo(timezone.get_default_timezone_name())
        return Asked(*self.days(), zone, self.bars, self.group_by, filters)


class Usage(Emissions):
    """Sums by bar and group, and the whole."""

    first: date
    last: date
    zone: str
    bars: list[dict[str, str]]
    group_by: str | None
    groups: Annotated[list[str], Field(description="most energy first")]
    filters: dict[str, list[str]]
    energy_j: Annotated[float, Field(description="metered")]
    filled_j: Annotated[float, Field(description="reported or estimated for what was not metered")]
    wasted_j: Annotated[float, Field(description="metered, of jobs that came to nothing and of idle GPUs")]
    covered_s: float
    elapsed_s: Annotated[float, Field(description="node-seconds; 0: no job ran")]
    coverage: float | None
    currency: str | None
    cells: Annotated[
        dict[str, list[list[float | None]]],
        Field(description="by quantity, of each bar a list of groups; null: not known"),
    ]


@router.get("/users/me/usage", response=Usage)
def me(request: HttpRequest, question: Query[UsageQuestion]) -> dict[str, Any]:
    """One's own jobs by time and group."""
    return usage_json(usage(Scope(username=request.user.get_username()), question.asked()))
