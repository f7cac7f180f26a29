"""The price lists of clusters, as they are stored; days that are not stored yet are made on the way."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import numpy as np
from django.db.models import Q
from django.utils import timezone

from measurements.domain.carbon import (
    EmbodiedRate,
    Origin,
    Part,
    PriceList,
    joined,
    nothing_known,
    origin_from_json,
)
from measurements.domain.units import (
    QUARTER_MS,
    QUARTERS_PER_DAY,
    IntArray,
    day_from_ms,
    day_start_ms,
    ms_from_datetime,
)
from measurements.models import Cluster, PriceDay
from measurements.selectors.days import merged_spans
from measurements.selectors.frames import as_days, columns_of, plain
from measurements.selectors.in_force import build_prices

_SHAPE = (len(Part), QUARTERS_PER_DAY)


def price_list(cluster: Cluster, first: date, last: date, wanted: Collection[date] | None = None) -> PriceList:
    """Prices of the UTC days [first, last]; one query, if all of them are stored.

    Days that are not stored are made now; with ``wanted`` only those of them, the others have no prices.
    """
    return price_lists([cluster.pk], first, last, wanted)[cluster.pk]


def price_lists(
    clusters: Iterable[int], first: date, last: date, wanted: Collection[date] | None = None
) -> dict[int, PriceList]:
    """Likewise of several clusters, by id."""
    return price_lists_of(clusters, [(first, last)], wanted)[0]


def price_lists_of(
    clusters: Iterable[int], spans: Sequence[tuple[date, date]], wanted: Collection[date] | None = None
) -> list[dict[int, PriceList]]:
    """Likewise of several spans of UTC days [first, last], which may lie apart; still one query."""
    stored: dict[int, dict[date, _Stored]] = {pk: {} for pk in clusters}
    days = Q()
    for first, last in merged_spans(spans):
        days |= Q(day__gte=first, day__lte=last)
    rows = PriceDay.objects.filter(days, cluster_id__in=list(stored)).order_by("day")
    names = ("cluster_id", plain("day"), *_Stored._fields)
    owner, day, *columns = columns_of(rows.values_list(*names), len(names))
    for pk, each, *row in zip(owner, as_days(day), *columns, strict=True):
        stored[pk][each] = _Stored(*row)
    return [{pk: _whole(pk, found, *_days(span, wanted)) for pk, found in stored.items()} for span in spans]


def _days(span: tuple[date, date], wanted: Collection[date] | None) -> tuple[list[date], Collection[date]]:
    """The days of a span, and those that are made where they are not stored."""
    days = [span[0] + timedelta(days=i) for i in range((span[1] - span[0]).days + 1)]
    return days, days if wanted is None else wanted


def _whole(cluster: int, stored: dict[date, _Stored], days: list[date], wanted: Collection[date]) -> PriceList:
    built = _built(cluster, sorted({day for day in days if day not in stored} & set(wanted)))
    parts: list[PriceList] = []
    for kind, each in groupby(days, lambda day: stored[day].texts if day in stored else day in built):
        run = list(each)
        if isinstance(kind, tuple):
            parts.append(_read(run[0], [stored[day] for day in run]))
        elif kind:
            parts += [built[day] for day in run]
        else:
            parts.append(nothing_known(_quarters_ms(run[0], len(run)), len(run)))
    return joined(parts)


def _built(cluster: int, days: Sequence[date]) -> dict[date, PriceList]:
    if not days:
        return {}
    built = build_prices(Cluster.objects.get(pk=cluster), days[0], days[-1], ms_from_datetime(timezone.now()))
    return {day: _day_of(built, day) for day in days}


def _day_of(prices: PriceList, day: date) -> PriceList:
    start_ms = day_start_ms(day)
    place = (start_ms - int(prices.at_ms[0])) // (QUARTER_MS * QUARTERS_PER_DAY)
    part = prices.between(start_ms, start_ms + QUARTER_MS * QUARTERS_PER_DAY)
    return PriceList(part.at_ms, part.values, part.origin, part.origins, prices.embodied[place : place + 1])


def _quarters_ms(day: date, days: int = 1) -> IntArray:
    return day_start_ms(day) + QUARTER_MS * np.arange(days * QUARTERS_PER_DAY, dtype=np.int64)


# --- As it is stored -------------------------------------------------------------------------------


class _Stored(NamedTuple):
    """A day as it is stored."""

    prices: bytes
    origin: bytes
    origins: str
    embodied: str

    @property
    def texts(self) -> tuple[str, str]:
        """What days in a row mostly have in common."""
        return self.origins, self.embodied


def _read(first: date, days: Sequence[_Stored]) -> PriceList:
    """Days in a row that have their texts in common."""
    values, origin = (
        np.frombuffer(b"".join(map(bytes, data)), kind).reshape(-1, *_SHAPE).swapaxes(0, 1).reshape(len(Part), -1)
        for kind, data in (("<f8", [day.prices for day in days]), ("<i2", [day.origin for day in days]))
    )
    origins, rates = _origins(days[0].origins), _rates(days[0].embodied, days[0].origins)
    return PriceList(_quarters_ms(first, len(days)), values, origin.astype(np.int64), origins, (rates,) * len(days))


@lru_cache(maxsize=1_024)  # the same on most days
def _origins(text: str) -> tuple[Origin, ...]:
    return tuple(map(origin_from_json, json.loads(text)))


@lru_cache(maxsize=1_024)
def _rates(text: str, origins: str) -> dict[int, EmbodiedRate]:
    every = _origins(origins)
    rows = json.loads(text).items()
    return {int(pk): EmbodiedRate(low, central, high, every[place]) for pk, (low, central, high, place) in rows}


def price_days(cluster: Cluster, prices: PriceList) -> list[PriceDay]:
    """A price list as it is stored, one row a UTC day; for the writer, who says when."""
    found = []
    for i, rates in enumerate(prices.embodied):
        part = slice(i * QUARTERS_PER_DAY, (i + 1) * QUARTERS_PER_DAY)
        used = sorted(set(prices.origin[:, part].ravel().tolist()) - {-1})
        origins = list(dict.fromkeys([*(prices.origins[k] for k in used), *(rate.origin for rate in rates.values())]))
        place = np.array([origins.index(o) if o in origins else -1 for o in prices.origins] + [-1], "<i2")
        found.append(
            PriceDay(
                cluster=cluster,
                day=day_from_ms(int(prices.at_ms[part.start])),
                prices=prices.values[:, part].astype("<f8").tobytes(),
                origin=place[prices.origin[:, part]].tobytes(),
                origins=json.dumps([origin.as_json() for origin in origins], sort_keys=True),
                embodied=json.dumps(
                    {pk: [r.low, r.central, r.high, origins.index(r.origin)] for pk, r in sorted(rates.items())}
                ),
            )
        )
    return found
