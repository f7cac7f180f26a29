"""The rules of what people are shown of their use: unused energy, advice, budgets."""

from __future__ import annotations

from types import ModuleType

from django.utils.translation import gettext as _

from measurements.domain import advice_held, advice_kinds, advice_lost, blame, budget, forecast
from portal.methodology import Constant, Section, milliseconds, plain, rule, share, share_words
from portal.quantities import duration
from portal.wording_jobs import state_name


def sections() -> list[Section]:
    """Behind those of joules."""
    return [_unused(), _advice(), _budgets()]


def _states(module: ModuleType, name: str) -> Constant:
    return Constant(module, name, lambda states: ", ".join(sorted(state_name(state) for state in states)))


def _unused() -> Section:
    return Section(
        "unused",
        _("Unused energy"),
        (
            rule(
                _(
                    "Unused is the metered energy of jobs that ended with nothing to show (%(WASTED)s), and of GPUs"
                    " that other jobs held and that were idle. No joule counts twice."
                ),
                _states(blame, "WASTED"),
            ),
            rule(
                _(
                    "What the machine ended is nobody's waste: jobs in the states %(NOBODYS)s, and jobs that ended"
                    " while one of their nodes was down or in maintenance, or within %(BEFORE_MS)s before or"
                    " %(AFTER_MS)s after that began."
                ),
                _states(blame, "NOBODYS"),
                milliseconds(blame, "BEFORE_MS"),
                milliseconds(blame, "AFTER_MS"),
            ),
            rule(
                _(
                    "When in a day a job's GPUs were idle is known as a sum: it is spread over the day like the job's"
                    " energy."
                )
            ),
        ),
    )


def _seconds(module: ModuleType, name: str) -> Constant:
    return Constant(module, name, duration)


def _advice() -> Section:
    return Section(
        "advice",
        _("Advice"),
        (
            rule(
                _(
                    "Like jobs are those of one person and cluster with the same workload and phase, or else the"
                    " same name without digits. What they needed is what %(PERCENTILE)s of 100 that completed did"
                    " not exceed; what is advised is a margin more, rounded up."
                ),
                plain(advice_kinds, "PERCENTILE"),
            ),
            rule(
                _(
                    "A saving is a part of what the jobs of a line were measured to draw, and no joule is"
                    " promised twice. Of failed jobs it is the energy of those that began when the like job that"
                    " ended last had come to nothing, too. What takes longer than %(TEST_S)s to fail no test run"
                    " shows."
                ),
                _seconds(advice_lost, "TEST_S"),
            ),
            rule(
                _(
                    "Of jobs that ran out of time it is all where they had less than like jobs need, and what"
                    " lies beyond the advised limit where they had more. Where too few like jobs completed it is"
                    " all but the last %(CHECKPOINT_S)s, before which a checkpoint is written."
                ),
                _seconds(advice_lost, "CHECKPOINT_S"),
            ),
            rule(
                _(
                    "Where no like job shows how much memory is enough, %(_MORE_MEMORY)s times as much is"
                    " advised, but no more than the node has."
                ),
                plain(advice_lost, "_MORE_MEMORY"),
            ),
            rule(
                _(
                    "Of idle GPUs it is their energy, as far as whole GPUs were idle on average; from"
                    " %(ALL_IDLE)s of the time on none of them was used."
                ),
                share(advice_held, "ALL_IDLE"),
            ),
            rule(
                _(
                    "Of cores and memory it is a part of the idle power of a node that others can use as well. A"
                    " shorter time limit saves nothing."
                ),
                formula="idle_w × (cores − advised cores) ÷ cores of the node × measured time",
            ),
        ),
    )


def _levels(module: ModuleType, name: str) -> Constant:
    return Constant(module, name, lambda levels: ", ".join(share_words(level) for level in levels))


def _budgets() -> Section:
    return Section(
        "budgets",
        _("Budgets"),
        (
            rule(
                _(
                    "A budget of energy counts what was metered of the nodes; of emissions and money, with"
                    " infrastructure and PUE. What was not metered stands beside it as an estimate. Unless a"
                    " budget says otherwise it warns at %(WARNING_LEVELS)s."
                ),
                _levels(budget, "WARNING_LEVELS"),
            ),
            rule(
                _(
                    "A forecast needs %(SHORTEST_DAYS)s days of use, and takes the days to come for like those of"
                    " the weeks of %(WEEK)s days so far; a week that is %(HALF_LIFE_WEEKS)s weeks old counts"
                    " half. Its interval is to hold what comes with a probability of %(INTERVAL)s."
                ),
                plain(forecast, "SHORTEST_DAYS"),
                plain(forecast, "WEEK"),
                plain(forecast, "HALF_LIFE_WEEKS"),
                share(forecast, "INTERVAL"),
                formula="C · exp(± z s), s² = ln(1 + ρ²), "
                "ρ² = c² · (1 + r)/(1 − r) · (1/k' + 1/m) + (g · (m/2 + ā)/52)²",
            ),
            rule(
                _(
                    "Each of its quantities is a mean of what is observed and what is usual: c², the spread of"
                    " weeks, %(USUAL_SPREAD)s, which counts as %(PRIOR_WEEKS)s weeks; r, how alike neighbouring"
                    " weeks are, %(USUAL_PERSISTENCE)s as %(PRIOR_PAIRS)s weeks, and %(LARGEST_PERSISTENCE)s at"
                    " most; g, the change in a year of %(WEEKS_OF_A_YEAR)s weeks, %(USUAL_DRIFT)s as"
                    " %(PRIOR_MONTHS)s months of %(WEEKS_OF_A_MONTH)s weeks, and %(LARGEST_DRIFT)s at most."
                ),
                *(
                    plain(forecast, name)
                    for name in (
                        "USUAL_SPREAD",
                        "PRIOR_WEEKS",
                        "USUAL_PERSISTENCE",
                        "PRIOR_PAIRS",
                        "LARGEST_PERSISTENCE",
                        "WEEKS_OF_A_YEAR",
                        "USUAL_DRIFT",
                        "PRIOR_MONTHS",
                        "WEEKS_OF_A_MONTH",
                        "LARGEST_DRIFT",
                    )
                ),
            ),
        ),
    )
