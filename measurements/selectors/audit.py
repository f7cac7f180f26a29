"""Who was shown what is a person's: what `measurements.services.audit` noted, as that person sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Q, QuerySet

from measurements.models import Membership, PageRead, Project, UsageDay

MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Read:
    """A reader, a page and a UTC day; ``project`` is empty where it was the person's own jobs."""

    day: date
    reader: str
    page: str
    project: str
    count: int
    last_at: datetime


def reads_of(username: str, most: int = MOST_SHOWN) -> list[Read]:
    """By others of this person's jobs, and of projects that they belong to, newest first; so many at most."""
    rows = reads_rows(username).order_by("-day", "reader", "page", "project")
    return [Read(*row) for row in rows.values_list("day", "reader", "page", "project", "count", "last_at")[:most]]


def reads_rows(username: str) -> QuerySet[PageRead]:
    """All that is kept of them."""
    return PageRead.objects.filter(Q(username=username) | Q(project__in=projects_of(username))).exclude(reader=username)


def projects_of(username: str) -> set[str]:
    """Projects in which the person ever ran a job or has a role, and those above: their totals hold the person's."""
    used = UsageDay.objects.filter(username=username).values_list("account", flat=True).distinct()
    roles = Membership.objects.filter(username=username).values_list("project__name", flat=True).distinct()
    return _with_above({*used, *roles} - {""})


def _with_above(names: Iterable[str]) -> set[str]:
    """With all projects above; a circle is walked once."""
    parents = dict(Project.objects.filter(parent__isnull=False).values_list("name", "parent__name"))
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [parents[name]] if name in parents else []
    return found
