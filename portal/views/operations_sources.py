"""`/operations/sources/`: where readings and jobs come from, and which of them is late."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.domain.losses import LOST
from measurements.selectors.feeds import feed_states
from measurements.selectors.sources import source_states, with_losses
from measurements.services.alerts import recipients
from portal.views.operators import chosen_cluster, clusters_of, operators_only


@require_safe
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """Show each source with its lag, those that are late first."""
    clusters = clusters_of(request)
    cluster = chosen_cluster(request, clusters) if request.GET.get("cluster") else None
    names = {one.name for one in ([cluster] if cluster else clusters)}
    now = timezone.now()
    states = with_losses([one for one in source_states(now, request.user) if one.cluster in names], now)
    feeds = [one for one in feed_states(now, request.user) if one.cluster in names]
    context = {
        "states": states,
        "late": sum(one.state == "late" for one in states),
        "refused": sum(one.state == "refused" for one in states),
        "feeds": feeds,
        "now": now,
        "lost_reason": LOST,
        "cluster": cluster,
        "clusters": clusters,
        "told": len(recipients()) if settings.DEFAULT_FROM_EMAIL else 0,
    }
    return render(request, "portal/operations/sources.html", context)
