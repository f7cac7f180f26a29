"""Writes price lists, and the rows by which a site declares what prices its energy.

A price list is derived: it is made anew whenever a factor or a meter changes, in the transaction of that change. No
joule, job or roll-up is touched, and nothing that was closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from django.db import transaction
from django.db.models import Max, Min, Q

from measurements.domain.units import ms_from_datetime
from measurements.models import Cluster, IntensitySeries, PriceDay, SiteFactor, Supply, TypeDay
from measurements.selectors.in_force import build_prices
from measurements.selectors.prices import price_days

DAYS_AT_ONCE = 400


def reprice(cluster: Cluster, now: datetime, first: date | None = None, last: date | None = None) -> int:
    """Make the price lists of the UTC days [first, last] anew that the ledger has; how many days.

    The cluster's row is held meanwhile: the roll-up of a day and a change of a factor come one after the other.
    """
    with transaction.atomic():
        hold(cluster)
        wanted = sorted(set().union(*(_days(model, cluster, first, last) for model in (TypeDay, PriceDay))))
        for low in range(0, len(wanted), DAYS_AT_ONCE):
            _write(cluster, wanted[low : low + DAYS_AT_ONCE], now)
    return len(wanted)


def _days(model: type[TypeDay | PriceDay], cluster: Cluster, first: date | None, last: date | None) -> set[date]:
    rows = model._default_manager.filter(cluster=cluster)
    rows = rows if first is None else rows.filter(day__gte=first)
    return set((rows if last is None else rows.filter(day__lte=last)).values_list("day", flat=True))


def price_day(cluster: Cluster, day: date, now: datetime) -> None:
    """Make one day's price list anew, inside the transaction of its roll-up, which holds the cluster."""
    _write(cluster, [day], now)


def reprice_series(series: IntensitySeries, now: datetime, first: date | None = None, last: date | None = None) -> int:
    """Make the price lists anew that a series is part of; how many days of all clusters."""
    named = Q(slots=series) | Q(monthly=series) | Q(yearly=series)
    clusters = Cluster.objects.filter(supplies__in=Supply.objects.filter(named)).distinct().order_by("pk")
    return sum(reprice(cluster, now, first, last) for cluster in clusters)


def price_missing(now: datetime) -> int:
    """Price the days of the ledger that have no price list (those of an earlier version); how many."""
    done = 0
    for cluster in Cluster.objects.order_by("pk"):
        priced = PriceDay.objects.filter(cluster=cluster).values("day")
        missing = TypeDay.objects.filter(cluster=cluster).exclude(day__in=priced).aggregate(Min("day"), Max("day"))
        if missing["day__min"] is not None:
            done += reprice(cluster, now, missing["day__min"], missing["day__max"])
    return done


def add_supply(supply: Supply, now: datetime) -> int:
    """Store which series price a cluster's energy from a day on; how many days are priced anew."""
    return add_rows(supply.cluster, [supply], now)


def add_site_factor(factor: SiteFactor, now: datetime) -> int:
    """Store a declared factor; how many days are priced anew."""
    return add_rows(factor.cluster, [factor], now)


def add_rows(cluster: Cluster, rows: Iterable[Supply | SiteFactor], now: datetime) -> int:
    """Store what is declared of a cluster, all of it or nothing; how many days are priced anew, once."""
    with transaction.atomic():
        for row in rows:
            row.created_at = now
            row.save(force_insert=True)
        return reprice(cluster, now)


def hold(cluster: Cluster) -> None:
    """Let nobody else price this cluster, or commit input of it, until the transaction ends."""
    Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)


def _write(cluster: Cluster, days: list[date], now: datetime) -> None:
    if not days:
        return
    prices = build_prices(cluster, days[0], days[-1], ms_from_datetime(now))
    wanted = set(days)
    rows = [row for row in price_days(cluster, prices) if row.day in wanted]
    for row in rows:
        row.priced_at = now
    PriceDay.objects.filter(cluster=cluster, day__in=wanted).delete()
    PriceDay.objects.bulk_create(rows, 500)
