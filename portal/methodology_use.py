"""The rules of what people are shown of their use: unused energy, advice, budgets."""

from __future__ import annotations

from types import ModuleType

from django.utils.translation import gettext as _

from measurements.domain import blame
from portal.methodology import Constant, Section, milliseconds, rule
from portal.wording_jobs import state_name


def sections() -> list[Section]:
    """Behind those of joules."""
    return [_unused()]


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
