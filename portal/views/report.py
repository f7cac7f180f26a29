"""`/report/`: what one reports of one's jobs, before it is frozen; `/reports/<hash>/`: as it was, for everybody."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from measurements.domain.statement import canonical_json, hash_of
from measurements.models import Cluster, Job, Report
from measurements.selectors.lookup import named
from measurements.selectors.report import report_of_job, report_of_jobs
from measurements.selectors.usage import Scope
from measurements.services.reports import freeze_report, withdraw_report
from portal import wording_report, wording_usage
from portal.context import VERSION
from portal.quantities import unit_for
from portal.usage_page import chips_of, question

GONE = 410


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def preview(request: HttpRequest) -> HttpResponseBase:
    """The statement as it would be; POST freezes it as it was seen."""
    body = _body(request)
    if request.method == "POST":
        if request.POST.get("seen") != hash_of(canonical_json(body)):  # figures moved on: show them first
            return render(request, "portal/report.html", _context(request, body) | {"changed": True}, status=409)
        if body["energy_j"] is None:
            raise Http404("nothing was measured")
        report = freeze_report(request.user.get_username(), body, timezone.now())
        return redirect("report", report.sha256)
    return render(request, "portal/report.html", _context(request, body))


@require_safe
def page(request: HttpRequest, sha256: str) -> HttpResponse:
    """A frozen report, from its row alone; nobody's name is on it. One that was withdrawn is gone."""
    report = _report(sha256)
    mine = request.user.is_authenticated and request.user.get_username() == report.username
    if report.withdrawn_at is not None:
        return render(request, "portal/report_gone.html", {"report": report}, status=GONE)
    body = json.loads(report.body)
    made = timezone.localdate(report.created_at)
    context = _shown(body, report.sha256, made) | {"report": report, "mine": mine, "frozen": True}
    return render(request, "portal/report.html", context)


@require_safe
def data(request: HttpRequest, sha256: str) -> HttpResponse:
    """The frozen body, byte by byte what was hashed."""
    report = _report(sha256)
    if report.withdrawn_at is not None:
        return HttpResponse(status=GONE)
    answer = HttpResponse(report.body.encode(), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="report-{sha256[:12]}.json"'
    return answer


@login_required
@require_POST
def withdraw(request: HttpRequest, sha256: str) -> HttpResponse:
    """By whoever made it."""
    report = _report(sha256)
    if report.username != request.user.get_username():
        raise Http404("no such report")
    withdraw_report(report, timezone.now())
    return redirect("report", sha256)


def _report(sha256: str) -> Report:
    return get_object_or_404(Report, sha256=sha256)


def _body(request: HttpRequest) -> dict[str, Any]:
    """Of one job that the address names and that is one's own, else of the jobs of a period and filters."""
    said = {"method": f"Joulebook {VERSION}", "site": urlsplit(settings.SITE_URL.geturl()).hostname or ""}
    if "job" in request.GET:
        return report_of_job(_job(request)) | said
    asked = question(request)
    return report_of_jobs(Scope(username=request.user.get_username()), asked.view.asked(asked.zone)) | said


def _job(request: HttpRequest) -> Job:
    cluster, _slash, job = request.GET["job"].partition("/")
    if "\0" in request.GET["job"]:
        raise Http404("no such job")
    machine = get_object_or_404(Cluster.objects.visible_to(request.user), name=cluster)
    mine = Job.objects.filter(username=request.user.get_username(), pk__in=named([machine.pk], job))
    start = request.GET.get("start", "")
    if start:
        mine = (
            mine.filter(start_ms=int(start))
            if start.isascii() and start.isdecimal() and len(start) < 16
            else mine.none()
        )
    found = mine.select_related("cluster").order_by("-start_ms", "-pk").first()
    if found is None:
        raise Http404("no such job")
    return found


def _context(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    sha256 = hash_of(canonical_json(body))
    context = _shown(body, sha256, timezone.localdate())
    if body["of"] == "jobs":
        asked = question(request)
        context |= {"chips": chips_of(asked.view), "back": f"{reverse('energy')}?{asked.view.query}"}
    else:
        context["back"] = reverse("job", args=[body["cluster"], body["job_id"]])
    return context | {"mine": True, "query": request.GET.urlencode()}


def _shown(body: dict[str, Any], sha256: str, made: Any) -> dict[str, Any]:
    url = settings.SITE_URL.geturl().rstrip("/") + reverse("report", args=[sha256])
    return {
        "body": body,
        "sha256": sha256,
        "statement": wording_report.statement(body),
        "bibtex": wording_report.bibtex(body, sha256, url, made),
        "url": url,
        "only": wording_usage.filters_in_words(body.get("filters", {})),
        "parts": [(wording_report.part_name(part), part) for part in body["parts"]],
        "unit": unit_for(body["energy_j"] or 0.0, "energy"),
    }
