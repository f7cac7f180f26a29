"""`/operations/factors/`: what prices a cluster's energy, its history, and new declarations, tried before they hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from measurements.domain.carbon import Method
from measurements.domain.chain import Footprint, together
from measurements.domain.units import DAY_MS, QUARTER_MS, ms_from_datetime
from measurements.models import Cluster, Statement, Supply
from measurements.selectors.declaration_effect import effect_of
from measurements.selectors.declared import factors_of_clusters
from measurements.selectors.emissions import cluster_footprints
from measurements.selectors.holding import row_on, what
from measurements.selectors.in_force import Candidate
from measurements.services.pricing import add_rows
from portal.factor_forms import FORMS, INTENSITY, DeclareForm, Row, initial_of
from portal.factor_forms import METHODS as METHOD_CHOICES
from portal.factor_rows import cluster_rows, site_row, supply_row
from portal.views.operators import chosen_cluster, clusters_of, operators_only
from portal.wording_factors import changes, kind_title, missing, so_far

LATELY_DAYS = 30
METHODS = tuple(value for value, _name in METHOD_CHOICES)
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def may_declare(view: View[P]) -> View[P]:
    """A page that exists for holders of ``measurements.manage_factors`` alone."""

    @operators_only
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.has_perm("measurements.manage_factors"):
            raise Http404("no such page")
        return view(request, *args, **kwargs)

    return guarded


@require_safe
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """Show a cluster's factors in force, what is missing, and all rows that ever were."""
    clusters = clusters_of(request)
    cluster = chosen_cluster(request, clusters)
    today = _today()
    every = {found.name: found for found in factors_of_clusters(today)}
    found = every[cluster.name] if cluster else None
    rows = cluster_rows(found, today, with_prices=True) if found else None
    context = {
        "clusters": clusters,
        "cluster": cluster,
        "rows": rows,
        "history": list(zip(rows.history, found.history, strict=True)) if rows and found else [],
        "missing": missing(found) if found else (),
        "lately": _lately(cluster) if cluster else None,
        "kinds": [(kind, kind_title(kind)) for kind in FORMS],
        "may_declare": request.user.has_perm("measurements.manage_factors"),
    }
    return render(request, "portal/operations/factors.html", context)


def _lately(cluster: Cluster) -> Footprint:
    """The whole machine's figure of the last days: which factors priced how much of it."""
    now_ms = ms_from_datetime(timezone.now())
    end_ms = -(-now_ms // QUARTER_MS) * QUARTER_MS
    found = cluster_footprints(cluster, end_ms - LATELY_DAYS * DAY_MS, end_ms, now_ms)
    return together([found.jobs, found.own])


@may_declare
def declare(request: HttpRequest, kind: str) -> HttpResponse:
    """Ask for a new row, show what it would change, and store it when that has been seen."""
    cluster = chosen_cluster(request, clusters_of(request))
    if kind not in FORMS or cluster is None:
        raise Http404("no such factor")
    method = request.GET.get("method", "")
    asked = Supply(method=method) if method in METHODS else None
    holds = _holding(cluster, kind, _today(), asked)
    form = FORMS[kind](cluster, request.POST or None, initial=initial_of(holds) | ({"method": method} if asked else {}))
    context: dict[str, Any] = {"cluster": cluster, "kind": kind, "title": kind_title(kind), "form": form}
    context["methods"] = METHOD_CHOICES if kind == INTENSITY else ()
    row = _row(form, request.user.get_username()) if request.method == "POST" else None
    if row is not None and "store" in request.POST:
        return _stored(request, cluster, row)
    if row is not None:
        context |= _tried(cluster, row, _holding(cluster, kind, row.valid_from, row))
    return render(request, "portal/operations/declare.html", context)


def _row(form: DeclareForm, author: str) -> Row | None:
    """The row that the form makes; None where it cannot hold, which the form then says."""
    if not form.is_valid():
        return None
    try:
        return form.row(author)
    except ValidationError as fault:
        form.add_error(None, fault)
        return None


def _stored(request: HttpRequest, cluster: Cluster, row: Row) -> HttpResponse:
    days = add_rows(cluster, [row], timezone.now())
    messages.success(request, _("Declared. %(days)s days were priced anew.") % {"days": days})
    return redirect(f"{reverse('factors')}?cluster={cluster.name}")


def _tried(cluster: Cluster, row: Row, before: Row | None) -> dict[str, Any]:
    """What the row would change, nothing of it stored."""
    supply = isinstance(row, Supply)
    candidate = Candidate(supplies=[row]) if supply else Candidate(site_factors=[row])  # type: ignore[list-item]
    effect = effect_of(cluster, row.valid_from, ms_from_datetime(timezone.now()), candidate)
    closed = Statement.objects.filter(cluster=cluster, year__gte=row.valid_from.year)
    row.created_at = timezone.now()
    return {
        "tried": True,
        "before": _shown(before) if before else None,
        "after": _shown(row),
        "effect": effect,
        "changes": changes(effect),
        "so_far": so_far(effect),
        "closed": list(closed.order_by("year", "edition")),
    }


def _shown(row: Row) -> object:
    return supply_row(row) if isinstance(row, Supply) else site_row(row)


def _holding(cluster: Cluster, kind: str, day: date, like: Row | None = None) -> Row | None:
    """The row in force on a day, of the same thing as another one."""
    plain = ("supply", Method.LOCATION.value) if kind == INTENSITY else (kind, None)
    return row_on(cluster, what(like) if like else plain, day)


def _today() -> date:
    return timezone.localdate(timezone.now(), ZoneInfo(timezone.get_default_timezone_name()))
