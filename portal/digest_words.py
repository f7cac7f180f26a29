"""A mail's subject and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from measurements.models import Digest
from measurements.selectors.usage import Usage
from portal import wording_usage
from portal.forms import Period
from portal.quantities import NBSP, format_quantity, number, percent
from portal.usage_metric import in_words, total_of
from portal.usage_view import Metric, View
from portal.wording import CLOSE, WHOLE, compared

MOST_APART = 0.1  # of the measured share: beyond, energies of two periods are not held against each other


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure of the period, and how it changed."""

    label: str
    shown: str
    change: str


def heading(kind: Digest.Kind, period: Period) -> str:
    """Your week, Mon 2 Mar 2026 – Sun 8 Mar 2026."""
    name = wording_usage.period_name(period)
    if kind is Digest.Kind.WEEKLY:
        return _("Your week, %(days)s") % {"days": name}
    return _("Your month, %(month)s") % {"month": name}


def subject(kind: Digest.Kind, period: Period, found: Usage, earlier: Usage) -> str:
    """The mail in one line; empty if the person ran nothing in either time."""
    if not found.elapsed_s and not earlier.elapsed_s:
        return ""
    start = _whose(kind, period)
    if not found.elapsed_s:
        return _("%(whose)s: no job ran") % {"whose": start}
    if not found.covered_s:
        return _("%(whose)s: jobs ran, but nothing was measured") % {"whose": start}
    said = f"{start}: {format_quantity(found.energy_j, 'energy')}"
    if not earlier.elapsed_s:
        weekly = kind is Digest.Kind.WEEKLY
        after = _("after a week without jobs") if weekly else _("after a month without jobs")
        return f"{said}, {after}"
    change = _against(kind, found, earlier)
    return f"{said}, {change}" if change else said


def subject_of_projects(kind: Digest.Kind, period: Period, names: Sequence[str]) -> str:
    """The same for whoever ran nothing and leads projects."""
    values: dict[str, str | int] = {"whose": _whose(kind, period), "count": len(names), "name": "".join(names[:1])}
    if not names:
        return _("%(whose)s: budgets") % values
    if len(names) == 1:
        return _("%(whose)s: project %(name)s") % values
    return _("%(whose)s: %(count)d projects") % values


def _whose(kind: Digest.Kind, period: Period) -> str:
    if kind is Digest.Kind.WEEKLY:
        return _("Your week")
    return _("Your %(month)s") % {"month": date_format(period.first, pgettext("a month", "F Y"))}


def _against(kind: Digest.Kind, found: Usage, earlier: Usage) -> str:
    """8 % less than the week before; empty where it cannot be said."""
    if not comparable(found, earlier) or earlier.energy_j <= 0:
        return ""
    ratio = found.energy_j / earlier.energy_j
    values = {"share": f"{abs(ratio - 1) * 100:.0f}{NBSP}%", "times": number(ratio)}
    weekly = kind is Digest.Kind.WEEKLY
    if abs(ratio - 1) <= CLOSE:
        return _("about as much as the week before") if weekly else _("about as much as the month before")
    if ratio > 2:
        return (_("%(times)s times the week before") if weekly else _("%(times)s times the month before")) % values
    if ratio > 1:
        more = _("%(share)s more than the week before") if weekly else _("%(share)s more than the month before")
        return more % values
    return (_("%(share)s less than the week before") if weekly else _("%(share)s less than the month before")) % values


def comparable(found: Usage, earlier: Usage) -> bool:
    """Whether about the same share of both times was measured: else the difference may be the meters' alone."""
    if found.coverage is None or earlier.coverage is None or not (found.covered_s and earlier.covered_s):
        return False
    return abs(found.coverage - earlier.coverage) <= MOST_APART


def lead(kind: Digest.Kind, found: Usage, earlier: Usage) -> str:
    """What was drawn, against the time before."""
    when = _("In the week before") if kind is Digest.Kind.WEEKLY else _("In the month before")
    if not found.elapsed_s and not earlier.elapsed_s:
        return ""
    if not found.elapsed_s:
        drawn = format_quantity(earlier.energy_j, "energy") if earlier.covered_s else ""
        none = _("None of your jobs ran.")
        before = _("%(when)s it was %(energy)s.") % {"when": when, "energy": drawn}
        return f"{none} {before}" if drawn else none
    if not found.covered_s:
        return _("Your jobs ran, but nothing of it was measured: how much they drew is not known.")
    whole = found.coverage is not None and found.coverage >= WHOLE
    drew = _("Your jobs drew %(energy)s.") if whole else _("Your jobs drew %(energy)s, as far as that was measured.")
    said = drew % {"energy": format_quantity(found.energy_j, "energy")}
    if not earlier.elapsed_s:
        none = _("%(when)s no job ran.") % {"when": when}
        return f"{said} {none}"
    against = compared(when, found.energy_j, earlier.energy_j) if comparable(found, earlier) else ""
    return f"{said} {against}".strip()


def facts(found: Usage, earlier: Usage, view: View) -> list[Fact]:
    """What the energy meant: emissions and cost, as far as they are known."""
    rows = []
    for metric in (Metric.EMISSIONS, Metric.COST) if found.elapsed_s else ():
        total = total_of(found, metric, market=False)
        before = total_of(earlier, metric, market=False) if earlier.elapsed_s else None
        if total is None:
            continue
        fair = comparable(found, earlier) and (metric is not Metric.COST or found.currency == earlier.currency)
        change = wording_usage.change(total, before) if fair else ""
        label = wording_usage.metric_name(metric, market=False)
        rows.append(Fact(label, in_words(total, metric, found.currency), change))
    return rows


def measured(found: Usage, earlier: Usage) -> str:
    """How much of the time was measured, and why there is no comparison."""
    whole = found.coverage is not None and found.coverage >= WHOLE and not found.filled_j
    said = _("All of your jobs' time was measured.") if whole else wording_usage.coverage_sentence(found)
    if earlier.elapsed_s and found.elapsed_s and not comparable(found, earlier):
        said += " " + _("Before, %(share)s was measured: the two times cannot be held against each other.") % {
            "share": percent(earlier.coverage)
        }
    return said.strip()


def unused(found: Usage) -> str:
    """What went into nothing; empty if nothing did, or nothing was measured."""
    if not found.covered_s or found.wasted_j <= 0 or found.energy_j <= 0:
        return ""
    failed, idle = float(found.cells.failed_j.sum()), float(found.cells.idle_j.sum())
    values = {
        "energy": format_quantity(found.wasted_j, "energy"),
        "share": percent(found.wasted_j / found.energy_j),
        "failed": format_quantity(failed, "energy"),
        "idle": format_quantity(idle, "energy"),
    }
    if not idle:
        said = _("%(energy)s (%(share)s of the energy) came to nothing: jobs that failed, timed out or were cancelled.")
    elif not failed:
        said = _("%(energy)s (%(share)s of the energy) went into GPUs that were held and did nothing.")
    else:
        said = _(
            "%(energy)s (%(share)s of the energy) came to nothing: %(failed)s in jobs that failed, timed out or were "
            "cancelled, %(idle)s in GPUs that were held and did nothing."
        )
    return said % values
