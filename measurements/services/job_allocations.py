"""Which nodes a run held, from its records: new, changed and dropped allocations, and the node-days that change."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from typing import Any

from measurements.domain.integrate import NOMINAL_WINDOW_MS
from measurements.domain.nodeday import Policy
from measurements.domain.units import MS_PER_S, day_from_ms
from measurements.models import Allocation, AllocationEnergy, Node, PolicyPeriod, Run
from measurements.parsers.records import JobRecord, NodeShare
from measurements.services.job_changes import ALLOCATION_FIELDS, Changes
from measurements.services.judge import NodeDirectory
from measurements.services.known_jobs import KnownJobs
from measurements.services.marks import sealed_days
from measurements.store import days_between

WAITING = frozenset({"PENDING"})  # holds nothing, even where a stale snapshot names nodes and a start


class RunAllocations:
    """The allocations of runs, made what their records say."""

    def __init__(self, directory: NodeDirectory, known: KnownJobs, changes: Changes) -> None:
        self.cluster = directory.cluster
        self.directory = directory
        self.known = known
        self.changes = changes
        self.hybrid = PolicyPeriod.objects.filter(cluster=self.cluster, policy=Policy.HYBRID).exists()

    @cached_property
    def last_sample(self) -> dict[int, int]:
        """Per node its newest sample [ms]; read inside the transaction, which holds the cluster's row."""
        rows = Node.objects.filter(cluster=self.cluster, last_sample_ms__isnull=False)
        return {pk: last for pk, last in rows.values_list("pk", "last_sample_ms") if last is not None}

    def take(self, run: Run, record: JobRecord) -> bool:
        """Make the run's allocations what the record says; whether anything changed."""
        wanted = self._wanted(run, record)
        present = {row.node_name: row for row in self.known.rows_of(run)}
        changed = False
        for name, values in wanted.items():
            row = present.get(name)
            if row is None:
                row = Allocation(run=run, node_name=name, **values)
                self.changes.new_allocations.append(row)
                self.known.rows_of(run).append(row)
                self._mark_span(row.node_id, row.start_ms, self._end(row))
                changed = True
            elif any(getattr(row, field_name) != value for field_name, value in values.items()):
                self._change(row, values)
                changed = True
        for name in present.keys() - wanted.keys():
            self._drop(run, present[name])
            changed = True
        return changed

    def _wanted(self, run: Run, record: JobRecord) -> dict[str, dict[str, Any]]:
        if run.start_ms is None or record.start_ms is None or record.state in WAITING:
            return {}
        return {share.node: self._values(run, record, share) for share in record.shares}

    def _values(self, run: Run, record: JobRecord, share: NodeShare) -> dict[str, Any]:
        node_id = self.directory.at(share.node, run.start_ms or 0)
        values: dict[str, Any] = {
            "node_id": node_id if node_id >= 0 else None,
            "start_ms": run.start_ms,
            "end_ms": run.end_ms,
            "cpus": share.cpus,
            "gpus": share.gpus,
            "exclusive": run.exclusive,
            "cpu_rate": _cpu_rate(run, share, len(record.shares)),
        }
        if share.gpu_indices is not None:  # accounting does not say which: what a GpuHold said stays
            values["gpu_mask"] = sum(1 << i for i in set(share.gpu_indices))
        return values

    def _change(self, row: Allocation, values: dict[str, Any]) -> None:
        before = {name: getattr(row, name) for name in ALLOCATION_FIELDS}
        before_end = self._end(row)
        for name, value in values.items():
            setattr(row, name, value)
        only_times = all(
            before[name] == getattr(row, name)
            for name in ALLOCATION_FIELDS
            if name not in ("start_ms", "end_ms") and (name != "cpu_rate" or self.hybrid)
        )
        if only_times:
            days = self._mark_span(row.node_id, *sorted((before["start_ms"], row.start_ms)))
            days |= self._mark_span(row.node_id, *sorted((before_end, self._end(row))))
        else:
            days = self._mark_span(before["node_id"], before["start_ms"], before_end)
            days |= self._mark_span(row.node_id, row.start_ms, self._end(row))
        if row.pk:
            self.changes.changed_allocations[row.pk] = row
            self._note_sealed(row, before, days)

    def _drop(self, run: Run, row: Allocation) -> None:
        """The run did not hold this node after all; ledger rows of sealed days keep their allocation."""
        self._mark_span(row.node_id, row.start_ms, self._end(row))
        if not row.pk:
            self.changes.new_allocations = [a for a in self.changes.new_allocations if a is not row]
            self.known.rows_of(run).remove(row)
        elif self._sealed_rows(row):
            self._change(row, {"end_ms": row.start_ms})
        else:
            self.changes.dropped.append(row.pk)
            self.changes.changed_allocations.pop(row.pk, None)
            self.known.rows_of(run).remove(row)

    def _end(self, row: Allocation) -> int:
        """Where a row's energy ends for now: a running one's soon after its node's last sample."""
        if row.end_ms is not None:
            return row.end_ms
        last = self.last_sample.get(row.node_id or -1)
        return row.start_ms if last is None else max(row.start_ms, last + NOMINAL_WINDOW_MS)

    def _mark_span(self, node_id: int | None, start_ms: int, end_ms: int) -> set[date]:
        """Mark a node's days of [start, end); which."""
        if node_id is None or start_ms >= end_ms:
            return set()
        days = set(days_between(day_from_ms(start_ms), day_from_ms(end_ms - 1)))
        self.changes.marks.update((node_id, day) for day in days)
        return days

    # --- sealed days --------------------------------------------------------------------------

    def _sealed_rows(self, row: Allocation) -> bool:
        booked = AllocationEnergy.objects.filter(allocation=row).values_list("day", flat=True)
        return bool(sealed_days(self.cluster, booked))

    def _note_sealed(self, row: Allocation, before: dict[str, Any], days: set[date]) -> None:
        """Keep what would change of sealed days."""
        names = ("start_ms", "end_ms", "cpus", "gpus")
        detail: dict[str, object] = {
            "job": row.run.job.job_id,
            "node": row.node_name,
            "before": {name: before[name] for name in names},
            "now": {name: getattr(row, name) for name in names},
        }
        self.changes.corrections += [(day, detail) for day in sorted(sealed_days(self.cluster, days))]


def _cpu_rate(run: Run, share: NodeShare, nodes: int) -> float | None:
    """Mean CPU seconds per second held on this node: the job's, in proportion to the node's part of its cpus."""
    if run.total_cpu_s is None or run.start_ms is None or run.end_ms is None or run.end_ms <= run.start_ms:
        return None
    part = share.cpus / run.cpus if share.cpus and run.cpus else 1 / nodes
    return run.total_cpu_s * part / ((run.end_ms - run.start_ms) / MS_PER_S)
