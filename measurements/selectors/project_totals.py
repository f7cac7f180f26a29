"""A project's months in sums: what `measurements.selectors.project` leaves of an answer where leaders see totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from django.conf import settings

from measurements.domain.chain import Footprint
from measurements.domain.disclosure import ALL, REST, Grouping, released
from measurements.domain.units import FloatArray
from measurements.domain.usage import Granularity
from measurements.models import UsageDay
from measurements.selectors.project import Access, Sees
from measurements.selectors.project_people import (
    DAY,
    GROUPINGS,
    WASTE,
    few_or_enough,
    heads,
    month_starts,
    people_of,
    who_ran,
)
from measurements.selectors.usage import Asked, Cells, Dimension, Usage, usage
from measurements.selectors.usage_emissions import Quarters


@dataclass(frozen=True, slots=True)
class Release:
    """How a month may be shown; of what is missing in ``groupings`` only the sum may."""

    groupings: Mapping[str, Grouping] = field(default_factory=dict)
    failed: bool = False  # what came to nothing may be told from the remainder
    idle: bool = False  # the sum over idle GPUs may be shown
    filled: bool = False  # the sum of what is not metered, and so of emissions and cost
    filled_by_group: bool = False


@dataclass(frozen=True, slots=True)
class Totals:
    """Months of a project in sums, oldest first; those of too few people are there and empty."""

    usage: Usage  # a bar a month; nothing in it is of single jobs, days or people
    shown: tuple[bool, ...]  # [months]
    failed_j: tuple[float | None, ...]  # [months]; None: not shown
    idle_j: tuple[float | None, ...]
    merged: bool  # some groups are shown together

    @property
    def months(self) -> tuple[date, ...]:
        """Their first days."""
        return self.usage.begins

    def between(self, first: date, last: date) -> Totals:
        """The months that begin in [first, last], with the groups that they have."""
        keep = [i for i, month in enumerate(self.months) if first <= month <= last]
        rows = slice(keep[0], keep[-1] + 1) if keep else slice(0, 0)
        has = self.usage.cells.elapsed_s[rows].sum(axis=0) > 0
        columns = np.flatnonzero(has) if has.any() else np.arange(1)
        cells = Cells(**{part.name: getattr(self.usage.cells, part.name)[rows][:, columns] for part in fields(Cells)})
        begins = self.months[rows]
        end = self.usage.asked.last if not keep or keep[-1] + 1 == len(self.months) else self.months[keep[-1] + 1] - DAY
        return replace(
            self,
            usage=replace(
                self.usage,
                asked=replace(self.usage.asked, first=begins[0] if begins else first, last=end if begins else last),
                bounds_ms=self.usage.bounds_ms[rows.start : rows.stop + 1],
                begins=begins,
                groups=tuple(self.usage.groups[i] for i in columns.tolist()),
                cells=cells,
                footprint=_footprint(cells, self.usage.footprint, self.usage.currency),
            ),
            shown=self.shown[rows],
            failed_j=self.failed_j[rows],
            idle_j=self.idle_j[rows],
        )


def shown_months(who: Access, first: date, last: date, today: date) -> list[date]:
    """The months with a day in [first, last] of which a leader sees sums: those that are over, of the role's time."""
    return [m for m in month_starts(first, last) if m < today.replace(day=1) and (who.since is None or m >= who.since)]


def totals(
    who: Access, months: Sequence[date], zone: ZoneInfo, group: Dimension, *, priced: bool = False
) -> Totals | None:
    """The sums of months, by group, of those that may be shown at all; None without any. ``priced``: for emissions
    and cost."""
    months = shown_months(who, min(months), max(months), datetime.now(zone).date()) if months else []
    if not months:
        return None
    last = month_starts(months[-1], months[-1] + 31 * DAY)[-1] - DAY
    found = usage(who.scope, Asked(months[0], last, zone, Granularity.MONTH, group))
    months = month_starts(months[0], last)
    release = releases(who, months[0], last, zone)
    return _reduced(found, [release.get(month) for month in months], group, priced=priced)


def releases(who: Access, first: date, last: date, zone: ZoneInfo) -> dict[date, Release]:
    """How each month with days in [first, last] may be shown; a month that may not is left out."""
    frame = who_ran(who.tops[0].names, first, last, zone)
    shown = releases_in(who, frame) if who.sees is Sees.TOTALS else {}
    if who.sees is not Sees.TOTALS or (not shown and not others_ever(who)):
        mine = frame[frame["project"].isin(who.names)]
        return {month: _all_of(rows) for month, rows in mine.groupby("month", sort=True)}
    return shown


def releases_in(who: Access, frame: pd.DataFrame) -> dict[date, Release]:
    """The same of what is known already of who ran there, of a project in which others run jobs."""
    k = settings.SMALLEST_GROUP
    found = {month: _release(who, month, rows, k) for month, rows in frame.groupby("month", sort=True)}
    return {month: release for month, release in found.items() if release is not None}


def _release(who: Access, month: date, frame: pd.DataFrame, k: int) -> Release | None:
    """One month; below a project that the viewer leads too only what that one's groups say anyway."""
    top = next(one for one in who.tops if one.since is None or one.since <= month or one.name == who.name)
    frame = frame[frame["project"].isin(top.names)]
    if top.name != who.name:
        return _part(who, frame, k)
    groupings = released(people_of(frame, who.viewer), k)
    return None if groupings is None else _of(groupings, frame, who.viewer, k)


def _part(who: Access, frame: pd.DataFrame, k: int) -> Release | None:
    """A sub-project's sum: where the whole shows each of its accounts apart."""
    groupings = released(people_of(frame, who.viewer), k)
    if groupings is None:
        return None
    inside = {account: shown for account, shown in groupings[Dimension.PROJECT].items() if account in who.names}
    if not inside or any(shown != account for account, shown in inside.items()):
        return None
    unfilled = heads(frame, who.viewer, "filled")[1] == 0
    return Release(filled=unfilled, filled_by_group=unfilled)


def _of(groupings: Mapping[str, Grouping], frame: pd.DataFrame, viewer: str, k: int) -> Release:
    wasted = groupings[WASTE]
    return Release(
        groupings=groupings,
        failed="1" not in wasted or wasted["1"] == "1" or wasted.get("0") == "0",
        idle=few_or_enough(frame[frame[WASTE] == "0"], viewer, "idle", k),
        filled=few_or_enough(frame, viewer, "filled", k),
        filled_by_group=heads(frame, viewer, "filled")[1] == 0,
    )


def _all_of(frame: pd.DataFrame) -> Release:
    """A month in which everything is the viewer's own."""
    same = {name: {value: value for value in frame[name].astype(str)} for name in GROUPINGS}
    return Release(same, failed=True, idle=True, filled=True, filled_by_group=True)


def others_ever(who: Access) -> bool:
    """Whether anybody else ever ran anything there: only then a project is a person's own."""
    return UsageDay.objects.filter(account__in=who.tops[0].names).exclude(username=who.viewer).exists()


# --- What is left of an answer --------------------------------------------------------------------------

_NO_QUARTERS = Quarters(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0, bool))
_PRICED = ("facility_j", "location_g", "market_g", "cost")
_NEVER = ("failed_j", "idle_j")  # by group; their sums stand in `Totals`


def _reduced(found: Usage, release: Sequence[Release | None], group: Dimension, *, priced: bool) -> Totals:
    """Only what is released: groups merged, months left empty, no quarter hours."""
    maps = [_targets(one, found.groups, group, priced=priced) for one in release]
    energy: dict[str, float] = {}
    for month, targets in enumerate(maps):
        for place, target in enumerate(targets):
            energy[target] = energy.get(target, 0.0) + float(found.cells.energy_j[month, place])
    names = sorted((name for name in energy if name != REST), key=lambda name: (-energy[name], name))
    names += [REST] if REST in energy else []
    names = names or [""]
    cells = _cells(found.cells, maps, names, release)
    seen = cells.energy_j.sum(axis=1) + cells.elapsed_s.sum(axis=1) > 0
    return Totals(
        usage=replace(
            found,
            groups=tuple(names) if names != [REST] else (ALL,),
            cells=cells,
            footprint=_footprint(cells, found.footprint, found.currency),
            quarters=_NO_QUARTERS,
        ),
        shown=tuple(bool(one is not None and here) for one, here in zip(release, seen, strict=True)),
        failed_j=_sums(found.cells.failed_j, [one is not None and one.failed for one in release]),
        idle_j=_sums(found.cells.idle_j, [one is not None and one.idle for one in release]),
        merged=REST in names and len(names) > 1,
    )


def _targets(one: Release | None, groups: Sequence[str], group: Dimension, *, priced: bool) -> list[str]:
    """Under which name each group of a month is shown; nothing for a month that is not."""
    if one is None:
        return []
    if priced and not one.filled_by_group:
        return [REST] * len(groups)
    grouping = one.groupings.get(group.value, {})
    return [grouping.get(name, REST) for name in groups]


def _cells(
    cells: Cells, maps: Sequence[Sequence[str]], names: Sequence[str], release: Sequence[Release | None]
) -> Cells:
    place = {name: i for i, name in enumerate(names)}
    found = {part.name: np.zeros((len(maps), len(names))) for part in fields(cells)}
    for name, values in found.items():
        source = getattr(cells, name)
        for month, targets in enumerate(maps):
            for old, target in enumerate(targets):
                values[month, place[target]] += np.nan_to_num(source[month, old])
            if name in _NEVER or (name in (*_PRICED, "filled_j") and not _may(release[month], name)):
                values[month] = 0.0 if name == "filled_j" else np.nan
            elif name in _PRICED and targets:
                unknown = [target for old, target in enumerate(targets) if np.isnan(source[month, old])]
                known = {target for old, target in enumerate(targets) if not np.isnan(source[month, old])}
                for target in set(unknown) - known:
                    values[month, place[target]] = np.nan
    return Cells(**found)


def _may(one: Release | None, name: str) -> bool:
    return one is not None and one.filled


def _footprint(cells: Cells, whole: Footprint, currency: str) -> Footprint:
    """The sums of what is shown, with the factors' names and without their weights: those would say more."""

    ran = cells.elapsed_s > 0  # elsewhere 0 is no figure

    def known(values: FloatArray) -> float | None:
        some = values[ran]
        return None if np.isnan(some).all() else float(np.nansum(some))

    cost = known(cells.cost)
    return Footprint(
        metered_j=float(cells.energy_j.sum()),
        filled_j=float(cells.filled_j.sum()),
        infrastructure_j=0.0,
        facility_j=known(cells.facility_j) or 0.0,
        location_g=known(cells.location_g),
        market_g=known(cells.market_g),
        cost={currency: cost} if currency and cost is not None else {},
        water_l=None,
        unpriced_j=0.0,
        market_unpriced_j=0.0,
        shares={
            part: tuple(replace(share, weight_j=0.0, amount=0.0) for share in shares)
            for part, shares in whole.shares.items()
        },
    )


def _sums(values: FloatArray, may: Sequence[bool]) -> tuple[float | None, ...]:
    sums = np.nan_to_num(values).sum(axis=1).tolist()
    return tuple(total if allowed else None for total, allowed in zip(sums, may, strict=True))
