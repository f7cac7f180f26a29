"""What the workload pages say in words."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.formats import date_format
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from measurements.domain.workload_figures import FEWEST_RANKED, Comparison, Unranked
from measurements.domain.workload_groups import Cell, Whose
from measurements.models.workloads import Phase, Scope
from measurements.selectors.workload_report import LeftOut, WorkloadReport
from portal.charts_spread import small_energy
from portal.quantities import NBSP, format_quantity, in_unit, number


def phase_word(phase: str) -> str:
    """A phase as a heading."""
    return str(Phase(phase).label) if phase in Phase.values else _("no phase declared")


def cell_words(cell: Cell) -> str:
    """Size, target and unit, as far as they are declared."""
    parts = [cell.size or _("no size declared")]
    if cell.target:
        parts.append(_("target %(target)s") % {"target": cell.target})
    parts.append(_("work in %(unit)s") % {"unit": cell.unit} if cell.unit else _("no work declared"))
    return " · ".join(parts)


def listed(names: Sequence[str]) -> str:
    """A, B and C."""
    return get_text_list(list(names), pgettext("last word of a list", "and"))


def small_energy_words(joules: float) -> str:
    """An energy that may be very small: 4.75 mJ."""
    unit = small_energy(joules)
    return f"{in_unit(joules, unit)}{NBSP}{unit.label}"


def order_sentence(comparison: Comparison) -> str:
    """Which node type drew the least, and how much more the others did."""
    least, *others = comparison.types
    values = {"least": least.node_type, "energy": small_energy_words(least.judged.median), "jobs": least.n}
    if comparison.cell.unit:
        values["unit"] = comparison.cell.unit
        said = ngettext(
            "On %(least)s a unit of work (%(unit)s) drew %(energy)s (one job).",
            "On %(least)s a unit of work (%(unit)s) drew %(energy)s (median of %(jobs)d jobs).",
            least.n,
        )
    else:
        said = ngettext(
            "On %(least)s a job drew %(energy)s (one job).",
            "On %(least)s a job drew %(energy)s (median of %(jobs)d jobs).",
            least.n,
        )
    more = [
        _("on %(type)s %(ratio)s times as much")
        % {"type": one.node_type, "ratio": number(one.judged.median / least.judged.median)}
        for one in others
    ]
    return said % values + (" " + _("Compared with that, %(others)s.") % {"others": listed(more)} if more else "")


def rank_sentences(comparison: Comparison) -> list[str]:
    """What the order is worth: ranks with their ties, or why there are none."""
    if comparison.unranked is not None:
        return [_unranked(comparison), *_ties(comparison)]
    said = [
        _("Ranked by the median of energy per unit of work; a rank counts only those that are proven to draw less.")
    ]
    few = [one.node_type for one in comparison.types if one.unranked is Unranked.FEW_JOBS]
    poor = [one.node_type for one in comparison.types if one.unranked is Unranked.COVERAGE]
    if few:
        said.append(_("Without a rank, for fewer than %(count)d jobs: %(types)s.") % _few(few))
    if poor:
        said.append(
            _("Without a rank, for too many of their jobs are not measured: %(types)s.") % {"types": listed(poor)}
        )
    return said + _ties(comparison)


def _few(types: Sequence[str]) -> dict[str, object]:
    return {"count": FEWEST_RANKED, "types": listed(types)}


def _unranked(comparison: Comparison) -> str:
    types = comparison.types
    match comparison.unranked:
        case Unranked.NO_WORK:
            return _("Not ranked: no work is declared, and a job that does less would look better. In order of energy.")
        case Unranked.ONE_TYPE:
            return _("Not ranked: there are such jobs on one node type only.")
        case Unranked.WHOSE:
            return _("Not ranked: of some node types only your own jobs are shown. In the order measured.")
        case Unranked.SCOPES:
            scopes = [f"{one.node_type}: {Scope(int(one.scope)).label}" for one in types]
            return _("Not ranked: the meters do not cover the same (%(scopes)s). In the order measured.") % {
                "scopes": "; ".join(scopes)
            }
        case Unranked.COVERAGE:
            return _("Not ranked: too many of the jobs are not measured throughout. In the order measured.")
        case _:
            few = [one.node_type for one in types if one.n < FEWEST_RANKED]
            return _("Not ranked: fewer than %(count)d jobs on %(types)s. In the order measured.") % _few(few)


def _ties(comparison: Comparison) -> list[str]:
    """Who can't be told apart from whom; what is of one job has no interval."""
    said, told = [], set[tuple[str, ...]]()
    for one in comparison.types:
        others = comparison.ties(one)
        together = tuple(sorted((one.node_type, *others)))
        if others and together not in told:
            told.add(together)
            values = {"type": one.node_type, "others": listed(others)}
            said.append(_("%(type)s cannot be told apart from %(others)s: their intervals overlap.") % values)
    single = [one.node_type for one in comparison.types if one.n == 1]
    if single and len(comparison.types) > 1:
        said.append(_("Of one job there is no interval, and nothing is proven: %(types)s.") % {"types": listed(single)})
    return said


# --- What it is of ------------------------------------------------------------------------------


def whose_sentences(report: WorkloadReport) -> list[str]:
    """Whose jobs the figures are of, and what is not shown."""
    if report.sees_all:
        said = [_("The jobs of everybody, as your role allows.")]
    elif report.own_only:
        said = [_("Your own jobs only: others' are shown by whole years, or all together.")]
    else:
        values = {"count": report.smallest_group, "day": date_format(report.open_since, pgettext("date", "j F Y"))}
        said = [
            _(
                "Others' jobs are shown together only: of at least %(count)d people of whom none makes most of it, and "
                "that ended before %(day)s. Else your own are, if there are three of them. Node types, sizes and "
                "targets for which there is neither are left out. Figures of others' jobs are rounded to two digits."
            )
            % values
        ]
    if report.sample:
        said.append(_("Of many jobs a sample is looked at, drawn by lot."))
    return said


def left_out_sentence(left: LeftOut) -> str:
    """Which jobs are in no distribution."""
    counts = (
        (left.failed, _("%(count)d that did not complete")),
        (left.unmeasured, _("%(count)d not measured throughout")),
        (left.several, _("%(count)d on nodes of several types")),
        (left.excused, _("%(count)d that the machine ended")),
    )
    said = [words % {"count": number_} for number_, words in counts if number_]
    return _("Not among them: %(jobs)s.") % {"jobs": listed(said)} if said else ""


def failed_sentence(comparison: Comparison) -> str:
    """What jobs drew that came to nothing, by node type."""
    drew = [one for one in comparison.types if one.failed_j]
    if not drew:
        return ""
    parts = [f"{one.node_type} {format_quantity(one.failed_j or 0.0, 'energy')}" for one in drew]
    return _("Drawn by such jobs that did not complete: %(types)s.") % {"types": ", ".join(parts)}


def whose_word(whose: str) -> str:
    """Beside a node type."""
    return _("your jobs") if whose == Whose.OWN else ""
