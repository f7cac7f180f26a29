"""Sentences that say what a figure is, why it isn't there, and how it compares."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from measurements.domain.nodeday import Flag, Policy
from measurements.models import Quality
from measurements.selectors.job import JobReport, Unmeasured
from measurements.selectors.meters import JobMeter, MeterChannel
from portal.quantities import NBSP, format_quantity, number, percent

CLOSE = 0.05  # a ratio this near to 1 is called close
WHOLE = 0.9995
SOURCES = {
    "ipmi_dcmi": "IPMI DCMI",
    "redfish": "Redfish",
    "rapl": "RAPL",
    "nvml": "NVML",
    "pdu": "PDU",
    "pm_counters": "pm_counters",
    "ipmi_sensor": "IPMI",
}
NAMES_IN_A_ROW = 3


def source_name(source: str) -> str:
    """What measured a channel, as its makers call it."""
    return SOURCES.get(source, source.replace("_", " "))


def quality_sentence(quality: str) -> str:
    """What the one word about a figure means."""
    return {
        Quality.METERED: _("Measured throughout, on nodes it had to itself, with enough samples."),
        Quality.COARSE: _("Measured, but with fewer than ten samples on a node: short jobs are known roughly."),
        Quality.APPORTIONED: _("Measured on a node that other jobs used too; this job has its share."),
        Quality.PARTIAL: _("Measured with gaps: under 95 % of the time, or under half of the samples expected."),
        Quality.REPORTED: _("Not measured here: the figure is the batch system's own."),
        Quality.ESTIMATED: _("Not measured: the figure is rated power × time."),
        Quality.NONE: _("Nothing was measured, and nothing is known from which to estimate."),
    }[Quality(quality)]


def unmeasured_sentence(reason: Unmeasured) -> str:
    """Why there is no measurement."""
    return {
        Unmeasured.NOT_STARTED: _("The job has not started."),
        Unmeasured.NO_TIME: _("The job ended in the moment it began: it took no time and drew no energy."),
        Unmeasured.UNKNOWN_NODES: _("None of its nodes is known here. An operator can add them with load_nodes."),
        Unmeasured.NOT_BOOKED: _("Its energy is still being booked. Come back in a few minutes."),
        Unmeasured.NO_METER: _("None of its nodes has a power meter that is known here."),
        Unmeasured.NO_SAMPLES: _("Its nodes have a meter, but not one sample of the time in which the job ran."),
    }[reason]


def flag_sentences(flags: Flag) -> list[str]:
    """What else a reader should know of a figure."""
    words = {
        Flag.OVERCOMMITTED: _("At times more cores or GPUs were held on a node than it has: shares were scaled."),
        Flag.NEGATIVE_REST: _("At times the GPUs' own meters showed more than the meter that covers them."),
        Flag.RATE_UNKNOWN: _("For want of CPU times, cores held decided at times how a node was shared."),
    }
    return [sentence for flag, sentence in words.items() if flag in flags]


def share_sentence(policy: Policy) -> str:
    """How the energy of a shared node is split."""
    if policy is Policy.HYBRID:
        return _(
            "Other jobs were on the same node. A GPU's energy goes to who held it; of the rest, the idle part is "
            "split by cores held and what is above it by CPU time."
        )
    return _(
        "Other jobs were on the same node. A GPU's energy goes to who held it; the rest is split by cores held, and "
        "cores that nobody held are charged to nobody."
    )


# --- Meters -------------------------------------------------------------------------------------


def meter_sentence(meter: JobMeter) -> str:
    """What a meter covers, as 'node: the whole node with its GPUs, at the wall (AC), by IPMI DCMI'."""
    if not meter.channels:
        return _("no meter")
    sources = sorted({SOURCES.get(c.source, c.source) for c in meter.channels if c.source})
    parts = [_covered(meter), _current(meter.channels)]
    if sources:
        parts.append(_("read by %(sources)s") % {"sources": _list(sources)})
    return f"{_names(meter.channels)}: {', '.join(part for part in parts if part)}"


def _covered(meter: JobMeter) -> str:
    families = {_family(c.name) for c in meter.channels}
    if "node" in families:
        if not meter.has_gpus:
            return _("the whole node")
        if any(c.covers_gpus for c in meter.channels if c.name == "node"):
            return _("the whole node with its GPUs")
        return _("the node and its GPUs") if "gpu" in families else _("the node without its GPUs")
    words = {"cpu": _("processor packages"), "dram": _("memory"), "gpu": _("GPUs")}
    listed = _list([word for family, word in words.items() if family in families])
    others = sorted(families - set(words))
    return _("%(parts)s only") % {"parts": _list([part for part in [listed, *others] if part])}


def _current(channels: Sequence[MeterChannel]) -> str:
    """Where the node's own power is measured; what measures parts says nothing of it."""
    whole = [c for c in channels if c.name == "node"]
    if not whole:
        return ""
    return _("behind the power supply (DC)") if all(c.dc for c in whole) else _("at the wall (AC)")


def _names(channels: Sequence[MeterChannel]) -> str:
    names = list(dict.fromkeys(c.name for c in channels))
    if len(names) > NAMES_IN_A_ROW:
        names = list(dict.fromkeys(_family(name) for name in names))
    return " + ".join(names)


def _family(name: str) -> str:
    return name.rstrip("0123456789")


def _list(items: Sequence[str]) -> str:
    return str(get_text_list(list(items), _("and")))


# --- Runtime-only estimate ----------------------------------------------------------------------


def ratio_sentence(report: JobReport) -> str:
    """How the metered figure compares with what runtime alone says."""
    ratio = report.ratio
    if ratio is None:
        return ""
    if abs(ratio - 1) <= CLOSE:
        words = _("Here the estimate is close: the metered energy is %(ratio)s times as much.") % {
            "ratio": number(ratio)
        }
    elif ratio < 1:
        words = _("The job drew %(part)s less than runtime alone says.") % {"part": percent(1 - ratio)}
    elif ratio < 2:
        words = _("The job drew %(part)s more than runtime alone says.") % {"part": percent(ratio - 1)}
    else:
        words = _("The job drew %(ratio)s times what runtime alone says.") % {"ratio": number(ratio)}
    if (report.figures.coverage or 1) < WHOLE:
        words += " " + _("Compared is the measured time only.")
    return words


def no_estimate_sentence(report: JobReport) -> str:
    """Why there is no estimate, and how to get one."""
    nodes = report.estimate.nodes_without_rating
    if not nodes:
        return _("The job took no time on any node.")
    shown = ", ".join(nodes[:NAMES_IN_A_ROW]) + (", …" if len(nodes) > NAMES_IN_A_ROW else "")
    return _(
        "Not available: the rated power of %(nodes)s is not known. An operator can supply it in the column rated_w "
        "of the node list (load_nodes)."
    ) % {"nodes": shown}


# --- A period -----------------------------------------------------------------------------------


def before_words(days: int) -> str:
    """The time that a period is compared with, at the beginning of a sentence."""
    return ngettext("On the day before", "In the %(days)d days before", days) % {"days": days}


def compared(when: str, value: float, previous: float, quantity: str = "energy") -> str:
    """A quantity against that of an earlier time, which ``when`` names; empty if that was nothing."""
    if previous <= 0:
        return ""
    ratio = value / previous
    values = {"when": when, "energy": format_quantity(previous, quantity), "ratio": number(ratio)}
    values["change"] = f"{abs(ratio - 1) * 100:.0f}{NBSP}%"
    if abs(ratio - 1) <= CLOSE:
        return _("%(when)s it was %(energy)s, about as much.") % values
    if ratio < 1:
        return _("%(when)s it was %(energy)s: this is %(change)s less.") % values
    if ratio < 2:
        return _("%(when)s it was %(energy)s: this is %(change)s more.") % values
    return _("%(when)s it was %(energy)s: this is %(ratio)s times as much.") % values
