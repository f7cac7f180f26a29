"""A year of roll-ups of a thousand nodes, written straight into the tables: what re-pricing is measured on.

The jobs themselves are not made, for pricing never looks at one. A fifth of the people run something on a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice

import numpy as np
from django.db import models, transaction

from measurements.domain.packing import packed
from measurements.domain.profiles import COVERED, ELAPSED, ENERGY, HOURS_PER_DAY, RECORD, RESERVED
from measurements.domain.units import HOUR_MS, day_start_ms
from measurements.models import (
    Cluster,
    IntensitySeries,
    Node,
    NodeConfig,
    NodeDay,
    NodeType,
    TypeDay,
    UsageDay,
)
from measurements.parsers.intensity_records import IntensitySlots
from measurements.services.bulk import adapted, insert
from measurements.services.intensity import new_series, store_slots

CLUSTER, NOW = "priced", datetime(2025, 4, 1, tzinfo=UTC)
FIRST, DAYS = date(2024, 4, 1), 365
LAST = FIRST + timedelta(days=DAYS - 1)
TYPES = {"cpu": 0.90, "himem": 0.06, "gpu4": 0.03, "mixed": 0.01}  # share of the nodes
ABOVE = {"hall": "facility", "cool": "infrastructure"}
ACTIVE = 0.27  # of the people, on a day
PEOPLE_A_PROJECT = 7
ROWS_AT_ONCE = 20_000
_FIELDS = (
    "cluster day username account partition state workload phase node_type excused first_hour hours energy_j "
    "gpu_energy_j filled_j covered_us elapsed_us samples expected_samples quality gpu_held_us gpu_idle_us gpu_idle_j "
    "reserved_us"
)


def make(nodes: int, users: int) -> Cluster:
    """The cluster with its year; how much power is drawn is made up."""
    cluster = Cluster.objects.create(name=CLUSTER)
    types = _machine(cluster, nodes)
    with transaction.atomic():
        TypeDay.objects.bulk_create(_type_days(cluster, types, nodes), 500)
        NodeDay.objects.bulk_create(_meter_days(cluster, nodes), 200)
        _insert(UsageDay, _person_days(cluster, types, users))
    return cluster


def hourly_series(seed: int = 3) -> IntensitySeries:
    """A grid's year by hour."""
    series = new_series(
        NOW, slug=f"grid-{seed}", zone="DE", basis="lifecycle", mix="consumption", source_title="made up", edition="1"
    )
    start = day_start_ms(FIRST) + HOUR_MS * np.arange(24 * DAYS, dtype=np.int64)
    grams = np.random.default_rng(seed).uniform(80, 700, len(start))
    store_slots(series, IntensitySlots(start, start + HOUR_MS, grams, np.zeros(len(start), bool)), NOW, source="bench")
    return series


def _machine(cluster: Cluster, nodes: int) -> list[NodeType]:
    types = [NodeType.objects.create(cluster=cluster, name=name) for name in TYPES]
    above = [Node.objects.create(cluster=cluster, name=name, level=level) for name, level in ABOVE.items()]
    known = {"first_sample_ms": day_start_ms(FIRST), "last_sample_ms": day_start_ms(LAST), "parent": above[0]}
    found = Node.objects.bulk_create([Node(cluster=cluster, name=f"n{i:05d}", **known) for i in range(nodes)])
    NodeConfig.objects.bulk_create(NodeConfig(node=n, node_type=types[i % 4], cpus=64) for i, n in enumerate(found))
    return types


def _days() -> list[date]:
    return [FIRST + timedelta(days=i) for i in range(DAYS)]


def _type_days(cluster: Cluster, types: list[NodeType], nodes: int) -> Iterator[TypeDay]:
    draw = np.random.default_rng(1)
    for day in _days():
        for node_type in types:
            count = max(round(TYPES[node_type.name] * nodes), 1)
            metered = draw.uniform(200, 600, 96) * 900 * count
            yield TypeDay(
                cluster=cluster, day=day, node_type=node_type, nodes=count, measured_nodes=count,
                metered_j=metered.sum(), jobs_j=0.9 * metered.sum(), unallocated_j=0.1 * metered.sum(), unplaced_j=0.0,
                covered_us=count * 86_400_000_000, off_us=0, metered_quarters=packed(metered),
                unallocated_quarters=packed(0.1 * metered), covered_hours=packed(np.full(24, 3600.0 * count)),
                filled_hours=packed(np.full(24, 1e5)), reserved_hours=packed(np.full(24, 3000.0 * count)),
            )  # fmt: skip


def _meter_days(cluster: Cluster, nodes: int) -> Iterator[NodeDay]:
    draw = np.random.default_rng(2)
    for node in Node.objects.filter(cluster=cluster, name__in=ABOVE):
        watts = 530.0 if node.name == "hall" else 30.0  # a node
        for day in _days():
            metered = draw.uniform(0.95, 1.05, 96) * watts * 900 * nodes
            yield NodeDay(
                cluster=cluster, node=node, day=day, metered_j=metered.sum(), jobs_j=0.0, unallocated_j=metered.sum(),
                unplaced_j=0.0, covered_us=86_400_000_000, samples=1440, margin_ms=0, metered_quarters=packed(metered),
                unallocated_quarters=packed(metered),
            )  # fmt: skip


def _person_days(cluster: Cluster, types: list[NodeType], count: int) -> Iterator[tuple[object, ...]]:
    """Some of the people on each day, all day long."""
    draw = np.random.default_rng(4)
    days = np.zeros((64, HOURS_PER_DAY, RECORD))
    days[:, :, ENERGY] = draw.uniform(0, 900, (64, HOURS_PER_DAY, 4)) * 900
    days[:, :, [COVERED, ELAPSED, RESERVED]] = 3_600.0
    energies = [(float(day[:, ENERGY].sum()), day.tobytes()) for day in days]
    for day in map(adapted, _days()):
        active = np.flatnonzero(draw.random(count) < ACTIVE)
        for who, which in zip(active.tolist(), draw.integers(0, 64, len(active)).tolist(), strict=True):
            energy_j, hours = energies[which]
            yield (
                cluster.pk, day, f"u{who:04d}", f"p{who // PEOPLE_A_PROJECT:04d}", "standard", "COMPLETED", "", "",
                types[which % 4].pk, False, 0, hours, energy_j, 0.0, 0.0, 86_400_000_000, 86_400_000_000, 8640, 8640.0,
                "metered", 0, 0, 0.0, 86_400_000_000,
            )  # fmt: skip


def _insert(model: type[models.Model], rows: Iterable[tuple[object, ...]]) -> None:
    stream = iter(rows)
    while lot := list(islice(stream, ROWS_AT_ONCE)):
        insert(model, _FIELDS.split(), lot)
