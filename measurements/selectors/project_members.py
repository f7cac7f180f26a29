"""The members of a project and what each used, by name or under pseudonyms, and its largest jobs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from django.conf import settings

from measurements.domain.usage import Granularity
from measurements.models import Membership
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.drawn import DrawnJob, drawn_jobs
from measurements.selectors.project import Access, Sees, pseudonym
from measurements.selectors.usage import Asked, Dimension, Usage, usage

LARGEST_JOBS = 15


@dataclass(frozen=True, slots=True)
class Span:
    """A role and its days."""

    role: str
    project: str
    valid_from: date | None
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who belongs or belonged to a project, or ran a job there."""

    name: str  # of a pseudonym: made up for this period
    own: bool  # the viewer
    spans: tuple[Span, ...]  # none: in no list of members, or under a pseudonym
    over: bool  # belonged, and does no more
    energy_j: float | None  # metered; None: nothing was measured
    wasted_j: float
    ran: bool

    @property
    def username(self) -> str:
        """Whose row it is, where it is no pseudonym."""
        return self.name


@dataclass(frozen=True, slots=True)
class Members:
    """All of them, most energy first; nothing where too few people would be behind pseudonyms."""

    rows: tuple[Member, ...]
    too_few: bool


def members(who: Access, first: date, last: date, zone: ZoneInfo, today: date) -> Members:
    """Who used what on days [first, last]; three queries. Where leaders see totals nobody is in it."""
    if who.sees is Sees.TOTALS:
        return Members((), too_few=False)
    found = usage(who.scope, Asked(first, last, zone, Granularity.MONTH, Dimension.USER))
    figures = _figures(found)
    if who.sees is Sees.PSEUDONYMS:
        if len(figures.keys() - {who.viewer}) < settings.SMALLEST_GROUP:
            return Members((), too_few=True)
        rows = [_member(pseudonym(who, first, last, name), name == who.viewer, (), figures[name], today)
                for name in figures]  # fmt: skip
    else:
        spans = _spans(who)
        rows = [_member(name, name == who.viewer, spans.get(name, ()), figures.get(name), today)
                for name in figures.keys() | spans.keys()]  # fmt: skip
    return Members(tuple(sorted(rows, key=lambda row: (-(row.energy_j or 0.0), row.name))), too_few=False)


def _figures(found: Usage) -> dict[str, tuple[float | None, float]]:
    """Energy and waste by person; those who ran something."""
    cells = found.cells
    sums = zip(found.groups, *(part.sum(axis=0).tolist() for part in
               (cells.energy_j, cells.wasted_j, cells.covered_s, cells.elapsed_s)), strict=True)  # fmt: skip
    return {name: (energy if covered > 0 else None, waste) for name, energy, waste, covered, elapsed in sums if elapsed}


def _spans(who: Access) -> dict[str, tuple[Span, ...]]:
    rows = Membership.objects.filter(project__name__in=who.names).select_related("project")
    found: dict[str, list[Span]] = {}
    for row in rows.order_by("project__name", "valid_from", "pk"):
        found.setdefault(row.username, []).append(Span(row.role, row.project.name, row.valid_from, row.valid_to))
    return {name: tuple(spans) for name, spans in found.items()}


def _member(
    name: str,
    own: bool,  # noqa: FBT001 - a fact
    spans: Iterable[Span],
    figures: tuple[float | None, float] | None,
    today: date,
) -> Member:
    known = tuple(spans)
    holds = [(s.valid_from or date.min) <= today < (s.valid_to or date.max) for s in known]
    energy, wasted = figures or (None, 0.0)
    return Member(name, own, known, bool(known) and not any(holds), energy, wasted, figures is not None)


def largest_jobs(who: Access, first: date, last: date, zone: ZoneInfo) -> tuple[DrawnJob, ...]:
    """Those that drew most on days [first, last] and that began in the time of the role; only where names are shown."""
    if who.sees is not Sees.NAMES:
        return ()
    start_ms, *_, end_ms = day_bounds_ms(first, last, zone).tolist()
    floor = day_bounds_ms(who.since, who.since, zone)[0] if who.since else 0
    found = drawn_jobs(who.scope, {}, start_ms, end_ms).jobs
    return tuple(job for job in found if job.start_ms >= floor)[:LARGEST_JOBS]
