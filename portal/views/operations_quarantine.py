"""`/operations/quarantine/`: why input was refused, by whatever one asks, and the lines themselves as a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from measurements.models import Batch, Quarantine
from measurements.selectors.batches import first_lines, may_see_lines
from measurements.selectors.refused import MOST_DOWNLOADED, ReasonSum, all_lines, reasons, refused_page
from measurements.services.judged import SECOND_SOURCE
from portal.csvs import csv_response
from portal.operations_forms import OPERATIONS_LENGTHS
from portal.refused_page import Asked, asked
from portal.views.operators import operators_only, period_context, place_of

HEADER = ("cluster", "batch", "source", "reason", "line", "text")
LINES_HERE = 10  # of the newest batch


@require_safe
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """Show the reasons of a period; of one reason, its batches and first lines."""
    said = asked(request)
    found = reasons(said.rows())
    said.form.offer(row.reason for row in found)
    before = place_of(request.GET.get("before", ""))
    context: dict[str, Any] = {
        "reasons": found,
        "refused_lines": sum(row.count for row in found),
        "cluster": said.wanted.cluster,
        "clusters": said.clusters,
        "asked": said,
        "narrowed": said.narrowed,
        "may_see_jobs": may_see_lines(request.user, Batch.Content.JOBS),
        "may_replay": request.user.has_perm("measurements.change_quarantine"),
        "most_downloaded": MOST_DOWNLOADED,
        "paged": before is not None,
        "second_source": SECOND_SOURCE,
    }
    if said.wanted.reason or said.wanted.batch:
        context |= _batches(request, said, found, before)
    bar = period_context(said.period_form, said.period, OPERATIONS_LENGTHS, **said.kept)
    return render(request, "portal/operations/quarantine.html", context | bar | {"form": said.period_form})


def _batches(request: HttpRequest, said: Asked, found: tuple[ReasonSum, ...], before: int | None) -> dict[str, Any]:
    """Of one reason or batch: the batches, some at a time, and how the first lines read."""
    shown = refused_page(said.rows(), before)
    newest = found[0].newest[0] if found and found[0].newest else None
    readable = newest is not None and may_see_lines(request.user, newest.batch.content)
    return {
        "shown": shown,
        "next_link": f"?{said.query(before=shown.next_key)}" if shown.next_key else None,
        "newest": newest,
        "first_lines": first_lines(newest, LINES_HERE) if newest is not None and readable else (),
    }


@require_safe
@operators_only
def lines(request: HttpRequest) -> StreamingHttpResponse:
    """The refused lines of a filter as one table, streamed; those of jobs only for who may see everybody's."""
    rows = readable_rows(request, asked(request))
    return csv_response("refused-lines.csv", HEADER, _table(rows))


def readable_rows(request: HttpRequest, said: Asked) -> QuerySet[Quarantine]:
    """The refusals whose lines this reader may read."""
    rows = said.rows()
    return rows if may_see_lines(request.user, Batch.Content.JOBS) else rows.exclude(batch__content=Batch.Content.JOBS)


def _table(rows: QuerySet[Quarantine]) -> Iterator[tuple[str | int, ...]]:
    for row, line in all_lines(rows):
        batch = row.batch
        yield batch.cluster.name, batch.pk, batch.source, row.reason, line.number, line.text
