"""The whole ledger as canonical text, keyed by what people call things: equal text is equality bit for bit.

Floats are written as hexadecimal, packed joules as hexadecimal bytes. Ids of the database, batch numbers and
the time of a rebuild are left out, for two histories with the same content may differ in them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import numpy as np
from django.db.models import Model

from measurements.domain.units import DAY_MS
from measurements.models import (
    Allocation,
    AllocationEnergy,
    Batch,
    Channel,
    Cluster,
    DirtyDay,
    DirtyJob,
    DirtyNodeDay,
    JobEnergy,
    MeterPeriod,
    Node,
    NodeDay,
    NodeHour,
    PendingCorrection,
    Run,
    Segment,
    TypeDay,
    UsageDay,
)
from measurements.store import SampleStore, Selection

Rows = list[list[Any]]
_FIGURES = (
    "energy_j",
    "gpu_energy_j",
    "filled_j",
    "covered_us",
    "elapsed_us",
    "samples",
    "expected_samples",
    "gpu_held_us",
    "gpu_idle_us",
    "gpu_idle_j",
    "reserved_us",
    "quality",
)
_JOB = (
    "job_id",
    "raw_id",
    "username",
    "account",
    "name",
    "partition",
    "comment",
    "state",
    "start_ms",
    "end_ms",
)
_RUN = (
    "sluid",
    "submit_ms",
    "start_ms",
    "end_ms",
    "state",
    "suspended_s",
    "cpus",
    "gpus",
    "exclusive",
    "total_cpu_s",
    "consumed_energy_j",
)
_KEY = ("cluster__name", "job_id", "username", "start_ms")
_ALLOCATION = ("node_name", "node__name", "start_ms", "end_ms", "cpus", "gpus", "gpu_mask", "exclusive", "cpu_rate")
_BOOKED = (
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
_NODE_DAY = (
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
_GROUPED_BY = ("username", "account", "partition", "state", "workload", "phase", "node_type__name", "excused")
_TYPE_DAY = (
    "nodes",
    "measured_nodes",
    "metered_j",
    "jobs_j",
    "unallocated_j",
    "unplaced_j",
    "covered_us",
    "off_us",
    "metered_quarters",
    "unallocated_quarters",
    "covered_hours",
    "filled_hours",
    "reserved_hours",
)
_NODE_HOUR = ("energy_j", "unallocated_j", "covered_us", "samples", "min_w", "max_w")


def ledger() -> dict[str, Rows]:
    """What is derived."""
    run_key = [f"allocation__run__job__{name}" for name in _KEY] + ["allocation__run__submit_ms"]
    return {
        "allocation_energy": _rows(AllocationEnergy, *run_key, "allocation__node_name", "node__name", "day", *_BOOKED),
        "node_day": _rows(NodeDay, "cluster__name", "node__name", "day", *_NODE_DAY),
        "node_hour": _rows(NodeHour, "node__cluster__name", "node__name", "day", "hour", *_NODE_HOUR),
        "job_energy": _rows(JobEnergy, *(f"job__{name}" for name in _KEY), *_FIGURES, "flags"),
        "usage_day": _rows(UsageDay, "cluster__name", "day", *_GROUPED_BY, *_FIGURES, "first_hour", "hours"),
        "type_day": _rows(TypeDay, "cluster__name", "day", "node_type__name", *_TYPE_DAY),
        "dirty_node_day": _rows(DirtyNodeDay, "cluster__name", "node__name", "day"),
        "dirty_job": _rows(DirtyJob, *(f"job__{name}" for name in _KEY)),
        "dirty_day": _rows(DirtyDay, "cluster__name", "day"),
    }


def inputs() -> dict[str, Rows]:
    """What the ledger is derived from."""
    key = [f"job__{name}" for name in _KEY]
    meters = [
        [
            str(row.node.cluster),
            str(row.node),
            row.valid_from_ms,
            sorted(f"{c.name} {c.kind}" for c in row.channels.all()),
        ]
        for row in MeterPeriod.objects.select_related("node__cluster")
    ]
    return {
        "samples": samples(),
        "first_samples": _rows(Node, "cluster__name", "name", "first_sample_ms", "last_sample_ms"),
        "runs": _rows(Run, *(f"job__{name}" for name in ("cluster__name", *_JOB)), *_RUN),
        "allocations": _rows(
            Allocation, *(f"run__{name}" for name in key), "run__submit_ms", "run__start_ms", *_ALLOCATION
        ),
        "meters": sorted(meters),
        "pending": _rows(PendingCorrection, "cluster__name", "day", "content", "rows"),
    }


def samples() -> Rows:
    """Each channel's samples as the store gives them: instants and values as hexadecimal bytes."""
    found: Rows = []
    names = {c.pk: [str(c.node.cluster), str(c.node), c.name, c.kind] for c in Channel.objects.select_related("node")}
    for cluster in Cluster.objects.order_by("name"):
        held = SampleStore().scan(cluster.pk, _everything(cluster))
        changes = np.flatnonzero(held.channel[1:] != held.channel[:-1]) + 1
        bounds = [0, *changes.tolist()] if len(held) else []
        for low, high in zip(bounds, [*bounds[1:], len(held)], strict=True):
            t, value = held.t_ms[low:high], held.value[low:high]
            ascending = bool(np.all(np.diff(t) > 0))
            found.append(
                [*names[int(held.channel[low])], high - low, ascending, t.tobytes().hex(), value.tobytes().hex()]
            )
    return sorted(found)


def _everything(cluster: Cluster) -> Selection:
    last = max(Segment.objects.filter(cluster=cluster).values_list("last_ms", flat=True), default=0)
    nodes = np.array(sorted(cluster.nodes.values_list("pk", flat=True)), np.int32)
    return Selection(nodes, 0, last + DAY_MS)


def quarantine() -> dict[str, Rows]:
    """What was refused, by file, with the counts of each batch."""
    batches: Rows = []
    for batch in Batch.objects.prefetch_related("quarantine"):
        refused = sorted([row.reason, row.count, row.first_line] for row in batch.quarantine.all())
        batches.append([batch.content, batch.source.rpartition("/")[2], batch.refused, refused])
    return {"batches": sorted(batches)}


def dump() -> str:
    """All of it."""
    return text({**ledger(), **inputs(), **quarantine()})


def text(sections: dict[str, Rows]) -> str:
    """One row a line, each after the name of its section."""
    return "".join(f"{name} {json.dumps(row)}\n" for name, rows in sections.items() for row in rows)


def _rows(model: type[Model], *names: str) -> Rows:
    return _sorted([_plain(value) for value in row] for row in model._default_manager.values_list(*names))


def _sorted(rows: Iterable[list[Any]]) -> Rows:
    return sorted(rows, key=lambda row: json.dumps(row))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return str(value) if isinstance(value, date) else value


def differences(actual: str, wanted: str, leave_out: Sequence[str] = ()) -> list[str]:
    """The lines that only one of two dumps has, shortened; no difference is an empty list."""
    skipped = tuple(f"{name} " for name in leave_out)
    parts = [[line for line in text.splitlines() if not line.startswith(skipped)] for text in (actual, wanted)]
    if parts[0] == parts[1]:
        return []
    only = [(sign, line) for sign, a, b in (("+", *parts), ("-", *parts[::-1])) for line in sorted(set(a) - set(b))]
    return [f"{sign} {line[:300]}" for sign, line in only] or ["the same lines, a different number of times"]
