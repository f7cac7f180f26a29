"""Ledger rows as they are written: delete and insert, a node-day at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from measurements.domain.nodeday import HourStatistics, NodeLedger
from measurements.domain.units import MW_PER_W, UJ_PER_J, FloatArray
from measurements.models import AllocationEnergy, NodeDay, NodeHour
from measurements.services.marks import mark_day, mark_jobs

if TYPE_CHECKING:
    from measurements.services.attribution import Block

QUARTERS_PER_HOUR = 4


def replace(block: Block, ledgers: Sequence[NodeLedger], positions: Sequence[int]) -> None:
    """Replace what the ledger says of some of a block's nodes on its day, and mark what hangs on it."""
    nodes = [block.nodes[i] for i in positions]
    old = AllocationEnergy.objects.filter(node_id__in=nodes, day=block.day)
    jobs = set(old.values_list("job_id", flat=True))
    old.delete()
    NodeHour.objects.filter(node_id__in=nodes, day=block.day).delete()
    NodeDay.objects.filter(node_id__in=nodes, day=block.day).delete()
    rows, days, hours = [], [], []
    for i in positions:
        rows += _allocation_rows(block, i, ledgers[i])
        if _worth_a_row(block, i, ledgers[i]):
            days.append(_node_day(block, i, ledgers[i]))
            hours += _hours(block, i, ledgers[i])
    AllocationEnergy.objects.bulk_create(rows)
    NodeDay.objects.bulk_create(days)
    NodeHour.objects.bulk_create(hours)
    mark_jobs(jobs | {row.job_id for row in rows})
    mark_day(block.cluster.pk, block.day)


def _worth_a_row(block: Block, i: int, ledger: NodeLedger) -> bool:
    """A day without samples and without jobs is not in the ledger."""
    return bool(ledger.covered_us or ledger.hours.samples.any() or ledger.allocations.elapsed_us.any())


def _node_day(block: Block, i: int, ledger: NodeLedger) -> NodeDay:
    metered, unallocated = _joules(ledger.metered_uj), _joules(ledger.unallocated_uj)
    return NodeDay(
        cluster=block.cluster,
        node_id=block.nodes[i],
        day=block.day,
        metered_j=float(metered.sum()),
        jobs_j=float(_joules(ledger.allocations.energy_uj).sum()),
        unallocated_j=float(unallocated.sum()),
        unplaced_j=ledger.unplaced_uj / UJ_PER_J,
        covered_us=ledger.covered_us,
        samples=int(ledger.hours.samples.sum()),
        margin_ms=block.margins_ms[i],
        flags=int(ledger.flags),
        metered_quarters=packed(metered),
        unallocated_quarters=packed(unallocated),
    )


def _hours(block: Block, i: int, ledger: NodeLedger) -> list[NodeHour]:
    statistics: HourStatistics = ledger.hours
    energy = _joules(ledger.metered_uj).reshape(-1, QUARTERS_PER_HOUR).sum(axis=1)
    unallocated = _joules(ledger.unallocated_uj).reshape(-1, QUARTERS_PER_HOUR).sum(axis=1)
    return [
        NodeHour(
            node_id=block.nodes[i],
            day=block.day,
            hour=hour,
            energy_j=float(energy[hour]),
            unallocated_j=float(unallocated[hour]),
            covered_us=int(statistics.covered_us[hour]),
            samples=int(statistics.samples[hour]),
            min_w=_watts(statistics.min_mw[hour]),
            max_w=_watts(statistics.max_mw[hour]),
        )
        for hour in np.flatnonzero((statistics.covered_us > 0) | (statistics.samples > 0)).tolist()
    ]


def _allocation_rows(block: Block, i: int, ledger: NodeLedger) -> list[AllocationEnergy]:
    part = ledger.allocations
    energy, gpu = _joules(part.energy_uj).tolist(), _joules(part.gpu_uj).tolist()
    quarters = _joules(part.quarters_uj)
    offsets = part.offsets.tolist()
    columns = zip(
        block.allocations[i],
        part.first_quarter.tolist(),
        part.covered_us.tolist(),
        part.elapsed_us.tolist(),
        part.samples.tolist(),
        part.expected_samples.tolist(),
        part.apportioned.tolist(),
        part.flags.tolist(),
        strict=True,
    )
    return [
        AllocationEnergy(
            allocation_id=allocation,
            job_id=job,
            node_id=block.nodes[i],
            day=block.day,
            energy_j=energy[k],
            gpu_energy_j=gpu[k],
            first_quarter=first,
            quarters=packed(quarters[offsets[k] : offsets[k + 1]]),
            covered_us=covered,
            elapsed_us=elapsed,
            samples=samples,
            expected_samples=expected,
            apportioned=apportioned,
            flags=flags,
        )
        for k, ((allocation, job), first, covered, elapsed, samples, expected, apportioned, flags) in enumerate(columns)
        if elapsed
    ]


def packed(joules: FloatArray) -> bytes:
    """As it is stored: little-endian float64."""
    return joules.astype("<f8").tobytes()


def unpacked(data: bytes | memoryview) -> FloatArray:
    """What `packed` packed."""
    return np.frombuffer(bytes(data), "<f8")


def _joules(microjoules: FloatArray) -> FloatArray:
    return microjoules / UJ_PER_J


def _watts(milliwatts: float) -> float | None:
    return None if np.isnan(milliwatts) else float(milliwatts) / MW_PER_W
