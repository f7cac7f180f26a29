"""Whose channel each sample is: one source a channel, GPUs by their UUID; what is new of both is noted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from measurements.domain.samples import Samples
from measurements.domain.units import DAY_MS, BoolArray, IntArray
from measurements.parsers.records import ChannelFacts
from measurements.services.channel_facts import FactsDraft
from measurements.services.judged import SECOND_SOURCE, UNKNOWN_GPU, Rows, refuse
from measurements.services.quarantine import QuarantineDraft

if TYPE_CHECKING:
    from measurements.services.judge import NodeDirectory

NO_FACTS = ChannelFacts()


def of_channels(
    directory: NodeDirectory, rows: Rows, node: NDArray[np.int32], draft: QuarantineDraft, news: FactsDraft
) -> Samples:
    """The samples with the ids of their channels, which are made where they are not there; no strangers among them."""
    chunk, known = rows.chunk, directory.facts
    for place in chunk.places:
        known.see(directory.at(place.node, place.since_ms), place.index, place.uuid, place.since_ms, news)
    width = len(chunk.channels)
    key = node.astype(np.int64) * width + rows.channel
    place_of = np.zeros(int(key.max(initial=-1)) + 1, np.int32)
    place_of[key] = 1
    present = np.flatnonzero(place_of)
    names = [known.name_of(int(k) // width, chunk.channels[int(k) % width]) for k in present]
    wanted = [
        (int(k) // width, name, chunk.kinds[int(k) % width])
        for k, name in zip(present, names, strict=True)
        if name is not None
    ]
    found = iter(directory.channel_ids(wanted))
    ids = np.array([-1 if name is None else next(found) for name in names], np.int32)
    place_of[present] = np.arange(len(present))
    at = place_of[key]
    left = ids[at] >= 0 if len(ids) else np.ones(len(at), bool)
    refuse(draft, UNKNOWN_GPU, rows.take(~left))
    if chunk.facts or chunk.gpus:
        _only_their_source(directory, rows, ids, at, left, draft, news)
        _see_gpus(directory, rows, node, at, left, [name or "" for name in names], news)
    samples = Samples(node, ids[at] if len(ids) else node, rows.t_ms, rows.value)
    return samples if left.all() else samples.take(left)


def _only_their_source(
    directory: NodeDirectory,
    rows: Rows,
    ids: NDArray[np.int32],
    at: NDArray[np.int32],
    left: BoolArray,
    draft: QuarantineDraft,
    news: FactsDraft,
) -> None:
    """Take from ``left`` what another source feeds already; what is said of the others is noted.

    ``at`` is each sample's place among ``ids``.
    """
    known = directory.facts
    known.look(ids[ids >= 0].tolist())
    first = _first_of(at, rows.t_ms, len(ids))
    code = np.zeros(len(ids), np.int32)
    code[at] = rows.channel
    for place, channel in enumerate(ids.tolist()):
        facts = rows.chunk.facts[code[place]] if rows.chunk.facts else NO_FACTS
        settled = (channel, facts, int(first[place]) // DAY_MS)
        if settled in known.settled:
            continue
        steps = known.sources(channel) if channel >= 0 and facts.source else []
        if any(source not in ("", facts.source) for _, source in steps):
            mine = left & (at == place)
            others = mine & _fed_by_others(rows.t_ms, steps, facts.source)
            left &= ~others
            feeders = " and ".join(sorted({source for _, source in steps} - {"", facts.source}))
            refuse(draft, SECOND_SOURCE, rows.take(others), f"{feeders} feeds it, this is {facts.source}; ")
            mine &= ~others
            if not mine.any():
                continue
            first[place] = rows.t_ms[mine].min()
        elif channel >= 0:
            known.settled.add(settled)
        if channel >= 0:
            known.adopt(channel, facts, int(first[place]) // DAY_MS, news)


def _fed_by_others(t_ms: IntArray, steps: Sequence[tuple[int, str]], source: str) -> BoolArray:
    """Which samples lie on days on which another source feeds their channel."""
    days = np.array([day for day, _ in steps], np.int64)
    foreign = np.array([False] + [one not in ("", source) for _, one in steps])
    found: BoolArray = foreign[np.searchsorted(days, t_ms // DAY_MS, side="right")]
    return found


def _see_gpus(
    directory: NodeDirectory,
    rows: Rows,
    node: NDArray[np.int32],
    at: NDArray[np.int32],
    left: BoolArray,
    names: Sequence[str],
    news: FactsDraft,
) -> None:
    """Note which GPUs are behind the channels that have samples."""
    if not rows.chunk.gpus or not left.any():
        return
    where = np.flatnonzero(left)
    first = _first_of(at[where], rows.t_ms[where], len(names))
    _, sample = np.unique(at[where], return_index=True)
    for i in where[sample].tolist():
        uuid = rows.chunk.gpus.get((int(rows.code[i]), int(rows.channel[i])), "")
        directory.facts.see_channel(int(node[i]), names[at[i]], uuid, int(first[at[i]]), news)


def _first_of(at: NDArray[np.int32], t_ms: IntArray, count: int) -> IntArray:
    """The first instant at each place."""
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, at, t_ms)
    return first
