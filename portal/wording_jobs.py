"""Sentences about lists of jobs, comparisons of jobs, and how a job ended."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from measurements.selectors.jobsums import SEVERAL, JobSums, TypeSums
from portal.quantities import format_quantity, percent

STATE_NAMES = {
    "BOOT_FAIL": gettext_lazy("not booted"),
    "CANCELLED": gettext_lazy("cancelled"),
    "COMPLETED": gettext_lazy("completed"),
    "DEADLINE": gettext_lazy("deadline missed"),
    "FAILED": gettext_lazy("failed"),
    "NODE_FAIL": gettext_lazy("node failed"),
    "OUT_OF_MEMORY": gettext_lazy("out of memory"),
    "PENDING": gettext_lazy("waiting"),
    "PREEMPTED": gettext_lazy("preempted"),
    "REQUEUED": gettext_lazy("requeued"),
    "RESIZING": gettext_lazy("resizing"),
    "REVOKED": gettext_lazy("revoked"),
    "RUNNING": gettext_lazy("running"),
    "SUSPENDED": gettext_lazy("suspended"),
    "TIMEOUT": gettext_lazy("time limit reached"),
}


def state_name(state: str) -> str:
    """A state in the reader's language; one that Slurm doesn't know as it is."""
    return str(STATE_NAMES.get(state, state))


def end_sentence(state: str) -> str:
    """How a job ended, and what that means; nothing of one that simply completed."""
    return {
        "BOOT_FAIL": _("Its nodes could not be started: it did no work."),
        "CANCELLED": _("Somebody cancelled it: its owner, or an operator."),
        "COMPLETED": _("It ended by itself, with exit code 0."),
        "DEADLINE": _("The batch system ended it because its deadline could not be met."),
        "FAILED": _("It ended by itself with an exit code other than 0: something in it went wrong."),
        "NODE_FAIL": _("A node failed under it: this was the machine's doing, not the job's."),
        "OUT_OF_MEMORY": _("It needed more memory than it had asked for, and was ended."),
        "PREEMPTED": _("The batch system ended it to make room for another job."),
        "REVOKED": _("It was taken back because another cluster began it."),
        "TIMEOUT": _("Its time limit was up, and the batch system ended it."),
    }.get(state, "")


# --- A selection --------------------------------------------------------------------------------


def sums_sentences(sums: JobSums) -> list[str]:
    """A selection in words: how much, how well measured, lost to failures, by node type."""
    said = [_how_much(sums), _failures(sums), _medians(sums)]
    return [sentence for sentence in said if sentence]


def _how_much(sums: JobSums) -> str:
    count = {"jobs": sums.jobs, "energy": format_quantity(sums.energy_j, "energy")}
    if not sums.measured_jobs:
        return ngettext(
            "It is %(jobs)d job; nothing of it was measured.",
            "They are %(jobs)d jobs; nothing of them was measured.",
            sums.jobs,
        ) % {"jobs": sums.jobs}
    return ngettext("%(jobs)d job drew %(energy)s.", "%(jobs)d jobs drew %(energy)s.", sums.jobs) % count


def _failures(sums: JobSums) -> str:
    if not sums.failed or sums.jobs < 2:
        return ""
    values = {"failed": sums.failed, "jobs": sums.jobs, "energy": format_quantity(sums.failed_j, "energy")}
    if not sums.failed_share:
        return (
            ngettext("%(failed)d of %(jobs)d jobs failed.", "%(failed)d of %(jobs)d jobs failed.", sums.failed) % values
        )
    values["share"] = percent(sums.failed_share)
    return (
        ngettext(
            "%(failed)d of %(jobs)d jobs failed; it drew %(energy)s, %(share)s of the energy of this selection.",
            "%(failed)d of %(jobs)d jobs failed; they drew %(energy)s, %(share)s of the energy of this selection.",
            sums.failed,
        )
        % values
    )


def _medians(sums: JobSums) -> str:
    known = [t for t in sums.by_type if t.median_j is not None and t.node_type != SEVERAL]
    if len(known) < 2:
        return ""
    parts = [
        _("%(energy)s on %(type)s (n = %(count)d)")
        % {"energy": format_quantity(t.median_j or 0.0, "energy"), "type": t.node_type, "count": t.measured}
        for t in known
    ]
    return _("Median energy of a job: %(parts)s: only comparable if they did the same work.") % {
        "parts": ", ".join(parts)
    }


def type_name(sums: TypeSums) -> str:
    """A node type as a row's heading."""
    return sums.node_type if sums.node_type != SEVERAL else _("several types")
