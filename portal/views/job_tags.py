"""`/jobs/<cluster>/<job>/tags/`: what a job counts as, for whoever may say it."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from measurements.domain.tagging import KEYS
from measurements.selectors.job_tags import may_tag
from measurements.services.audit import Page
from measurements.services.tags import edit_tags
from portal.noting import note_jobs
from portal.tag_forms import TagsForm
from portal.tags_page import job_address, tags_context
from portal.views.job import chosen_job, jobs_named


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest, cluster: str, job: str) -> HttpResponse:
    """Show the tags of a job with a form; take what is said of it."""
    shown = chosen_job(jobs_named(request, cluster, job), request.GET.get("start", ""))
    if not may_tag(request.user, shown):
        raise Http404("no such page")
    note_jobs(request, [shown], Page.JOB)
    context = tags_context(request, shown, request.POST if request.method == "POST" else None)
    if request.method == "POST":
        said = _said(request, context["tags_form"])
        if said is not None:
            changed = edit_tags(request.user.get_username(), [shown.pk], said, timezone.now()) if said else 0
            messages.success(request, _changed(changed))
            return redirect(job_address(shown))
    return render(request, "portal/job_tags.html", {"job": shown} | context)


def _said(request: HttpRequest, form: TagsForm) -> dict[str, object] | None:
    """What is to be set; None if something of it cannot be."""
    back = request.POST.get("back", "")
    if back:
        if back not in KEYS:
            raise Http404("no such tag")
        return {back: None}
    return form.said() if form.is_valid() else None


def _changed(changed: int) -> str:
    if not changed:
        return _("The job counts as what it did before.")
    return _("Noted. The sums that it is part of follow within minutes.")
