"""How much of a node's time each allocation reserves: what embodied emissions are shared by.

Nothing here looks at a meter: a node that nobody measures was made all the same. All numbers are whole, so that
no order of the allocations can show in a result.
"""

from __future__ import annotations

import math

import numpy as np

from measurements.domain.integrate import US_PER_TICK
from measurements.domain.nodeday import NodeDay
from measurements.domain.sharing import Spans
from measurements.domain.units import BoolArray, IntArray


def reserved_us(node: NodeDay, spans: Spans, exclusive: BoolArray) -> IntArray:
    """
    Time of the node that each allocation reserves on the day.

    Parameters
    ----------
    node : NodeDay
        Its holdings, cpus and GPUs.
    spans : Spans
        The day, cut wherever a holding begins or ends.
    exclusive : array of bool
        Which holdings have the node to themselves.

    Returns
    -------
    array of int
        One value an allocation [µs], rounded down, so that the sum never exceeds the node's wall time.

    Notes
    -----
    R_i = ∫ w_i / max(1, Σ_j w_j) dt over the allocations j that hold the node at an instant; w = 1 for one that has
    the node to itself, else the larger of cpus ÷ the node's cpus and GPUs ÷ the node's GPUs, 1 at most. This is
    RR ÷ ToR of SCI [1]_ times TiR; what nobody reserves is the machine's own. Cores of a node of unknown size are
    the whole node; GPUs of a node of which none are known say nothing.

    References
    ----------
    .. [1] Green Software Foundation, Software Carbon Intensity Specification v1.1 (ISO/IEC 21031:2024).
    """
    whole, part = _parts(node, exclusive)
    wanted = spans.held(part)
    crowded = wanted > whole
    ticks = spans.edges[spans.finish] - spans.edges[spans.begin]  # in which everybody has what they asked for
    if not crowded.any():
        return _part_of(ticks, part, whole)
    width = np.diff(spans.edges)
    reserved = _part_of(ticks - spans.sum_int(np.where(crowded, width, 0)), part, whole)
    cells = crowded[spans.span]
    owner, span = spans.owner[cells], spans.span[cells]
    # All time in the same crowd is divided at once, so that where else the day is cut does not show.
    crowd, place = np.unique(np.stack((owner, wanted[span])), axis=1, return_inverse=True)
    time_us = np.zeros(crowd.shape[1], np.int64)
    np.add.at(time_us, place.ravel(), width[span] * US_PER_TICK)
    np.add.at(reserved, crowd[0], time_us * part[crowd[0]] // crowd[1])
    return reserved


def _part_of(ticks: IntArray, part: IntArray, whole: int) -> IntArray:
    """Microseconds × part ÷ whole, rounded down; in two steps, for the product might overflow."""
    time_us = ticks * US_PER_TICK
    return time_us // whole * part + time_us % whole * part // whole


def _parts(node: NodeDay, exclusive: BoolArray) -> tuple[int, IntArray]:
    """The node as a whole number, and each allocation's part of it in the same unit."""
    held, cpus, gpus = node.holdings, max(node.cpus, 1), max(node.gpus, 1)
    whole = math.lcm(cpus, gpus)
    part = np.minimum(held.cpus, cpus) * (whole // cpus)
    if node.gpus > 0:
        named = np.bitwise_count(held.gpu_mask).astype(np.int64)
        cards = np.minimum(np.where(named > 0, named, held.gpus), gpus)
        part = np.maximum(part, cards * (whole // gpus))
    return whole, np.where(exclusive, whole, part)
