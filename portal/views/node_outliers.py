"""`/node-types/nodes/`: nodes that draw more than others for the same work; for operators."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.domain.comparison import LEVEL
from measurements.domain.outliers import LEAST_JOBS, LEAST_NODES, MORE
from measurements.models import Cluster
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.outliers import node_outliers
from portal import wording_node_types
from portal.forms import LENGTHS, PeriodForm
from portal.views.operators import operators_only


@require_safe
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """Show those of all clusters in a period; to anybody else it does not exist."""
    zone = ZoneInfo(timezone.get_default_timezone_name())
    today = timezone.localdate(timezone.now(), zone)
    form = PeriodForm(request.GET)
    period = form.period(today)
    bounds = day_bounds_ms(period.first, period.last, zone)
    found = node_outliers(list(Cluster.objects.visible_to(request.user)), int(bounds[0]), int(bounds[-1]))
    later = period.shifted(1)
    context = {
        "form": form,
        "period": period,
        "lengths": LENGTHS,
        "today": today,
        "links": {
            "earlier": f"?{period.shifted(-1).query}",
            "later": f"?{later.query}" if later.first <= today else None,
        },
        "outliers": found,
        "rows": [(one, wording_node_types.more(one.found)) for one in found.found],
        "sentence": wording_node_types.outliers_sentence(found),
        "rule": wording_node_types.outliers_rule(LEAST_JOBS, LEAST_NODES, MORE, LEVEL),
    }
    return render(request, "portal/node_outliers.html", context)
