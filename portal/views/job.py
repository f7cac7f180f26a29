"""`/jobs/<cluster>/<job>/`: what one job drew, and how that is known."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.domain.curves import PartRefused
from measurements.domain.quality import ratio
from measurements.domain.units import datetime_from_ms, ms_from_datetime
from measurements.models import Cluster, Job
from measurements.selectors.company import company
from measurements.selectors.curve import JobCurve, job_curve
from measurements.selectors.gpu_idle import gpu_idle
from measurements.selectors.job import JobReport, job_report
from measurements.selectors.like_jobs import like_jobs
from measurements.selectors.lookup import named
from measurements.services.audit import Page
from portal import charts_job, wording, wording_elsewhere, wording_job, wording_jobs
from portal.csvs import csv_response
from portal.curve_part import asked_part, drawn_part, part_of
from portal.noting import note_jobs
from portal.quantities import unit_for
from portal.tags_page import tags_context
from portal.waste_page import job_advice
from portal.wording_curve import refused_sentence

SAME_ID_SHOWN = 20


@login_required
@require_safe
def page(request: HttpRequest, cluster: str, job: str) -> HttpResponse | StreamingHttpResponse:
    """Show a job to whoever may see it; to anybody else it does not exist."""
    found = jobs_named(request, cluster, job)
    shown = chosen_job(found, request.GET.get("start", ""))
    note_jobs(request, [shown], Page.JOB)
    report = job_report(shown)
    if request.GET.get("format") == "csv":
        return _curve_csv(report, request)
    context = {
        "report": report,
        "job": shown,
        "own": shown.username == request.user.get_username(),
        "others": [other for other in found if other.pk != shown.pk],
        "end_sentence": wording_jobs.end_sentence(shown.state),
        "meters": [(meter, wording.meter_sentence(meter)) for meter in report.meters],
        "nodes_unit": unit_for(max((n.figures.energy_j or 0.0 for n in report.nodes), default=0.0), "energy"),
    }
    context |= (
        job_advice(shown, request.user)
        | _elsewhere(request, shown)
        | _words(report)
        | _comparison(report)
        | _chart(report, request)
        | _gpus(report)
        | _company(request, shown)
        | tags_context(request, shown)
    )
    return render(request, "portal/job.html", context, status=400 if context["curve_fault"] else 200)


def jobs_named(request: HttpRequest, cluster: str, job: str) -> list[Job]:
    """The jobs of an id that the reader may see, newest first; if there are none the page does not exist."""
    if "\0" in cluster:  # PostgreSQL refuses it
        raise Http404("no such cluster")
    machine = get_object_or_404(Cluster.objects.visible_to(request.user), name=cluster)
    named_jobs = Job.objects.visible_to(request.user).filter(pk__in=named([machine.pk], job))
    found = list(named_jobs.select_related("cluster", "tag_edit").order_by("-start_ms", "-pk")[:SAME_ID_SHOWN])
    if not found:
        raise Http404("no such job")
    return found


def chosen_job(found: list[Job], start: str) -> Job:
    """Of jobs with the same id the one that began at ``start`` (ms); the newest if none is asked for."""
    if not start:
        return found[0]
    wanted = [job for job in found if str(job.start_ms) == start]
    if not wanted:
        raise Http404("no job of this id began then")
    return wanted[0]


def _elsewhere(request: HttpRequest, job: Job) -> dict[str, Any]:
    """What it would draw on other node types."""
    found = like_jobs(job, request.user, timezone.now())
    return {
        "elsewhere": found,
        "elsewhere_sentences": wording_elsewhere.sentences(found),
        "elsewhere_basis": wording_elsewhere.basis_sentence(found),
        "elsewhere_unit": unit_for(
            max((one.energy_j.high for one in found.predicted if one.energy_j), default=0), "energy"
        ),
    }


def _words(report: JobReport) -> dict[str, Any]:
    return {
        "quality_sentence": wording.quality_sentence(report.figures.quality),
        "unmeasured_sentence": wording.unmeasured_sentence(report.unmeasured) if report.unmeasured else "",
        "flag_sentences": wording.flag_sentences(report.figures.flags),
        "share_sentence": wording.share_sentence(report.policy) if report.shared else "",
        "ratio_sentence": wording.ratio_sentence(report),
        "no_estimate_sentence": wording.no_estimate_sentence(report) if report.estimate.energy_j is None else "",
    }


def _comparison(report: JobReport) -> dict[str, float | None]:
    """The lengths of two bars, the longer one being 1: metered, and estimated for the same time."""
    metered, estimated = report.figures.energy_j, report.estimate.covered_j
    if metered is None:
        return {"estimated_bar": 1.0}
    longest = max(metered, estimated or 0.0) or 1.0
    in_part = (report.figures.coverage or 0.0) < wording.WHOLE
    return {
        "metered_bar": metered / longest,
        "estimated_bar": (estimated or 0.0) / longest,
        "compared_j": estimated if in_part else None,
    }


def _chart(report: JobReport, request: HttpRequest) -> dict[str, Any]:
    """The curve, or the part of it that is asked for; its parts and gaps are the whole job's."""
    whole = job_curve(report.job, report.figures.samples)
    shown, fault = whole, ""
    try:
        if asked_part(request.GET) is not None:
            shown = part_of(report, request.GET)
    except PartRefused as refused:
        fault = refused_sentence(refused)
    if shown is None:
        return {"curve": None, "curve_fault": fault}
    parts = _parts(report, whole) if whole else []
    return drawn_part(report, shown) | {
        "curve": whole or shown,
        "curve_fault": fault,
        "parts": parts,
        "parts_sentence": wording_job.parts_sentence(of_job=all(part["of_job"] for part in parts)),
    }


def _parts(report: JobReport, curve: JobCurve) -> list[dict[str, Any]]:
    """Name, energy and coverage of the parts; the GPUs' energy is the ledger's, where it has one."""
    rows = []
    for part in curve.parts:
        from_ledger = part.family == "gpu" and report.figures.gpu_energy_j > 0
        rows.append(
            {
                "name": wording_job.part_name(part.family),
                "energy_j": report.figures.gpu_energy_j if from_ledger else part.energy_j,
                "of_job": from_ledger or not report.shared,
                "coverage": ratio(part.covered_s, part.held_s),
            }
        )
    return rows


def _gpus(report: JobReport) -> dict[str, Any]:
    """How long GPUs were held without work; nothing of a job that held none."""
    idle = gpu_idle(report.job, report.figures)
    return {"idle": idle, "idle_sentence": wording_job.idle_sentence(idle) if idle else ""}


def _company(request: HttpRequest, job: Job) -> dict[str, Any]:
    """Who else was on its nodes."""
    found = company(job, request.user, ms_from_datetime(timezone.now()))
    if found is None:
        return {"company": None}
    note_jobs(request, [band.job for node in found.nodes for band in node.bands if band.job], Page.NODE)
    return {
        "company": found,
        "company_sentence": wording_job.company_sentence(found),
        "strips": charts_job.band_strips(found),
        "bands": charts_job.band_rows(found),
        "company_from": datetime_from_ms(found.start_ms),
        "company_to": datetime_from_ms(found.end_ms),
    }


def _curve_csv(report: JobReport, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The buckets of the curve, or of a part of it, as a table."""
    try:
        curve = part_of(report, request.GET)
    except PartRefused as refused:
        return HttpResponse(refused_sentence(refused), status=400, content_type="text/plain; charset=utf-8")
    if curve is None:
        raise Http404("this job has no curve")
    return csv_response("job-power.csv", charts_job.curve_header(curve), charts_job.curve_cells(curve))
