"""How far a site's data reaches, and what the next piece of it would give (docs/trial.md has the same ladder)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from measurements.domain.quality import FULL_COVERAGE, FULL_DENSITY
from measurements.selectors.energy import Energy
from measurements.selectors.observed import Gpus
from measurements.selectors.trial import TrialFigures
from portal.quantities import percent

GPU_RUNG = 2


@dataclass(frozen=True, slots=True)
class Rung:
    """One piece of data, what it gives, and whether it is there."""

    data: str
    gives: str
    state: str  # reached, next, open, later, absent
    word: str  # the state for a reader


def ladder(figures: TrialFigures, energy: Energy) -> Iterator[Rung]:
    """The rungs from below; the first that is not reached is the next one."""
    without_gpus = not (figures.gpus.nodes or figures.gpus.channels or figures.gpus.jobs)
    rungs = (
        (_("job records"), _("energy as reported by the batch system, or estimated"), figures.jobs is not None),
        (_("+ node power"), _("metered energy: of each job, and of what nobody held"), energy.covered_s > 0),
        (
            _("+ GPU channels, and which job held which GPU"),
            _("accelerators that were held and idle"),
            figures.gpus.held_s > 0,
        ),
        (
            _("+ the facility's meter"),
            _("a measured PUE in place of an assumed one"),
            figures.facility_measured,
        ),
    )
    following = True
    for place, (data, gives, reached) in enumerate(rungs):
        if reached:
            yield Rung(data, gives, "reached", pgettext("rung", "reached"))
        elif place == GPU_RUNG and without_gpus:
            yield Rung(data, gives, "absent", _("no GPUs are known here"))
        else:
            yield Rung(
                data,
                gives,
                "next" if following else "open",
                pgettext("rung", "next") if following else pgettext("rung", "not yet"),
            )
            following = False
    later = _("comes with a later version")
    yield Rung(_("+ declared work (images, steps, ns/day)"), _("energy for each unit of work"), "later", later)


def next_steps(figures: TrialFigures, energy: Energy, guessed: int) -> Iterator[str]:
    """What would improve the result next, cheapest first."""
    if figures.jobs is None:
        yield _("Give job records (JOBS): without them all metered energy is nobody's.")
        return
    if figures.power is None:
        yield _("Give a power log (POWER) of the same days: figures are metered then, and not reported or estimated.")
    if guessed:
        yield _("Describe the nodes: scontrol show node > scontrol.txt, then NODES=scontrol.txt.")
    if figures.unrated_nodes:
        yield ngettext(
            "State rated_w of %(count)s node in nodes.csv: jobs without a measurement are estimated then.",
            "State rated_w of %(count)s nodes in nodes.csv: jobs without a measurement are estimated then.",
            figures.unrated_nodes,
        ) % {"count": figures.unrated_nodes}
    if figures.power and energy.coverage is not None and energy.coverage < FULL_COVERAGE:
        yield _("Measure more of the jobs' time: %(share)s are covered; under 95 %% a job counts as partial.") % {
            "share": percent(energy.coverage)
        }
    if energy.density is not None and figures.power and energy.density < FULL_DENSITY:
        yield _("Many samples are missing: %(share)s of those expected are there.") % {"share": percent(energy.density)}
    yield from _gpu_steps(figures.gpus)


def _gpu_steps(gpus: Gpus) -> Iterator[str]:
    if not gpus.nodes and not gpus.channels and not gpus.jobs:
        return
    if not gpus.channels:
        yield _("Log the power of each GPU as a channel (gpu0, gpu1, …): shared GPU nodes are split by it.")
    if gpus.jobs and not gpus.mapped:
        yield _(
            "Say which GPUs jobs held on shared nodes: scontrol show job --json has the indices while they run, "
            "sacct has not; the plain CSV takes them as gpu_indices."
        )
    if gpus.nodes and not gpus.idle_power:
        yield _("State gpu_idle_w, the power of one GPU without work: it tells idle GPUs from busy ones.")
