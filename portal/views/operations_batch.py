"""`/operations/batches/<id>/`: one input, and what of it was refused."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from measurements.models import Batch, Quarantine
from measurements.selectors.batches import LINES_SHOWN, first_lines, may_see_lines, refusals_of, refused_lines
from portal import wording_batches
from portal.views.operators import operators_only, place_of


@require_safe
@operators_only
def page(request: HttpRequest, batch: int) -> HttpResponse:
    """Show a batch; with ``?reason=`` the lines refused for it."""
    shown = get_object_or_404(Batch.objects.select_related("cluster"), pk=batch)
    refusals = refusals_of(shown)
    may_see = may_see_lines(request.user, shown.content)
    opened = _opened(request, shown) if may_see else None
    context = {
        "batch": shown,
        "options": wording_batches.option_words(shown),
        "command": wording_batches.command_of(shown),
        "refusals": refusals,
        "may_see": may_see,
        "opened": opened,
        "lines": first_lines(opened) if opened else (),
        "lines_shown": LINES_SHOWN,
        "pending": sum(row.rows for row in shown.pending_corrections.defer("payload")),
    }
    return render(request, "portal/operations/batch.html", context)


def _opened(request: HttpRequest, batch: Batch) -> Quarantine | None:
    """The reason whose lines are to be shown: the one asked for, else the only one."""
    wanted = place_of(request.GET.get("reason", ""))
    if wanted is not None:
        return get_object_or_404(batch.quarantine, pk=wanted)
    found = list(batch.quarantine.all()[:2])
    return found[0] if len(found) == 1 else None


@require_safe
@operators_only
def lines(request: HttpRequest, batch: int, reason: int) -> StreamingHttpResponse:
    """All lines refused for a reason, as they were in the file."""
    row = get_object_or_404(Quarantine.objects.select_related("batch"), pk=reason, batch=batch)
    if not may_see_lines(request.user, row.batch.content):
        raise Http404("no such lines")
    response = StreamingHttpResponse(_text(row), content_type="text/plain; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="refused-{batch}-{reason}.txt"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _text(row: Quarantine) -> Iterator[str]:
    for line in refused_lines(row):
        yield f"{line.number}\t{line.text}\n"
