"""`/clusters/<name>/statement/<year>/`: a year of a cluster, as a draft or closed for good. Sums, and nobody's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser, User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from measurements.domain.statement import StatementFigures, canonical, differences, hash_of, same_figures
from measurements.models import Cluster
from measurements.selectors.statement import (
    FIRST_YEAR,
    LAST_YEAR,
    ClosedStatement,
    closed_statements,
    clusters_waiting,
    statement_figures,
)
from measurements.services.statements import NotClosed, close_statement
from portal import charts_statement
from portal import wording_statement as wording
from portal.csvs import csv_response
from portal.statement_csv import statement_table

REASON_LENGTH = 1024
Viewer = User | AnonymousUser


@dataclass(frozen=True, slots=True)
class Shown:
    """What is looked at: a draft or an edition, and what it is held against."""

    figures: StatementFigures | None  # None: there is nothing to see, or what is stored can't be read
    closed: ClosedStatement | None  # None: a draft
    editions: list[ClosedStatement]

    @property
    def earlier(self) -> ClosedStatement | None:
        """The edition before it."""
        before = [e for e in self.editions if self.closed is None or e.edition < self.closed.edition]
        return before[-1] if before else None


def sees_drafts(user: Viewer) -> bool:
    """Those who work on the figures."""
    return user.has_perm("measurements.view_operations") or may_close(user)


def may_close(user: Viewer) -> bool:
    """Those who answer for them."""
    return user.has_perm("measurements.manage_factors")


@login_required
@require_safe
def page(request: HttpRequest, name: str, year: int) -> HttpResponse:
    """Show the newest edition, an older one (?edition=), or to operators the draft (?draft=1)."""
    cluster = _cluster(request, name, year)
    shown = _shown(request, cluster, year)
    today = timezone.localdate()
    context: dict[str, Any] = {
        "cluster": cluster,
        "year": year,
        "shown": shown,
        "earlier_year": year - 1 if year > FIRST_YEAR else None,
        "later_year": year + 1 if year < today.year else None,
        "sees_drafts": sees_drafts(request.user),
    }
    if shown.figures is not None:
        context |= _tables(shown.figures) | _differences(shown) | _closing(request, shown)
    return render(request, "portal/statement.html", context)


@login_required
@require_safe
def table(request: HttpRequest, name: str, year: int) -> HttpResponseBase:
    """The same as CSV, in base units."""
    shown = _shown(request, _cluster(request, name, year), year)
    if shown.figures is None:
        raise Http404
    edition = shown.closed.edition if shown.closed else None
    header, rows = statement_table(shown.figures, edition)
    which = f"edition-{edition}" if edition else "draft"
    return csv_response(f"statement-{year}-{which}.csv", header, rows)


@login_required
@require_POST
def close(request: HttpRequest, name: str, year: int) -> HttpResponse:
    """Close the draft that was looked at; a restatement has a reason."""
    cluster = _cluster(request, name, year)
    if not may_close(request.user):
        raise Http404
    assert isinstance(request.user, User)  # noqa: S101 - logged in
    reason, seen = request.POST.get("reason", "")[:REASON_LENGTH], request.POST.get("seen", "")
    here = reverse("statement", args=[cluster.name, year])
    try:
        closed = close_statement(cluster, year, request.user, timezone.now(), reason, seen=seen)
    except NotClosed as fault:
        messages.error(request, wording.refusal(fault.code))
        return redirect(f"{here}?draft=1")
    messages.success(request, _("Edition %(edition)s is closed.") % {"edition": closed.edition})
    return redirect(here)


def _cluster(request: HttpRequest, name: str, year: int) -> Cluster:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Http404
    return get_object_or_404(clusters_waiting(Cluster.objects.visible_to(request.user), year), name=name)


def _shown(request: HttpRequest, cluster: Cluster, year: int) -> Shown:
    editions = closed_statements(cluster, year)
    wanted = request.GET.get("edition")
    if wanted is not None:
        found = next((e for e in editions if str(e.edition) == wanted), None)
        if found is None:
            raise Http404
        return Shown(found.figures, found, editions)
    if "draft" in request.GET or not editions:
        if sees_drafts(request.user):
            return Shown(statement_figures(cluster, year, timezone.now()), None, editions)
        if editions or "draft" in request.GET:
            raise Http404
        return Shown(None, None, [])
    return Shown(editions[-1].figures, editions[-1], editions)


def _tables(figures: StatementFigures) -> dict[str, Any]:
    unit = wording.energy_unit(figures)
    return {
        "figures": figures,
        "measured": bool(figures.total.covered_s),
        "unit": unit.label,
        "chart": charts_statement.energy_by_month(figures, unit),
        "sentences": wording.sentences(figures),
        "infrastructure_sentence": wording.infrastructure_sentence(figures.total),
        "energy": wording.energy_table(figures, unit),
        "emissions": wording.emissions_table(figures),
        "indicators": wording.indicator_table(figures),
        "times": wording.time_table(figures),
        "split": wording.split_table(figures),
        "factors": wording.factor_rows(figures.factors),
        "not_over": [wording.month_name(month.start) for month in figures.months if not month.over],
    }


def _differences(shown: Shown) -> dict[str, Any]:
    """What it says differently from the edition before it; of a draft: what a restatement would change."""
    earlier = shown.earlier
    if earlier is None or earlier.figures is None or shown.figures is None:
        return {}
    year, months = wording.difference_rows(differences(earlier.figures, shown.figures))
    return {"changed_year": year, "changed_months": months, "same": same_figures(earlier.figures, shown.figures)}


def _closing(request: HttpRequest, shown: Shown) -> dict[str, Any]:
    """Of a draft that may be closed by who looks at it: the hash that they see."""
    if shown.closed is not None or shown.figures is None or not may_close(request.user):
        return {}
    return {"may_close": True, "seen": hash_of(canonical(shown.figures))}
