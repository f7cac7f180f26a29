"""The tables with rows about persons, in words: what each is for and how long it is kept.

The fields are the models' own. A test fails when a table of `measurements.selectors.own_data` is not in here.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _

from measurements.selectors.own_data import OWN


@dataclass(frozen=True, slots=True)
class Kept:
    """Some tables that serve one purpose."""

    title: str
    what: str
    purpose: str
    keeping: str
    tables: tuple[str, ...]

    @property
    def fields(self) -> list[tuple[str, list[str], list[str]]]:
        """Per table its fields, and those that are left out of the file."""
        return [(own.name, list(own.columns()), list(own.left_out)) for own in OWN if own.name in self.tables]


def kept() -> list[Kept]:
    """All that is kept, in the reader's language."""
    by_hand = _("Until the operators delete it: the software does not do that by itself.")
    asked = _("Until you change it, or the operators delete it.")
    return [
        Kept(
            _("Account"),
            _("User name, name and mail address where given, when you last logged in, what you may do"),
            _("That you can log in, and see what is yours."),
            by_hand,
            ("account", "groups", "permissions"),
        ),
        Kept(
            _("Jobs"),
            _(
                "What the batch system tells of them: project, id, name, comments, times, how they "
                "ended, what they asked for and held. Not what they computed with."
            ),
            _("That energy can be attributed to them."),
            by_hand,
            ("jobs", "runs", "allocations"),
        ),
        Kept(
            _("Energy"),
            _(
                "What your jobs drew, by quarter hour; sums of a day by project, node type, workload and how "
                "the jobs ended"
            ),
            _(
                "That you see it, and your projects see their totals. Emissions and cost are computed from "
                "it when a page is made."
            ),
            by_hand,
            ("job-energy", "ledger", "usage"),
        ),
        Kept(
            _("What your jobs compute"),
            _(
                "Workload, phase, size and work of your jobs, where each of these was declared or who set it, and a "
                "row of figures for each job that has ended with a workload"
            ),
            _("That like jobs can be compared: your own with each other, and those of at least %(count)d people.")
            % {"count": settings.SMALLEST_GROUP},
            by_hand,
            ("tags", "tags-set", "compared"),
        ),
        Kept(
            _("Leaderboards"),
            _(
                "Your place in each edition that compares people, kept under a code that only your login leads to; "
                "objections of yours; whether you want to be named"
            ),
            _("That you, and nobody else, see which place is yours, and can object before it is published."),
            _("Places as long as the edition is kept. Your name is shown only until you take it back."),
            ("places-on-boards", "objections", "names-on-boards"),
        ),
        Kept(
            _("Projects"),
            _("Which projects you belong to or lead, from when to when; budgets you answer for"),
            _("That leaders see the totals of their projects for the time of their role."),
            by_hand,
            ("memberships", "budgets"),
        ),
        Kept(
            _("What you chose"),
            _("Advice that you dismissed, mails that you declined or were sent, reports that you made"),
            _("That the site does what you chose, and a report stays readable for whom you gave it to."),
            asked,
            ("reports", "dismissed-advice", "mail-choice", "mails"),
        ),
        Kept(
            _("Who looked"),
            _("Who looked at your jobs or at the totals of your projects, and at whose you looked"),
            _("That you can see it. It is for nothing else."),
            _("%(days)d days, then it is removed by itself.") % {"days": settings.AUDIT_KEEP_DAYS},
            ("reads-by-others", "reads-of-others"),
        ),
        Kept(
            _("What you changed"),
            _(
                "Which factors you declared or brought in, which statements you closed, whose jobs' tags you "
                "set, what you did with leaderboards, what you changed in the administration"
            ),
            _("That it can be said how a figure came about."),
            _("For good: figures that were reported rest on it."),
            (
                *("declared-factors", "declared-supplies", "imported-factors", "closed-statements", "admin-log"),
                *("tags-set-by-me", "board-events", "objections-answered"),
            ),
        ),
    ]


def elsewhere() -> list[tuple[str, str]]:
    """Where names may occur besides, and why these are in no file of one's own."""
    return [
        (
            _("Who is logged in"),
            _(
                "Sessions, which only their cookie leads to; void after it ends. Operators remove what is "
                "void with clearsessions."
            ),
        ),
        (
            _("Lines that could not be read"),
            _(
                "Lines of job records that were refused are kept with their reason until the operators "
                "settled them. They may hold a user name."
            ),
        ),
        (
            _("Files that were handed in"),
            _("Job records that came as files stay in the site's folder until the operators remove them."),
        ),
        (
            _("Readings of nodes"),
            _(
                "They hold no names. With the times of jobs they can be told apart: so others see a node's "
                "curve only if it was theirs as well, or if they may see operations."
            ),
        ),
        (
            _("Backups and logs of servers"),
            _("They are not this software's. Ask the operators how long they keep them."),
        ),
    ]
