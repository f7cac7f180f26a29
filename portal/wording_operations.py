"""Sentences for operators: whether it closes, and what a difference consists of."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from measurements.domain.units import S_PER_HOUR
from measurements.models import Node
from measurements.selectors.closing import NodesDay, Reconciliation
from measurements.selectors.meter_figures import Comparison, MeterReport
from measurements.selectors.operations import ClusterState
from measurements.selectors.work import LATE_SWEEPS, SLACK_S, Seen
from portal.quantities import MINUS, NBSP, duration, format_quantity, number, percent

FLOATING = 1e-9  # of the whole: what adding up in floating point may leave
AGREES = 1e-4  # of a meter: nobody's meters are better than that
SMALLEST_PERCENT = 1e-6
NAMES_SHOWN = 5
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


# --- Small numbers ------------------------------------------------------------------------------


def scientific(value: float) -> str:
    """1.23 × 10⁻⁸; plain where that is short."""
    if not value or SMALLEST_PERCENT <= abs(value) < 1 / SMALLEST_PERCENT:
        return number(value)
    mantissa, _e, exponent = f"{value:.2e}".partition("e")
    sign = MINUS if value < 0 else ""
    return f"{sign}{number(abs(float(mantissa)))}{NBSP}×{NBSP}10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def small_share(share: float | None) -> str:
    """A part of the whole, however small: −0.0034 %, 1.2 × 10⁻¹⁶."""
    if share is None:
        return "–"
    if share and abs(share) < SMALLEST_PERCENT:
        return scientific(share)
    return f"{number(share * 100)}{NBSP}%"


def small_energy(joules: float) -> str:
    """An energy, also one that only floating point makes."""
    return f"{scientific(joules)}{NBSP}J" if abs(joules) < 1 else format_quantity(joules, "energy")


def node_hours(seconds: float) -> str:
    """Node-seconds as a person says them."""
    return _("%(hours)s node-hours") % {"hours": number(seconds / S_PER_HOUR)}


# --- Does it close ------------------------------------------------------------------------------


def state_sentences(state: ClusterState) -> list[str]:
    """A cluster's last days: whether they close, and how much of them is known."""
    figures = state.figures
    if not figures.wall_s:
        return [_("Nothing was booked in these days.")]
    said = [_closes(figures.metered_j, figures.jobs_j, figures.unallocated_j, figures.residue_j)]
    if figures.coverage is not None:
        said.append(
            _("%(coverage)s of the time in which nodes were on was measured; gaps are %(gap)s.")
            % {"coverage": percent(figures.coverage), "gap": node_hours(figures.gap_s)}
        )
    if figures.unplaced_j:
        said.append(
            _("%(energy)s more are known of counters, but not when they were drawn.")
            % {"energy": format_quantity(figures.unplaced_j, "energy")}
        )
    if state.waits:
        said.append(_("Work is waiting: these figures will change."))
    return said


def closes(residue_j: float, whole_j: float) -> bool:
    """Whether what is left over is floating point and no joule."""
    return abs(residue_j) <= FLOATING * abs(whole_j)


def _closes(metered_j: float, jobs_j: float, unallocated_j: float, residue_j: float) -> str:
    values = {
        "metered": format_quantity(metered_j, "energy"),
        "jobs": format_quantity(jobs_j, "energy"),
        "unallocated": format_quantity(unallocated_j, "energy"),
        "residue": small_energy(residue_j),
    }
    if closes(residue_j, metered_j):
        return _("It closes: %(metered)s metered = %(jobs)s of jobs + %(unallocated)s unallocated.") % values
    return (
        _(
            "It does not close: of %(metered)s metered, %(residue)s are booked to nobody and nothing. "
            "Rebuild these days with attribute --since … --until …."
        )
        % values
    )


def nodes_sentences(report: Reconciliation) -> list[str]:
    """From jobs up to the node meters."""
    total = report.total
    if not report.nodes:
        return [_("No compute node is described in this cluster: it has only meters.")]
    if not report.days:
        return [_("Nothing was booked in this period.")]
    said = [_closes(total.metered_j, total.jobs_j, total.unallocated_j, total.residue_j)]
    if total.residue_j and closes(total.residue_j, total.metered_j):
        said.append(
            _("What is left over is %(residue)s, %(share)s of it: floating point, no energy.")
            % {"residue": small_energy(total.residue_j), "share": scientific(total.residue_j / total.metered_j)}
        )
    said.append(_told(total))
    if total.unplaced_j:
        said.append(
            _("%(energy)s more are known of counters, but not when they were drawn: they are booked to nobody.")
            % {"energy": format_quantity(total.unplaced_j, "energy")}
        )
    return [sentence for sentence in said if sentence]


def _told(total: NodesDay) -> str:
    if closes(total.told_residue_j, total.jobs_j):
        return _("The sums that projects are shown add up to the jobs' energy.") if total.jobs_j else ""
    difference = small_energy(total.told_residue_j)
    if total.waiting:
        return _("The sums that projects are shown lack %(energy)s: days of the period are being added up anew.") % {
            "energy": difference
        }
    return _("The sums that projects are shown lack %(energy)s: rebuild these days with attribute.") % {
        "energy": difference
    }


# --- Meters above nodes -------------------------------------------------------------------------


def tree_sentences(report: Reconciliation) -> list[str]:
    """What the meters above nodes can say at all."""
    if not report.has_meters:
        return [
            _(
                "No meter above nodes is known. Describe them in the node list, with level and parent, and give their "
                "logs to ingest_power."
            )
        ]
    said = []
    if report.nodes and report.loose:
        said.append(
            ngettext(
                "%(loose)d of %(nodes)d nodes has no meter above it.",
                "%(loose)d of %(nodes)d nodes have no meter above them.",
                report.loose,
            )
            % {"loose": report.loose, "nodes": report.nodes}
        )
    return said


def difference_sentences(meter: MeterReport, figures: Comparison) -> list[str]:
    """What the difference between a meter and those below it consists of."""
    said = _unmetered(meter)
    if not meter.below:
        return [_("Nothing with a meter lies below it."), *said]
    if not figures.compared_s:
        return [_("In no hour both it and all below it were known: there is nothing to compare."), *said]
    return [*_verdict(figures), *_named(figures), *said]


def _verdict(figures: Comparison) -> list[str]:
    share = figures.share
    if share is None or abs(share) <= AGREES:
        return [_("Both agree.")]
    if figures.difference_j < 0:
        return [
            _(
                "Those below show %(energy)s more than their meter: look for a meter that hangs below the wrong "
                "one, for clocks that differ, or for a reading in another unit."
            )
            % {"energy": format_quantity(-figures.difference_j, "energy")}
        ]
    if figures.other_j > AGREES * abs(figures.meter_j):
        return [
            _("Other, which no meter below shows: %(energy)s, such as cooling, switches, losses.")
            % {"energy": format_quantity(figures.other_j, "energy")}
        ]
    return []


def _named(figures: Comparison) -> list[str]:
    said = []
    if figures.unmeasured_s:
        said.append(
            _("%(hours)s below were not measured: about %(energy)s of the difference, at their mean power.")
            % {"hours": node_hours(figures.unmeasured_s), "energy": format_quantity(figures.unmeasured_j, "energy")}
        )
    unplaced_j = figures.meter_unplaced_j + figures.below_unplaced_j
    if unplaced_j:
        said.append(
            _("Counted with it: %(energy)s that counters rose by without telling when (a step too long or too steep).")
            % {"energy": format_quantity(unplaced_j, "energy")}
        )
    if figures.unplaced_elsewhere_j:
        said.append(
            _("Not counted: %(energy)s of counters that may belong to hours that are not compared.")
            % {"energy": format_quantity(figures.unplaced_elsewhere_j, "energy")}
        )
    if figures.left_out_s:
        said.append(
            _("%(time)s of its time is left out, in hours in which one side was not known.")
            % {"time": duration(figures.left_out_s)}
        )
    return said


def _unmetered(meter: MeterReport) -> list[str]:
    if not meter.unmetered:
        return []
    return [_("Below it, without any reading: %(names)s.") % {"names": _some(meter.unmetered)}]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + (", …" if len(names) > NAMES_SHOWN else "")


def level_word(level: str) -> str:
    """node, rack, facility, …"""
    return str(Node.Level(level).label)


# --- Workers ------------------------------------------------------------------------------------


def is_late(seen: Seen) -> bool:
    """Whether something should have been seen again by now; chores have their own, longer times."""
    return not seen.name.startswith("chore ") and seen.age_s > LATE_SWEEPS * settings.SWEEP_S + SLACK_S
