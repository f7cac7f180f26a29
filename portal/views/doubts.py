"""`/operations/doubts/`: what plausibility rules found, taken in again or left out; and what clusters do with rules."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.models import CHANGE
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from measurements.domain.plausibility import ONLY_REPORTED, Rule, Setting
from measurements.models import Cluster, Doubt
from measurements.selectors.doubts import DoubtFilter, counted, doubts, filtered, left_out, stretches
from measurements.services.doubts import NotPossible, decide, set_rule, setting_of
from portal import wording_doubts as wording
from portal.charts_doubts import HEIGHT, WIDTH, small_curve
from portal.doubt_forms import MOST_AT_ONCE, DecideForm, DoubtFilterForm, RuleSettingForm
from portal.forms import Period
from portal.noting import note_change
from portal.operations_forms import OPERATIONS_LENGTHS, OperationsPeriodForm
from portal.views.operators import (
    chosen_cluster,
    clusters_of,
    operators_only,
    operators_who,
    period_context,
    place_of,
    query_of,
    utc_today,
)

CHANGE_DOUBTS = "measurements.change_doubt"
SHOWN = 12  # each with its curve


@require_safe
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """Show what was found in some days, newest first."""
    period_form, form, period, cluster, clusters = _asked(request)
    name = cluster.name if cluster and request.GET.get("cluster") else ""
    wanted = form.wanted(name, period)
    after = place_of(request.GET.get("after", "")) or 0
    found = doubts(wanted, limit=SHOWN + 1, after=after)
    curves = stretches(found[:SHOWN])
    kept = {"cluster": name, **form.said()}
    bar = period_context(period_form, period, OPERATIONS_LENGTHS, **kept)
    counts = counted(wanted)
    context: dict[str, Any] = {
        "doubts": [
            (one, wording.rule_word(one.rule), wording.sentence(one), wording.cure(one.rule),
             small_curve(one, *curves[one.pk]) if one.pk in curves else None)
            for one in found[:SHOWN]
        ],
        "width": WIDTH,
        "height": HEIGHT,
        "count": sum(row.count for row in counts),
        "counts": _counts(counts),
        "left_out_sentence": wording.left_out_sentence(left_out(wanted)),
        "filter": form,
        "filtered": bool(form.said()),
        "clusters": clusters,
        "cluster": name,
        "may_change": request.user.has_perm(CHANGE_DOUBTS),
        "rules_of": [(one, _rules(one)) for one in ([cluster] if cluster else [])],
        "older": f"?{bar['query']}&{query_of(after=after + SHOWN)}" if len(found) > SHOWN else None,
        "paged": after > 0,
    }  # fmt: skip
    return render(request, "portal/operations/doubts.html", context | bar)


def _asked(
    request: HttpRequest,
) -> tuple[OperationsPeriodForm, DoubtFilterForm, Period, Cluster | None, list[Cluster]]:
    """What the address says."""
    period_form = OperationsPeriodForm(request.GET)
    clusters = clusters_of(request)
    period = period_form.period(utc_today())
    return period_form, DoubtFilterForm(request.GET), period, chosen_cluster(request, clusters), clusters


def _counts(rows: list[Any]) -> list[tuple[str, dict[str, int]]]:
    """By rule how many are in each state."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row.rule, {})[row.state] = row.count
    return [(wording.rule_word(rule), states) for rule, states in sorted(found.items())]


def _rules(cluster: Cluster) -> list[dict[str, Any]]:
    return [
        {
            "rule": rule.value,
            "name": wording.rule_word(rule),
            "meaning": wording.MEANINGS[rule],
            "setting": _shown_setting(cluster, rule).value,
            "settings": wording.settings_of(rule),
        }
        for rule in Rule
    ]


def _shown_setting(cluster: Cluster, rule: Rule) -> Setting:
    """What is in force; a rule that only reports has no other way to leave anything out."""
    setting = setting_of(cluster, rule)
    return Setting.REPORT if rule in ONLY_REPORTED and setting is Setting.DEFAULT else setting


@require_POST
@operators_who(CHANGE_DOUBTS)
def change(request: HttpRequest) -> HttpResponseBase:
    """Take one in again or leave it out, or all that the address says; or say what a cluster does with a rule."""
    try:
        if "setting" in request.POST:
            _set_rule(request)
        else:
            _decide(request)
    except NotPossible as fault:
        messages.error(request, wording.refusal(fault))
    return redirect(f"{reverse('doubts')}?{request.GET.urlencode()}")


def _decide(request: HttpRequest) -> None:
    form = DecideForm(request.POST)
    if not form.is_valid():
        raise Http404("no such thing to do")
    if form.cleaned_data["one"]:
        chosen = [form.cleaned_data["one"]]
    else:
        _, narrow, period, cluster, _all = _asked(request)
        name = cluster.name if cluster and request.GET.get("cluster") else ""
        chosen = _of_filter(narrow.wanted(name, period))
    with transaction.atomic():
        by = request.user.get_username()
        changed = decide(chosen, form.state(), by, timezone.now(), form.cleaned_data["note"])
        for row in changed:
            note_change(request, row, CHANGE, row.state)
    if form.state() == Doubt.State.LIFTED:
        words = ngettext(
            "%(count)d finding is taken in again; its day is being booked anew.",
            "%(count)d findings are taken in again; their days are being booked anew.",
            len(changed),
        )
    else:
        words = ngettext(
            "%(count)d finding is left out; its day is being booked anew.",
            "%(count)d findings are left out; their days are being booked anew.",
            len(changed),
        )
    messages.success(request, words % {"count": len(changed)})


def _of_filter(wanted: DoubtFilter) -> list[int]:
    """All that a filter says; joules of counters that are not placed can't be decided about."""
    rows = filtered(wanted).exclude(rule=Rule.JUMP.value).order_by("pk")
    return list(rows.values_list("pk", flat=True)[:MOST_AT_ONCE])


def _set_rule(request: HttpRequest) -> None:
    form = RuleSettingForm(request.POST)
    cluster = chosen_cluster(request, clusters_of(request))
    if cluster is None or not form.is_valid():
        raise Http404("no such rule")
    rule, setting = form.chosen()
    with transaction.atomic():
        if set_rule(cluster, rule, setting):
            note_change(request, cluster, CHANGE, f"{rule.value}: {setting.value}")
    said = {"rule": wording.rule_word(rule), "setting": wording.SETTINGS[setting], "cluster": cluster.name}
    messages.success(
        request, _("%(rule)s on %(cluster)s: %(setting)s. Its open days are being looked through anew.") % said
    )
