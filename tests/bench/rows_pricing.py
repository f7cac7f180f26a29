"""A year priced anew after a new factor, PUE and tariff, and what is read of it then."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from measurements.domain.chain import Footprint
from measurements.domain.units import DAY_MS, day_start_ms
from measurements.domain.usage import Granularity
from measurements.models import (
    Allocation,
    AllocationEnergy,
    Cluster,
    IntensitySeries,
    Job,
    JobEnergy,
    NodeHour,
    PriceDay,
    PublishedValue,
    Run,
    Segment,
    SiteFactor,
    Supply,
    TypeDay,
    UsageDay,
)
from measurements.selectors.emissions import cluster_footprints
from measurements.selectors.usage import Asked, Dimension, Scope, usage
from measurements.services.intensity import new_series
from measurements.services.pricing import add_rows
from tests.bench.harness import Row, median_s, timed
from tests.bench.priced_year import DAYS, FIRST, LAST, NOW, hourly_series, make
from tests.bench.world import World

REPRICE_S = 60.0
CALLS = 3
USER = "u0007"
# Twenty million jobs would stand in these: none of them is asked for anything.
OF_JOBS_AND_PEOPLE = (Job, Run, Allocation, AllocationEnergy, JobEnergy, UsageDay, NodeHour, Segment)
_TABLE = re.compile(r'"(measurements_\w+)"')


def rows(world: World) -> list[Row]:
    """All of them, after making sure that the new factors are in the figures and the joules are as before."""
    cluster = make(world.scale.nodes, world.scale.users)
    slots = hourly_series()
    add_rows(cluster, [Supply(cluster=cluster, slots=slots, yearly=_yearly(0))], NOW)
    before, joules = _machine(cluster), _joules(cluster)
    touched: set[str] = set()
    with _noted(touched):
        passes = [timed(_change(cluster, slots, number)) for number in range(1, world.scale.repeats + 1)]
    after = _machine(cluster)
    assert (before.location_g, before.cost) != (after.location_g, after.cost)
    assert after.cost
    assert _joules(cluster) == joules
    assert {TypeDay._meta.db_table, PriceDay._meta.db_table} <= touched, "what it does touch was seen"
    forbidden = touched & {model._meta.db_table for model in OF_JOBS_AND_PEOPLE}
    rolled_up = UsageDay.objects.filter(cluster=cluster).count()
    return [
        Row(
            f"a year of {world.scale.nodes:,} nodes priced anew: yearly factor, PUE, tariff",
            median(passes),
            "s",
            REPRICE_S,
        ),
        Row("tables of jobs, people and samples touched by it", len(forbidden), "tables", 0),
        Row(
            "the year's emissions of the cluster, with all steps",
            1e3 * median_s(lambda: _machine(cluster), CALLS),
            "ms",
        ),
        Row(f"of one user, from {rolled_up:,} rows of all", 1e3 * median_s(lambda: _of(Scope(USER)), CALLS), "ms"),
        Row(f"of everybody by project, from {rolled_up:,} rows", median_s(lambda: _of(_everybody()), 1), "s"),
    ]


def _change(cluster: Cluster, slots: IntensitySeries, number: int) -> Callable[[], int]:
    """A new edition of the year's factor, another PUE and another tariff with a night rate."""
    night = {"days": [0, 1, 2, 3, 4, 5, 6], "start": 22 * 60, "end": 6 * 60, "price": 0.1 + 0.01 * number}
    declared: list[Supply | SiteFactor] = [
        Supply(cluster=cluster, slots=slots, yearly=_yearly(number)),
        SiteFactor(cluster=cluster, kind="pue", value=1.2 + 0.01 * number, source_title="typed"),
        SiteFactor(
            cluster=cluster,
            kind="tariff",
            value=0.3,
            unit="EUR/kWh",
            source_title="contract",
            detail={"bands": [night]},
        ),
    ]
    return lambda: add_rows(cluster, declared, NOW)


def _yearly(number: int) -> IntensitySeries:
    made: dict[str, Any] = {"zone": "DE", "basis": "lifecycle", "mix": "consumption", "source_title": "made up"}
    series = new_series(NOW, slug=f"year-{number}", edition=str(number), **made)
    PublishedValue.objects.create(series=series, start=date(FIRST.year, 1, 1), g_per_kwh=400.0 + number)
    return series


@contextmanager
def _noted(tables: set[str]) -> Iterator[None]:
    """Which tables are named by any statement inside."""

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        tables.update(_TABLE.findall(sql))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield


def _machine(cluster: Cluster) -> Footprint:
    start_ms = day_start_ms(FIRST)
    return cluster_footprints(cluster, start_ms, start_ms + DAYS * DAY_MS, start_ms + DAYS * DAY_MS).jobs


def _joules(cluster: Cluster) -> list[bytes]:
    rows = TypeDay.objects.filter(cluster=cluster).order_by("day", "node_type")
    return [bytes(quarters) for quarters in rows.values_list("metered_quarters", flat=True)]


def _of(scope: Scope) -> Footprint:
    asked = Asked(FIRST, LAST, ZoneInfo("UTC"), Granularity.MONTH, Dimension.PROJECT)
    found = usage(scope, asked).footprint
    assert found.location_g
    return found


def _everybody() -> Scope:
    accounts = UsageDay.objects.order_by("account").values_list("account", flat=True).distinct()
    return Scope(projects=tuple(accounts))
