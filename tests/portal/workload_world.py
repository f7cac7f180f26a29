"""Jobs of workloads, as rows to compare: whose, where, when and what they drew is said by each test."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from measurements.models import Cluster, Job, JobTags, NodeType, Scope, WorkloadJob

HOUR_MS = 3_600_000
MARCH = datetime(2025, 3, 10, tzinfo=UTC)
CROWD = ("ada", "ben", "cem", "dora", "eli", "fay")
_numbers = itertools.count(1)


def ran(
    who: str,
    node_type: str,
    energy_j: float,
    *,
    workload: str = "nnunet",
    phase: str = "training",
    when: datetime = MARCH,
    cluster: str = "c",
    work: float | None = 100.0,
    unit: str = "epochs",
    size: str = "",
    target: str = "",
    **more: Any,
) -> Job:
    """An ended job with its row; an hour long, metered, 50 W estimated, without GPUs, unless said otherwise."""
    machine, _ = Cluster.objects.get_or_create(name=cluster)
    kind, _ = NodeType.objects.get_or_create(cluster=machine, name=node_type) if node_type else (None, False)
    number, end_ms = next(_numbers), int(when.timestamp() * 1000)
    runtime_s = more.pop("runtime_s", 3600.0)
    times = {"start_ms": end_ms - int(1000 * runtime_s), "end_ms": end_ms}
    said = {"username": who, "account": "p", "workload": workload, "phase": phase}
    state = more.pop("state", "COMPLETED")
    job = Job.objects.create(cluster=machine, job_id=str(number), state=state, **said, **times)
    unit = unit if work else ""
    tags = {"size": size, "target": target, "work": work, "unit": unit}
    JobTags.objects.create(job=job, **tags)
    row: dict[str, Any] = {
        "nodes": 1, "cpus": 8, "gpus": 0, "held_s": runtime_s, "gpu_energy_j": 0.0, "gpu_held_s": 0.0,
        "gpu_idle_s": 0.0, "gpu_idle_j": 0.0, "estimate_j": 50.0 * runtime_s, "coverage": 1.0, "quality": "metered",
        "scope": Scope.NODE_AC, "excused": False,
    }  # fmt: skip
    WorkloadJob.objects.create(
        job=job, cluster=machine, node_type=kind, runtime_s=runtime_s, energy_j=energy_j, state=state,
        lot=number * 2_654_435_761 % 10_000, **said, **times, **tags, **(row | more),
    )  # fmt: skip
    return job


def crowd(node_type: str, energy_j: float, each: int = 1, **more: Any) -> None:
    """Jobs of six people, a few percent apart."""
    for place, who in enumerate(CROWD * each):
        ran(who, node_type, energy_j * (1 + 0.01 * (place % 7)), **more)
