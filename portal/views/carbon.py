"""`/carbon/`: the grid's hours, a cluster's load over them, and what that emitted. Sums only."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.domain.carbon import Part
from measurements.models import Cluster
from measurements.selectors.equivalents import equivalents
from measurements.selectors.grid import GridReport, grid_report
from portal import charts_carbon, wording_carbon
from portal.forms import MACHINE_LENGTHS, MachinePeriodForm, Period
from portal.usage_view import MARKET
from portal.wording_equivalents import equivalents_in_words


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Show one cluster's grid over a period; the first one's, where the address names none."""
    clusters = list(Cluster.objects.visible_to(request.user).order_by("name"))
    if not clusters:
        return render(request, "portal/carbon.html", {"clusters": clusters})
    cluster = _chosen(clusters, request.GET.get("cluster", ""))
    zone = ZoneInfo(timezone.get_default_timezone_name())
    now = timezone.now()
    today = timezone.localdate(now, zone)
    form = MachinePeriodForm(request.GET)
    period = form.period(today)
    report = grid_report(cluster, period.first, period.last, zone, now)
    method = chosen_method(request, report.whole.market_g)
    kept = ({"cluster": cluster.name} if len(clusters) > 1 else {}) | method
    later = period.shifted(1)
    context = {
        "clusters": clusters,
        "cluster": cluster,
        "form": form,
        "period": period,
        "lengths": MACHINE_LENGTHS,
        "today": today,
        "kept": kept,
        "links": {
            "earlier": address(period.shifted(-1), kept),
            "later": address(later, kept) if later.first <= today else None,
        },
        "others": [(other, address(period, method | {"cluster": other.name})) for other in clusters],
        "methods": method_links(report.whole.market_g, method, period, kept),
        "market": bool(method),
        "report": report,
        "operates": request.user.has_perm("measurements.view_operations"),
    }
    return render(request, "portal/carbon.html", context | _shown(report, zone, market=bool(method)))


def _chosen(clusters: list[Cluster], name: str) -> Cluster:
    found = next((cluster for cluster in clusters if cluster.name == name), None if name else clusters[0])
    if found is None:
        raise Http404("no such cluster")
    return found


def address(period: Period, kept: dict[str, str]) -> str:
    """A page's address: the period, and what else it keeps."""
    return f"?{period.query}" + (f"&{urlencode(kept)}" if kept else "")


def chosen_method(request: HttpRequest, market_g: float | None) -> dict[str, str]:
    """What of the address says that market-based figures come first; nothing where there are none."""
    return {"method": MARKET} if request.GET.get("method") == MARKET and market_g is not None else {}


def method_links(
    market_g: float | None, method: dict[str, str], period: Period, kept: dict[str, str]
) -> list[tuple[bool, str, bool]]:
    """The switch: (market-based, address, this one); none where nothing is market-based."""
    if market_g is None:
        return []
    others = {name: value for name, value in kept.items() if name != "method"}
    return [
        (False, address(period, others), not method),
        (True, address(period, others | {"method": MARKET}), bool(method)),
    ]


def _shown(report: GridReport, zone: ZoneInfo, *, market: bool) -> dict[str, Any]:
    """Charts, sentences and tables; none of them where no intensity is known."""
    if report.mean_g_per_kwh is None:
        return {}
    load, unit = charts_carbon.load_over_time(report, zone)
    whole = report.whole
    like = equivalents(whole.facility_j, whole.location_g)
    return {
        "intensity": charts_carbon.intensity_over_time(report, zone),
        "load": load,
        "load_unit": unit,
        "rows": charts_carbon.curve_rows(report, unit),
        "grid_sentences": wording_carbon.grid_sentences(report),
        "load_sentences": wording_carbon.load_sentences(report.timing),
        "shift_sentences": wording_carbon.shift_sentences(report.shifts),
        "rung_sentence": wording_carbon.rung_sentence(whole, Part.MARKET if market else Part.LOCATION),
        "in_force": wording_carbon.in_force(report.prices),
        "equivalents": equivalents_in_words(like),
    }
