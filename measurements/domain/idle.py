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
    idle: IntArray  # ticks, part of them
    energy: FloatArray  # quarter µJ


def held_idle(spans: Spans, holdings: Holdings, exclusive: BoolArray, gpus: dict[int, GpuIdleness]) -> HeldIdle:
    """What each allocation held of GPUs, and left idle.

    Only where it is known which GPUs it held: all of them if it has the node to itself, else those
    whose indices are stated. Several holders of one GPU share its energy, as they do in the ledger.
    """
    count = len(spans.begin)
    known, idle, energy = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count)
    if not gpus:
        return HeldIdle(known, idle, energy)
    mask = np.where(exclusive, np.uint64(0), holdings.gpu_mask)
    alone = spans.held(((mask == 0) & ~exclusive & (holdings.gpus > 0)).astype(np.int64)) == 0
    for index, gpu in sorted(gpus.items()):
        named = ((mask >> np.uint64(index)) & np.uint64(1)).astype(np.int64)
        holders = spans.held(named)
        whole = exclusive.astype(np.int64)
        for holds, everyone, where in (
            (named, holders, holders > 0),
            (whole, spans.held(whole), (holders == 0) & alone),
        ):
            mine = holds.astype(bool)
            known += np.where(mine, spans.sum_int(np.where(where, gpu.known, 0)), 0)
            idle += np.where(mine, spans.sum_int(np.where(where, gpu.idle, 0)), 0)
            each = np.where(where, gpu.energy, 0.0) / np.maximum(everyone, 1)
            energy += np.bincount(spans.owner, (holds[spans.owner] * each[spans.span]), count)
    return HeldIdle(known, idle, energy)
