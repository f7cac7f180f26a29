"""`/clusters/<cluster>/nodes/<node>/`: one node's power, its jobs, gaps and description; for operators."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from measurements.domain.curves import Curve
from measurements.domain.units import MS_PER_S, datetime_from_ms, day_from_ms, ms_from_datetime
from measurements.models import Node
from measurements.selectors.doubts import DoubtFilter, left_out
from measurements.selectors.node import NodeReport, node_report
from measurements.selectors.node_jobs import Bands, job_bands
from measurements.selectors.scope_checks import check_of, disagrees
from measurements.services.audit import Page
from portal import charts, charts_machine, wording, wording_doubts, wording_machine, wording_node_types
from portal.charts_machine import optional
from portal.csvs import csv_response
from portal.forms import NodeWindow, NodeWindowForm
from portal.noting import note_jobs
from portal.quantities import unit_for
from portal.views.operators import query_of

SPANS = {"day": _("24 hours"), "3days": _("3 days"), "week": _("7 days"), "month": _("31 days")}
GAPS_SHOWN = 100
CSV_HEADER = ("start", "end", "power_w", "min_w", "max_w", "covered_s")


@login_required
@require_safe
def page(request: HttpRequest, cluster: str, node: str) -> HttpResponseBase:
    """Show a node to operators; to anybody else it does not exist."""
    visible = Node.objects.visible_to(request.user).select_related("cluster", "parent")
    shown = get_object_or_404(visible, cluster__name=cluster, name=node)
    now = timezone.now()
    now_ms = ms_from_datetime(now)
    form = NodeWindowForm(request.GET)
    window = form.window(now)
    report = node_report(shown, window.start_ms, window.end_ms, now_ms)
    if request.GET.get("format") == "csv":
        return csv_response(f"{cluster}-{node}-power.csv", CSV_HEADER, _csv_rows(report.curve.curve))
    bands = job_bands(shown, window.start_ms, window.end_ms, now_ms, request.user)
    note_jobs(request, [band.job for band in bands.bands if band.job], Page.NODE)
    context = {
        "node": shown,
        "is_node": shown.level == Node.Level.NODE,
        "form": form,
        "window": window,
        "spans": SPANS,
        "links": _links(window, report, now_ms),
        "report": report,
        "bands": bands,
        "gaps": report.gaps[:GAPS_SHOWN],
        "more_gaps": max(len(report.gaps) - GAPS_SHOWN, 0),
        "zone": timezone.get_default_timezone_name(),
    }
    if left := _left_out(shown, window):
        context["left_out_sentence"], context["left_out_link"] = left
    if check := check_of(shown):
        context["check_sentence"] = wording_node_types.node_check_sentence(check)
        context["check_disagrees"] = disagrees(check)
    return render(
        request, "portal/node.html", context | _words(report, bands) | _channels(report) | _chart(report, bands)
    )


def _left_out(node: Node, window: NodeWindow) -> tuple[str, str] | None:
    """What plausibility rules leave out of the days of the window, and where that is."""
    first, last = day_from_ms(window.start_ms), day_from_ms(window.end_ms - 1)
    wanted = DoubtFilter(node.cluster.name, node.name, first=first, before=last + timedelta(days=1))
    if not (found := left_out(wanted)):
        return None
    query = query_of(cluster=node.cluster.name, node=node.name, first=first, last=last)
    return wording_doubts.left_out_sentence(found), f"{reverse('doubts')}?{query}"


def _links(window: NodeWindow, report: NodeReport, now_ms: int) -> dict[str, str | None]:
    """Addresses of the windows before and after, of the newest sample and of the curve as CSV."""
    newest = report.last_sample_at
    is_far = newest is not None and not window.start_ms <= ms_from_datetime(newest) < window.end_ms
    return {
        "earlier": f"?{window.shifted(-1)}",
        "later": f"?{window.shifted(1)}" if window.end_ms < now_ms else None,
        "newest": f"?{window.behind(newest)}" if newest is not None and is_far else None,
        "csv": f"?{window.query}&format=csv",
    }


def _words(report: NodeReport, bands: Bands) -> dict[str, Any]:
    return {
        "measured_sentence": wording_machine.measured_sentence(report),
        "ledger_sentence": wording_machine.ledger_sentence(report),
        "bands_sentence": wording_machine.bands_sentence(bands),
        "state_sentence": wording_machine.state_sentence(report.state),
        "below_sentence": wording_machine.below_sentence(report.below) if report.below else "",
        "meters": [(meter, wording.meter_sentence(meter)) for meter in report.meters],
    }


def _channels(report: NodeReport) -> dict[str, Any]:
    """Channels with their words, in one unit."""
    has_gpus = bool(report.config and report.config.gpus)
    return {
        "channels": [
            (
                channel,
                wording.SOURCES.get(channel.source, channel.source),
                wording_machine.channel_scope(channel, has_gpus=has_gpus),
                wording_machine.channel_role(channel, report),
            )
            for channel in report.curve.channels
        ],
        "channels_unit": unit_for(max((c.energy_j or 0.0 for c in report.curve.channels), default=0.0), "energy"),
        "children_unit": unit_for(
            max((c.energy_j or 0.0 for c in report.below.children), default=0.0) if report.below else 0.0, "energy"
        ),
    }


def _chart(report: NodeReport, bands: Bands) -> dict[str, Any]:
    """The chart with its table; none where nothing was measured and no job ran."""
    curve = report.curve.curve
    if not curve.covered_ms.any() and not bands.bands:
        return {}
    payload, unit = charts_machine.node_power(report, bands, ZoneInfo(timezone.get_default_timezone_name()))
    return {
        "chart": payload,
        "unit": unit,
        "rows": charts.curve_rows(curve)[::-1],
        "power_sentence": wording_machine.power_sentence(curve.edges_ms, curve.min_w, curve.max_w),
    }


def _csv_rows(curve: Curve) -> Any:
    """The curve as it is drawn: base units, nothing where nothing was measured."""
    edges = [datetime_from_ms(ms) for ms in curve.edges_ms.tolist()]
    columns = (optional(values) for values in (curve.mean_w, curve.min_w, curve.max_w))
    return zip(edges[:-1], edges[1:], *columns, (curve.covered_ms / MS_PER_S).tolist(), strict=True)
