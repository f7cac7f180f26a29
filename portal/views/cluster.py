"""`/clusters/`: what a machine draws, and how much of that is known. Sums only; single nodes are for operators."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.domain.units import ms_from_datetime
from measurements.models import Cluster, Node
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.emissions import cluster_footprints
from measurements.selectors.machine import ClusterReport, cluster_report
from measurements.selectors.nodelist import NodesPage, nodes_page
from portal import charts_machine, cluster_emissions, wording_machine
from portal.forms import MACHINE_LENGTHS, MachinePeriodForm, Period
from portal.quantities import unit_for

NAME_LENGTH = 255


@login_required
@require_safe
def clusters(request: HttpRequest) -> HttpResponse:
    """List the machines; where there is one, show it."""
    found = list(Cluster.objects.visible_to(request.user))
    if len(found) == 1:
        return redirect("cluster", found[0].name)
    return render(request, "portal/clusters.html", {"clusters": found})


@login_required
@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    """Show a machine to whoever is logged in, and its nodes to operators."""
    cluster = get_object_or_404(Cluster.objects.visible_to(request.user), name=name)
    zone = ZoneInfo(timezone.get_default_timezone_name())
    now = timezone.now()
    today = timezone.localdate(now, zone)
    form = MachinePeriodForm(request.GET)
    period = form.period(today)
    report = cluster_report(cluster, period.first, period.last, zone, now)
    now_ms = ms_from_datetime(now)
    context = {
        "cluster": cluster,
        "form": form,
        "period": period,
        "lengths": MACHINE_LENGTHS,
        "today": today,
        "links": _links(period, today),
        "report": report,
        "sentences": wording_machine.cluster_sentences(report),
        "wall_sentence": wording_machine.wall_sentence(report.total),
        "freshness": wording_machine.freshness_sentences(report.machine, now_ms),
        "types_unit": unit_for(max((t.figures.metered_j for t in report.types), default=0.0), "energy"),
    }
    nodes = Node.objects.visible_to(request.user).filter(cluster=cluster)
    if not nodes.query.is_empty():  # an operator, then
        text, after = (request.GET.get(key, "").strip()[:NAME_LENGTH] for key in ("q", "after"))
        found = nodes_page(nodes, report.machine.newest_ms, now_ms, text, after)
        context |= {
            "nodes": found,
            "text": text,
            "paged": bool(after),
            "nodes_links": _nodes_links(period, text, found),
        }
    context["emissions"] = _emissions(cluster, report, zone, now_ms)
    return render(request, "portal/cluster.html", context | _charts(report, zone))


def _emissions(cluster: Cluster, report: ClusterReport, zone: ZoneInfo, now_ms: int) -> dict[str, Any]:
    """Of its jobs, and its own; nothing where no energy was booked."""
    start_ms, *_, end_ms = day_bounds_ms(report.first, report.last, zone).tolist()
    return cluster_emissions.shown(cluster_footprints(cluster, start_ms, end_ms, now_ms, rows=report.rows))


def _charts(report: ClusterReport, zone: ZoneInfo) -> dict[str, Any]:
    """Charts with their tables and sentences; none where there is nothing to show."""
    if not report.total.covered_s:
        return {}
    unit = charts_machine.energy_unit(report)
    end_ms = int(day_bounds_ms(report.last, report.last, zone)[-1])
    energy, energy_rows = charts_machine.energy_split(report, unit)
    wall, wall_rows = charts_machine.wall_time(report)
    power = report.power
    power_chart, power_unit = charts_machine.power_over_time(power, zone, end_ms)
    return {
        "unit": unit,
        "energy_sentence": wording_machine.energy_sentence(report),
        "energy": energy,
        "energy_rows": energy_rows,
        "wall": wall,
        "wall_rows": wall_rows,
        "power": power_chart,
        "power_unit": power_unit,
        "power_rows": charts_machine.power_rows(power, power_unit, zone),
        "power_sentence": wording_machine.power_sentence(power.edges_ms, power.power_w, power.power_w),
    }


def _links(period: Period, today: date) -> dict[str, str | None]:
    """Addresses of the periods before and after."""
    later = period.shifted(1)
    return {
        "earlier": f"?{period.shifted(-1).query}",
        "later": f"?{later.query}" if later.first <= today else None,
    }


def _nodes_links(period: Period, text: str, found: NodesPage) -> dict[str, str | None]:
    """Addresses of the list's first page and of the next one."""
    query = period.query + ("&" + urlencode({"q": text}) if text else "")
    following = urlencode({"after": found.next_name})
    return {"first": f"?{query}", "next": f"?{query}&{following}" if found.next_name else None}
