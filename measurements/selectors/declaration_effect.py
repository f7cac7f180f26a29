"""What a declaration would change: the figures of the affected period as they are, and as they would be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Max, Min

from measurements.domain.chain import Footprint, together
from measurements.domain.units import DAY_MS, EPOCH_DAY, day_start_ms
from measurements.models import Cluster, TypeDay
from measurements.selectors.emissions import cluster_footprints
from measurements.selectors.in_force import NOTHING_MORE, Candidate, build_prices

DAYS_AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class Effect:
    """Of the UTC days [first, last]; no days: nothing is booked there."""

    first: date | None
    last: date | None
    before: Footprint
    after: Footprint


def effect_of(cluster: Cluster, since: date, now_ms: int, candidate: Candidate) -> Effect:
    """The whole machine's figures before and after rows that are not stored would hold."""
    since = max(since, EPOCH_DAY + timedelta(days=1)) - timedelta(days=1)  # a local day begins on the UTC day before
    booked = TypeDay.objects.filter(cluster=cluster, day__gte=since)
    first, last = booked.aggregate(first=Min("day"), last=Max("day")).values()
    before: list[Footprint] = []
    after: list[Footprint] = []
    for low, high in _pieces(first, last):
        start_ms, end_ms = day_start_ms(low), day_start_ms(high) + DAY_MS
        for sums, more in ((before, NOTHING_MORE), (after, candidate)):  # both as of now: meters may have said more
            prices = build_prices(cluster, low, high, now_ms, more)
            found = cluster_footprints(cluster, start_ms, end_ms, now_ms, prices)
            sums += [found.jobs, found.own]
    return Effect(first, last, together(before), together(after))


def _pieces(first: date | None, last: date | None) -> Iterator[tuple[date, date]]:
    while first is not None and last is not None and first <= last:
        yield first, min(first + timedelta(days=DAYS_AT_ONCE - 1), last)
        first += timedelta(days=DAYS_AT_ONCE)
