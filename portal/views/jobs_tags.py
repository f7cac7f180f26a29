"""`/jobs/tags/`: what the jobs of a filter count as, said of all of them at once; tried before it holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from measurements.domain.tag_edits import checked_edit
from measurements.domain.units import datetime_from_ms
from measurements.models import JobQuerySet
from measurements.selectors.job_tags import MANAGE, suggestions, taggable_by
from measurements.selectors.jobfilter import Selection, machines
from measurements.selectors.tag_preview import edit_effect
from measurements.services.tags import MOST_EDITED, edit_tags
from portal import wording_tags
from portal.job_forms import Choices, JobFilterForm
from portal.job_sheet import filter_in_words
from portal.tag_forms import BulkTagsForm

NOT_OF_THE_FILTER = ("after", "format", "csrfmiddlewaretoken", "try")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The jobs of a filter that one may tag."""

    ids: tuple[int, ...]  # one more than may be tagged at once, if there are more
    words: str  # the filter
    looked_to: datetime | None  # older jobs were not looked at

    @property
    def too_many(self) -> bool:
        """Whether they are more than may be tagged at once."""
        return len(self.ids) > MOST_EDITED


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Ask what the jobs count as, show how many that changes, and note it when that has been seen."""
    form = BulkTagsForm(request.GET if _is_tried(request) else None, auto_id="tags-%s", label_suffix="")
    chosen = _chosen(request)
    said = form.said() if form.is_bound and form.is_valid() else {}
    usable = bool(said and chosen.ids and not chosen.too_many)
    same = request.POST.get("jobs") == str(len(chosen.ids))  # as many as were shown
    if request.method == "POST" and usable and same:
        changed = edit_tags(request.user.get_username(), chosen.ids, said, timezone.now())
        messages.success(request, _noted(changed, len(chosen.ids)))
        return redirect(f"{reverse('jobs')}?{urlencode(filter_of(request))}")
    workloads, units = suggestions(request.user)
    context: dict[str, Any] = {
        "form": form,
        "tags": [(form[f"do_{key}"], form[key]) for key in wording_tags.LABELS],
        "unit": form["unit"],
        "chosen": chosen,
        "most": MOST_EDITED,
        "manages": request.user.has_perm(MANAGE),
        "kept": filter_of(request),
        "filter_query": urlencode(filter_of(request)),
        "query": request.GET.urlencode(),
        "workloads": workloads,
        "units": units,
        "tried": edit_effect(_jobs(request, chosen), checked_edit(said)) if usable else None,
        "grown": request.method == "POST" and usable,
        "nothing_said": form.is_bound and form.is_valid() and not said,
    }
    if context["tried"]:
        context |= {
            "sentence": wording_tags.effect_sentence(context["tried"]),
            "moves": wording_tags.moves(context["tried"]),
        }
    return render(request, "portal/jobs_tags.html", context)


def filter_of(request: HttpRequest) -> list[tuple[str, str]]:
    """The filter as it stands in the address, without what is said of its jobs."""
    kept = [(name, str(value)) for name, value in request.GET.items() if value and name not in NOT_OF_THE_FILTER]
    return [(name, value) for name, value in kept if not name.startswith(f"{BulkTagsForm.prefix}-")]


def _is_tried(request: HttpRequest) -> bool:
    return any(name.startswith(f"{BulkTagsForm.prefix}-") for name in request.GET)


def _jobs(request: HttpRequest, chosen: Chosen) -> JobQuerySet:
    return taggable_by(request.user).filter(pk__in=chosen.ids)


def _chosen(request: HttpRequest) -> Chosen:
    """The newest jobs of the filter, as far as one of its pages looks."""
    known, manages = machines(request.user), request.user.has_perm(MANAGE)
    form = JobFilterForm(request.GET, Choices(known, request.user.has_perm("measurements.view_all_jobs")))
    wanted = form.wanted(ZoneInfo(timezone.get_default_timezone_name()))
    if not manages:
        if wanted.user and wanted.user != request.user.get_username():
            return Chosen((), filter_in_words(form), None)
        wanted = replace(wanted, user=request.user.get_username())
    selection = Selection(request.user, wanted, known)
    floor_ms = selection.floor_ms()
    jobs = selection.matching(None, floor_ms)
    if not manages:
        jobs = jobs.filter(username=request.user.get_username())
    ids = tuple(jobs.values_list("pk", flat=True)[: MOST_EDITED + 1])
    to = datetime_from_ms(floor_ms) if floor_ms is not None and len(ids) <= MOST_EDITED else None
    return Chosen(ids, filter_in_words(form), to)


def _noted(changed: int, jobs: int) -> str:
    if not changed:
        return _("The jobs count as what they did before.")
    return ngettext(
        "Noted: %(changed)d of %(jobs)d jobs now counts as something else. Sums follow within minutes.",
        "Noted: %(changed)d of %(jobs)d jobs now count as something else. Sums follow within minutes.",
        changed,
    ) % {"changed": changed, "jobs": jobs}
