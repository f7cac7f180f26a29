"""Which of its GPUs an allocation holds and leaves idle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from measurements.domain.idleness import GpuIdleness
from measurements.domain.nodeday import Holdings
from measurements.domain.sharing import Spans
from measurements.domain.units import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class HeldIdle:
    """One value an allocation. GPU-time counts once for each GPU."""

    known: IntArray  # ticks
    idle: FloatArray  # ticks, part of them
    energy: FloatArray  # quarter µJ


def held_idle(spans: Spans, holdings: Holdings, exclusive: BoolArray, gpus: dict[int, GpuIdleness]) -> HeldIdle:
    """What each allocation held of GPUs, and left idle.

    Only where it is known which GPUs it held: all of them if it has the node to itself, else those
    whose indices are stated. Several holders of one GPU share its energy, as they do in the ledger.
    """
    count = len(spans.begin)
    known, idle, energy = np.zeros(count, np.int64), np.zeros(count), np.zeros(count)
    if not gpus:
        return HeldIdle(known, idle, energy)
    mask = np.where(exclusive, np.uint64(0), holdings.gpu_mask)
    without_index = spans.held(((mask == 0) & ~exclusive & (holdings.gpus > 0)).astype(np.int64))
    whole = exclusive.astype(np.int64)
    for index, gpu in sorted(gpus.items()):
        named = ((mask >> np.uint64(index)) & np.uint64(1)).astype(np.int64)
        holders = spans.held(named)
        for holds, shared_by, where in (
            (named, holders, holders > 0),
            (whole, spans.held(whole), (holders == 0) & (without_index == 0)),
        ):
            per_cell = (holds[spans.owner] > 0) & where[spans.span]
            each = gpu.energy / np.maximum(shared_by, 1)
            known += np.where(holds > 0, spans.sum_int(np.where(where, gpu.known, 0)), 0)
            idle += np.bincount(spans.owner, np.where(per_cell, gpu.idle[spans.span], 0.0), count)
            energy += np.bincount(spans.owner, np.where(per_cell, each[spans.span], 0.0), count)
    return HeldIdle(known, idle, energy)
