"""`/node-types/`: types of nodes beside each other, in the order of their names. Sums of the machine, nobody's name."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser, User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.models import Cluster
from measurements.selectors.node_types import NodeTypes, Reader, TypeReport, node_types
from portal import charts_node_types, wording_node_types
from portal.charts_node_types import label
from portal.forms import LENGTHS, Period, PeriodForm
from portal.quantities import unit_for


def reader_of(user: User | AnonymousUser) -> Reader:
    """What somebody may see of node types."""
    operates = user.has_perm("measurements.view_operations")
    return Reader(operates, operates or user.has_perm("measurements.view_all_jobs"), settings.SMALLEST_GROUP)


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Show all types that the reader may see, or those of one cluster."""
    name = request.GET.get("cluster", "")
    zone = ZoneInfo(timezone.get_default_timezone_name())
    now = timezone.now()
    today = timezone.localdate(now, zone)
    form = PeriodForm(request.GET)
    period = form.period(today)
    reader = reader_of(request.user)
    report = node_types(Cluster.objects.visible_to(request.user), period.first, period.last, zone, now, reader, name)
    if report is None:
        raise Http404("no such cluster")
    kept = {"cluster": name} if name else {}
    context = {
        "form": form,
        "period": period,
        "lengths": LENGTHS,
        "today": today,
        "kept": kept,
        "links": _links(period, today, kept),
        "clusters": ("", *report.every_cluster) if len(report.every_cluster) > 1 else (),
        "chosen": name,
        "period_query": period.query,
        "report": report,
        "operates": reader.nodes,
        "summary": wording_node_types.summary(report),
        "no_efficiency": wording_node_types.no_efficiency(),
        "rows": [_Row(report, kind) for kind in report.types],
        "energy_unit": unit_for(max((kind.figures.metered_j for kind in report.types), default=0.0), "energy"),
        "idle_unit": _idle_unit(report),
        "sees_gpus": reader.gpus,
        "for_operators": "" if reader.gpus else wording_node_types.for_operators(report),
    }
    return render(request, "portal/node_types.html", context | _charts(report, zone))


class _Row:
    """A type with its words."""

    def __init__(self, report: NodeTypes, kind: TypeReport) -> None:
        self.kind = kind
        self.label = label(report, kind)
        self.cores = wording_node_types.parts_words(kind.kind.cores)
        self.gpus = wording_node_types.parts_words(kind.kind.gpus)
        self.meter = wording_node_types.meter_words(kind)


def _idle_unit(report: NodeTypes) -> Any:
    return unit_for(max((kind.gpus_held.idle_j for kind in report.types if kind.gpus_held), default=0.0), "energy")


def _links(period: Period, today: date, kept: dict[str, str]) -> dict[str, str | None]:
    """Addresses of the periods before and after."""
    more = f"&{urlencode(kept)}" if kept else ""
    later = period.shifted(1)
    return {
        "earlier": f"?{period.shifted(-1).query}{more}",
        "later": f"?{later.query}{more}" if later.first <= today else None,
    }


def _charts(report: NodeTypes, zone: ZoneInfo) -> dict[str, Any]:
    """Charts with their tables and sentences, where there is something to show."""
    found: dict[str, Any] = {}
    if lines := charts_node_types.over_time(report, zone):
        found["lines"], found["lines_unit"] = lines
        found["line_rows"] = charts_node_types.time_rows(report, lines[1])
        found["line_heads"] = [label(report, kind) for kind in report.types]
        found["line_sentence"] = wording_node_types.over_time_sentence(report)
    if ranges := charts_node_types.among_nodes(report):
        found["ranges"], _unit = ranges
        found["range_sentence"] = wording_node_types.among_nodes_sentence(report)
    return found
