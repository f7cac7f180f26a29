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
from measurements.selectors.open_questions import open_questions
from measurements.selectors.operations import cluster_states, pending_corrections
from measurements.selectors.scope_checks import disagreeing
from measurements.selectors.setup import State, checklist
from measurements.selectors.sources import source_states
from measurements.selectors.work import heartbeats, latest_files
from portal import wording_operations as wording
from portal.checklist import lines
from portal.next_steps import quiet_sentence, steps
from portal.operations_forms import BatchFilterForm
from portal.views.operators import operators_only, place_of, query_of, utc_today

DAYS_LOOKED_AT = 7
FILES_SHOWN = 20


@require_safe
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """What to do next, whether it closes, what came in, what waits."""
    last = utc_today()
    first = last - timedelta(days=DAYS_LOOKED_AT - 1)
    now = timezone.now()
    states = cluster_states(request.user, first, last, now)
    pending, pending_count = pending_corrections()
    sources = source_states(now, request.user)
    seen = [(one, wording.is_late(one)) for one in heartbeats(now).values()]
    set_up = checklist()
    context = {
        "steps": steps(sources, states, open_questions(now - timedelta(days=DAYS_LOOKED_AT)), DAYS_LOOKED_AT),
        "sources": sources,
        "quiet": quiet_sentence(sources, DAYS_LOOKED_AT),
        "states": [(state, wording.state_sentences(state)) for state in states],
        "first": first,
        "last": last,
        "pending": pending,
        "pending_count": pending_count,
        "files": [*latest_files(FILES_SHOWN, Intake.State.QUEUED), *latest_files(FILES_SHOWN, Intake.State.FAILED)],
        "files_shown": FILES_SHOWN,
        "may_see_jobs": may_see_lines(request.user, Batch.Content.JOBS),
        "seen": seen,
        "late_seen": [one.name for one, late in seen if late],
        "clusters": [state.name for state in states],
        "checklist": lines(set_up, request.GET.get("cluster", "")),
        "set_up": all(item.state == State.DONE for item in set_up.items),
        "scope_checks": disagreeing(request.user),
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
