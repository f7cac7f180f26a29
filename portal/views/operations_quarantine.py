"""`/operations/quarantine/`: why input was refused."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from measurements.models import Batch
from measurements.selectors.batches import may_see_lines, reasons
from portal.operations_forms import OPERATIONS_LENGTHS, OperationsPeriodForm
from portal.views.operators import at_midnight, chosen_cluster, clusters_of, operators_only, period_context, utc_today


@require_safe
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """Show the reasons of a period, by when the batches came in."""
    form = OperationsPeriodForm(request.GET)
    period = form.period(utc_today())
    clusters = clusters_of(request)
    cluster = chosen_cluster(request, clusters) if request.GET.get("cluster") else None
    name = cluster.name if cluster else ""
    found = reasons(at_midnight(period.first), at_midnight(period.last + timedelta(days=1)), name)
    context = {
        "reasons": found,
        "lines": sum(row.count for row in found),
        "cluster": name,
        "clusters": clusters,
        "may_see_jobs": may_see_lines(request.user, Batch.Content.JOBS),
    }
    bar = period_context(form, period, OPERATIONS_LENGTHS, cluster=name)
    return render(request, "portal/operations/quarantine.html", context | bar)
