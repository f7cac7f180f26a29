"""Sentences of a job's page: idle GPUs, parts of its energy, company on its nodes, gaps."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from measurements.selectors.company import Company
from measurements.selectors.gpu_idle import GpuIdle, IdleUnknown
from portal.quantities import format_quantity, percent

# --- GPUs held but idle -------------------------------------------------------------------------


def idle_sentence(idle: GpuIdle) -> str:
    """How long its GPUs were held without work, and what that cost."""
    if idle.unknown is not None:
        return _("Whether its GPUs were idle is not measured.") + " " + _connect(idle.unknown)
    values = {
        "gpus": idle.gpus,
        "share": percent(idle.share),
        "energy": format_quantity(idle.idle_j, "energy"),
        "part": percent(idle.energy_share),
    }
    if not idle.share:
        return _("Its GPUs were never idle while it held them.")
    if not idle.gpus:
        return _("Its GPUs were idle %(share)s of the time it held them: %(energy)s, %(part)s of its energy.") % values
    return (
        ngettext(
            "Its GPU was idle %(share)s of the time it held it: %(energy)s, %(part)s of its energy.",
            "Its %(gpus)d GPUs were idle %(share)s of the time it held them: %(energy)s, %(part)s of its energy.",
            idle.gpus,
        )
        % values
    )


def _connect(missing: IdleUnknown) -> str:
    return {
        IdleUnknown.CHANNELS: _(
            "To know it, connect the power of its nodes' GPUs: channels gpu0, gpu1, … in the power log."
        ),
        IdleUnknown.IDLE_POWER: _(
            "To know it, connect what a GPU draws without work: the column gpu_idle_w of the node list (load_nodes)."
        ),
        IdleUnknown.MAP: _(
            "To know it, have somebody say which GPUs jobs hold while they run: the node agent, a prolog, or the feed "
            "slurm-gpus; or the column gpu_indices of the job records."
        ),
        IdleUnknown.SAMPLES: _("Its GPUs have power channels, but no samples of the time in which the job ran."),
    }[missing]


# --- Parts, company, gaps -----------------------------------------------------------------------


def part_name(family: str) -> str:
    """A family of channels."""
    return {"gpu": _("GPUs"), "cpu": _("processor packages"), "dram": _("memory")}[family]


def parts_sentence(*, of_job: bool) -> str:
    """What the parts are of."""
    said = _("They are part of what the nodes drew, measured by channels of their own, and are never added to it.")
    if of_job:
        return said
    return said + " " + _("What is of the nodes is not this job's share: other jobs on them are in it.")


def company_sentence(company: Company) -> str:
    """With how many others it shared its nodes."""
    values = {"others": company.at_once}
    if company.in_part:
        return (
            ngettext(
                "It shared its nodes with at least %(others)d other job at a time.",
                "It shared its nodes with at least %(others)d other jobs at a time.",
                company.at_once,
            )
            % values
        )
    if len(company.nodes) == 1:
        return ngettext(
            "It shared %(node)s with up to %(others)d other job at a time.",
            "It shared %(node)s with up to %(others)d other jobs at a time.",
            company.at_once,
        ) % (values | {"node": company.nodes[0].node})
    return (
        ngettext(
            "It shared its nodes with up to %(others)d other job at a time.",
            "It shared its nodes with up to %(others)d other jobs at a time.",
            company.at_once,
        )
        % values
    )
