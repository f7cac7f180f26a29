"""Ledger rows as they are written: delete and insert, a node-day at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from measurements.domain.nodeday import HourStatistics, NodeLedger
from measurements.domain.packing import packed
from measurements.domain.units import MW_PER_W, UJ_PER_J, FloatArray
from measurements.models import AllocationEnergy, NodeDay, NodeHour
from measurements.services.booking_input import Block
from measurements.services.bulk import adapted, insert
from measurements.services.marks import mark_day, mark_jobs

QUARTERS_PER_HOUR = 4
FLOAT_BYTES = 8
_ALLOCATION_FIELDS = (
    "allocation",
    "job",
    "node",
    "day",
    "energy_j",
    "gpu_energy_j",
    "first_quarter",
    "quarters",
    "covered_us",
    "elapsed_us",
    "samples",
    "expected_samples",
    "apportioned",
    "gpu_held_us",
    "gpu_idle_us",
    "gpu_idle_j",
    "reserved_us",
    "flags",
)
_DAY_FIELDS = (
    "cluster",
    "node",
    "day",
    "metered_j",
    "jobs_j",
    "unallocated_j",
    "unplaced_j",
    "covered_us",
    "off_us",
    "samples",
    "margin_ms",
    "flags",
    "metered_quarters",
    "unallocated_quarters",
)
_HOUR_FIELDS = (
    "node",
    "day",
    "hour",
    "energy_j",
    "unallocated_j",
    "covered_us",
    "samples",
    "min_w",
    "max_w",
)


def replace(block: Block, ledgers: Sequence[NodeLedger], positions: Sequence[int]) -> None:
    """Replace what the ledger says of some of a block's nodes on its day, and mark what hangs on it."""
    nodes = [block.nodes[i] for i in positions]
    old = AllocationEnergy.objects.filter(node_id__in=nodes, day=block.day)
    jobs = set(old.order_by().values_list("job_id", flat=True))
    old.delete()
    NodeHour.objects.filter(node_id__in=nodes, day=block.day).delete()
    NodeDay.objects.filter(node_id__in=nodes, day=block.day).delete()
    rows: list[tuple[Any, ...]] = []
    days: list[tuple[Any, ...]] = []
    hours: list[tuple[Any, ...]] = []
    day = adapted(block.day)
    for i in positions:
        rows += _allocation_rows(block, day, i, ledgers[i])
        if _worth_a_row(ledgers[i]):
            days.append(_node_day(block, day, i, ledgers[i]))
            hours += _hours(block, day, i, ledgers[i])
    insert(AllocationEnergy, _ALLOCATION_FIELDS, rows)
    insert(NodeDay, _DAY_FIELDS, days)
    insert(NodeHour, _HOUR_FIELDS, hours)
    mark_jobs(jobs | {row[1] for row in rows})
    mark_day(block.cluster.pk, block.day)


def _worth_a_row(ledger: NodeLedger) -> bool:
    """A day without samples and without jobs is not in the ledger."""
    return bool(ledger.covered_us or ledger.hours.samples.any() or ledger.allocations.elapsed_us.any())


def _node_day(block: Block, day: Any, i: int, ledger: NodeLedger) -> tuple[Any, ...]:
    metered, unallocated = _joules(ledger.metered_uj), _joules(ledger.unallocated_uj)
    return (
        block.cluster.pk,
        block.nodes[i],
        day,
        float(metered.sum()),
        float(_joules(ledger.allocations.energy_uj).sum()),
        float(unallocated.sum()),
        ledger.unplaced_uj / UJ_PER_J,
        ledger.covered_us,
        ledger.off_us,
        int(ledger.hours.samples.sum()),
        block.margins_ms[i],
        int(ledger.flags),
        packed(metered),
        packed(unallocated),
    )


def _hours(block: Block, day: Any, i: int, ledger: NodeLedger) -> list[tuple[Any, ...]]:
    statistics: HourStatistics = ledger.hours
    present = (statistics.covered_us > 0) | (statistics.samples > 0)
    columns = (
        np.arange(24),
        _joules(ledger.metered_uj).reshape(-1, QUARTERS_PER_HOUR).sum(axis=1),
        _joules(ledger.unallocated_uj).reshape(-1, QUARTERS_PER_HOUR).sum(axis=1),
        statistics.covered_us,
        statistics.samples,
    )
    low, high = (_watts(values[present]) for values in (statistics.min_mw, statistics.max_mw))
    plain = zip(*(column[present].tolist() for column in columns), low, high, strict=True)
    return [(block.nodes[i], day, *row) for row in plain]


def _allocation_rows(block: Block, day: Any, i: int, ledger: NodeLedger) -> list[tuple[Any, ...]]:
    part = ledger.allocations
    quarters = packed(_joules(part.quarters_uj))
    bounds = (part.offsets * FLOAT_BYTES).tolist()
    columns = zip(
        block.allocations[i],
        _joules(part.energy_uj).tolist(),
        _joules(part.gpu_uj).tolist(),
        part.first_quarter.tolist(),
        (quarters[low:high] for low, high in pairwise(bounds)),
        part.covered_us.tolist(),
        part.elapsed_us.tolist(),
        part.samples.tolist(),
        part.expected_samples.tolist(),
        part.apportioned.tolist(),
        part.gpu_held_us.tolist(),
        part.gpu_idle_us.tolist(),
        _joules(part.gpu_idle_uj).tolist(),
        part.reserved_us.tolist(),
        part.flags.tolist(),
        strict=True,
    )
    node = block.nodes[i]
    # A zero-length allocation drew nothing and has no row.
    return [(*ids, node, day, *figures) for ids, *figures in columns if figures[5]]


def _joules(microjoules: FloatArray) -> FloatArray:
    return microjoules / UJ_PER_J


def _watts(milliwatts: FloatArray) -> list[float | None]:
    return [None if value != value else value / MW_PER_W for value in milliwatts.tolist()]  # nan is no number
