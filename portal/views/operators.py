"""What the operators' pages share: who may see them, and which UTC days and which cluster they are about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils import timezone

from measurements.models import Cluster
from portal.forms import Period, PeriodForm

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def operators_only(view: View[P]) -> View[P]:
    """A page that exists for holders of ``measurements.view_operations`` alone."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_active or not request.user.has_perm("measurements.view_operations"):
            raise Http404("no such page")
        return view(request, *args, **kwargs)

    return guarded


def operators_who(*may: str) -> Callable[[View[P]], View[P]]:
    """An address that exists for operators with these permissions as well."""

    def limited(view: View[P]) -> View[P]:
        @operators_only
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.has_perms(may):
                raise Http404("no such page")
            return view(request, *args, **kwargs)

        return guarded

    return limited


def utc_today() -> date:
    """The UTC day it is: the ledger's days are UTC days, and so are those of these pages."""
    return timezone.now().astimezone(UTC).date()


def clusters_of(request: HttpRequest) -> list[Cluster]:
    """Those there are, by name."""
    return list(Cluster.objects.visible_to(request.user).order_by("name"))


def chosen_cluster(request: HttpRequest, clusters: Sequence[Cluster]) -> Cluster | None:
    """The one the address names, else the first; None if there is none at all."""
    name = request.GET.get("cluster", "")
    if not name:
        return clusters[0] if clusters else None
    found = next((cluster for cluster in clusters if cluster.name == name), None)
    if found is None:
        raise Http404("no such cluster")
    return found


def query_of(**values: Any) -> str:
    """An address's query of what is set."""
    return urlencode({name: value for name, value in values.items() if value not in (None, "", False)})


def period_context(form: PeriodForm, period: Period, lengths: Sequence[int], **kept: Any) -> dict[str, Any]:
    """What the bar of periods shows; ``kept`` is what else the address says."""
    today = utc_today()
    later = period.shifted(1)
    rest = query_of(**kept)
    more = f"&{rest}" if rest else ""
    return {
        "form": form,
        "period": period,
        "lengths": lengths,
        "today": today,
        "query": f"{period.query}{more}",
        "kept": {name: value for name, value in kept.items() if value},
        "links": {
            "earlier": f"?{period.shifted(-1).query}{more}",
            "later": f"?{later.query}{more}" if later.first <= today else None,
        },
    }


def place_of(text: str) -> int | None:
    """A number in an address: where a list goes on, or a row's id."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise Http404("no such place in the list")
    return int(text)


def at_midnight(day: date) -> datetime:
    """The instant a UTC day begins at."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
