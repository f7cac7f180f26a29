"""Sentences about who somebody is to the site, and what they may see of others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from django.conf import settings
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from measurements.models.people import Role
from measurements.selectors.project import Access, Sees


def no_account_sentence() -> str:
    """To somebody who is logged in but unknown to the cluster: whom to ask."""
    said = _("The cluster knows no job and no project of your login, so there is nothing to show yet.")
    if settings.CONTACT:
        return (
            said
            + " "
            + _("If you have an account under another name, or need one, ask %(contact)s.")
            % {"contact": settings.CONTACT}
        )
    return said + " " + _("If you have an account under another name, or need one, ask the operators of the cluster.")


def access_sentence(who: Access) -> str:
    """What a leader is shown, and why no more."""
    if who.sees is Sees.TOTALS:
        return _(
            "You see sums of whole months that are over, each of at least %(count)d people besides you. "
            "What would give away a smaller part is shown together with others, or not at all."
        ) % {"count": settings.SMALLEST_GROUP}
    if who.sees is Sees.PSEUDONYMS:
        return _("You see sums, and members under names that are made up anew for each period.")
    return _("You see members and jobs by name.")


def scope_sentence(who: Access) -> str:
    """Which jobs a project's page is about."""
    said = ngettext(
        "Jobs under the account %(names)s; what its members run elsewhere is not in it.",
        "Jobs under the accounts %(names)s; what their members run elsewhere is not in it.",
        len(who.names),
    ) % {"names": ", ".join(who.names)}
    if who.since is None:
        return said
    return said + " " + _("Shown from %(day)s on, when your role began.") % {"day": date_format(who.since)}


def too_few_sentence() -> str:
    """Why a figure is not shown."""
    return _("Fewer than %(count)d people besides you ran jobs that were measured: their sum is not shown.") % {
        "count": settings.SMALLEST_GROUP
    }


def hidden_months_sentence(months: Sequence[date]) -> str:
    """Which months are left empty, and why."""
    if not months:
        return ""
    names = ", ".join(str(date_format(month, pgettext("a month", "F Y"))) for month in months)
    return _("Not shown: %(months)s.") % {"months": names} + " " + too_few_sentence()


def no_month_sentence() -> str:
    """Where no month is over."""
    return _("No month of this time is over in which you led the project: sums are shown of whole months only.")


def role_words(role: str, project: str, begin: date | None, end: date | None) -> str:
    """A role with its days."""
    said = {"role": Role(role).label, "project": project}
    if begin and end:
        said |= {"first": date_format(begin), "end": date_format(end)}
        return _("%(role)s of %(project)s from %(first)s, until %(end)s") % said
    if begin:
        return _("%(role)s of %(project)s since %(first)s") % (said | {"first": date_format(begin)})
    if end:
        return _("%(role)s of %(project)s until %(end)s") % (said | {"end": date_format(end)})
    return _("%(role)s of %(project)s") % said
