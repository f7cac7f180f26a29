"""Node types beside each other, by cluster and name: mean power is no efficiency, and is not ranked."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest
from django.utils import timezone
from ninja import Field, Query, Router, Schema

from measurements.models import Cluster
from measurements.selectors.node_types import NodeTypes, TypeReport, node_types
from portal.api.forms import Days
from portal.views.node_types import reader_of

LONGEST_DAYS = 366
router = Router(tags=["node types"])


class Spread(Schema):
    """How the mean power of nodes lies."""

    nodes: int
    first_quartile_w: float
    median_w: float
    third_quartile_w: float


class HeldGpus(Schema):
    """GPUs that jobs held, as far as it is known whether they were idle."""

    mean_power_w: Annotated[float | None, Field(description="of one GPU by its own meter, while a job held it")]
    held_s: float
    idle_s: float
    idle_j: float


class Checks(Schema):
    """Whether meters seem to include the GPUs: nodes."""

    checked: int
    told: Annotated[int, Field(description="of which it can be told from the power")]
    includes_but_declared_without: int
    excludes_but_declared_with: int


class Type(Schema):
    """A node type; null: not known, or not measured."""

    cluster: str
    node_type: str
    nodes: int
    measured_nodes: int
    metered_j: Annotated[float | None, Field(description="null: nothing was measured")]
    share_of_cluster: float | None
    mean_power_per_node_hour_w: Annotated[float | None, Field(description="mean power while measured: no efficiency")]
    mean_power_per_core_hour_w: float | None
    mean_power_per_gpu_hour_w: Annotated[float | None, Field(description="of the whole node, by its GPUs")]
    unallocated_energy_share: float | None
    unheld_time_share: Annotated[float | None, Field(description="of the time in which nodes were on")]
    coverage: float | None
    gpus_held: Annotated[HeldGpus | None, Field(description="null: not known, or one may not see it")]
    spread: Annotated[Spread | None, Field(description="null: not measured, or of too few nodes to be shown")]
    meter_scopes: Annotated[dict[str, int], Field(description="what meters cover: nodes")]
    scope_checks: Checks


class Types(Schema):
    """The types of a period."""

    since: date
    until: date
    spread_days: Annotated[int, Field(description="UTC days that the spread is of")]
    node_types: list[Type]


@router.get("/node-types", response=Types)
def types(request: HttpRequest, days: Query[Days], cluster: str = "") -> dict[str, Any]:
    """All node types that there are, or those of one cluster; UTC days, a year of them at most."""
    since, until = days.bounds()
    since = max(since, until - timedelta(days=LONGEST_DAYS))
    last = max(until - timedelta(days=1), since)
    clusters = Cluster.objects.visible_to(request.user)
    reader = reader_of(request.user)
    report = node_types(clusters, since, last, ZoneInfo("UTC"), timezone.now(), reader, cluster)
    if report is None:
        raise Http404("no such cluster")
    return as_json(report, until)


def as_json(report: NodeTypes, until: date) -> dict[str, Any]:
    """As the interface gives it."""
    rows = [_row(kind) for kind in report.types]
    return {"since": report.first, "until": until, "spread_days": report.looked_at, "node_types": rows}


def _row(kind: TypeReport) -> dict[str, Any]:
    figures, held, checks = kind.figures, kind.gpus_held, kind.kind.checks
    measured = bool(figures.covered_s)
    return {
        "cluster": kind.drawn.cluster,
        "node_type": kind.name,
        "nodes": kind.drawn.nodes,
        "measured_nodes": kind.drawn.measured_nodes,
        "metered_j": figures.metered_j if measured else None,
        "share_of_cluster": kind.share if measured else None,
        "mean_power_per_node_hour_w": figures.mean_node_w,
        "mean_power_per_core_hour_w": kind.core_w,
        "mean_power_per_gpu_hour_w": kind.gpu_w,
        "unallocated_energy_share": figures.unallocated_share,
        "unheld_time_share": kind.unheld_share,
        "coverage": figures.coverage,
        "gpus_held": held
        and {"mean_power_w": held.mean_w, **{n: getattr(held, n) for n in ("held_s", "idle_s", "idle_j")}},
        "spread": kind.spread
        and {
            "nodes": kind.spread.n,
            "first_quartile_w": kind.spread.low,
            "median_w": kind.spread.median,
            "third_quartile_w": kind.spread.high,
        },
        "meter_scopes": {scope.name.lower(): nodes for scope, nodes in kind.scopes.items()},
        "scope_checks": {
            "checked": checks.checked,
            "told": checks.told,
            "includes_but_declared_without": checks.includes,
            "excludes_but_declared_with": checks.excludes,
        },
    }
