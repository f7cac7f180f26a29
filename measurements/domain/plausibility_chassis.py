"""Shared chassis: one meter's readings repeated under the names of several nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from measurements.domain.plausibility import ChannelDay, Found, Rule, found_span
from measurements.domain.units import HOUR_MS, IntArray

CHASSIS_DISTINCT = 20  # different readings in the hours in which they are equal
CHASSIS_SHARE = 0.75  # of the hours that a node has samples of
CHASSIS_SURE_NODES = 3  # from so many on; of two see there
HOURS = 24
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93], np.uint64)
_SHIFT = np.uint64(29)


@dataclass(frozen=True, slots=True)
class HourSums:
    """What stands for one channel's samples: two channels with the same sum in an hour have the same samples in it."""

    channel: int
    node: int
    sums: np.ndarray  # [24] uint64
    counts: IntArray  # [24] samples


def hour_sums(day: ChannelDay, day_ms: int) -> HourSums:
    """A sum over each UTC hour of the day that depends on all instants and values in it."""
    edges = np.searchsorted(day.t_ms, day_ms + np.arange(HOURS + 1) * HOUR_MS)
    counts = np.diff(edges)
    mixed = (day.t_ms - day_ms).astype(np.uint64) * _MIX[0] + day.value.astype(np.uint64) * _MIX[1]
    mixed ^= mixed >> _SHIFT
    mixed *= _MIX[2]
    mixed ^= mixed >> _SHIFT
    sums = np.zeros(HOURS, np.uint64)
    some = counts > 0
    sums[some] = np.add.reduceat(mixed, edges[:-1][some])
    return HourSums(day.channel, day.node, sums, counts)


def groups_of(channels: Sequence[HourSums]) -> list[list[HourSums]]:
    r"""
    Channels of different nodes that have the same samples at the same instants, in most hours.

    Parameters
    ----------
    channels : sequence of HourSums
        Whole-node channels of the nodes of a cluster (of meters above them not: those may well repeat one).

    Returns
    -------
    list of list
        Two or more each, by channel. Whether the readings are varied enough to be told from chance is for `varied`.

    Notes
    -----
    Two channels belong together if at least `CHASSIS_SHARE` of the hours in which the one with fewer hours has samples
    are equal in both to the millisecond and milliwatt; groups are what hangs together by such pairs. The sums of two
    different hours are equal by chance with a probability of about :math:`2^{-64}`.
    """
    if len(channels) < 2:
        return []
    sums = np.stack([one.sums for one in channels])
    known = np.stack([one.counts for one in channels]) > 0
    pairs: dict[tuple[int, int], int] = {}
    for hour in range(HOURS):
        for pair in _neighbours(sums[:, hour], known[:, hour]):
            pairs[pair] = pairs.get(pair, 0) + 1
    hours = known.sum(axis=1)
    parent = list(range(len(channels)))
    for (a, b), equal in sorted(pairs.items()):
        if equal >= CHASSIS_SHARE * min(hours[a], hours[b]) and channels[a].node != channels[b].node:
            parent[_root(parent, b)] = _root(parent, a)
    members: dict[int, list[HourSums]] = {}
    for i, one in enumerate(channels):
        members.setdefault(_root(parent, i), []).append(one)
    return [group for group in members.values() if len(group) > 1]


def _neighbours(sums: np.ndarray, known: np.ndarray) -> list[tuple[int, int]]:
    """Channels with the same sum, each with the next of them."""
    at = np.flatnonzero(known)
    order = at[np.argsort(sums[at], kind="stable")]
    same = np.flatnonzero(sums[order[1:]] == sums[order[:-1]])
    return list(zip(order[same].tolist(), order[same + 1].tolist(), strict=True))


def _root(parent: list[int], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


def equal_hours(group: Sequence[HourSums]) -> list[np.ndarray]:
    """Of each channel of a group the hours in which another one has the same samples."""
    sums = np.stack([one.sums for one in group])
    known = np.stack([one.counts for one in group]) > 0
    equal = (sums[:, None, :] == sums[None, :, :]) & known[:, None, :] & known[None, :, :]
    return list(equal.sum(axis=1) > 1)


def repeated(day: ChannelDay, day_ms: int, hours: np.ndarray, nodes: Sequence[str], others: int) -> list[Found]:
    r"""
    The samples of one channel of a group in the hours in which they are another one's as well.

    Parameters
    ----------
    day : ChannelDay
        The channel.
    day_ms : int
        The instant at which the day begins.
    hours : array of bool
        Of `equal_hours`.
    nodes : sequence of str
        The names of all nodes of the group.
    others : int
        How many nodes of the cluster have readings that day and are not of the group.

    Returns
    -------
    list of Found
        A span for each run of such hours; none if they hold fewer than `CHASSIS_DISTINCT` different readings.

    Notes
    -----
    Nodes that draw the same do not read the same: with a noise of a few watts the chance that 20 readings in a row are
    equal is nil. Idle nodes in whole watts may be alike for hours; they show few different readings.

    Repeated under n names the energy of a chassis counts n times. From `CHASSIS_SURE_NODES` nodes on the spans are
    sure, if at least as many others read otherwise: where most nodes agree, they are one rack under one meter that
    nobody divided, or their readings are modelled, and that has to be asked. Of two they are only reported, for in
    published logs the reading of a power shelf is halved between two nodes, and then the sum is right (MLPerf Training
    4.0, eight nodes in four pairs): the readings do not tell which.

    What is true and may be found: nodes whose shared reading was divided between them before.
    """
    hour = (day.t_ms - day_ms) // HOUR_MS
    inside = hours[hour]
    if len(np.unique(day.value[inside])) < CHASSIS_DISTINCT:
        return []
    edges = np.flatnonzero(np.diff(np.concatenate(([0], inside.view(np.int8), [0]))))
    return [
        found_span(
            Rule.CHASSIS, day, low, high, sure=others >= len(nodes) >= CHASSIS_SURE_NODES, nodes=list(nodes)[:100],
            count=len(nodes),
        )
        for low, high in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ]  # fmt: skip
