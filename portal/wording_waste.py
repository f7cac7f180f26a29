"""Advice in words: what happened, what to do about it, what that would have saved."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from measurements.domain.advice_kinds import Advice, Kind, Thresholds, Why
from measurements.domain.advice_lost import CHECKPOINT_S
from portal.quantities import NBSP, duration, format_quantity, number, percent

_GIB = 1024.0**3


def subject_name(line: Advice) -> str:
    """What a line is about."""
    return line.subject or _("jobs without a name")


def kind_name(kind: Kind) -> str:
    """What a line is about, as a label."""
    return {
        Kind.FAILED: _("Failed"),
        Kind.TIMEOUT: _("Out of time"),
        Kind.OUT_OF_MEMORY: _("Out of memory"),
        Kind.CANCELLED: _("Cancelled"),
        Kind.IDLE_GPUS: _("Idle GPUs"),
        Kind.CORES: _("Unused cores"),
        Kind.MEMORY: _("Unused memory"),
        Kind.WALLTIME: _("Unused time limit"),
    }[kind]


def happened(line: Advice) -> str:
    """One sentence: what happened."""
    said = _said(line)
    jobs = len(line.jobs)
    if not line.metered_j and line.unmeasured == jobs:
        said["energy"] = _("an unknown amount, as nothing was measured")
    return {
        Kind.FAILED: ngettext(
            "%(jobs)d job failed; it drew %(energy)s.", "%(jobs)d jobs failed; they drew %(energy)s.", jobs
        ),
        Kind.TIMEOUT: ngettext(
            "%(jobs)d job ran out of time; it drew %(energy)s.",
            "%(jobs)d jobs ran out of time; they drew %(energy)s.",
            jobs,
        ),
        Kind.OUT_OF_MEMORY: ngettext(
            "%(jobs)d job ran out of memory; it drew %(energy)s.",
            "%(jobs)d jobs ran out of memory; they drew %(energy)s.",
            jobs,
        ),
        Kind.CANCELLED: ngettext(
            "%(jobs)d job was cancelled; it drew %(energy)s.",
            "%(jobs)d jobs were cancelled; they drew %(energy)s.",
            jobs,
        ),
        Kind.IDLE_GPUS: ngettext(
            "%(jobs)d job held GPUs that were idle %(share)s of the time; the idle ones drew %(unused)s.",
            "%(jobs)d jobs held GPUs that were idle %(share)s of the time; the idle ones drew %(unused)s.",
            jobs,
        ),
        Kind.CORES: ngettext(
            "%(jobs)d job held %(asked)s cores and kept %(used)s of them busy at most.",
            "%(jobs)d jobs held %(asked)s cores each and kept %(used)s of them busy at most.",
            jobs,
        ),
        Kind.MEMORY: ngettext(
            "%(jobs)d job asked for %(asked_memory)s of memory and used %(used_memory)s at most.",
            "%(jobs)d jobs asked for %(asked_memory)s of memory each and used %(used_memory)s at most.",
            jobs,
        ),
        Kind.WALLTIME: ngettext(
            "%(jobs)d job asked for %(asked_time)s and took %(took)s at most.",
            "%(jobs)d jobs asked for %(asked_time)s each and took %(took)s at most.",
            jobs,
        ),
    }[line.kind] % said


def _said(line: Advice) -> dict[str, str | int]:
    figures = line.figures
    return {
        "jobs": len(line.jobs),
        "energy": format_quantity(line.metered_j, "energy"),
        "unused": format_quantity(line.unused_j, "energy"),
        "share": percent(figures.get("share")),
        "asked": str(round(figures.get("asked", 0.0))),
        "used": number(figures.get("used", 0.0)),
        "asked_memory": _memory(figures.get("asked_bytes", 0.0)),
        "used_memory": _memory(figures.get("used_bytes", 0.0)),
        "memory": _memory(figures.get("memory_bytes", 0.0)),
        "asked_time": duration(figures.get("asked_s", 0.0)),
        "took": duration(figures.get("took_s", 0.0)),
        "needed": duration(figures.get("needed_s", 0.0)),
        "like": int(figures.get("like", 0)),
        "gpus": int(figures.get("gpus", 0)),
        "fewer": int(figures.get("fewer", 0)),
        "spared": int(figures.get("spared", 0)),
        "before": duration(CHECKPOINT_S),
    }


def _memory(amount: float) -> str:
    return f"{number(amount / _GIB)}{NBSP}GiB"


def to_do(line: Advice) -> str:
    """What the directive is good for."""
    make: Callable[[Advice], str] = {
        Kind.FAILED: _failed,
        Kind.TIMEOUT: _timeout,
        Kind.OUT_OF_MEMORY: _out_of_memory,
        Kind.CANCELLED: _cancelled,
        Kind.IDLE_GPUS: _idle,
        Kind.CORES: lambda _line: _("As many as the busiest of them used, with a margin:"),
        Kind.MEMORY: lambda _line: _("As much as the largest of them used, with a margin:"),
        Kind.WALLTIME: lambda _line: _("As long as the longest of them took, with a margin:"),
    }[line.kind]
    return make(line) % _said(line)


def _failed(line: Advice) -> str:
    if not line.figures["time_s"]:
        return _("They fail late, after up to %(took)s. Ask for a mail at once, and hold back the next one:")
    if line.directive.options[0][0] == "array":
        return _("Run one task of the array first, and the others when it has come through:")
    return _("They failed within %(took)s: run one as long as that first, and the others when it has come through:")


def _timeout(line: Advice) -> str:
    if "time_s" in line.figures:
        return ngettext(
            "%(like)d job like these that completed needed %(needed)s. With a margin:",
            "%(like)d jobs like these completed, nearly all within %(needed)s. With a margin:",
            int(line.figures["like"]),
        )
    return _(
        "Too few jobs like these completed to say how long they need. Let the job be told %(before)s before its end, so"
        " that it writes down what it has and goes on from there:"
    )


def _out_of_memory(line: Advice) -> str:
    if "memory_bytes" not in line.figures:
        return _("How much they need isn't known here. See how much they asked for and used:")
    if line.figures["like"]:
        return _("Jobs like these that completed needed this much, with a margin:")
    return _("No job like these shows how much is needed. Try twice as much, with one of them:")


def _cancelled(line: Advice) -> str:
    if "time_s" in line.figures:
        return _("Jobs like these that completed took %(needed)s at most: let the longer ones end by themselves:")
    return _("Look into the output soon after the job begins, and cancel it then; a mail says when:")


def _idle(line: Advice) -> str:
    if line.why is Why.PARTLY:
        return _("They wait for data now and then. Watch on the node when that is:")
    if line.directive.options[0][0] == "partition":
        return _("None of them was used. Run it where there are no GPUs:")
    if line.figures["fewer"] == line.figures["gpus"]:
        return _("None of them was used. Ask for none:")
    return _("Of %(gpus)d GPUs %(fewer)d would not have been missed, if it is always the same ones that are idle:")


def saving(line: Advice) -> str:
    """What it would have saved, where that is not a figure."""
    if line.why is None:
        return ""
    return {
        Why.FIRST: _("Nothing is promised: none of them began after one like it had failed."),
        Why.CAUSE: _("Nothing is promised: why they ended isn't known here."),
        Why.PARTLY: _("Nothing is promised: not a whole GPU was idle all the time."),
        Why.IDLE_POWER: _("Not known: what the node draws without work has not been declared."),
        Why.LETS_IN: _("It saves you nothing; it lets others onto the node."),
        Why.EARLIER: _("It saves no energy; the job fits into more gaps and starts earlier."),
    }[line.why]


def unused_in_words(lost_j: float, idle_j: float, energy_j: float) -> str:
    """A period's unused energy, by what it is."""
    if not lost_j and not idle_j:
        return _("No job came to nothing, and no GPU was held idle.")
    said = {
        "share": percent((lost_j + idle_j) / energy_j) if energy_j > 0 else "–",
        "lost": format_quantity(lost_j, "energy"),
        "idle": format_quantity(idle_j, "energy"),
    }
    if not idle_j:
        return _("unused, %(share)s of what your jobs drew: all of it by jobs that came to nothing.") % said
    if not lost_j:
        return _("unused, %(share)s of what your jobs drew: all of it by GPUs that were held idle.") % said
    return (
        _(
            "unused, %(share)s of what your jobs drew: %(lost)s by jobs that came to nothing, %(idle)s by GPUs that"
            " others held idle."
        )
        % said
    )


def limits(thresholds: Thresholds) -> list[str]:
    """From when on there is a line, as the site has set it."""
    return [
        _("It is about %(energy)s at least.") % {"energy": format_quantity(thresholds.least_j, "energy")},
        _("What is asked for is held against like jobs that completed, %(jobs)d of them at least.")
        % {"jobs": thresholds.least_jobs},
        _("Of what was asked for, %(share)s at least was not used.") % {"share": percent(thresholds.least_share)},
        _("The margin: %(margin)s times what was needed.") % {"margin": number(thresholds.margin)},
    ]


def in_a_mail(line: Advice) -> str:
    """A line in one sentence, with its directive."""
    saved = ""
    if line.saved_j:
        saved = _("It would have saved %(energy)s.") % {"energy": format_quantity(line.saved_j, "energy")}
    said = f"{subject_name(line)}: {happened(line)} {to_do(line)} {line.directive.line}"
    return f"{said}\n{saved}".strip()
