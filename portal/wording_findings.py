"""What a comparison of node types says: where guesses mislead, what idle GPUs cost, where processors do as well."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from measurements.domain.comparison import Interval
from measurements.domain.workload_figures import Comparison, TypeFigures
from measurements.domain.workload_findings import Beside, Flip, Front, Guess, Verdict
from measurements.domain.workload_groups import Cell
from portal.quantities import number, percent
from portal.wording_workload import cell_words, listed, phase_word, small_energy_words


def estimate_sentence(comparison: Comparison) -> str:
    """How far the estimate from runtime is off, by node type; empty where there is none."""
    known = [one for one in comparison.types if one.estimated]
    if not known:
        return _("The rated power of these nodes is not known: there is no estimate from runtime to compare with.")
    ratios = [f"{one.node_type} {number(one.estimated.median)}" for one in known if one.estimated]
    return _("Metered energy ÷ the estimate from runtime, median: %(ratios)s.") % {"ratios": ", ".join(ratios)}


def flip_sentences(found: Sequence[Flip]) -> list[str]:
    """Where runtime, or the estimate from it, puts two node types the wrong way round: the worst of each."""
    worst = [next((flip for flip in found if flip.guess is guess), None) for guess in Guess]
    return [_flip(flip) for flip in worst if flip]


def _flip(flip: Flip) -> str:
    values = {
        "less": flip.less.node_type,
        "more": flip.more.node_type,
        "metered": number(flip.metered),
        "guessed": number(1 / flip.guessed),
    }
    if flip.guess is Guess.ESTIMATE:
        said = _(
            "By the estimate from runtime %(less)s would draw %(guessed)s times as much as %(more)s; "
            "metered it is the other way round: %(more)s drew %(metered)s times as much for the same work."
        )
    else:
        said = _(
            "%(less)s takes %(guessed)s times as long as %(more)s, and yet draws less: "
            "%(more)s drew %(metered)s times as much for the same work."
        )
    return said % values + ("" if flip.proven else " " + _("Their intervals overlap: as measured, not proven."))


def idle_sentences(comparison: Comparison) -> list[str]:
    """What idle GPUs cost on each node type that has some."""
    busy = [one.node_type for one in comparison.types if one.idle and not one.idle.idle_j]
    said = [_idle(one) for one in comparison.types if one.idle and one.idle.idle_j]
    return said + ([_("On %(types)s no GPU was idle while it was held.") % {"types": listed(busy)}] if busy else [])


def _idle(one: TypeFigures) -> str:
    if one.idle is None:
        return ""
    values = {"type": one.node_type, "share": percent(one.idle.share)}
    said = _("On %(type)s GPUs that were held and idle drew %(share)s of the energy of these jobs.") % values
    if one.idle.per_unit_j is not None and one.per_unit_j:
        said += " " + _("Without them a unit of work would come to %(energy)s instead of %(now)s.") % {
            "energy": small_energy_words(one.idle.per_unit_j),
            "now": small_energy_words(one.per_unit_j.median),
        }
    return said


def beside_sentence(phase: str, cell: Cell, found: Beside) -> str:
    """How a node type without accelerators compares with the best one that has them."""
    values = {
        "phase": phase_word(phase),
        "cell": cell_words(cell),
        "plain": found.plain.node_type,
        "best": found.accelerated.node_type,
        "ratio": interval_words(found.ratio),
    }
    match found.verdict:
        case Verdict.NEAR:
            said = _(
                "In %(phase)s (%(cell)s) processors alone are comparable: on %(plain)s a unit of work drew "
                "%(ratio)s times what it drew on %(best)s."
            )
        case Verdict.UNTOLD:
            said = _(
                "In %(phase)s (%(cell)s) processors alone cannot be told apart from accelerators: on %(plain)s a unit "
                "of work drew %(ratio)s times what it drew on %(best)s."
            )
        case Verdict.LESS:
            said = _(
                "In %(phase)s (%(cell)s) processors alone drew less: on %(plain)s a unit of work drew %(ratio)s times "
                "what it drew on %(best)s."
            )
        case Verdict.MORE:
            said = _(
                "In %(phase)s (%(cell)s) accelerators pay: on %(plain)s, without them, a unit of work drew %(ratio)s "
                "times what it drew on %(best)s."
            )
    return said % values


def interval_words(interval: Interval) -> str:
    """1.02 (0.95 to 1.10)."""
    return _("%(value)s (%(low)s to %(high)s)") % {
        "value": number(interval.value),
        "low": number(interval.low),
        "high": number(interval.high),
    }


def front_sentence(front: Front) -> str:
    """Which node types are on the front, and which something else beats in both."""
    best = [point.node_type for point in front.points if point.front]
    behind = [point.node_type for point in front.points if not point.front]
    values = {"work": number(front.work), "unit": front.unit, "best": listed(best), "behind": listed(behind)}
    if len(best) == 1:
        said = _("For %(work)s %(unit)s %(best)s is both the fastest and the thriftiest.")
    else:
        said = _("For %(work)s %(unit)s nothing is both faster and thriftier than %(best)s: it is a choice.")
    return said % values + (" " + _("Something else is both, than %(behind)s.") % values if behind else "")
