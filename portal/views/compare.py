"""`/jobs/compare/`: two to eight jobs side by side."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from measurements.selectors.compare import MOST_COMPARED, ComparedJob, Pick, compare_jobs, picked_jobs
from measurements.services.audit import Page
from portal import wording_compare
from portal.noting import note_jobs
from portal.quantities import unit_for

FEWEST, MOST = 2, MOST_COMPARED
LONGEST_MS = 16  # digits


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Compare the jobs that the address names; one that the viewer may not see does not exist."""
    picks = [_pick(text) for text in dict.fromkeys(request.GET.getlist("job"))]
    if len(picks) > MOST:
        return _ask_for_others(request)
    jobs = picked_jobs(request.user, picks)
    if jobs is None:
        raise Http404("no such job")
    if len(jobs) < FEWEST:
        return _ask_for_others(request)
    note_jobs(request, jobs, Page.COMPARISON)
    found = compare_jobs(jobs)
    names = wording_compare.names(found)
    context = {
        "columns": [_column(job, name, found) for job, name in zip(found, names, strict=True)],
        "sentences": wording_compare.sentences(found, names),
        "unit": unit_for(_longest_j(found), "energy"),
        "power_unit": unit_for(max((job.mean_w or 0.0 for job in found), default=0.0), "power"),
        "gpus": any(job.figures.gpu_energy_j or job.gpus for job in found),
    }
    return render(request, "portal/compare.html", context)


def _ask_for_others(request: HttpRequest) -> HttpResponse:
    return render(request, "portal/compare.html", {"columns": [], "fewest": FEWEST, "most": MOST})


def _pick(text: str) -> Pick:
    """cluster/id, or cluster/id/start in ms."""
    parts = text.split("/")
    start = parts[2] if len(parts) == 3 else ""
    known = not start or (start.isascii() and start.isdecimal() and len(start) < LONGEST_MS)
    if len(parts) not in (2, 3) or "\0" in text or not known:
        raise Http404("no such job")
    return Pick(parts[0], parts[1], int(start) if start else None)


def _longest_j(jobs: tuple[ComparedJob, ...]) -> float:
    return max(max(job.figures.energy_j or 0.0, job.estimate.energy_j or 0.0) for job in jobs)


def _column(job: ComparedJob, name: str, all_jobs: tuple[ComparedJob, ...]) -> dict[str, Any]:
    longest = _longest_j(all_jobs) or 1.0
    return {
        "name": name,
        "job": job.job,
        "of": job,
        "metered_bar": (job.figures.energy_j or 0.0) / longest,
        "estimated_bar": (job.estimate.energy_j or 0.0) / longest,
        "types": ", ".join(job.node_types) or "–",
    }
