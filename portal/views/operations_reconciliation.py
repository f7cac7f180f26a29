"""`/operations/reconciliation/`: from jobs to node meters, and from these up to the facility."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from measurements.selectors.closing import Reconciliation, reconciliation
from measurements.selectors.doubts import DoubtFilter, left_out
from measurements.selectors.meter_figures import Comparison, MeterReport
from portal import wording_doubts
from portal import wording_operations as wording
from portal.csvs import csv_response
from portal.forms import Period
from portal.operations_forms import OPERATIONS_LENGTHS, WeekForm
from portal.quantities import unit_for
from portal.views.operators import (
    chosen_cluster,
    clusters_of,
    operators_only,
    period_context,
    place_of,
    query_of,
    utc_today,
)

NODES_HEADER = (
    *("day_utc", "jobs_j", "unallocated_j", "metered_j", "residue_j", "unplaced_j", "projects_j"),
    *("covered_node_s", "off_node_s"),
)
METERS_HEADER = (
    *("day_utc", "meter", "level", "parent", "read_j", "read_s", "compared_s", "left_out_s", "meter_j"),
    *("meter_unplaced_j", "below_j", "below_unplaced_j", "difference_j", "difference_share"),
    *("unmeasured_node_s", "unmeasured_about_j", "unplaced_elsewhere_j"),
)


@require_safe
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """Show a cluster's days."""
    form = WeekForm(request.GET)
    period = form.period(utc_today())
    clusters = clusters_of(request)
    cluster = chosen_cluster(request, clusters)
    name = cluster.name if cluster else ""
    context: dict[str, Any] = {"cluster": cluster, "clusters": clusters, "report": None}
    if cluster:
        report = reconciliation(request.user, cluster, period.first, period.last)
        context |= _left_out(cluster.name, period)
        context |= _words(report) | _meters(report, place_of(request.GET.get("meter", "")))
    bar = period_context(form, period, OPERATIONS_LENGTHS, cluster=name if len(clusters) > 1 else "")
    context["csv_query"] = f"{period.query}&{query_of(cluster=name)}"
    return render(request, "portal/operations/reconciliation.html", context | bar)


def _left_out(cluster: str, period: Period) -> dict[str, Any]:
    """What plausibility rules leave out of these days, and where that is."""
    found = left_out(DoubtFilter(cluster, first=period.first, before=period.last + timedelta(days=1)))
    link = f"{reverse('doubts')}?{period.query}&{query_of(cluster=cluster)}"
    return {"left_out_sentence": wording_doubts.left_out_sentence(found), "left_out_link": link}


def _words(report: Reconciliation) -> dict[str, Any]:
    return {
        "report": report,
        "nodes_unit": unit_for(max((day.metered_j for day in report.days), default=0.0), "energy"),
        "nodes_sentences": wording.nodes_sentences(report),
        "tree_sentences": wording.tree_sentences(report),
    }


def _meters(report: Reconciliation, wanted: int | None) -> dict[str, Any]:
    """The meters with what their differences consist of; the days of the one asked for, else of the topmost."""
    compared = [meter for meter in report.meters if meter.below]
    opened = next((meter for meter in compared if meter.pk == wanted), None)
    if wanted is not None and opened is None:
        raise Http404("no such meter")
    opened = opened or (compared[-1] if compared else None)
    return {
        "meters": [(meter, wording.difference_sentences(meter, meter.total)) for meter in report.meters],
        "meters_unit": unit_for(max((meter.total.read_j for meter in report.meters), default=0.0), "energy"),
        "opened": opened,
        "opened_unit": unit_for(max((d.figures.read_j for d in opened.days), default=0.0), "energy")
        if opened
        else None,
    }


@require_safe
@operators_only
def table(request: HttpRequest) -> HttpResponseBase:
    """The days as CSV: of nodes, or with ``?table=meters`` of the meters above them."""
    period = WeekForm(request.GET).period(utc_today())
    cluster = chosen_cluster(request, clusters_of(request))
    if cluster is None:
        raise Http404("no cluster")
    report = reconciliation(request.user, cluster, period.first, period.last)
    span = f"{cluster.name}-{period.first}-{period.last}.csv"
    if request.GET.get("table") == "meters":
        return csv_response(f"meters-{span}", METERS_HEADER, _meter_lines(report.meters))
    return csv_response(f"closing-{span}", NODES_HEADER, _node_lines(report))


def _node_lines(report: Reconciliation) -> Iterator[tuple[str | float, ...]]:
    for day in report.days:
        booked = (day.jobs_j, day.unallocated_j, day.metered_j, day.residue_j, day.unplaced_j, day.projects_j)
        yield (day.day.isoformat(), *booked, day.covered_s, day.off_s)


def _meter_lines(meters: tuple[MeterReport, ...]) -> Iterator[tuple[str | float | None, ...]]:
    for meter in meters:
        for day in meter.days:
            yield (day.day.isoformat(), meter.name, meter.level, meter.parent, *_figures(day.figures))


def _figures(row: Comparison) -> tuple[float | None, ...]:
    sides = (row.meter_j, row.meter_unplaced_j, row.below_j, row.below_unplaced_j)
    times = (row.read_s, row.compared_s, row.left_out_s)
    named = (row.unmeasured_s, row.unmeasured_j, row.unplaced_elsewhere_j)
    return (row.read_j, *times, *sides, row.difference_j, row.share, *named)
