"""`/jobs/<cluster>/<job>/`: what one job drew, and how that is known."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.models import Cluster, Job
from measurements.selectors.curve import job_curve
from measurements.selectors.job import JobReport, job_report
from measurements.selectors.lookup import find_jobs
from portal import charts, wording
from portal.quantities import unit_for

SAME_ID_SHOWN = 20


@login_required
@require_safe
def page(request: HttpRequest, cluster: str, job: str) -> HttpResponse:
    """Show a job to whoever may see it; to anybody else it does not exist."""
    named = find_jobs(get_object_or_404(Cluster, name=cluster), job).visible_to(request.user)
    found = list(named.select_related("cluster")[:SAME_ID_SHOWN])
    if not found:
        raise Http404("no such job")
    shown = _chosen(found, request.GET.get("start", ""))
    report = job_report(shown)
    context = {
        "report": report,
        "job": shown,
        "others": [other for other in found if other.pk != shown.pk],
        "meters": [(meter, wording.meter_sentence(meter)) for meter in report.meters],
        "nodes_unit": unit_for(max((n.figures.energy_j or 0.0 for n in report.nodes), default=0.0), "energy"),
    }
    return render(request, "portal/job.html", context | _words(report) | _comparison(report) | _chart(report))


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
    return {"curve": curve, "chart": payload, "unit": unit, "rows": charts.curve_rows(curve.total)}


def _assumed_w(report: JobReport) -> float | None:
    """The power the estimate assumes for all nodes; of shared nodes the curve shows more than this job."""
    if report.shared or report.estimate.energy_j is None or report.mean_w is None or not report.figures.mean_node_w:
        return None
    nodes = report.mean_w / report.figures.mean_node_w
    return report.estimate.energy_j / report.figures.elapsed_s * nodes
