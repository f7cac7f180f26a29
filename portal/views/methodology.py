"""`/methodology/`: how every figure is made, from the code's own constants and the factors in force."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.models import ReferenceFactor
from measurements.selectors.declared import factors_of_clusters, reference_factors
from portal.factor_rows import cluster_rows, reference_name, source_facts
from portal.methodology import exact, sections, values_of
from portal.methodology_scope import REFERENCES, scope
from portal.results import results
from portal.steps import basis_word


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """For everybody: who reads a figure elsewhere has no login."""
    zone = timezone.get_default_timezone_name()
    today = timezone.localdate(timezone.now(), ZoneInfo(zone))
    with_prices = request.user.is_authenticated
    rules = [scope(), *sections()]
    context = {
        "sections": [(section, values_of(section.constants)) for section in rules],
        "clusters": [cluster_rows(found, today, with_prices=with_prices) for found in factors_of_clusters(today)],
        "fuels": [_reference(row) for row in reference_factors()],
        "references": REFERENCES,
        "results": results(),
        "zone": zone,
        "today": today,
    }
    return render(request, "portal/methodology.html", context)


def _reference(row: ReferenceFactor) -> dict[str, object]:
    """A row of the table of fuels and equivalents."""
    band = f"{exact(row.low)} … {exact(row.high)}" if row.low is not None and row.high is not None else "–"
    return {
        "row": row,
        "name": reference_name(row),
        "value": exact(row.value),
        "band": band,
        "basis": basis_word(row.basis),
        "facts": source_facts(row),
    }
