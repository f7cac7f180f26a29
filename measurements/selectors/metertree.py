"""Meters above nodes: each against those below it.

A meter is compared with what lies below it over whole UTC hours, for the ledger knows covered time by the hour: those
in which it is known from end to end, and those in which it and everything below it are known for the same time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from django.db.models import Count, Max, Min, Sum

from measurements.domain.quality import ratio
from measurements.domain.units import (
    DAY_MS,
    HOUR_MS,
    S_PER_HOUR,
    US_PER_MS,
    US_PER_S,
    BoolArray,
    FloatArray,
    IntArray,
    day_from_ms,
    day_start_ms,
)
from measurements.models import NodeDay, NodeHour
from measurements.selectors.meter_figures import Comparison, MeterDay, MeterReport, together
from measurements.selectors.meter_places import Place, Tree
from measurements.selectors.states import off_times

HOURS_PER_DAY = 24
HOUR_US = S_PER_HOUR * US_PER_S
SAME_US = HOUR_US // 1000  # known times that differ by less are the same: samples do not come at one instant


def meter_reports(tree: Tree, first: date, last: date) -> tuple[MeterReport, ...]:
    """Each meter above nodes over the UTC days [first, last], from the lowest level up."""
    return _Hours(tree, first, last).reports() if tree.above else ()


# --- Hours --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Series:
    """Known time and energy by hour of the period, of one meter or of several together."""

    energy_j: FloatArray
    covered_us: IntArray
    count: IntArray  # meters with a row
    least_us: IntArray  # covered by that of them with the least
    most_us: IntArray

    @classmethod
    def empty(cls, hours: int) -> _Series:
        whole = [np.zeros(hours, np.int64) for _ in range(4)]
        whole[2][:] = HOUR_US
        return cls(np.zeros(hours), *whole)

    def add(self, hour: int, count: int, energy_j: float, covered_us: int, least_us: int, most_us: int) -> None:
        """Some more meters in an hour."""
        self.energy_j[hour] += energy_j
        self.covered_us[hour] += covered_us
        self.count[hour] += count
        self.least_us[hour] = min(int(self.least_us[hour]), least_us)
        self.most_us[hour] = max(int(self.most_us[hour]), most_us)


class _Hours:
    """The meters of a tree over the days [first, last]."""

    def __init__(self, tree: Tree, first: date, last: date) -> None:
        self.tree = tree
        self.first, self.last = first, last
        self.count = ((last - first).days + 1) * HOURS_PER_DAY
        self.below = {meter.pk: tree.below(meter.pk) for meter in tree.above}
        self.place = {pk: i for i, pk in enumerate(tree.places)}
        shape = (len(self.place), self.count // HOURS_PER_DAY)
        self.day_j = np.zeros(shape)
        self.day_known_us, self.day_covered_us = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self.own: dict[int, _Series] = {}
        self.unplaced: dict[int, dict[date, float]] = defaultdict(dict)
        self._read()

    def _read(self) -> None:
        """Meters one by one, what lies below them by whom it stands right under."""
        inside = {"day__gte": self.first, "day__lte": self.last}
        compared = {place.pk for places in self.below.values() for place in places} | set(self.below)
        rows = NodeHour.objects.filter(node__in=list(self.below), **inside)
        for node, day, hour, joules, covered in rows.values_list("node", "day", "hour", "energy_j", "covered_us"):
            self._series(self.own, node).add(self._at(day, hour), 1, joules, covered, covered, covered)
        self.beside = self._by_parent(inside)
        self.off = off_times(sorted(compared), day_start_ms(self.first), day_start_ms(self.last) + DAY_MS)
        days = NodeDay.objects.filter(node__in=compared, **inside).order_by()
        found = days.values_list("node", "day", "metered_j", "covered_us", "off_us", "unplaced_j")
        for node, day, joules, covered, off, unplaced in found:
            at = (self.place[node], (day - self.first).days)
            self.day_j[at], self.day_known_us[at], self.day_covered_us[at] = joules, covered + off, covered
            if unplaced:
                self.unplaced[node][day] = unplaced

    def _by_parent(self, inside: dict[str, date]) -> dict[int, _Series]:
        """By place in the tree, so that a thousand nodes are one row an hour. The sum is for show alone."""
        parents = {place.parent for places in self.below.values() for place in places}
        rows = NodeHour.objects.filter(node__parent__in=parents, **inside).order_by()
        grouped = rows.values_list("node__parent", "day", "hour").annotate(
            Count("pk"), Sum("energy_j"), Sum("covered_us"), Min("covered_us"), Max("covered_us")
        )
        found: dict[int, _Series] = {}
        for parent, day, hour, *sums in grouped:
            self._series(found, parent).add(self._at(day, hour), *sums)
        return found

    def _series(self, of: dict[int, _Series], pk: int) -> _Series:
        return of.setdefault(pk, _Series.empty(self.count))

    def _at(self, day: date, hour: int) -> int:
        return (day - self.first).days * HOURS_PER_DAY + hour

    def reports(self) -> tuple[MeterReport, ...]:
        """Each meter that was ever read."""
        return tuple(self._report(meter) for meter in self.tree.above)

    def _report(self, meter: Place) -> MeterReport:
        below = self.below[meter.pk]
        days = self._days(meter.pk, below)
        metered = [place for place in below if place.first_sample_ms is not None]
        above = self.tree.places.get(meter.parent or 0)
        return MeterReport(
            pk=meter.pk,
            name=meter.name,
            level=meter.level,
            parent=above.name if above else "",
            below=len(metered),
            unmetered=tuple(place.name for place in below if place.first_sample_ms is None),
            total=together([day.figures for day in days]),
            days=days,
        )

    def _days(self, pk: int, below: list[Place]) -> tuple[MeterDay, ...]:
        own = self.own.get(pk)
        if own is None:
            return ()
        parts = self._together({place.parent for place in below if place.parent})
        expected = self._in_service(below)
        compared = _comparable(own, parts, expected)
        missing = self._missing_us(below, np.where(compared, expected * own.covered_us - parts.covered_us, 0), expected)
        missing_w = self._missing_w(below, np.where(compared, own.covered_us, 0))
        found = []
        for number in range(self.count // HOURS_PER_DAY):
            day = self.first + timedelta(days=number)
            hours = slice(number * HOURS_PER_DAY, (number + 1) * HOURS_PER_DAY)
            if not own.covered_us[hours].any():
                continue
            counted = compared[hours]
            elsewhere, inside = self._unplaced(pk, below, day, own.covered_us[hours] > 0, counted)
            figures = Comparison(
                read_j=float(own.energy_j[hours].sum()),
                read_s=float(own.covered_us[hours].sum()) / US_PER_S,
                meter_j=float(own.energy_j[hours][counted].sum()),
                below_j=float(parts.energy_j[hours][counted].sum()),
                meter_unplaced_j=inside[0],
                below_unplaced_j=inside[1],
                unplaced_elsewhere_j=elsewhere,
                compared_s=float(own.covered_us[hours][counted].sum()) / US_PER_S,
                left_out_s=float(own.covered_us[hours][~counted].sum()) / US_PER_S,
                unmeasured_s=float(missing[hours].sum()) / US_PER_S,
                unmeasured_j=float(missing[hours].sum()) / US_PER_S * float(missing_w[number]),
            )
            found.append(MeterDay(day, figures))
        return tuple(found)

    def _missing_us(self, below: Sequence[Place], missing_us: IntArray, expected: IntArray) -> IntArray:
        """For how long those below were on and not measured, by hour, all together."""
        if (missing_us > SAME_US).any():
            missing_us = missing_us - self._off_us(below)
        return np.where(missing_us > SAME_US * np.maximum(expected, 1), missing_us, 0)

    def _unplaced(
        self, pk: int, below: Sequence[Place], day: date, read: BoolArray, counted: BoolArray
    ) -> tuple[float, tuple[float, float]]:
        """Of a day: what may belong to other hours, and what the meter and those below it had in the ones compared.

        Joules that are not placed lie somewhere between the day's first and last reading: they belong to the
        comparison if all hours in between do.
        """
        own = self.unplaced[pk].get(day, 0.0)
        parts = float(sum(self.unplaced[place.pk].get(day, 0.0) for place in below))
        hours = np.flatnonzero(read)
        if counted[hours[0] : hours[-1] + 1].all():
            return 0.0, (own, parts)
        return own + parts, (0.0, 0.0)

    def _missing_w(self, below: Sequence[Place], compared_us: IntArray) -> FloatArray:
        """The mean power of what was not measured while it was compared, by day: each at its mean of the period."""
        rows = np.array([self.place[place.pk] for place in below if place.first_sample_ms is not None], np.int64)
        covered_us, joules = self.day_covered_us[rows], self.day_j[rows]
        measured_us = covered_us.sum(axis=1)
        usual = ratio(float(joules.sum()), float(measured_us.sum())) or 0.0
        own = np.divide(joules.sum(axis=1), measured_us, out=np.full(len(rows), usual), where=measured_us > 0)
        expected_us = compared_us.reshape(-1, HOURS_PER_DAY).sum(axis=1)
        missing_us = np.maximum(expected_us[None, :] - self.day_known_us[rows], 0)
        total_us = missing_us.sum(axis=0)
        mean: FloatArray = np.divide(
            (missing_us * own[:, None]).sum(axis=0), total_us, out=np.zeros(len(total_us)), where=total_us > 0
        )
        mean *= US_PER_S
        return mean

    def _together(self, parents: Iterable[int]) -> _Series:
        """What lies right below some places."""
        total = _Series.empty(self.count)
        for series in (self.beside[pk] for pk in sorted(parents) if pk in self.beside):
            total.energy_j += series.energy_j
            total.covered_us += series.covered_us
            total.count += series.count
            total.least_us = np.minimum(total.least_us, series.least_us)
            total.most_us = np.maximum(total.most_us, series.most_us)
        return total

    def _in_service(self, below: Iterable[Place]) -> IntArray:
        """How many of some meters had ever been read, by hour: a node counts from the day of its first sample on."""
        days = [day_from_ms(place.first_sample_ms) for place in below if place.first_sample_ms is not None]
        first = np.sort(np.array([(day - self.first).days for day in days], np.int64))
        numbers = np.arange(self.count) // HOURS_PER_DAY
        return np.searchsorted(first, numbers, side="right").astype(np.int64)

    def _off_us(self, below: Iterable[Place]) -> IntArray:
        """For how long those below were off, by hour, all together."""
        start_ms = day_start_ms(self.first)
        edges = start_ms + HOUR_MS * np.arange(self.count + 1, dtype=np.int64)
        total = np.zeros(self.count, np.int64)
        for spans in (self.off.get(place.pk, []) for place in below):
            reached = start_ms
            for start, end in spans:
                begin = max(start, reached)
                if end > begin:
                    inside = np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin)
                    total += np.maximum(inside, 0) * US_PER_MS
                    reached = end
        return total


def _comparable(own: _Series, parts: _Series, expected: IntArray) -> BoolArray:
    """The hours in which a meter is known from end to end, or for the same time as all that were expected below it."""
    whole = own.covered_us >= HOUR_US - SAME_US
    same = (parts.count == expected) & (parts.least_us >= own.covered_us - SAME_US)
    same &= parts.most_us <= own.covered_us + SAME_US
    found: BoolArray = (whole | same) & (own.covered_us > 0) & (expected > 0)
    return found
