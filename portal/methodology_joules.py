"""The rules from samples to the joules of jobs; docs/integration.md has them to the letter, with every case."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from measurements.domain import idleness, integrate, merged_power, quality, slurm_quantities, steps, units
from measurements.services import attribution, known_jobs
from portal.methodology import Constant, Rule, Section, listed, milliseconds, plain, prefixes, rule, share

FILL_RULE = gettext_noop("rated power of the node × time × share of its cores, or the batch system's own figure")


def sections() -> list[Section]:
    """In the order of the chain."""
    return [_integration(), _sharing(), _qualities()]


def _integration() -> Section:
    rules = (_between_samples(), _longest_gap(), _usual_interval(), _counters(), _artefacts(), _quarter_hours())
    return Section("integration", _("From samples to joules"), rules)


def _between_samples() -> Rule:
    return rule(
        _("Between neighbouring samples of a power sensor the power is linear: the trapezoidal rule [1]."),
        formula="E = Σ ½ · (P_i + P_i+1) · (t_i+1 − t_i)",
    )


def _longest_gap() -> Rule:
    return rule(
        _(
            "Samples further apart than %(GAP_INTERVALS)s times their usual interval, and at least than"
            " %(MIN_DEFAULT_GAP_MS)s, are not joined: in between is a gap, which adds no energy and lowers the"
            " coverage. A site may declare another longest gap of a sensor."
        ),
        plain(integrate, "GAP_INTERVALS"),
        milliseconds(integrate, "MIN_DEFAULT_GAP_MS"),
    )


def _usual_interval() -> Rule:
    return rule(
        _(
            "The usual interval is the median spacing of a sensor's samples of the day, and of"
            " %(NOMINAL_WINDOW_MS)s before and after it where there are too few; %(DEFAULT_NOMINAL_MS)s where"
            " even those do not tell. At both ends of a run of samples the last value holds for half an"
            " interval."
        ),
        milliseconds(integrate, "NOMINAL_WINDOW_MS"),
        milliseconds(integrate, "DEFAULT_NOMINAL_MS"),
    )


def _counters() -> Rule:
    return rule(
        _(
            "Of an energy counter the difference of two readings is spread evenly over the time between them,"
            " up to %(COUNTER_GAP_MS)s apart; a wrap is undone, a reset adds nothing. What would need more than the"
            " node's ceiling is a reset; without a declared ceiling, for RAPL, what would need more than the modulus in"
            " %(RAPL_WRAP_MS)s, and more than %(RAPL_WRAP_LEAST_MW)s mW."
        ),
        milliseconds(integrate, "COUNTER_GAP_MS"),
        milliseconds(integrate, "RAPL_WRAP_MS"),
        plain(integrate, "RAPL_WRAP_LEAST_MW"),
    )


def _artefacts() -> Rule:
    return rule(
        _(
            "What implies more than %(LARGEST_POWER_MW)s mW (a megawatt) on one node, or more than the site"
            " declares as its ceiling, is an artefact and is not placed."
        ),
        plain(integrate, "LARGEST_POWER_MW"),
    )


def _quarter_hours() -> Rule:
    return rule(
        _(
            "Energy is booked to the quarter hour (%(QUARTER_MS)s, %(QUARTERS_PER_DAY)s of a UTC day) in which"
            " it was drawn. What is booked of a node and day may differ by %(CONSERVATION)s of it from what"
            " its meter shows; else the day is not booked at all."
        ),
        milliseconds(units, "QUARTER_MS"),
        plain(units, "QUARTERS_PER_DAY"),
        plain(attribution, "CONSERVATION"),
        formula="Σ_jobs E + E_unallocated = E_metered",
    )


def _sharing() -> Section:
    return Section(
        "sharing",
        _("Shared nodes"),
        (
            rule(
                _(
                    "A job that has a node to itself has all its energy. What no job held is unallocated: it is"
                    " nobody's."
                )
            ),
            rule(
                _("Policy allocation: a GPU's energy goes to who holds it, the rest of the node by cores held."),
                formula="E_job = Σ E_its GPUs + (E_node − Σ E_GPUs) · cores held / max(node's cores, Σ cores held)",
            ),
            rule(
                _("Policy hybrid: the idle floor of that rest by cores held, what is above it by CPU time."),
                formula="floor = min(rest, idle power); E_job = floor · cores share + (rest − floor) · rate / Σ rates",
            ),
            rule(
                _(
                    "A rest that is negative by no more than %(ROUNDING_MW)s mW is the rounding of a difference; below"
                    " that the figure carries a flag."
                ),
                plain(merged_power, "ROUNDING_MW"),
            ),
            rule(
                _(
                    "A GPU is idle while its power is at most %(IDLE_FACTOR)s times what a GPU of its node draws"
                    " without work (gpu_idle_w). Idle energy is a part of the job's, not added to it."
                ),
                plain(idleness, "IDLE_FACTOR"),
            ),
            rule(
                _("A job that was requeued within %(REQUEUE_DAYS)s days is one job with several runs."),
                plain(known_jobs, "REQUEUE_DAYS"),
            ),
        ),
    )


def _qualities() -> Section:
    return Section(
        "qualities",
        _("How sure a figure is"),
        (
            rule(
                _(
                    "Coverage is the measured share of a job's time, density the samples found among those expected."
                    " Below %(FULL_COVERAGE)s of coverage or %(FULL_DENSITY)s of density a figure is partial; it is"
                    " compared with others only above that coverage."
                ),
                share(quality, "FULL_COVERAGE"),
                share(quality, "FULL_DENSITY"),
            ),
            rule(
                _("A figure of fewer than %(FINE_SAMPLES)s samples is coarse, one of a shared node apportioned."),
                plain(quality, "FINE_SAMPLES"),
            ),
            rule(_("The first that applies: none, estimated, reported, partial, apportioned, coarse, metered.")),
            rule(
                _(
                    "Of a job that was not metered at all an estimate is filled in (%(FILL_RULE)s). It is labelled"
                    " as such, stands in a line of its own, and is never part of metered energy."
                ),
                Constant(steps, "FILL_RULE", _),
                formula="E_filled = P_rated · t · min(cores held / cores of the node, 1)",
            ),
            rule(
                _(
                    "Letters behind Slurm's own figures of energy are powers of a thousand: %(DECIMAL)s. Its markers"
                    " for “no value” (%(_SENTINELS_32)s, and whatever is %(_NO_VALUE_64)s or more) are no figure."
                ),
                prefixes(slurm_quantities, "DECIMAL"),
                listed(slurm_quantities, "_SENTINELS_32"),
                plain(slurm_quantities, "_NO_VALUE_64"),
            ),
        ),
    )
