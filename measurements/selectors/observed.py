"""What jobs and samples show of nodes, described or not: who held what when, idle power, GPUs, hours of power."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from django.db.models import Count, F, Q, Sum

from measurements.domain.alignment import NodeHours
from measurements.domain.channel_names import gpu_index
from measurements.domain.units import MS_PER_S, S_PER_HOUR, US_PER_S
from measurements.models import Allocation, Channel, Cluster, JobEnergy, NodeConfig, NodeHour
from measurements.selectors.frames import frame_of

NODES_COMPARED = 200  # whose clocks are compared
NAMES_AT_ONCE = 500
_HOUR_US = S_PER_HOUR * US_PER_S
_MOSTLY_COVERED = 0.5  # of an hour, for its mean power to count


@dataclass(frozen=True, slots=True)
class Gpus:
    """How far the data goes towards knowing idle accelerators."""

    nodes: int  # described with GPUs
    channels: int  # nodes with a channel for each GPU
    jobs: int  # that held any
    mapped: int  # of which it is known which ones
    idle_power: int  # nodes whose idle power of a GPU is known
    held_s: float  # GPU-seconds of which it is known whether they were idle
    idle_s: float


def node_hours(parts: pd.DataFrame, nodes: set[int]) -> list[NodeHours]:
    """Power and jobs of those of some nodes on which most jobs ran."""
    busy = parts[parts["node_id"].isin(nodes) & ~(parts["end_ms"] <= parts["start_ms"])]
    chosen = busy["node_id"].value_counts().index[:NODES_COMPARED].tolist()
    columns = ("node_id", "day", "hour", "energy_j", "covered_us")
    rows = NodeHour.objects.filter(node__in=chosen, covered_us__gte=_MOSTLY_COVERED * _HOUR_US)
    hours = frame_of(rows.order_by("node", "day", "hour").values_list(*columns), columns)
    held = {int(node): group for node, group in busy.groupby("node_id")}
    return [_hours_of(group, held[int(node)]) for node, group in hours.groupby("node_id")]


def _hours_of(hours: pd.DataFrame, held: pd.DataFrame) -> NodeHours:
    days = np.array([day.toordinal() for day in hours["day"]], np.int64) - date(1970, 1, 1).toordinal()
    hour = days * 24 + hours["hour"].to_numpy(np.int64)
    mean_w = hours["energy_j"].to_numpy(np.float64) / (hours["covered_us"].to_numpy(np.float64) / US_PER_S)
    start = held["start_ms"].to_numpy(np.int64)
    far = np.where(np.isnan(held["end_ms"]), (hour[-1] + 48) * S_PER_HOUR * MS_PER_S, held["end_ms"])
    weight = pd.to_numeric(held["cpus"]).fillna(1).to_numpy(np.float64)
    return NodeHours(hour, mean_w, start, np.maximum(far.astype(np.int64), start), weight)


def held_parts(cluster: Cluster, names: Sequence[str]) -> pd.DataFrame:
    """What jobs held on some nodes, known or not, by name: cpus, gpus, from when to when."""
    columns = ("node_name", "cpus", "gpus", "start_ms", "end_ms")
    lots = [names[i : i + NAMES_AT_ONCE] for i in range(0, len(names), NAMES_AT_ONCE)]
    frames = []
    for lot in lots:
        rows = Allocation.objects.filter(run__job__cluster=cluster, node_name__in=lot).order_by("pk")
        frames.append(frame_of(rows.values_list(*columns), columns))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(columns))


def held_names(cluster: Cluster) -> list[str]:
    """The names of all nodes that jobs ran on."""
    rows = Allocation.objects.filter(run__job__cluster=cluster).order_by("node_name")
    return list(rows.values_list("node_name", flat=True).distinct())


def idle_means(names: Iterable[str]) -> list[float]:
    """Per node its mean power [W] in hours in which nobody held it; nodes without such an hour are left out."""
    rows = NodeHour.objects.filter(
        node__name__in=list(names), covered_us__gte=_MOSTLY_COVERED * _HOUR_US, energy_j__lte=F("unallocated_j")
    )
    sums = rows.order_by("node__name").values_list("node__name").annotate(j=Sum("energy_j"), us=Sum("covered_us"))
    return [joules / (us / US_PER_S) for _, joules, us in sums]


def gpus_of(cluster: Cluster) -> Gpus:
    nodes = NodeConfig.objects.filter(node__cluster=cluster, gpus__gt=0).values("node").distinct()
    names = Channel.objects.filter(node__cluster=cluster).order_by().values_list("node_id", "name")
    held = Allocation.objects.filter(run__job__cluster=cluster).filter(Q(gpus__gt=0) | Q(gpu_mask__gt=0))
    counts = held.order_by().aggregate(
        jobs=Count("run__job", distinct=True), mapped=Count("run__job", distinct=True, filter=Q(gpu_mask__gt=0))
    )
    known = JobEnergy.objects.filter(job__cluster=cluster).aggregate(held=Sum("gpu_held_us"), idle=Sum("gpu_idle_us"))
    return Gpus(
        nodes=nodes.count(),
        channels=len({node for node, name in names if gpu_index(name) is not None}),
        jobs=counts["jobs"],
        mapped=counts["mapped"],
        idle_power=nodes.filter(gpu_idle_w__isnull=False).count(),
        held_s=(known["held"] or 0) / US_PER_S,
        idle_s=(known["idle"] or 0) / US_PER_S,
    )
