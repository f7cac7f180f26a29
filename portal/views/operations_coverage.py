"""`/operations/coverage/`: node × day, how much of it was measured."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, pgettext
from django.views.decorators.http import require_safe

from measurements.domain.units import US_PER_S
from measurements.selectors.coverage import Cell, CoverageMap, NodeRow, coverage_map
from portal.csvs import csv_response
from portal.operations_forms import OPERATIONS_LENGTHS, OperationsPeriodForm
from portal.views.operators import (
    chosen_cluster,
    clusters_of,
    operators_only,
    period_context,
    place_of,
    query_of,
    utc_today,
)

NODES_PER_PAGE = 60
PARTLY_OFF_US = 60 * US_PER_S  # off for less does not show
STEPS = (100, 99, 95, 75, 50, 25, 0)  # least percentages of heat-6 to heat-0
HEADER = ("node", "node_type", "day_utc", "in_service_s", "covered_s", "off_s", "gap_s", "coverage")


@require_safe
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """Show a cluster's map, the nodes with most gaps first."""
    form = OperationsPeriodForm(request.GET)
    period = form.period(utc_today())
    clusters = clusters_of(request)
    cluster = chosen_cluster(request, clusters)
    number = place_of(request.GET.get("page", "")) or 1
    order = "name" if request.GET.get("order") == "name" else ""
    context: dict[str, Any] = {"cluster": cluster, "clusters": clusters, "order": order, "map": None}
    kept = {"cluster": cluster.name if cluster and len(clusters) > 1 else "", "order": order}
    bar = period_context(form, period, OPERATIONS_LENGTHS, **kept)
    if cluster:
        start = (number - 1) * NODES_PER_PAGE
        rows = slice(start, start + NODES_PER_PAGE)
        found = coverage_map(
            request.user, cluster, period.first, period.last, timezone.now(), rows, by_name=bool(order)
        )
        if start and not found.rows:
            raise Http404("no such page of nodes")
        context |= {"map": found, "rows": [_row(row, get_language() or "") for row in found.rows]}
        context |= {"totals": _cells(found.total, get_language() or ""), "whole": found.whole}
        context |= _pages(number, found, bar["query"])
        context |= {"by_name": f"?{period.query}&{query_of(**kept | {'order': 'name'})}"}
        context |= {"by_gap": f"?{period.query}&{query_of(**kept | {'order': ''})}"}
    return render(request, "portal/operations/coverage.html", context | bar)


@require_safe
@operators_only
def table(request: HttpRequest) -> HttpResponseBase:
    """The whole map as CSV, a row a node and day."""
    period = OperationsPeriodForm(request.GET).period(utc_today())
    cluster = chosen_cluster(request, clusters_of(request))
    if cluster is None:
        raise Http404("no cluster")
    found = coverage_map(request.user, cluster, period.first, period.last, timezone.now(), by_name=True)
    name = f"coverage-{cluster.name}-{period.first}-{period.last}.csv"
    return csv_response(name, HEADER, _lines(found))


def _lines(found: CoverageMap) -> Iterator[tuple[str | float | None, ...]]:
    for row in found.rows:
        for cell in row.cells:
            if cell.wall_us:
                seconds = (us / US_PER_S for us in (cell.wall_us, cell.covered_us, cell.off_us, cell.gap_us))
                yield (row.node, row.node_type, cell.day.isoformat(), *seconds, cell.share)


def _pages(number: int, found: CoverageMap, query: str) -> dict[str, Any]:
    shown = number * NODES_PER_PAGE
    return {
        "from_node": shown - NODES_PER_PAGE + 1,
        "to_node": min(shown, found.nodes),
        "previous_link": f"?{query}&page={number - 1}" if number > 1 else None,
        "next_link": f"?{query}&page={number + 1}" if found.nodes > shown else None,
    }


def _row(row: NodeRow, language: str) -> dict[str, Any]:
    return {"node": row.node, "type": row.node_type, "total": row.total, "cells": _cells(row.cells, language)}


def _cells(cells: tuple[Cell, ...], language: str) -> SafeString:
    """A row's cells as HTML: there are thousands of them, of few kinds."""
    return mark_safe("".join(_cell(*_look(cell), language) for cell in cells))  # noqa: S308 - made by format_html


@lru_cache(maxsize=1024)
def _cell(kind: str, text: str, language: str) -> SafeString:
    """One cell; ``language`` is a part of its key, for some say a word."""
    words = {
        "heat-gap": pgettext("cell of the map", "gap"),
        "heat-off": pgettext("cell of the map", "off"),
        "none": "·",
    }
    return format_html('<td class="{}">{}</td>', kind, words.get(kind, text))


def _look(cell: Cell) -> tuple[str, str]:
    """Class and text, rounded down, so that what has a gap never looks whole; ° where it was off for a part."""
    if not cell.wall_us:
        return "none", ""
    if cell.share is None:
        return "heat-off", ""
    share = int(cell.share * 100)
    mark = "°" if cell.off_us >= PARTLY_OFF_US else ""
    if not cell.covered_us:
        return "heat-gap", ""
    step = next(i for i, least in enumerate(STEPS) if share >= least)
    return f"heat-{len(STEPS) - 1 - step}", f"{min(share, 100)}{mark}"
