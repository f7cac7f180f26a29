"""Sentences about clusters and nodes."""

from __future__ import annotations

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from measurements.domain.units import MS_PER_S, FloatArray, IntArray, datetime_from_ms
from measurements.models import NodeState
from measurements.selectors.inventory import Inventory
from measurements.selectors.machine import Closed, ClusterReport
from measurements.selectors.node import Below, NodeReport
from measurements.selectors.node_curve import ChannelFigures
from measurements.selectors.node_jobs import Bands
from portal.quantities import duration, format_quantity, percent
from portal.wording import compared

ALIKE = 0.98  # shares nearer to each other than this need no remark


def minute_of(ms: int) -> str:
    """An instant to the minute, in the site's zone."""
    return date_format(localtime(datetime_from_ms(ms)), pgettext("minute", "j M Y, H:i"))


# --- A cluster ----------------------------------------------------------------------------------


def cluster_sentences(report: ClusterReport) -> list[str]:
    """The period in words: how much, for whom, and against the time before."""
    if not report.total.covered_s:
        return [_("Nothing was measured in this period.")]
    said = [_drew(report), _split(report.total), _against_before(report)]
    return [sentence for sentence in said if sentence]


def energy_sentence(report: ClusterReport) -> str:
    """What the bars of the energy show: the highest, and what lies outside of the nodes."""
    if report.total.other_j is None:
        return _most(report)
    outside = _(
        "Meters above the nodes show %(energy)s more: infrastructure, losses, and what nodes drew in their gaps."
    ) % {"energy": format_quantity(report.total.other_j, "energy")}
    return f"{_most(report)} {outside}"


def _drew(report: ClusterReport) -> str:
    values = {"days": report.days, "total": format_quantity(report.total.metered_j, "energy")}
    return (
        ngettext(
            "On this day the nodes drew %(total)s.", "In these %(days)d days the nodes drew %(total)s.", report.days
        )
        % values
    )


def _split(total: Closed) -> str:
    share = total.unallocated_share
    if share is None or not 0 <= share <= 1:
        return ""
    values = {"jobs": percent(1 - share), "unallocated": percent(share)}
    return _("%(jobs)s of it was held by jobs; %(unallocated)s was drawn while nobody held the nodes.") % values


def _most(report: ClusterReport) -> str:
    peak = max(report.slots, key=lambda slot: slot.figures.metered_j)
    values = {"energy": format_quantity(peak.figures.metered_j, "energy")}
    if report.hourly:
        return _("The most in one hour was %(energy)s, from %(time)s on.") % (
            values | {"time": minute_of(peak.start_ms)}
        )
    day = date_format(peak.day, pgettext("day in a sentence", "l j F"))
    return _("The most in one day was %(energy)s, on %(day)s.") % (values | {"day": day})


def _against_before(report: ClusterReport) -> str:
    if not report.previous.covered_s:
        return ""
    if report.previous_is_whole:
        when = ngettext("On the day before", "In the %(days)d days before", report.days) % {"days": report.days}
    else:
        when = _("In as long a time of the period before")
    said = compared(when, report.known.metered_j, report.previous.metered_j)
    return f"{said} {_not_alike(report)}".strip() if said else ""


def _not_alike(report: ClusterReport) -> str:
    """What a reader of the comparison should know: fewer nodes then, or less of their time measured."""
    now, before = report.known, report.previous
    if now.wall_s and before.wall_s < ALIKE * now.wall_s:
        return _("Then the nodes were in service for %(share)s of the time they are now.") % {
            "share": percent(before.wall_s / now.wall_s)
        }
    if now.coverage is None or before.coverage is None or abs(now.coverage - before.coverage) < 1 - ALIKE:
        return ""
    return _("Mind that %(now)s of the nodes' time was measured, and %(before)s then.") % {
        "now": percent(now.coverage),
        "before": percent(before.coverage),
    }


def wall_sentence(total: Closed) -> str:
    """How much of the nodes' time is known."""
    if not total.wall_s:
        return ""
    whole = total.covered_s + total.off_s + total.gap_s
    values = {"covered": percent(total.covered_s / whole), "gap": percent(total.gap_s / whole)}
    if total.off_s:
        values["off"] = percent(total.off_s / whole)
        return (
            _("%(covered)s of the nodes' time was measured; in %(off)s they were off, and %(gap)s are gaps.") % values
        )
    return _("%(covered)s of the nodes' time was measured; %(gap)s are gaps.") % values


def power_sentence(edges_ms: IntArray, low_w: FloatArray, high_w: FloatArray) -> str:
    """The extremes of a line, or of the band around it."""
    starts = edges_ms[:-1].tolist()
    lows = [(w, at) for w, at in zip(low_w.tolist(), starts, strict=True) if w == w]  # nan is not itself
    if not lows:
        return _("Nothing was measured.")
    low, low_ms = min(lows)
    high, high_ms = max((w, at) for w, at in zip(high_w.tolist(), starts, strict=True) if w == w)
    return _("Highest %(high)s (%(high_at)s), lowest %(low)s (%(low_at)s).") % {
        "high": format_quantity(high, "power"),
        "high_at": minute_of(high_ms),
        "low": format_quantity(low, "power"),
        "low_at": minute_of(low_ms),
    }


def freshness_sentences(machine: Inventory, now_ms: int) -> list[str]:
    """How far the figures reach, who is silent, and what is still to be booked."""
    if machine.newest_ms is None:
        return [_("No power sample has come in yet.")]
    age = duration(max(now_ms - machine.newest_ms, 0) / MS_PER_S)
    said = [
        _("The newest power sample is of %(at)s, %(age)s ago.") % {"at": minute_of(machine.newest_ms), "age": age},
    ]
    if machine.silent:
        said.append(
            ngettext(
                "%(count)d node has been silent for more than %(time)s.",
                "%(count)d nodes have been silent for more than %(time)s.",
                machine.silent,
            )
            % {"count": machine.silent, "time": duration(machine.silent_after_ms / MS_PER_S)}
        )
    if machine.never:
        said.append(
            ngettext(
                "%(count)d node has never sent a sample.", "%(count)d nodes have never sent a sample.", machine.never
            )
            % {"count": machine.never}
        )
    waiting = machine.node_days_waiting
    if waiting:
        said.append(
            ngettext("%(count)d node-day is being booked.", "%(count)d node-days are being booked.", waiting)
            % {"count": waiting}
        )
    return said


# --- A node -------------------------------------------------------------------------------------


def measured_sentence(report: NodeReport) -> str:
    """How much of the window was measured, and the power while it was: a gap lowers the one, not the other."""
    now, before = report.ledger, report.previous
    if not now.wall_s:
        return _("The node was not in service: its first sample came later, or never.")
    if now.mean_w is None:
        return _("Nothing of this time was measured.")
    values = {"share": percent(now.share_covered), "power": format_quantity(now.mean_w, "power")}
    if before.mean_w is None:
        return _("Measured %(share)s of the time; while measured it drew %(power)s on average.") % values
    values["before"] = format_quantity(before.mean_w, "power")
    return (
        _("Measured %(share)s of the time; while measured it drew %(power)s on average, in the time before %(before)s.")
        % values
    )


def ledger_sentence(report: NodeReport) -> str:
    """Where the node's joules went."""
    ledger = report.ledger
    if not ledger.covered_s:
        return ""
    if report.below is not None:
        return _("Energy of a meter above nodes is never booked to jobs.")
    return _("Of %(metered)s metered, %(jobs)s went to jobs and %(unallocated)s to nobody.") % {
        "metered": format_quantity(ledger.metered_j, "energy"),
        "jobs": format_quantity(ledger.jobs_j, "energy"),
        "unallocated": format_quantity(ledger.unallocated_j, "energy"),
    }


def bands_sentence(bands: Bands) -> str:
    """How many jobs the chart shows, and that some of them have no name here."""
    if not bands.bands:
        return _("No job was on it.")
    count = len(bands.bands)
    said = ngettext("%(count)d job was on it.", "%(count)d jobs were on it.", count) % {"count": count}
    if bands.more:
        said = _("Of the jobs on it the newest %(count)d are shown.") % {"count": count}
    if bands.others:
        said += " " + ngettext(
            "One is somebody else's and has no name here.",
            "%(others)d are somebody else's and have no name here.",
            bands.others,
        ) % {"others": bands.others}
    return said


def state_sentence(state: NodeState | None) -> str:
    """What the batch system says of the node now."""
    if state is None:
        return _("The batch system reports nothing unusual.")
    values = {"state": state.state, "since": minute_of(state.start_ms), "reason": state.reason}
    if state.reason:
        return _("The batch system says %(state)s since %(since)s: %(reason)s") % values
    return _("The batch system says %(state)s since %(since)s.") % values


def channel_scope(channel: ChannelFigures, *, has_gpus: bool) -> str:
    """Which parts of the node a channel measures, and where."""
    family = channel.name.rstrip("0123456789")
    if family != "node":
        words = {"cpu": _("a processor package"), "dram": _("memory"), "gpu": _("a GPU")}
        return words.get(family, channel.name)
    whole = _("the whole node with its GPUs") if channel.covers_gpus else _("the node without its GPUs")
    where = _("behind the power supply (DC)") if channel.dc else _("at the wall (AC)")
    return f"{whole if has_gpus else _('the whole node')}, {where}"


def channel_role(channel: ChannelFigures, report: NodeReport) -> str:
    """Whether a channel counts for the node's energy."""
    if channel.in_meter:
        return _("part of the meter")
    whole = [c for c in report.curve.channels if c.in_meter and c.name == "node"]
    is_part = channel.name != "node" and bool(whole)
    if is_part and (any(c.covers_gpus for c in whole) or not channel.name.startswith("gpu")):
        return _("of which; not added")
    return _("cross-check; not added")


def below_sentence(below: Below) -> str:
    """What a meter above nodes shows beyond its children."""
    if not below.children:
        return _("Nothing is declared to lie below this meter.")
    if not below.compared_s:
        return _("There is no hour in which this meter was wholly measured: nothing to compare.")
    return _(
        "In the %(time)s in which this meter was measured it shows %(metered)s, its children %(children)s: "
        "%(other)s are other, which includes what children drew in their gaps."
    ) % {
        "time": duration(below.compared_s),
        "metered": format_quantity(below.metered_j, "energy"),
        "children": format_quantity(below.children_j, "energy"),
        "other": format_quantity(below.other_j, "energy"),
    }
