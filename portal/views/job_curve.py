"""`/jobs/<cluster>/<job>/curve.json`: a part of a power curve as fine as its samples, for whoever may see the job."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from measurements.domain.curves import PartRefused
from measurements.selectors.job import job_report
from measurements.services.audit import Page
from portal.curve_part import drawn_part, part_of
from portal.noting import note_jobs
from portal.views.job import chosen_job, jobs_named
from portal.wording_curve import refused_sentence

TABLE = "portal/partials/_curve_table.html"


@login_required
@require_safe
def part(request: HttpRequest, cluster: str, job: str) -> JsonResponse:
    """Answer with what the page draws, its table and its words; with a sentence where there is no such part."""
    shown = chosen_job(jobs_named(request, cluster, job), request.GET.get("start", ""))
    note_jobs(request, [shown], Page.JOB)
    report = job_report(shown)
    try:
        curve = part_of(report, request.GET)
    except PartRefused as refused:
        return JsonResponse({"error": refused_sentence(refused)}, status=400)
    if curve is None:
        raise Http404("this job has no curve")
    drawn = drawn_part(report, curve)
    return JsonResponse(
        {
            "chart": drawn["chart"],
            "table": render_to_string(TABLE, drawn),
            "sentence": drawn["curve_sentence"],
            "period": drawn["curve_period"],
            "query": drawn["curve_query"],
            "csv": drawn["curve_csv"],
            "moves": {move.name: {"query": move.query, "stays": move.stays} for move in drawn["curve_moves"]},
        }
    )
