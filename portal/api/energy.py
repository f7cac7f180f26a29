"""Jobs, one's own sums, projects."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Query, Router

from measurements.models import Cluster, Job, JobQuerySet
from measurements.selectors.energy import Period, energy_of_job, energy_of_jobs
from measurements.selectors.lookup import find_jobs
from measurements.services.audit import Page
from portal.api.forms import Days, Energy, JobEnergy, ProjectMonth
from portal.api.project_months import project_months
from portal.noting import note_jobs, note_projects

router = Router(tags=["energy"])


@router.get("/users/me", response=Energy)
def me(request: HttpRequest, days: Query[Days], cluster: str = "") -> dict[str, Any]:
    """What one's own jobs drew and emitted."""
    mine = Job.objects.visible_to(request.user).filter(username=request.user.get_username())
    return energy_of_jobs(_on(mine, cluster), days.period()).as_json()


@router.get("/projects/{name}", response=Energy)
def project(request: HttpRequest, name: str, days: Query[Days], cluster: str = "") -> dict[str, Any]:
    """What those jobs of a project drew and emitted that one may see; 404 if that is none."""
    jobs = _on(Job.objects.visible_to(request.user).filter(account=name), cluster)
    if not jobs.exists():
        raise Http404
    if jobs.exclude(username=request.user.get_username()).exists():
        note_projects(request, [name], Page.API_PROJECT)
    return energy_of_jobs(jobs, days.period()).as_json()


@router.get("/projects/{name}/months", response=list[ProjectMonth])
def months(request: HttpRequest, name: str, days: Query[Days]) -> list[dict[str, Any]]:
    """A project's months that are over, with its sub-projects, for whoever leads it: the sums of its page.

    Of months of too few people everything is null; 404 where one may not see the project.
    """
    found = project_months(request.user, name, *days.bounds())
    if found is None:
        raise Http404
    note_projects(request, [name], Page.API_PROJECT)
    return found


@router.get("/jobs/{cluster}/{job}", response=JobEnergy)
def job(request: HttpRequest, cluster: str, job: str) -> dict[str, Any]:
    """One job, by whatever the batch system calls it; `5_*` is an array. Where an id was used again: the newest."""
    machine = get_object_or_404(Cluster.objects.visible_to(request.user), name=cluster)
    found = list(find_jobs(machine, job).visible_to(request.user))
    if not found:
        raise Http404
    shown = found if job.endswith("*") else found[:1]
    note_jobs(request, shown, Page.API_JOB)
    return energy_of_job(shown, Period()).as_json()


def _on(jobs: JobQuerySet, cluster: str) -> JobQuerySet:
    return jobs.filter(cluster__name=cluster) if cluster else jobs
