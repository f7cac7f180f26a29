"""What a page shows of a job's tags: the lines, and the form for whoever may change them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from measurements.domain.tagging import Tagged
from measurements.models import Job
from measurements.selectors.job_tags import MANAGE, job_tagging, may_tag, suggestions
from portal import wording_tags
from portal.tag_forms import TagsForm


def tags_context(request: HttpRequest, job: Job, posted: Any = None) -> dict[str, Any]:
    """The tags of a job in words, and the form for whoever may change them; two queries."""
    found = job_tagging(job)
    manages = request.user.has_perm(MANAGE)
    editable = may_tag(request.user, job)
    workloads, units = suggestions(request.user) if editable else ([], [])
    literal = {row.workload for row in found.rules.values() if row.workload and "\\" not in row.workload}
    return {
        "tag_lines": wording_tags.lines(found, request.user.get_username(), rules=manages),
        "tags_pending": (found.tagged.tags.workload, found.tagged.tags.phase) != (job.workload, job.phase),
        "tags_form": TagsForm(posted, initial=initial_of(found.tagged), auto_id="tags-%s", label_suffix=""),
        "may_tag": editable,
        "workloads": sorted({*workloads, *literal}),
        "units": units,
    }


def initial_of(now: Tagged) -> dict[str, Any]:
    """A form filled in with what a job counts as."""
    tags = now.tags
    work = "" if tags.work is None else f"{tags.work:.15g}"
    return {
        "workload": tags.workload,
        "phase": tags.phase,
        "size": tags.size,
        "target": tags.target,
        "work": work,
        "unit": tags.unit,
    }


def job_address(job: Job) -> str:
    """The part of the job's page that shows its tags."""
    start = f"?start={job.start_ms}" if job.start_ms is not None else ""
    return f"{reverse('job', args=[job.cluster.name, job.job_id])}{start}#tags"
