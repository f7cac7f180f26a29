"""The annual statement of a cluster as it would be closed now, and the editions that are closed.

Sums without names, from the roll-up by node type, the facility's meter and the price lists; no job is read.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from measurements.domain.carbon import Origin, edition_of
from measurements.domain.packing import unpacked
from measurements.domain.sheet import local_start_ms
from measurements.domain.statement import METHOD, StatementFigures, hash_of, read
from measurements.domain.statement_sums import LedgerYear, factor_uses, periods, used
from measurements.domain.units import (
    QUARTERS_PER_DAY,
    FloatArray,
    IntArray,
    day_from_ms,
    ms_from_datetime,
)
from measurements.models import Cluster, DirtyDay, DirtyNodeDay, Node, NodeDay, SiteFactor, Statement, TypeDay
from measurements.models.cluster import ClusterQuerySet
from measurements.selectors.emissions import rolled_up
from measurements.selectors.origins import declared_origin
from measurements.selectors.prices import price_list
from measurements.selectors.type_days import type_day_frame, type_days_of

FIRST_YEAR, LAST_YEAR = 1971, 2100
VERSION: str = tomllib.loads((settings.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def statement_figures(cluster: Cluster, year: int, now: datetime) -> StatementFigures:
    """The statement of a year of the site's zone from what is booked and priced now; four queries."""
    zone = ZoneInfo(timezone.get_default_timezone_name())
    starts = month_starts(year)
    edges_ms = np.array([ms_from_datetime(datetime(day.year, day.month, 1, tzinfo=zone)) for day in starts], np.int64)
    declared = list(
        SiteFactor.objects.filter(cluster=cluster, kind__in=(SiteFactor.Kind.RENEWABLE, SiteFactor.Kind.PUE)).order_by(
            "valid_from", "pk"
        )
    )
    ledger, renewable_uses = _ledger_year(cluster, edges_ms, declared, zone, ms_from_datetime(now))
    months, total = periods(ledger, edges_ms, starts)
    uses = [*factor_uses(ledger, edges_ms), *renewable_uses]
    return StatementFigures(
        cluster=cluster.name,
        year=year,
        zone=zone.key,
        version=VERSION,
        method=METHOD,
        pue_category=_category(declared, starts[-1]),
        factor_edition=edition_of([origin for _part, _share, origin in uses]),
        months=months,
        total=total,
        factors=used(uses),
    )


def month_starts(year: int) -> list[date]:
    """The first days of its months and of the year after it."""
    return [date(year, month, 1) for month in range(1, 13)] + [date(year + 1, 1, 1)]


def year_bounds_ms(year: int) -> tuple[int, int]:
    """When a year of the site's zone begins and ends."""
    zone = ZoneInfo(timezone.get_default_timezone_name())
    start_ms, end_ms = (ms_from_datetime(datetime(y, 1, 1, tzinfo=zone)) for y in (year, year + 1))
    return start_ms, end_ms


def waiting_days(cluster: Cluster, year: int) -> list[date]:
    """UTC days of a year of which something is not booked yet; one query."""
    start_ms, end_ms = year_bounds_ms(year)
    first, last = day_from_ms(start_ms), day_from_ms(end_ms - 1)
    inside = Q(cluster=cluster, day__gte=first, day__lte=last)
    node_days = DirtyNodeDay.objects.filter(inside).order_by().values_list("day", flat=True)
    return sorted(node_days.union(DirtyDay.objects.filter(inside).order_by().values_list("day", flat=True)))


def clusters_waiting(clusters: ClusterQuerySet, year: int) -> QuerySet[Cluster]:
    """Clusters with ``waits``: whether something of a year is not booked yet; no query of its own."""
    start_ms, end_ms = year_bounds_ms(year)
    inside = {"cluster": OuterRef("pk"), "day__gte": day_from_ms(start_ms), "day__lte": day_from_ms(end_ms - 1)}
    return clusters.annotate(
        waits=Exists(DirtyNodeDay.objects.filter(**inside)) | Exists(DirtyDay.objects.filter(**inside))
    )


def _category(declared: list[SiteFactor], end: date) -> str:
    """Of the PUE that was declared last."""
    said = [row.detail.get("category", "") for row in declared if row.kind == "pue" and row.valid_from < end]
    return said[-1] if said else ""


# --- Reading the ledger -----------------------------------------------------------------------------


def _ledger_year(
    cluster: Cluster, edges_ms: IntArray, declared: list[SiteFactor], zone: ZoneInfo, now_ms: int
) -> tuple[LedgerYear, list[tuple[str, float, Origin]]]:
    first, last = day_from_ms(int(edges_ms[0])), day_from_ms(int(edges_ms[-1]) - 1)
    frame = type_day_frame(TypeDay.objects.filter(cluster=cluster, day__gte=first, day__lte=last))
    rows = type_days_of(frame, now_ms)
    prices = price_list(cluster, first, last, set(frame["day"]))
    metered = rolled_up(frame, first, last, "metered_quarters")
    own_j = rolled_up(frame, first, last, "unallocated_quarters").metered_j
    place = np.array([(day - first).days for day in frame["day"]], np.int64)
    kinds = frame["node_type_id"].to_numpy(np.int64)
    wall = {kind: _by_day(rows.wall_s[kinds == kind], place[kinds == kind], prices.days) for kind in metered.reserved_s}
    wall_s, covered_s, off_s = (_by_day(each, place, prices.days) for each in (rows.wall_s, rows.covered_s, rows.off_s))
    renewable, uses = _renewable(declared, prices.at_ms, edges_ms, zone)
    ledger = LedgerYear(
        prices=prices,
        jobs_j=metered.metered_j - own_j,
        own_j=own_j,
        filled_j=metered.filled_j,
        wall_s=wall_s,
        covered_s=covered_s,
        off_s=off_s,
        meter_j=_facility_j(cluster, first, last),
        held_s=metered.reserved_s,
        free_s={kind: seconds - metered.reserved_s[kind] for kind, seconds in wall.items()},
        renewable=renewable,
        now_ms=now_ms,
    )
    return ledger, uses


def _by_day(rows: FloatArray, place: IntArray, days: int) -> FloatArray:
    total = np.zeros((days, QUARTERS_PER_DAY))
    np.add.at(total, place, rows)
    return total.ravel()


def _facility_j(cluster: Cluster, first: date, last: date) -> FloatArray:
    """What the cluster's facility meters show together; nan where one of them shows nothing."""
    rows = NodeDay.objects.filter(cluster=cluster, day__gte=first, day__lte=last, node__level=Node.Level.FACILITY)
    tops = rows.exclude(node__parent__level=Node.Level.FACILITY).order_by("day", "node__name")
    days = (last - first).days + 1
    drawn: dict[int, FloatArray] = {}
    for node, day, packed in tops.values_list("node_id", "day", "metered_quarters"):
        joules = unpacked(packed)
        by_day = drawn.setdefault(node, np.full((days, QUARTERS_PER_DAY), np.nan))
        by_day[(day - first).days] = np.where(joules == 0, np.nan, joules)
    total: FloatArray = (
        sum(drawn.values(), np.zeros((days, QUARTERS_PER_DAY))) if drawn else np.full((days, QUARTERS_PER_DAY), np.nan)
    )
    return total.ravel()


def _renewable(
    declared: list[SiteFactor], at_ms: IntArray, edges_ms: IntArray, zone: ZoneInfo
) -> tuple[FloatArray, list[tuple[str, float, Origin]]]:
    """The declared share by quarter hour, and which row holds for how much of the year."""
    shares, row_of = np.full(len(at_ms), np.nan), np.full(len(at_ms), -1)
    rows = [row for row in declared if row.kind == SiteFactor.Kind.RENEWABLE]
    for i, row in enumerate(rows):
        where = at_ms >= local_start_ms(row.valid_from, zone)
        shares[where] = np.nan if row.value is None else row.value
        row_of[where] = -1 if row.value is None else i
    inside = (at_ms >= edges_ms[0]) & (at_ms < edges_ms[-1])
    held = np.bincount(row_of[inside] + 1, minlength=len(rows) + 1)[1:].tolist()
    whole = int(inside.sum())
    return shares, [("renewable", n / whole, declared_origin(row)) for row, n in zip(rows, held, strict=True) if n]


# --- What is closed ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClosedStatement:
    """A closed edition: its figures as they were stored, and whether they still are what was hashed."""

    edition: int
    figures: StatementFigures | None  # None: what is stored can't be read
    sha256: str
    intact: bool
    reason: str
    closed_at: datetime
    closed_by: str


def closed_statements(cluster: Cluster, year: int) -> list[ClosedStatement]:
    """All editions, oldest first; one query."""
    rows = Statement.objects.filter(cluster=cluster, year=year).select_related("closed_by").order_by("edition")
    return [closed_statement(row) for row in rows]


def closed_statement(row: Statement) -> ClosedStatement:
    """A stored edition."""
    return ClosedStatement(
        edition=row.edition,
        figures=_readable(row.figures),
        sha256=row.sha256,
        intact=hash_of(row.figures) == row.sha256,
        reason=row.reason,
        closed_at=row.closed_at,
        closed_by=row.closed_by.get_username() if row.closed_by else "",
    )


def _readable(text: str) -> StatementFigures | None:
    try:
        return read(text)
    except (ValueError, LookupError, TypeError, AttributeError):  # somebody wrote into the table
        return None
