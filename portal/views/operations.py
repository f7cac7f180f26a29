"""`/operations/`: what an operator looks at first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.models import Batch, Intake
from measurements.selectors.batches import BatchFilter, batches, may_see_lines
from measurements.selectors.feeds import feed_states
from measurements.selectors.operations import cluster_states, pending_corrections
from measurements.selectors.scope_checks import disagreeing
from measurements.selectors.setup import checklist
from measurements.selectors.work import heartbeats, latest_files
from portal import wording_operations as wording
from portal.checklist import lines
from portal.operations_forms import BatchFilterForm
from portal.views.operators import operators_only, place_of, query_of, utc_today

DAYS_LOOKED_AT = 7
FILES_SHOWN = 20


@require_safe
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """Whether it closes, what came in, what waits."""
    last = utc_today()
    first = last - timedelta(days=DAYS_LOOKED_AT - 1)
    now = timezone.now()
    states = cluster_states(request.user, first, last, now)
    pending, pending_count = pending_corrections()
    feeds = feed_states(now, request.user)
    context = {
        "states": [(state, wording.state_sentences(state)) for state in states],
        "first": first,
        "last": last,
        "pending": pending,
        "pending_count": pending_count,
        "files": [*latest_files(FILES_SHOWN, Intake.State.QUEUED), *latest_files(FILES_SHOWN, Intake.State.FAILED)],
        "files_shown": FILES_SHOWN,
        "may_see_jobs": may_see_lines(request.user, Batch.Content.JOBS),
        "seen": [(one, wording.is_late(one)) for one in heartbeats(now).values()],
        "clusters": [state.name for state in states],
        "checklist": lines(checklist()),
        "scope_checks": disagreeing(request.user),
        "feeds": feeds,
        "late_feeds": sum(feed.late for feed in feeds),
    }
    return render(request, "portal/operations/overview.html", context | batch_list(request))


def batch_list(request: HttpRequest) -> dict[str, Any]:
    """The batches that the address asks for, newest first."""
    form = BatchFilterForm(request.GET)
    said = form.cleaned_data if form.is_valid() else {}
    wanted = BatchFilter(**{name: said[name] for name in ("cluster", "content", "refused", "reason") if said.get(name)})
    before = place_of(request.GET.get("before", ""))
    found = batches(wanted, before)
    query = {"cluster": wanted.cluster, "content": wanted.content, "reason": wanted.reason}
    query["refused"] = "on" if wanted.refused else ""
    return {
        "wanted": wanted,
        "filtered": any(query.values()),
        "batches": found,
        "paged": before is not None,
        "newest_link": f"?{query_of(**query)}",
        "next_link": f"?{query_of(**query, before=found.next_key)}" if found.next_key else None,
    }
