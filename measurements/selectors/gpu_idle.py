"""Whether a job's GPUs were idle; and if that is not known, what would have to be connected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from measurements.domain.channel_names import gpu_index
from measurements.domain.quality import ratio
from measurements.domain.units import day_from_ms
from measurements.models import Allocation, Channel, Job, NodeConfig
from measurements.selectors.job import Figures


class IdleUnknown(StrEnum):
    """What is missing."""

    CHANNELS = "channels"  # no power channel of any GPU
    IDLE_POWER = "idle_power"  # what a GPU draws without work
    MAP = "map"  # which GPUs of a shared node it held
    SAMPLES = "samples"  # nothing of its time


@dataclass(frozen=True, slots=True)
class GpuIdle:
    """How long a job held GPUs without work, and what they drew."""

    gpus: int  # 0: not known how many
    unknown: IdleUnknown | None  # None: it is known
    share: float | None  # idle ÷ held time, 0 to 1
    idle_j: float
    energy_share: float | None  # idle_j ÷ the job's metered energy


def gpu_idle(job: Job, figures: Figures) -> GpuIdle | None:
    """Of a job that held GPUs; None of one that held none."""
    rows = list(
        Allocation.objects.filter(run__job=job)
        .order_by("start_ms", "node_name")
        .values_list("node_id", "gpus", "gpu_mask", "exclusive", "run_id")
    )
    known = {row[0]: row for row in rows if row[0] is not None}
    on_nodes = _descriptions(list(known), job.start_ms or 0)
    alone = [on_nodes.get(node, (0, None))[0] for node, _, _, exclusive, _ in rows if exclusive and node is not None]
    last_run = rows[-1][4] if rows else None
    asked = sum(gpus or 0 for _, gpus, _, _, run in rows if run == last_run)
    gpus = asked or sum(alone)
    if not gpus and not figures.gpu_held_s:
        return None
    missing = None if figures.gpu_held_s else _missing(rows, on_nodes)
    energy = figures.energy_j
    return GpuIdle(
        gpus=gpus,
        unknown=missing,
        share=figures.gpu_idle_share,
        idle_j=figures.gpu_idle_j,
        energy_share=ratio(figures.gpu_idle_j, energy) if energy else None,
    )


def _descriptions(nodes: list[int], at_ms: int) -> dict[int, tuple[int, float | None]]:
    """GPUs and their idle power, by the description in force when the job began, or by the first one."""
    rows = NodeConfig.objects.filter(node__in=nodes).order_by("node", "valid_from")
    found: dict[int, tuple[int, float | None]] = {}
    for node, since, gpus, idle_w in rows.values_list("node_id", "valid_from", "gpus", "gpu_idle_w"):
        if node not in found or since <= day_from_ms(at_ms):
            found[node] = (gpus or 0, idle_w)
    return found


def _missing(
    rows: Sequence[tuple[int | None, int | None, int, bool | None, int]], on_nodes: dict[int, tuple[int, float | None]]
) -> IdleUnknown:
    """The first thing that is missing, in the order in which it is connected."""
    nodes = {node for node, *_ in rows if node is not None}
    names = Channel.objects.filter(node__in=nodes, name__startswith="gpu").values_list("name", flat=True)
    if not any(gpu_index(name) is not None for name in names):
        return IdleUnknown.CHANNELS
    if all(on_nodes.get(node, (0, None))[1] is None for node in nodes):
        return IdleUnknown.IDLE_POWER
    if not any(exclusive or mask for _, _, mask, exclusive, _ in rows):
        return IdleUnknown.MAP
    return IdleUnknown.SAMPLES
