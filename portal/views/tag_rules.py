"""`/operations/workloads/`: the rules that tag jobs, each tried on the newest jobs before it holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE, DELETION
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from measurements.models import TagRule
from measurements.selectors.job_tags import MANAGE
from measurements.selectors.tag_preview import preview
from measurements.selectors.tag_rules import NEWEST, rule_changes, said_on_clusters
from measurements.services.audit import Page
from measurements.services.tags import delete_rule, move_rule, pass_progress, save_rule, switch_rule
from portal import wording_tags
from portal.noting import note_change, note_jobs
from portal.tag_forms import RuleForm
from portal.views.operators import operators_only

P = ParamSpec("P")
SAID = {"up": "position", "down": "position", "on": "enabled", "off": "enabled"}  # fields that change
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def may_manage(view: View[P]) -> View[P]:
    """A page that exists for holders of ``measurements.manage_workloads`` alone."""

    @operators_only
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.has_perm(MANAGE):
            raise Http404("no such page")
        return view(request, *args, **kwargs)

    return guarded


@require_safe
@may_manage
def page(request: HttpRequest) -> HttpResponse:
    """Show the rules in their order, how far jobs are tagged by them, and what jobs come with."""
    rows = list(TagRule.objects.select_related("cluster").order_by("position", "pk"))
    progress = pass_progress()
    context = {
        "rules": [(row, wording_tags.rule_sets(row)) for row in rows],
        "last": len(rows),
        "progress": progress,
        "done_share": 1 - progress.waiting / progress.jobs if progress.jobs else 1.0,
        "said": said_on_clusters(),
        "newest": NEWEST,
        "changes": rule_changes(),
    }
    return render(request, "portal/operations/tag_rules.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@may_manage
def edit(request: HttpRequest, rule: int | None = None) -> HttpResponse:
    """Ask for a rule, show what it would change, and store it when that has been seen."""
    row = get_object_or_404(TagRule, pk=rule) if rule is not None else TagRule()
    form = RuleForm(request.POST or None, instance=row, label_suffix="")
    context: dict[str, Any] = {"form": form, "rule": row if rule is not None else None, "tried": None}
    if request.method == "POST" and form.is_valid():
        if "store" in request.POST:
            with transaction.atomic():
                save_rule(form.instance)
                note_change(request, form.instance, ADDITION if rule is None else CHANGE, ", ".join(form.changed_data))
            messages.success(request, _("Stored. All jobs are tagged by it within minutes."))
            return redirect("tag-rules")
        context |= _tried(request, form.instance)
    return render(request, "portal/operations/tag_rule.html", context)


def _tried(request: HttpRequest, draft: TagRule) -> dict[str, Any]:
    found = preview(request.user, draft)
    note_jobs(request, found.examples, Page.JOBS)
    words = wording_tags.tags_words
    return {
        "tried": found,
        "sentences": wording_tags.preview_sentences(found),
        "moves": wording_tags.moves(found),
        "examples": [(one, words(one.before), words(one.after)) for one in found.examples],
        "several_users": request.user.has_perm("measurements.view_all_jobs"),
    }


@require_POST
@may_manage
def change(request: HttpRequest, rule: int) -> HttpResponse:
    """Move a rule up or down, switch it on or off, or delete it; then back to the list."""
    row = get_object_or_404(TagRule, pk=rule)
    actions: dict[str, Callable[[], object]] = {
        "up": lambda: move_rule(row, -1),
        "down": lambda: move_rule(row, 1),
        "on": lambda: switch_rule(row, enabled=True),
        "off": lambda: switch_rule(row, enabled=False),
        "delete": lambda: delete_rule(row),
    }
    asked = request.POST.get("do", "")
    if asked not in actions:
        raise Http404("no such action")
    with transaction.atomic():
        note_change(request, row, DELETION if asked == "delete" else CHANGE, SAID.get(asked, ""))
        actions[asked]()
    return redirect("tag-rules")
