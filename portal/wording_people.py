"""Sentences about who somebody is to the site."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _


def no_account_sentence() -> str:
    """To somebody who is logged in but unknown to the cluster: whom to ask."""
    said = _("The cluster knows no job and no project of your login, so there is nothing to show yet.")
    if settings.CONTACT:
        return said + " " + _("If you have an account under another name, or need one, ask %(contact)s.") % {
            "contact": settings.CONTACT
        }
    return said + " " + _("If you have an account under another name, or need one, ask the operators of the cluster.")
