"""Workloads for the cluster of many jobs: two jobs in five are tagged, GPUs and idle power are described.

Figures are made up as those of `tests.bench.many_jobs`; a job's work is what it drew over what its user and its kind of
node draw for a unit of it, give or take.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pandas as pd
from django.db import transaction
from django.db.models import F, Min

from measurements.domain.scopes import MeterScope
from measurements.domain.units import DAY_MS, US_PER_MS, US_PER_S, day_from_ms
from measurements.models import (
    Cluster,
    Job,
    JobTags,
    Node,
    NodeConfig,
    NodeDay,
    NodeType,
    TypeDay,
    UsageDay,
    WorkloadJob,
)
from measurements.services.bulk import adapted, assign
from measurements.services.workload_jobs import FIELDS, lots
from tests.bench.harness import Scale
from tests.bench.many_jobs import CLUSTER, CPUS, END_MS, RATED_W, TYPES, insert_rows, jobs_frame, make

LARGEST, PHASE, SIZE, UNIT = "nnunet", "training", "base", "epochs"
SHARES = {  # of the tagged jobs
    LARGEST: 0.35, "gromacs": 0.2, "openfoam": 0.15, "icon": 0.1, "bert": 0.08, "resnet": 0.05, "vasp": 0.04, "md": 0.03
}  # fmt: skip
TAGGED, WITH_WORK = 0.4, 0.8
UNITS = (UNIT, "queries")
PHASES = (PHASE, "inference")
WITH_GPUS, GPUS, GPU_SHARE, IDLE_PART = "gpu4", 4, 0.6, 5  # a fifth of the time of GPUs is idle
IDLE_W, GPU_IDLE_W = 90.0, 25.0
SPREAD_DAYS = 30  # with rows of nodes
_QUARTERS = np.full(96, 1.0e5).tobytes()


def make_workloads(scale: Scale) -> Cluster:
    """The cluster of many jobs, made if it is not there, with its workloads."""
    if not Cluster.objects.filter(name=CLUSTER).exists():
        make(scale.many_jobs, scale.users)
    cluster = Cluster.objects.get(name=CLUSTER)
    frame = jobs_frame(scale.many_jobs, scale.users)
    frame["id"] += Job.objects.filter(cluster=cluster).aggregate(first=Min("pk"))["first"] - 1
    with transaction.atomic():
        _describe(cluster)
        _tag(_tagged(frame), cluster)
        _insert_node_days(cluster)
    return cluster


def _describe(cluster: Cluster) -> None:
    """GPUs and idle power of nodes, and what is known of GPUs in the roll-ups."""
    configs = NodeConfig.objects.filter(node__cluster=cluster)
    configs.update(idle_w=IDLE_W)
    configs.filter(node_type__name=WITH_GPUS).update(gpus=GPUS, gpu_idle_w=GPU_IDLE_W)
    idle = {
        "gpu_idle_us": F("elapsed_us") * GPUS / IDLE_PART,
        "gpu_idle_j": F("energy_j") * GPU_SHARE / IDLE_PART / 4,
    }
    of_gpus = {"gpu_energy_j": F("energy_j") * GPU_SHARE, "gpu_held_us": F("elapsed_us") * GPUS}
    UsageDay.objects.filter(cluster=cluster, node_type__name=WITH_GPUS).update(**of_gpus, **idle)
    nodes_us = F("nodes") * DAY_MS * US_PER_MS
    TypeDay.objects.filter(cluster=cluster, node_type__name=WITH_GPUS).update(
        gpu_energy_j=F("metered_j") * GPU_SHARE, gpu_held_us=nodes_us * GPUS, gpu_idle_us=nodes_us * GPUS / IDLE_PART
    )


def _tagged(frame: pd.DataFrame) -> pd.DataFrame:
    """The ended jobs with a workload, and its tags."""
    rng = np.random.default_rng(23)
    frame = frame[(rng.random(len(frame)) < TAGGED) & frame["end"].notna().to_numpy()].reset_index(drop=True)
    count = len(frame)
    energy_j = frame["watts"] * frame["elapsed_us"] / US_PER_S
    phase = rng.choice(2, count, p=[0.4, 0.6])
    per_user = rng.lognormal(0.0, 0.3, int(frame["user"].max()) + 1)[frame["user"]]
    per_type = np.array([1.0, 1.1, 0.4, 0.7])[frame["kind"]]
    work = energy_j / (1e5 * per_user * per_type * rng.lognormal(0.0, 0.2, count))
    return frame.assign(
        workload=rng.choice(list(SHARES), count, p=list(SHARES.values())),
        phase=np.array(PHASES)[phase],
        unit=np.array(UNITS)[phase],
        size=np.where(rng.random(count) < 0.7, SIZE, "large"),
        work=np.where(rng.random(count) < WITH_WORK, work, np.nan),
        energy_j=energy_j,
        seconds=frame["elapsed_us"] / US_PER_S,
        gpus=np.where(frame["kind"] == list(TYPES).index(WITH_GPUS), GPUS, 0),
    )


def _tag(frame: pd.DataFrame, cluster: Cluster) -> None:
    for name in ("workload", "phase"):
        assign(Job, name, zip(frame[name].tolist(), frame["id"].tolist(), strict=True))
    tags = frame.assign(job=frame["id"], target="", target_origin="", work_origin="comment")
    tags[["workload_origin", "phase_origin", "size_origin"]] = "comment"
    names = ["job", "size", "target", "work", "unit", *(f"{tag}_origin" for tag in _ORIGINS)]
    insert_rows(JobTags, " ".join(names), _tuples(tags[names]))
    insert_rows(WorkloadJob, " ".join(FIELDS), _tuples(_compared(frame, cluster)[FIELDS]))


_ORIGINS = ("workload", "phase", "size", "target", "work")


def _compared(frame: pd.DataFrame, cluster: Cluster) -> pd.DataFrame:
    """The columns of rows to compare."""
    types, nodes = (
        np.array(model._default_manager.filter(cluster=cluster).order_by("pk").values_list("pk", flat=True))
        for model in (NodeType, Node)
    )
    held_s = frame["seconds"] * frame["gpus"]
    return frame.assign(
        job=frame["id"],
        cluster=cluster.pk,
        username=[f"u{user:04d}" for user in frame["user"].tolist()],
        account=[f"p{project:02d}" for project in frame["project"].tolist()],
        start_ms=frame["start"],
        end_ms=frame["end"].astype(np.int64),
        target="",
        node_type=types[frame["kind"]],
        node=nodes[frame["node"]],
        nodes=1,
        cpus=CPUS,
        runtime_s=frame["seconds"],
        held_s=frame["seconds"],
        gpu_energy_j=np.where(frame["gpus"] > 0, frame["energy_j"] * GPU_SHARE, 0.0),
        gpu_held_s=held_s,
        gpu_idle_s=held_s / IDLE_PART,
        gpu_idle_j=held_s / IDLE_PART * GPU_IDLE_W,
        estimate_j=frame["seconds"] * RATED_W,
        coverage=1.0,
        scope=int(MeterScope.NODE_AC),
        excused=frame["state"] == "NODE_FAIL",
        quality="metered",
        lot=lots(frame["id"].to_numpy(np.int64)),
    )


def _tuples(table: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    whole = table.astype(object)
    yield from whole.where(whole.notna(), None).itertuples(index=False, name=None)


def _insert_node_days(cluster: Cluster) -> None:
    """Of the last month, for telling nodes of a type apart."""
    rng = np.random.default_rng(29)
    last = day_from_ms(END_MS - DAY_MS)
    nodes = Node.objects.filter(cluster=cluster).order_by("pk").values_list("pk", flat=True)
    insert_rows(
        NodeDay,
        "cluster node day metered_j jobs_j unallocated_j unplaced_j covered_us off_us samples margin_ms flags "
        "metered_quarters unallocated_quarters",
        (
            (cluster.pk, node, adapted(last - timedelta(days=i)), rng.uniform(2e7, 4e7), 2e7, 0.0, 0.0,
             DAY_MS * US_PER_MS, 0, 8_640, 0, 0, _QUARTERS, _QUARTERS)
            for i in range(SPREAD_DAYS)
            for node in nodes
        ),
    )  # fmt: skip
