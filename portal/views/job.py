"""`/jobs/<cluster>/<job>/`: what one job drew, and how that is known."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.domain.quality import ratio
from measurements.domain.units import datetime_from_ms, ms_from_datetime
from measurements.models import Cluster, Job
from measurements.selectors.company import company
from measurements.selectors.curve import JobCurve, job_curve
from measurements.selectors.gpu_idle import gpu_idle
from measurements.selectors.job import JobReport, job_report
from measurements.selectors.lookup import named
from portal import charts, charts_job, wording, wording_job, wording_jobs
from portal.csvs import csv_response
from portal.quantities import unit_for

SAME_ID_SHOWN = 20


@login_required
@require_safe
def page(request: HttpRequest, cluster: str, job: str) -> HttpResponse | StreamingHttpResponse:
    """Show a job to whoever may see it; to anybody else it does not exist."""
    if "\0" in cluster:  # PostgreSQL refuses it
        raise Http404("no such cluster")
    machine = get_object_or_404(Cluster.objects.visible_to(request.user), name=cluster)
    named_jobs = Job.objects.visible_to(request.user).filter(pk__in=named([machine.pk], job))
    found = list(named_jobs.select_related("cluster").order_by("-start_ms", "-pk")[:SAME_ID_SHOWN])
    if not found:
        raise Http404("no such job")
    shown = _chosen(found, request.GET.get("start", ""))
    report = job_report(shown)
    if request.GET.get("format") == "csv":
        return _curve_csv(report)
    context = {
        "report": report,
        "job": shown,
        "others": [other for other in found if other.pk != shown.pk],
        "end_sentence": wording_jobs.end_sentence(shown.state),
        "curve_csv": urlencode({"start": shown.start_ms, "format": "csv"}),
        "meters": [(meter, wording.meter_sentence(meter)) for meter in report.meters],
        "nodes_unit": unit_for(max((n.figures.energy_j or 0.0 for n in report.nodes), default=0.0), "energy"),
    }
    context |= _words(report) | _comparison(report) | _chart(report) | _gpus(report) | _company(request, shown)
    return render(request, "portal/job.html", context)


def _chosen(found: list[Job], start: str) -> Job:
    """Of jobs with the same id the one that began at ``start`` (ms); the newest if none is asked for."""
    if not start:
        return found[0]
    wanted = [job for job in found if str(job.start_ms) == start]
    if not wanted:
        raise Http404("no job of this id began then")
    return wanted[0]


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


def _chart(report: JobReport) -> dict[str, Any]:
    curve = job_curve(report.job, report.figures.samples)
    if curve is None:
        return {"curve": None}
    payload, unit = charts.power_curve(curve, ZoneInfo(timezone.get_default_timezone_name()), _assumed_w(report))
    payload["parts"] = charts_job.part_lines(curve, unit)
    parts = _parts(report, curve)
    return {
        "curve": curve,
        "chart": payload,
        "unit": unit,
        "rows": charts.curve_rows(curve.total),
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
    return {
        "company": found,
        "company_sentence": wording_job.company_sentence(found),
        "strips": charts_job.band_strips(found),
        "bands": charts_job.band_rows(found),
        "company_from": datetime_from_ms(found.start_ms),
        "company_to": datetime_from_ms(found.end_ms),
    }


def _curve_csv(report: JobReport) -> StreamingHttpResponse:
    """The curve's buckets as a table."""
    curve = job_curve(report.job, report.figures.samples)
    if curve is None:
        raise Http404("this job has no curve")
    return csv_response("job-power.csv", charts_job.curve_header(curve), charts_job.curve_cells(curve))


def _assumed_w(report: JobReport) -> float | None:
    """The power the estimate assumes for all nodes; of shared nodes the curve shows more than this job."""
    if report.shared or report.estimate.energy_j is None or report.mean_w is None or not report.figures.mean_node_w:
        return None
    nodes = report.mean_w / report.figures.mean_node_w
    return report.estimate.energy_j / report.figures.elapsed_s * nodes
