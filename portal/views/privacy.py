"""`/privacy/`: what is kept of people, who sees it, and who looked; `/privacy/my-data.zip`: one's own data."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from measurements.selectors.audit import MOST_SHOWN, reads_of
from portal import privacy
from portal.archives import ARCHIVE, archive
from portal.csvs import download
from portal.own_files import own_files
from portal.privacy_tables import elsewhere, kept


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """For everybody: what holds of people here can be read before logging in."""
    context = {
        "viewers": privacy.viewers(),
        "kept": kept(),
        "elsewhere": elsewhere(),
        "cookies": privacy.cookies(),
        "choices": privacy.choices(),
        "contact": settings.CONTACT,
        "mails": privacy.mail_sentence(),
        "sends_mails": privacy.mails(),
        "keep_days": settings.AUDIT_KEEP_DAYS,
        "zone": timezone.get_default_timezone_name(),
    }
    return render(request, "portal/privacy.html", context | _who_looked(request))


def _who_looked(request: HttpRequest) -> dict[str, Any]:
    """Whoever is logged in sees who read what is theirs."""
    if not request.user.is_authenticated:
        return {}
    found = reads_of(request.user.get_username(), MOST_SHOWN + 1)
    return {
        "reads": [(read, privacy.page_name(read.page)) for read in found[:MOST_SHOWN]],
        "more_reads": len(found) > MOST_SHOWN,
        "most_reads": MOST_SHOWN,
    }


@login_required
@require_safe
def my_data(request: HttpRequest) -> StreamingHttpResponse:
    """All that is kept of whoever asks, and of nobody else."""
    name = request.user.get_username()
    response = download("my-data.zip", ARCHIVE, archive(own_files(name)))
    response.headers["Cache-Control"] = "no-store"
    return response
