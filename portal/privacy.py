"""What the site keeps of people and who sees it: what `/privacy/` shows, made of the settings and models in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from measurements.services.audit import Page
from portal.quantities import duration

SEE_ALL = "measurements.view_all_jobs"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who may look, what they see of others, and what they do not."""

    who: str
    sees: str
    not_seen: str


@dataclass(frozen=True, slots=True)
class Cookie:
    """What is left in the browser, what for, and until when."""

    name: str
    purpose: str
    until: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting of the site that concerns people: as it stands, and what that means."""

    name: str
    value: str
    meaning: str


def viewers() -> list[Viewer]:
    """Who sees what of a person, that person first."""
    return [
        Viewer(
            _("You"),
            _("Your jobs with all that is known of them, and your figures."),
            _(
                "Other people's jobs. Of those that shared a node with yours you only see that they were there, "
                "how long and on how many cores, and what the whole node drew."
            ),
        ),
        Viewer(_("Leaders and deputies of your projects"), *_leaders()),
        Viewer(
            _number_of_operators(),
            _(
                "Every job, to find faults and to answer questions. Each time they look it is noted, and you "
                "see it here."
            ),
            _("Passwords: only a check value is kept."),
        ),
        Viewer(
            _("People who look after the machine (they may see operations)"),
            _("Nodes, meters, and what came in."),
            _(
                "Whose jobs ran on them. Refused lines of job records, which name people, are for those only "
                "who may see every job besides."
            ),
        ),
        Viewer(_("Those who publish leaderboards"), *_publishers()),
        Viewer(
            _("Everybody else who is logged in"),
            _(
                "The cluster as a whole; what node types drew for a workload, of at least %(count)d people of whom "
                "none makes most of it; leaderboards. %(boards)s"
            )
            % {"count": settings.SMALLEST_GROUP, "boards": boards_sentence()},
            _("A figure of yours, or your name, unless you chose to be named on a leaderboard."),
        ),
        Viewer(
            _("Without a login"),
            _(
                "How figures are made, this page, leaderboards that are public, and a report whose address its author "
                "gave away; no name is on it."
            ),
            _("A figure of anybody's, or a name, unless it was chosen to be on a leaderboard."),
        ),
        Viewer(
            _("Administrators of the server"),
            _("Technically everything that is stored: whoever reads the database itself leaves no note here."),
            "",
        ),
    ]


def _number_of_operators() -> str:
    """How many may see every job at present; one query."""
    count = User.objects.with_perm(SEE_ALL).count()
    text = ngettext(
        "Operators who may see every job: %(count)d person", "Operators who may see every job: %(count)d people", count
    )
    return text % {"count": count}


def leader_sentences() -> dict[str, str]:
    """What a leader sees of others, by the value of LEADER_SEES."""
    totals = _(
        "Totals of whole months that are over, of at least %(count)d people besides the reader; what would give away "
        "a smaller part is withheld as well."
    )
    return {
        "totals": totals % {"count": settings.SMALLEST_GROUP},
        "pseudonyms": _("The project's figures by days, and its members under made-up names."),
        "names": _("The project's figures by days, its members by name, and the project's jobs."),
    }


def _leaders() -> tuple[str, str]:
    hidden = {
        "totals": _("Your name beside a figure, or any job of yours."),
        "pseudonyms": _("Your name beside a figure, or any job of yours."),
        "names": "",
    }[settings.LEADER_SEES]
    before = _("Anything of the time before their role began, or of other projects; anything at all once it has ended.")
    return leader_sentences()[settings.LEADER_SEES], f"{hidden} {before}".strip()


def boards_sentence() -> str:
    """What leaderboards of people show, if the site wants them."""
    if not settings.BOARDS_OF_PERSONS:
        return _("No leaderboard compares people.")
    return _(
        "Leaderboards that compare people show bands of several under made-up names that are new in each edition; you "
        "see your place beforehand and can object."
    )


def _publishers() -> tuple[str, str]:
    if not settings.BOARDS_OF_PERSONS:
        return _("Drafts of leaderboards of node types and projects."), _("Anything of you.")
    sees = _("Drafts of leaderboards as everybody would see them, and what you object, with your name.")
    return sees, _("Which place is yours, and your own figures.")


def cookies() -> list[Cookie]:
    """All that the site sets: none of them is for observing anybody."""
    closed = _("until the browser is closed")
    language_s = settings.LANGUAGE_COOKIE_AGE
    return [
        Cookie(settings.SESSION_COOKIE_NAME, _("that you are logged in"), duration(settings.SESSION_COOKIE_AGE)),
        Cookie(settings.CSRF_COOKIE_NAME, _("that a form was sent from this site"), duration(settings.CSRF_COOKIE_AGE)),
        Cookie(
            settings.LANGUAGE_COOKIE_NAME, _("the language you chose"), duration(language_s) if language_s else closed
        ),
        Cookie("messages", _("the answer to what you entered"), _("until the next page")),
    ]


def choices() -> list[Choice]:
    """The settings that concern people."""
    return [
        Choice("JOULEBOOK_LEADER_SEES", settings.LEADER_SEES, leader_sentences()[settings.LEADER_SEES]),
        Choice(
            "JOULEBOOK_SMALLEST_GROUP",
            str(settings.SMALLEST_GROUP),
            _("Leaders who see totals are shown none of fewer people besides themselves. It cannot be set below 3."),
        ),
        Choice(
            "JOULEBOOK_AUDIT_KEEP_DAYS",
            str(settings.AUDIT_KEEP_DAYS),
            _("For so many days it stays noted who looked; then it is removed by itself."),
        ),
        Choice("JOULEBOOK_DIGESTS", settings.DIGESTS, mail_sentence()),
        Choice("JOULEBOOK_BOARDS_OF_PERSONS", str(int(settings.BOARDS_OF_PERSONS)), boards_sentence()),
        Choice(
            "JOULEBOOK_BOARDS_REVIEW_DAYS",
            str(settings.BOARDS_REVIEW_DAYS),
            _("For so many days those on a leaderboard see their own place and can object, before it is published."),
        ),
    ]


def mails() -> bool:
    """Whether this site sends people any."""
    return bool(settings.DEFAULT_FROM_EMAIL) and settings.DIGESTS != "off"


def mail_sentence() -> str:
    """What is sent to people, and to whom."""
    if not mails():
        return _("This site sends people no mails.")
    kinds = {"weekly": _("weekly mails"), "monthly": _("monthly mails"), "both": _("weekly and monthly mails")}
    said = {"kinds": kinds[settings.DIGESTS], "sender": settings.DEFAULT_FROM_EMAIL}
    return _("People get %(kinds)s with their figures from %(sender)s, unless they decline them.") % said


PAGES: dict[str, Callable[[], str]] = {
    Page.JOB: lambda: _("a job's page"),
    Page.JOBS: lambda: _("the list of jobs"),
    Page.JOBS_TABLE: lambda: _("the list of jobs, as a file"),
    Page.COMPARISON: lambda: _("jobs side by side"),
    Page.NODE: lambda: _("a node, with the jobs on it"),
    Page.PROJECT: lambda: _("the project's page"),
    Page.PROJECT_TABLE: lambda: _("the project's figures, as a file"),
    Page.API_JOB: lambda: _("a job, by the interface"),
    Page.API_PROJECT: lambda: _("the project's figures, by the interface"),
    Page.MAIL: lambda: _("a mail with the project's figures"),
}


def page_name(page: str) -> str:
    """A page that was read, in words."""
    return PAGES[page]() if page in PAGES else page
