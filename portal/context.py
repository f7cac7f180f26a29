"""What every page is given: where one can go from it, whether its figures are made up, which version made it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from measurements.demo.note import read_past
from measurements.domain.units import MS_PER_S, day_from_ms
from measurements.selectors.people import led
from measurements.selectors.public_boards import public_boards

VERSION: str = tomllib.loads((settings.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation; ``current`` is the value of aria-current: this page, one below it, or neither."""

    address: str
    label: str
    current: str


Allowed = Callable[[User | AnonymousUser], bool]


def _operates(user: User | AnonymousUser) -> bool:
    return user.has_perm("measurements.view_operations")


def _leads(user: User | AnonymousUser) -> bool:
    return user.has_perm("measurements.view_all_jobs") or bool(led(user))


PLACES: tuple[tuple[str, Any, Allowed], ...] = (
    ("energy", _("My energy"), lambda user: True),
    ("jobs", _("Jobs"), lambda user: True),
    ("projects", _("Projects"), _leads),
    ("clusters", _("Clusters"), lambda user: True),
    ("node-types", _("Node types"), lambda user: True),
    ("workloads", _("Workloads"), lambda user: True),
    ("boards", _("Leaderboards"), lambda user: True),
    ("carbon", _("Carbon"), lambda user: True),
    ("operations", _("Operations"), _operates),
    ("admin:index", pgettext_lazy("navigation", "Admin"), lambda user: user.is_staff),
)
WITHOUT_LOGIN: tuple[tuple[str, Any, Allowed], ...] = (("boards", _("Leaderboards"), lambda user: public_boards()),)
BELOW_ENERGY = ("energy-jobs", "calendar", "waste", "report-preview")  # "/" is the beginning of every address


def site(request: HttpRequest) -> dict[str, Any]:
    """The context of every page. The navigation is made where a template asks for it: the admin's pages do not."""
    return {
        "navigation": partial(navigation, request),
        "simulated": settings.JOULEBOOK_DEMO,
        "booked_since": booked_since if settings.JOULEBOOK_DEMO else None,
        "version": VERSION,
    }


def booked_since() -> date | None:
    """Of a simulated cluster whose older months are still being booked: the first day of which all is there."""
    before_s = read_past(Path(settings.JOULEBOOK_VAR))
    return None if before_s is None else day_from_ms(before_s * MS_PER_S)


def navigation(request: HttpRequest) -> list[Place]:
    """Where this person can go; before they logged in to public leaderboards, if there are any."""
    user = request.user
    places = PLACES if user.is_authenticated else WITHOUT_LOGIN
    return [
        Place(address, str(label), _current(request.path, address))
        for address, label in ((reverse(name), label) for name, label, allowed in places if allowed(user))
    ]


def _current(path: str, address: str) -> str:
    if path == address:
        return "page"
    below = [reverse(name) for name in BELOW_ENERGY] if address == reverse("energy") else [address]
    return "true" if path.startswith(tuple(below)) else ""
