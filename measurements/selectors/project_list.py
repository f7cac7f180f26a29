"""Several projects beside each other: what each used lately, as far as the viewer may see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from measurements.domain.usage import Granularity
from measurements.models import Budget, UsageDay
from measurements.selectors.project import Access, Sees
from measurements.selectors.project_people import DAY, month_starts, who_ran
from measurements.selectors.project_totals import releases_in
from measurements.selectors.usage import Asked, Dimension, Scope, Usage, usages

DAYS = 30  # lately, where days are shown; else the month that is over


@dataclass(frozen=True, slots=True)
class Spans:
    """The time that is shown, and the one before; days included."""

    first: date
    last: date
    before: date  # first day of the time before, which ends the day before `first`


@dataclass(frozen=True, slots=True)
class ProjectSums:
    """A project's line."""

    access: Access
    shown: bool
    measured: bool  # anything of it; else nothing ran or nothing was measured
    energy_j: float
    earlier_j: float | None  # None: not shown
    waste: float | None  # share of the energy; None: not shown, or no energy
    has_budget: bool


def spans(sees: Sees, today: date) -> Spans:
    """Of which time a list of projects speaks: the month that is over, or the last days."""
    if sees is not Sees.TOTALS:
        first = today - timedelta(days=DAYS - 1)
        return Spans(first, today, first - timedelta(days=DAYS))
    last = today.replace(day=1) - DAY
    return Spans(last.replace(day=1), last, (last.replace(day=1) - DAY).replace(day=1))


def accounts() -> list[str]:
    """All accounts under which jobs ran."""
    names = UsageDay.objects.order_by("account").values_list("account", flat=True).distinct()
    return [name for name in names if name]


def project_sums(shown: Sequence[Access], at: Spans, zone: ZoneInfo) -> list[ProjectSums]:
    """Of each project; five queries for any number of them."""
    if not shown:
        return []
    names = sorted({name for who in shown for name in who.names})
    asked = [
        Asked(at.first, at.last, zone, Granularity.MONTH, Dimension.PROJECT),
        Asked(at.before, at.first - DAY, zone, Granularity.MONTH, Dimension.PROJECT),
    ]
    now, earlier = usages(Scope(projects=tuple(names)), asked)
    budgets = set(
        Budget.objects.filter(project__name__in=names, last__gte=at.first).values_list("project__name", flat=True)
    )
    if shown[0].sees is Sees.TOTALS:
        everybody = sorted({name for who in shown for name in who.tops[0].names})
        frame, ever = who_ran(everybody, at.before, at.last, zone), _others(shown[0].viewer, everybody)
        return [_in_totals(who, at, now, earlier, frame, ever, budgets) for who in shown]
    return [_in_detail(who, at, now, earlier, budgets) for who in shown]


def _others(viewer: str, names: Sequence[str]) -> set[str]:
    """Accounts under which others ever ran anything."""
    rows = UsageDay.objects.filter(account__in=names).exclude(username=viewer).order_by()
    return set(rows.values_list("account", flat=True).distinct())


def _in_totals(
    who: Access, at: Spans, now: Usage, earlier: Usage, frame: pd.DataFrame, ever: set[str], budgets: set[str]
) -> ProjectSums:
    months = releases_in(who, frame[frame["project"].isin(who.tops[0].names)])
    own = not ever & set(who.tops[0].names)
    seen = {m for m in month_starts(at.before, at.last) if who.since is None or m >= who.since}
    this = months.get(at.first)
    shown = at.first in seen and (this is not None or own)
    before = at.before in seen and (at.before in months or own)
    waste = shown and (own or (this is not None and this.failed and this.idle))
    return _sums(who, now, earlier, budgets, shown=shown, before=before, waste=waste)


def _in_detail(who: Access, at: Spans, now: Usage, earlier: Usage, budgets: set[str]) -> ProjectSums:
    def seen(first: date) -> bool:
        return who.since is None or first >= who.since

    return _sums(who, now, earlier, budgets, shown=seen(at.first), before=seen(at.before), waste=seen(at.first))


def _sums(
    who: Access, now: Usage, earlier: Usage, budgets: set[str], *, shown: bool, before: bool, waste: bool
) -> ProjectSums:
    energy = _of(now, who, "energy_j") if shown else 0.0
    wasted = _of(now, who, "failed_j") + _of(now, who, "idle_j")
    return ProjectSums(
        access=who,
        shown=shown,
        measured=shown and _of(now, who, "covered_s") > 0,
        energy_j=energy,
        earlier_j=_of(earlier, who, "energy_j") if shown and before else None,
        waste=wasted / energy if waste and energy > 0 else None,
        has_budget=who.name in budgets,
    )


def _of(found: Usage, who: Access, name: str) -> float:
    """A sum over the project's accounts."""
    mine = np.isin(np.array(found.groups, object).astype(str), who.names)
    return float(getattr(found.cells, name)[:, mine].sum())
