"""Which samples are taken: known nodes, plausible values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measurements.domain.integrate import LARGEST_POWER_MW
from measurements.domain.samples import Samples
from measurements.domain.units import MW_PER_W, UJ_PER_J, BoolArray, IntArray, Kind, day_start_ms
from measurements.models import Cluster, NodeConfig
from measurements.parsers.records import PowerChunk
from measurements.services.batches import QuarantineDraft
from measurements.services.machine import channels_of, made_up_channels
from measurements.services.names import NodeNames

# What interfaces print for "no value": 2^32 - 1 and - 2 as W and as mW, 2^63 - 1, 2^64 - 1 and - 2.
_SENTINELS = (2**32 - 1, 2**32 - 2)
SENTINELS_MW = np.array([s * f for s in _SENTINELS for f in (1, MW_PER_W)], np.int64)
SENTINELS_UJ = np.array([s * UJ_PER_J for s in _SENTINELS], np.int64)

_CURES = {
    "unknown node": "load it with load_nodes, then give the same file again",
    "zero watts": "a powered node never draws 0 W: the sensor gave no value",
    "negative power": "a node draws no negative power: check sign and sensor",
    "above ceiling": "beyond ceiling_w of the node (load_nodes), or 1 MW where none is declared",
    "no value (sentinel)": "the sensor's mark for 'no value', not a reading",
    "negative counter": "a counter of energy is never negative",
}


class NodeDirectory(NodeNames):
    """The nodes of a cluster with their ceilings and channels."""

    def __init__(self, cluster: Cluster, *, dry_run: bool = False) -> None:
        super().__init__(cluster)
        self.dry_run = dry_run
        self._ceilings = _ceilings(self.cluster)
        declared = [value for steps in self._ceilings.values() for _, value in steps]
        self.lowest_ceiling_mw = min([LARGEST_POWER_MW, int(SENTINELS_MW.min()) - 1, *declared])
        self._channels: dict[tuple[int, str, Kind], int] = {}

    def channel_ids(self, wanted: Sequence[tuple[int, str, Kind]]) -> list[int]:
        """The ids of channels (node id, name, kind), made where they are not there; in a dry run made up."""
        missing = [key for key in wanted if key not in self._channels]
        if missing and self.dry_run:
            self._channels |= made_up_channels(missing, len(self._channels))
        elif missing:
            self._channels |= channels_of(self.cluster, missing)
        return [self._channels[key] for key in wanted]

    def ceiling_mw(self, node: NDArray[np.int32], t_ms: IntArray) -> IntArray:
        """The greatest plausible power at each sample [mW]."""
        ceiling = np.full(int(node.max(initial=0)) + 1, LARGEST_POWER_MW, np.int64)
        dated: list[tuple[int, list[tuple[date, int]]]] = []
        for node_id, steps in self._ceilings.items():
            if node_id < len(ceiling):
                ceiling[node_id] = steps[0][1]
                if len(steps) > 1:
                    dated.append((node_id, steps))
        found = ceiling[node]
        for node_id, steps in dated:
            mine = node == node_id
            for day, value in steps[1:]:
                found[mine & (t_ms >= day_start_ms(day))] = value
        return found


def _ceilings(cluster: Cluster) -> dict[int, list[tuple[date, int]]]:
    """Per node the declared ceilings [mW], ascending by first day."""
    rows = NodeConfig.objects.filter(node__cluster=cluster).order_by("node", "valid_from")
    found: dict[int, list[tuple[date, int]]] = {}
    for node_id, day, ceiling_w in rows.values_list("node_id", "valid_from", "ceiling_w"):
        value = LARGEST_POWER_MW if ceiling_w is None else round(ceiling_w * MW_PER_W)
        found.setdefault(node_id, []).append((day, value))
    return found


def judge(directory: NodeDirectory, chunk: PowerChunk, lines: BoolArray | slice, draft: QuarantineDraft) -> Samples:
    """The samples of a chunk (under ``lines``) that are taken; the others go to quarantine."""
    code, channel_code = chunk.node[lines], chunk.channel[lines]
    t_ms, value, line = chunk.t_ms[lines], chunk.value[lines], chunk.line[lines]
    node = directory.resolve(chunk.nodes, code, t_ms)
    if _beyond_doubt(directory, chunk, node, value):
        return Samples(node, _channel_ids(directory, chunk, node, channel_code), t_ms, value)
    counter = np.array([kind == Kind.COUNTER for kind in chunk.kinds], bool)[channel_code]
    left = np.ones(len(value), bool)
    for reason, wrong in _faults(directory, node, t_ms, value, counter):
        hit = left & wrong
        left &= ~wrong
        if hit.any():
            text = _text(chunk, code[hit], channel_code[hit], t_ms[hit], value[hit], counter[hit])
            draft.add_lines(reason, line[hit], text, f"{text[0]}: {_CURES[reason]}")
    node, channel_code, t_ms, value = node[left], channel_code[left], t_ms[left], value[left]
    return Samples(node, _channel_ids(directory, chunk, node, channel_code), t_ms, value)


def _beyond_doubt(directory: NodeDirectory, chunk: PowerChunk, node: NDArray[np.int32], value: IntArray) -> bool:
    """Whether all are powers of known nodes, above zero and below every ceiling: no need to ask one by one."""
    if Kind.COUNTER in chunk.kinds or not len(value) or node.min() < 0:
        return False
    return bool(value.min() > 0 and value.max() <= directory.lowest_ceiling_mw)


def _faults(
    directory: NodeDirectory, node: NDArray[np.int32], t_ms: IntArray, value: IntArray, counter: BoolArray
) -> list[tuple[str, BoolArray]]:
    """The reasons in the order in which they are asked."""
    sentinel = np.isin(value, SENTINELS_MW) & ~counter | np.isin(value, SENTINELS_UJ) & counter
    known = np.maximum(node, 0)
    return [
        ("unknown node", node < 0),
        ("no value (sentinel)", sentinel),
        ("zero watts", ~counter & (value == 0)),
        ("negative power", ~counter & (value < 0)),
        ("negative counter", counter & (value < 0)),
        ("above ceiling", ~counter & (value > directory.ceiling_mw(known, t_ms))),
    ]


def _text(
    chunk: PowerChunk,
    code: NDArray[np.int32],
    channel_code: NDArray[np.int32],
    t_ms: IntArray,
    value: IntArray,
    counter: BoolArray,
) -> list[str]:
    """Refused samples in the plain form, so that they can be read and given again."""
    when = pd.Series(t_ms.astype("datetime64[ms]")).dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str[:-3]
    units = np.where(counter, UJ_PER_J, MW_PER_W)
    rows = zip(when, code.tolist(), (value / units).tolist(), channel_code.tolist(), counter.tolist(), strict=True)
    return [
        f"{w}Z,{chunk.nodes[n]},{v:.15g}{' J' if is_counter else ' W'},{chunk.channels[c]}"
        for w, n, v, c, is_counter in rows
    ]


def _channel_ids(
    directory: NodeDirectory, chunk: PowerChunk, node: NDArray[np.int32], channel_code: NDArray[np.int32]
) -> NDArray[np.int32]:
    """The id of each sample's channel; channels not seen before are made."""
    width = len(chunk.channels)
    key = node.astype(np.int64) * width + channel_code
    table = np.zeros(int(key.max(initial=-1)) + 1, np.int32)
    table[key] = 1
    present = np.flatnonzero(table)
    wanted = [(int(k) // width, chunk.channels[int(k) % width], chunk.kinds[int(k) % width]) for k in present]
    table[present] = directory.channel_ids(wanted)
    found: NDArray[np.int32] = table[key]
    return found
