"""`/` of a demo, before anybody logs in: the simulated cluster's month, its stories, and as whom to look around."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from measurements.demo.cluster import CLUSTER_NAME
from measurements.demo.note import note_path
from measurements.demo.people import LOOK_AS
from measurements.models import Cluster
from measurements.selectors.machine import ClusterReport, cluster_report
from portal import charts_machine, stories, wording_machine
from portal.roles import PUBLIC

MONTH_DAYS = 30


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Show the cluster's month; nobody's jobs."""
    cluster = Cluster.objects.filter(name=CLUSTER_NAME).first()
    return render(request, "portal/front.html", {"stories": stories.stories()} | _month(cluster))


def _month(cluster: Cluster | None) -> dict[str, Any]:
    """The last thirty days; nothing before they are booked."""
    if cluster is None:
        return {}
    zone = ZoneInfo(timezone.get_default_timezone_name())
    now = timezone.now()
    today = timezone.localdate(now, zone)
    report: ClusterReport = cluster_report(cluster, today - timedelta(days=MONTH_DAYS - 1), today, zone, now)
    if not report.total.covered_s:
        return {}
    unit = charts_machine.energy_unit(report)
    energy, rows = charts_machine.energy_split(report, unit)
    return {
        "cluster": cluster,
        "report": report,
        "sentences": wording_machine.cluster_sentences(report),
        "energy": energy,
        "energy_rows": rows,
        "unit": unit,
        "energy_sentence": wording_machine.energy_sentence(report),
    }


@require_POST
def look_as(request: HttpRequest) -> HttpResponse:
    """Log in as one of the simulated people, or out."""
    _only_in_a_demo()
    role = request.POST.get("role", "")
    if role == PUBLIC:
        logout(request)
    elif role in LOOK_AS:
        _become(request, LOOK_AS[role])
    else:
        raise Http404("no such role")
    return HttpResponseRedirect(_next(request))


@require_safe
def story(request: HttpRequest, slug: str) -> HttpResponse:
    """Go to where a story is to be seen, as somebody who may see it."""
    _only_in_a_demo()
    found = stories.chapter(slug)
    if found is None:
        raise Http404("no such story")
    _become(request, found.username)
    return redirect(found.address)


def _only_in_a_demo() -> None:
    """The setting alone lets nobody in: the site's data must be simulated."""
    if not (settings.JOULEBOOK_DEMO and note_path(Path(settings.JOULEBOOK_VAR)).exists()):
        raise Http404("not a demo")


def _become(request: HttpRequest, username: str) -> None:
    if request.user.get_username() != username:
        person = get_object_or_404(User, username=username, is_active=True)
        login(request, person)


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe and wanted else "/"
