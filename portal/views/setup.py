"""`/` of a site nobody can log in to yet: how it is set up. There is nothing to keep from anybody then."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from measurements.selectors.setup import checklist
from portal.checklist import lines


def page(request: HttpRequest) -> HttpResponse:
    """Show the checklist."""
    return render(request, "portal/setup.html", {"checklist": lines(checklist())})
