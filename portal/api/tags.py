"""What jobs count as: read with where it is from, and said of one job or of many."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Field, Router, Schema
from ninja.errors import HttpError
from pydantic import ConfigDict

from measurements.domain.tag_edits import FIELDS, TagsRefused
from measurements.models import Cluster, Job
from measurements.selectors.job_tags import job_tagging, may_tag, taggable_by
from measurements.selectors.lookup import find_jobs
from measurements.services.audit import Page
from measurements.services.tags import MOST_EDITED, edit_tags
from portal.noting import note_jobs

router = Router(tags=["tags"])
NAMED = 10  # of the jobs that are missing
Said = Annotated[str | int | float | None, Field(description='"": taken away; null: the edit is taken back')]


class TagsSaid(Schema):
    """Any of the tags; what is missing stays as it is."""

    model_config = ConfigDict(extra="forbid")

    workload: Said = None
    phase: Said = None
    size: Said = None
    target: Said = None
    work: Said = None
    unit: Annotated[str | None, Field(description="of the work: comes with it")] = None


class ManyTags(TagsSaid):
    """Tags of many jobs."""

    jobs: Annotated[
        list[str], Field(max_length=MOST_EDITED, min_length=1, description="cluster/job, as the site names jobs")
    ]


class Other(Schema):
    """What else is said of a tag."""

    origin: str
    value: str | float
    unit: str


class Tag(Schema):
    """A tag of a job."""

    value: Annotated[str | float | None, Field(description="null: none")]
    unit: Annotated[str, Field(description="of work")]
    origin: Annotated[str, Field(description="edit, operator or comment (the job's comments), rule 7; empty: nobody")]
    others: Annotated[list[Other], Field(description="what else is said, the strongest first")]


class JobTagsAnswer(Schema):
    """What a job counts as."""

    cluster: str
    job: str
    tags: dict[str, Tag]
    edited_by: str | None
    edited_at: datetime | None
    may_edit: bool


class Changed(Schema):
    """What became of many jobs."""

    jobs: int
    changed: Annotated[int, Field(description="now count as something else")]


class NotKept(Schema):
    """Why nothing was changed."""

    detail: str
    errors: list[dict[str, str]]


@router.get("/jobs/{cluster}/{job}/tags", response=JobTagsAnswer)
def tags(request: HttpRequest, cluster: str, job: str) -> dict[str, Any]:
    """The tags of a job and where each is from. Where an id was used again: the newest."""
    return _answer(request, _job(request, cluster, job))


@router.patch("/jobs/{cluster}/{job}/tags", response={200: JobTagsAnswer, 422: NotKept})
def say(request: HttpRequest, cluster: str, job: str, said: TagsSaid) -> dict[str, Any]:
    """Say what a job counts as: its owner, and holders of *can make rules for workloads …*."""
    found = _job(request, cluster, job)
    if not may_tag(request.user, found):
        raise HttpError(403, "it is somebody else's")
    edit_tags(request.user.get_username(), [found.pk], said.dict(exclude_unset=True), timezone.now())
    return _answer(request, _job(request, cluster, job))


@router.post("/tags", response={200: Changed, 422: NotKept})
def say_of_many(request: HttpRequest, said: ManyTags) -> dict[str, Any]:
    """Say what many jobs count as, all or none; the newest of an id."""
    ids, missing = _ids(request, said.jobs)
    if missing:
        raise TagsRefused("jobs", f"no such job, or it is not yours to tag: {', '.join(missing[:NAMED])}")
    values = {key: value for key, value in said.dict(exclude_unset=True).items() if key in FIELDS}
    changed = edit_tags(request.user.get_username(), ids, values, timezone.now())
    return {"jobs": len(ids), "changed": changed}


def _job(request: HttpRequest, cluster: str, job: str) -> Job:
    if "\0" in cluster:
        raise Http404
    machine = get_object_or_404(Cluster.objects.visible_to(request.user), name=cluster)
    found = find_jobs(machine, job).visible_to(request.user).select_related("cluster", "tag_edit").first()
    if found is None:
        raise Http404
    note_jobs(request, [found], Page.API_JOB)
    return found


def _ids(request: HttpRequest, names: list[str]) -> tuple[list[int], list[str]]:
    """The jobs of some names (cluster/shown id) that one may tag, and the names of which there is none."""
    pairs = {name: name.partition("/")[::2] for name in dict.fromkeys(names) if "\0" not in name}
    by_cluster: dict[str, list[str]] = {}
    for cluster, job in pairs.values():
        by_cluster.setdefault(cluster, []).append(job)
    found: dict[tuple[str, str], int] = {}
    for cluster, jobs in by_cluster.items():  # few: one query a cluster, along its index of ids
        rows = taggable_by(request.user).filter(cluster__name=cluster, job_id__in=jobs).order_by("start_ms", "pk")
        found |= {(cluster, job_id): pk for pk, job_id in rows.values_list("pk", "job_id")}  # the newest last
    missing = [name for name in names if pairs.get(name) not in found]
    return sorted(set(found.values())), missing


def _answer(request: HttpRequest, job: Job) -> dict[str, Any]:
    found = job_tagging(job)
    return {
        "cluster": job.cluster.name,
        "job": job.job_id,
        "tags": {
            line.key: {
                "value": line.value or None,
                "unit": line.unit,
                "origin": line.origin,
                "others": [{"origin": origin, "value": value, "unit": unit} for origin, value, unit in line.others],
            }
            for line in found.lines
        },
        "edited_by": found.edited_by or None,
        "edited_at": found.edited_at,
        "may_edit": may_tag(request.user, job),
    }
