"""What a job would draw on other node types, in words."""

from __future__ import annotations

from django.utils.translation import gettext as _

from measurements.selectors.like_jobs import Basis, LikeJobs, Missing, OnType
from portal.quantities import format_quantity, number
from portal.wording_workload import cell_words


def sentences(found: LikeJobs) -> list[str]:
    """Where it would draw the least, and how much more elsewhere; or what is missing."""
    if found.missing is Missing.WORKLOAD:
        return [
            _(
                "Not known: the job names no workload, and too few of your jobs of its name ran elsewhere. With "
                "workload= and work= in its comment it can be compared with jobs of like work."
            )
        ]
    if found.missing is Missing.JOBS:
        return [
            _("Not known: too few jobs of like work, measured throughout, ran on other node types, or may be shown.")
        ]
    least, *others = found.predicted
    return [_least(least), *(_more(one, least) for one in others)]


def _least(one: OnType) -> str:
    if one.energy_j is None:
        return ""
    values = {
        "type": one.node_type,
        "energy": format_quantity(one.energy_j.median, "energy"),
        "low": format_quantity(one.energy_j.low, "energy"),
        "high": format_quantity(one.energy_j.high, "energy"),
    }
    return _("On %(type)s it would draw about %(energy)s; eight times in ten between %(low)s and %(high)s.") % values


def _more(one: OnType, least: OnType) -> str:
    if one.energy_j is None or least.energy_j is None:
        return ""
    ratio = number(one.energy_j.median / least.energy_j.median)
    return _("On %(type)s about %(ratio)s times as much.") % {"type": one.node_type, "ratio": ratio}


def basis_sentence(found: LikeJobs) -> str:
    """Which jobs are alike, and how much that is worth."""
    match found.basis:
        case Basis.WORK:
            said = _(
                "From completed jobs of the same workload, phase, size and target, measured throughout (%(cell)s): "
                "their energy per unit of work × this job's work."
            ) % {"cell": cell_words(found.cell)}
        case Basis.WORKLOAD:
            said = _(
                "Weaker: no work is declared. From completed jobs of the same workload, phase, size and target, "
                "measured throughout; how much each of them did is not known."
            )
        case Basis.NAME:
            said = _(
                "Weaker: from your own completed jobs of this name within a year, measured throughout; how much each "
                "of them did is not known. Nobody else sees this."
            )
    return said + " " + _("The interval is to hold eight of ten such jobs. Never from rated power.")
