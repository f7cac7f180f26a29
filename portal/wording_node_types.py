"""Sentences about node types: mean power is said to be no efficiency, and nothing is said in the order of figures."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from measurements.domain.outliers import Outlier
from measurements.domain.scopes import MeterScope
from measurements.models import ScopeCheck
from measurements.models.workloads import Scope
from measurements.selectors.node_kinds import Parts, Scopes
from measurements.selectors.node_types import NodeTypes, TypeReport
from measurements.selectors.outliers import NodeOutliers
from measurements.selectors.scope_checks import disagrees
from portal.charts_node_types import drawn_types, label
from portal.methodology import share_words
from portal.quantities import NBSP, format_quantity, number


def summary(report: NodeTypes) -> str:
    """How much the types drew together."""
    drawn = [kind for kind in report.types if kind.figures.covered_s]
    if not drawn:
        return _("Nothing was measured in this period.")
    values = {
        "nodes": sum(kind.drawn.nodes for kind in report.types),
        "types": len(report.types),
        "energy": format_quantity(sum(kind.figures.metered_j for kind in drawn), "energy"),
    }
    return (
        ngettext(
            "%(nodes)d nodes of one type drew %(energy)s.",
            "%(nodes)d nodes of %(types)d types drew %(energy)s.",
            len(report.types),
        )
        % values
    )


def no_efficiency() -> str:
    """What mean power is not."""
    return _(
        "Mean power is what a node drew while it was measured, whatever it did: it is no efficiency, for a node that "
        "idles draws little. So the types stand in the order of their names, never of their figures."
    )


def over_time_sentence(report: NodeTypes) -> str:
    """From where to where each line goes."""
    said = []
    for kind in drawn_types(report):
        watts = [slot.mean_node_w for slot in kind.drawn.slots if slot.mean_node_w is not None]
        low, high = format_quantity(min(watts), "power"), format_quantity(max(watts), "power")
        said.append(_("%(type)s %(low)s to %(high)s") % {"type": label(report, kind), "low": low, "high": high})
    sentence = _("Lowest to highest: %(list)s.") % {"list": "; ".join(said)}
    if len(drawn_types(report)) < sum(1 for kind in report.types if kind.figures.covered_s):
        sentence += " " + _("Drawn are the types of the most node-hours; the table has all.")
    return sentence


def among_nodes_sentence(report: NodeTypes) -> str:
    """How far nodes of a type lie apart, and what was looked at."""
    said = [
        _("%(type)s: median %(median)s, half of %(count)d nodes from %(low)s to %(high)s")
        % {
            "type": label(report, kind),
            "median": format_quantity(kind.spread.median, "power"),
            "count": kind.spread.n,
            "low": format_quantity(kind.spread.low, "power"),
            "high": format_quantity(kind.spread.high, "power"),
        }
        for kind in report.types
        if kind.spread
    ]
    notes = (looked_at_sentence(report), few_nodes_sentence(report))
    return " ".join(("; ".join(said) + ".", *filter(None, notes)))


def looked_at_sentence(report: NodeTypes) -> str:
    """Which days the spread among nodes is of."""
    if report.looked_at < report.days:
        return _("Nodes are compared over %(looked)d of the %(days)d UTC days, evenly spread.") % {
            "looked": report.looked_at,
            "days": report.days,
        }
    return _("Nodes are compared over UTC days.")


def few_nodes_sentence(report: NodeTypes) -> str:
    """Which types' spread is not shown, and why."""
    few = [
        label(report, kind)
        for kind in report.types
        if not kind.spread and kind.figures.covered_s and kind.drawn.nodes < report.fewest_nodes
    ]
    if not few:
        return ""
    return _("Not shown of types with fewer than %(count)d nodes: %(types)s.") % {
        "count": report.fewest_nodes,
        "types": ", ".join(few),
    }


def for_operators(report: NodeTypes) -> str:
    """Why nothing is said of GPUs that jobs held, to who may not see it."""
    if not any(kind.drawn.gpus for kind in report.types):
        return ""
    return _(
        "What the GPUs drew that jobs held is for operators: by the choice of days it could be told person by person."
    )


def parts_words(parts: Parts | None) -> str:
    """How many cores or GPUs a node has: 64, or 48 to 64."""
    if parts is None:
        return "–"
    return str(parts.low) if parts.low == parts.high else f"{parts.low}–{parts.high}"


@dataclass(frozen=True, slots=True)
class MeterWords:
    """What the meters of a type cover, and whether that seems right."""

    scopes: tuple[str, ...]
    warnings: tuple[str, ...]
    checked: str


def meter_words(kind: TypeReport) -> MeterWords:
    """In words; nodes are counted where they are metered in several ways."""
    scopes = [str(Scope(scope.value).label) for scope in kind.scopes if scope is not MeterScope.MIXED]
    if len(kind.scopes) > 1:
        nodes = [ngettext("%(count)d node", "%(count)d nodes", n) % {"count": n} for n in kind.scopes.values()]
        scopes = [f"{count}: {scope}" for count, scope in zip(nodes, scopes, strict=True)]
    checks = kind.kind.checks
    return MeterWords(tuple(scopes), tuple(warnings(checks)), _checked(checks))


def warnings(checks: Scopes) -> list[str]:
    """Where meters seem to be other than declared."""
    found = []
    values = {"of": checks.checked}
    if checks.includes:
        found.append(
            ngettext(
                "%(count)d of %(of)d nodes: its meter appears to include the GPUs, but is declared to exclude them.",
                "%(count)d of %(of)d nodes: their meters appear to include the GPUs, but are declared to exclude them.",
                checks.includes,
            )
            % (values | {"count": checks.includes})
        )
    if checks.excludes:
        found.append(
            ngettext(
                "%(count)d of %(of)d nodes: its meter appears to exclude the GPUs, but is declared to include them.",
                "%(count)d of %(of)d nodes: their meters appear to exclude the GPUs, but are declared to include them.",
                checks.excludes,
            )
            % (values | {"count": checks.excludes})
        )
    return found


def _checked(checks: Scopes) -> str:
    """That the rest of them agree, or cannot be told."""
    right = checks.told - checks.disagree
    if not checks.checked or (not right and checks.disagree):
        return ""
    if not checks.told:
        return _("Whether the GPUs are in it cannot be told from the power.")
    return _("As the power of %(count)d of %(of)d nodes confirms.") % {"count": right, "of": checks.checked}


def node_check_sentence(check: ScopeCheck) -> str:
    """What the check of one node's meter found."""
    day = date_format(check.day, pgettext("day in a sentence", "l j F"))
    if check.verdict == ScopeCheck.Verdict.UNCLEAR or check.slope is None or check.low is None or check.high is None:
        return _("Whether this meter includes the GPUs cannot be told from the power of %(day)s.") % {"day": day}
    told = {
        (True, False): _("This meter appears to include the GPUs."),
        (True, True): _("This meter appears to include the GPUs, but is declared to exclude them."),
        (False, False): _("This meter appears to exclude the GPUs."),
        (False, True): _("This meter appears to exclude the GPUs, but is declared to include them."),
    }[check.verdict == ScopeCheck.Verdict.INCLUDES, disagrees(check)]
    values = {"slope": number(check.slope), "low": number(check.low), "high": number(check.high), "day": day}
    slope = _(
        "On %(day)s it rose by %(slope)s W for each watt of the GPUs; whatever the processors did, it was "
        "%(low)s to %(high)s W."
    )
    return f"{told} {slope % values}"


# --- Nodes that draw more ---------------------------------------------------------------------------


def outliers_sentence(found: NodeOutliers) -> str:
    """What was looked at, or what is missing."""
    if not found.single:
        return _("No job of a workload on a single node ended in this time: nothing can be compared.")
    if not found.declared:
        return _(
            "None of the jobs on a single node says how much work it did, so that equal work cannot be told: it is "
            "declared in a job's comment (work=500 epochs), or on the job's page."
        )
    if not found.jobs:
        return _("There is declared work, but not yet enough of the same on several nodes of a type.")
    values = {"jobs": found.jobs, "nodes": found.nodes}
    if not found.found:
        return _("No node stands out: %(jobs)d jobs on %(nodes)d nodes were compared.") % values
    return ngettext(
        "One of %(nodes)d nodes draws more than others for the same work; %(jobs)d jobs were compared.",
        "%(count)d of %(nodes)d nodes draw more than others for the same work; %(jobs)d jobs were compared.",
        len(found.found),
    ) % (values | {"count": len(found.found)})


def outliers_rule(jobs: int, nodes: int, times: float, level: float) -> str:
    """When a node is named."""
    return _(
        "Compared are completed jobs that had one node and say how much work they did, with others of like workload, "
        "phase, size, target and node type: energy for each unit of work, against their median. A node is named if the "
        "%(level)s interval of its own median lies above %(more)s more, with at least %(jobs)d jobs of which others of "
        "their kind ran on at least %(nodes)d nodes, and if chance is no explanation for that among so many nodes."
    ) % {"level": share_words(level), "more": share_words(times - 1), "jobs": jobs, "nodes": nodes}


def more(found: Outlier) -> dict[str, str]:
    """By how much a node draws more: +18 %, and from where to where."""
    return {name: _plus(value) for name, value in (("more", found.times), ("low", found.low), ("high", found.high))}


def _plus(times: float) -> str:
    return f"+{number((times - 1) * 100)}{NBSP}%"
