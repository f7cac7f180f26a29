"""Samples as columns, sorted and free of duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.domain.units import BoolArray, IntArray

_MAX_RADIX = 1 << 16  # up to here numpy's stable sort is a radix sort


@dataclass(frozen=True, slots=True)
class Samples:
    """(node, channel, instant, value) as columns; value is mW or µJ by the channel's kind."""

    node: NDArray[np.int32]
    channel: NDArray[np.int32]
    t_ms: IntArray
    value: IntArray

    def __len__(self) -> int:
        return len(self.t_ms)

    def take(self, index: IntArray | BoolArray | slice) -> Samples:
        """Those at an index or under a mask."""
        return Samples(self.node[index], self.channel[index], self.t_ms[index], self.value[index])


def empty_samples() -> Samples:
    """No samples."""
    ids, numbers = np.empty(0, np.int32), np.empty(0, np.int64)
    return Samples(ids, ids, numbers, numbers)


def concatenate(parts: Sequence[Samples]) -> Samples:
    """All samples of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return empty_samples()
    return Samples(
        np.concatenate([p.node for p in parts]),
        np.concatenate([p.channel for p in parts]),
        np.concatenate([p.t_ms for p in parts]),
        np.concatenate([p.value for p in parts]),
    )


def series_rank(node: NDArray[np.int32], channel: NDArray[np.int32]) -> tuple[IntArray, int]:
    """For each sample the place of its (node, channel) among all that occur, and how many there are."""
    if not len(channel):
        return np.empty(0, np.int64), 0
    owner = np.full(int(channel.max()) + 1, -1, np.int64)
    owner[channel] = node
    present = np.flatnonzero(owner >= 0)
    rank = np.empty(len(owner), np.int64)
    rank[present[np.lexsort((present, owner[present]))]] = np.arange(len(present))
    return rank[channel], len(present)


def sort_order(samples: Samples) -> IntArray | None:
    """A stable order by node, channel, time; None if they are in it already."""
    rank, count = series_rank(samples.node, samples.channel)
    t = samples.t_ms
    if not len(t) or _ascending(rank, t):
        return None
    if count <= _MAX_RADIX:
        order = np.argsort(rank.astype(np.uint16), kind="stable")
        if _ascending(rank[order], t[order]):  # each series came in the order of time, as logs do
            return order
    return np.lexsort((t, rank))


def _ascending(rank: IntArray, t: IntArray) -> bool:
    same = rank[1:] == rank[:-1]
    return bool(np.all((rank[1:] > rank[:-1]) | (same & (t[1:] >= t[:-1]))))


def resolve(samples: Samples, batch_no: IntArray | None = None) -> tuple[Samples, int]:
    """Sorted samples without duplicates, and how many duplicates there were.

    Of two samples of one channel and instant the one of the later batch stays; within a
    batch (or without ``batch_no``) the larger value.
    """
    order = sort_order(samples)
    if order is not None:
        samples = samples.take(order)
        batch_no = batch_no[order] if batch_no is not None else None
    again = np.zeros(len(samples), bool)
    again[1:] = (samples.t_ms[1:] == samples.t_ms[:-1]) & (samples.channel[1:] == samples.channel[:-1])
    surplus = int(again.sum())
    if not surplus:
        return samples, 0
    involved = again.copy()
    involved[:-1] |= again[1:]
    spots = np.flatnonzero(involved)
    group = np.cumsum(~again[spots])
    batches = batch_no[spots] if batch_no is not None else np.zeros(len(spots), np.int64)
    ranked = np.lexsort((samples.value[spots], batches, group))
    last = np.append(group[ranked][1:] != group[ranked][:-1], True)
    keep = ~involved
    keep[spots[ranked[last]]] = True
    return samples.take(keep), surplus


def runs_of(ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """The first of each run of equal ids: of sorted samples their nodes or channels, ascending by node."""
    return ids[np.append(True, ids[1:] != ids[:-1])] if len(ids) else ids


def differing(new: Samples, known: Samples) -> tuple[BoolArray, BoolArray]:
    """For each new sample: whether its instant is known, and whether its known value differs.

    Both are sorted by node, channel, time and free of duplicates.
    """
    if not len(known) or not len(new):
        none = np.zeros(len(new), bool)
        return none, none
    rank, _ = series_rank(np.concatenate((new.node, known.node)), np.concatenate((new.channel, known.channel)))
    origin = min(int(new.t_ms.min()), int(known.t_ms.min()))
    width = max(int(new.t_ms.max()), int(known.t_ms.max())) - origin + 1
    key_new = rank[: len(new)] * width + (new.t_ms - origin)
    key_known = rank[len(new) :] * width + (known.t_ms - origin)
    spot = np.minimum(np.searchsorted(key_known, key_new), len(key_known) - 1)
    is_known = key_known[spot] == key_new
    return is_known, is_known & (known.value[spot] != new.value)
