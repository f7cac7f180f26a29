"""Which samples are taken: known nodes, plausible values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from measurements.domain.integrate import LARGEST_POWER_MW
from measurements.domain.plausibility import CLOCK_SLACK_MS, WHOLE
from measurements.domain.samples import Samples
from measurements.domain.units import MW_PER_W, UJ_PER_J, BoolArray, IntArray, Kind, day_start_ms
from measurements.models import Cluster, NodeConfig
from measurements.parsers.records import PowerChunk
from measurements.selectors.states import off_times
from measurements.services.channel_facts import FactsDraft, KnownFacts
from measurements.services.channels import channels_of, made_up_channels
from measurements.services.judge_channels import of_channels
from measurements.services.judged import BELOW_FLOOR, FROM_THE_FUTURE, Rows, refuse
from measurements.services.names import NodeNames
from measurements.services.quarantine import QuarantineDraft

# What interfaces print for "no value": 2^32 - 1 and - 2 as W and as mW, 2^63 - 1, 2^64 - 1 and - 2.
_SENTINELS = (2**32 - 1, 2**32 - 2)
SENTINELS_MW = np.array([s * f for s in _SENTINELS for f in (1, MW_PER_W)], np.int64)
LATEST_MS = int(np.iinfo(np.int64).max)
SENTINELS_UJ = np.array([s * UJ_PER_J for s in _SENTINELS], np.int64)


class NodeDirectory(NodeNames):
    """The nodes of a cluster with their ceilings and channels."""

    def __init__(self, cluster: Cluster, *, dry_run: bool = False) -> None:
        super().__init__(cluster)
        self.dry_run = dry_run
        self._ceilings = _limits(self.cluster, "ceiling_w", LARGEST_POWER_MW)
        self._floors = _limits(self.cluster, "floor_w", 0)
        declared = [value for steps in self._ceilings.values() for _, value in steps]
        self.lowest_ceiling_mw = min([LARGEST_POWER_MW, int(SENTINELS_MW.min()) - 1, *declared])
        self.highest_floor_mw = max((value for steps in self._floors.values() for _, value in steps), default=0)
        self._channels: dict[tuple[int, str, Kind], int] = {}
        self.facts = KnownFacts(cluster)

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
        return _in_force(self._ceilings, LARGEST_POWER_MW, node, t_ms)

    def floor_mw(self, node: NDArray[np.int32], t_ms: IntArray) -> IntArray:
        """The least power that a node has while it is on, at each sample [mW]; 0 where none is declared."""
        return _in_force(self._floors, 0, node, t_ms)


_Steps = dict[int, list[tuple[date, int]]]  # node → from which day on, which limit [mW]


def _limits(cluster: Cluster, name: str, otherwise: int) -> _Steps:
    """Per node the declared limits [mW], ascending by first day."""
    rows = NodeConfig.objects.filter(node__cluster=cluster).order_by("node", "valid_from")
    found: _Steps = {}
    for node_id, day, watts in rows.values_list("node_id", "valid_from", name):
        value = otherwise if watts is None else round(watts * MW_PER_W)
        found.setdefault(node_id, []).append((day, value))
    return found


def _in_force(limits: _Steps, otherwise: int, node: NDArray[np.int32], t_ms: IntArray) -> IntArray:
    """The limit of each sample's node at its instant."""
    limit = np.full(int(node.max(initial=0)) + 1, otherwise, np.int64)
    dated: list[tuple[int, list[tuple[date, int]]]] = []
    for node_id, steps in limits.items():
        if node_id < len(limit):
            limit[node_id] = steps[0][1]
            if len(steps) > 1:
                dated.append((node_id, steps))
    found = limit[node]
    for node_id, steps in dated:
        mine = node == node_id
        for day, value in steps[1:]:
            found[mine & (t_ms >= day_start_ms(day))] = value
    return found


def judge(
    directory: NodeDirectory,
    chunk: PowerChunk,
    lines: BoolArray | slice,
    draft: QuarantineDraft,
    news: FactsDraft | None = None,
    *,
    received_ms: int | None = None,
) -> Samples:
    """The samples of a chunk (under ``lines``) that are taken; the others go to quarantine.

    What the chunk says of channels and GPUs and was not known is put into ``news``, for `write_facts`. What is dated
    later than it was received is refused; without ``received_ms`` nobody asks.
    """
    draft.keep_samples(chunk.unread)
    rows = Rows(
        chunk, chunk.node[lines], chunk.channel[lines], chunk.t_ms[lines], chunk.value[lines], chunk.line[lines]
    )
    node = directory.resolve(chunk.nodes, rows.code, rows.t_ms)
    latest_ms = LATEST_MS if received_ms is None else received_ms + CLOCK_SLACK_MS
    if not _beyond_doubt(directory, chunk, node, rows, latest_ms):
        left = np.ones(len(node), bool)
        for reason, wrong in _faults(directory, node, rows, latest_ms):
            hit = left & wrong
            left &= ~wrong
            refuse(draft, reason, rows.take(hit))
        node, rows = node[left], rows.take(left)
    return of_channels(directory, rows, node, draft, FactsDraft() if news is None else news)


def _beyond_doubt(
    directory: NodeDirectory, chunk: PowerChunk, node: NDArray[np.int32], rows: Rows, latest_ms: int
) -> bool:
    """Whether all are powers of known nodes, between all floors and ceilings: no need to ask one by one."""
    value = rows.value
    if Kind.COUNTER in chunk.kinds or not len(value) or node.min() < 0 or rows.t_ms.max() > latest_ms:
        return False
    lowest = max(directory.highest_floor_mw, 1)
    return bool(value.min() >= lowest and value.max() <= directory.lowest_ceiling_mw)


def _faults(
    directory: NodeDirectory, node: NDArray[np.int32], rows: Rows, latest_ms: int
) -> list[tuple[str, BoolArray]]:
    """The reasons in the order in which they are asked."""
    value, counter = rows.value, rows.counter()
    sentinel = np.isin(value, SENTINELS_MW) & ~counter | np.isin(value, SENTINELS_UJ) & counter
    known = np.maximum(node, 0)
    return [
        ("unknown node", node < 0),
        (FROM_THE_FUTURE, rows.t_ms > latest_ms),
        ("no value (sentinel)", sentinel),
        ("zero watts", ~counter & (value == 0)),
        ("negative power", ~counter & (value < 0)),
        ("negative counter", counter & (value < 0)),
        ("above ceiling", ~counter & (value > directory.ceiling_mw(known, rows.t_ms))),
        (BELOW_FLOOR, _below_floor(directory, known, rows)),
    ]


def _below_floor(directory: NodeDirectory, node: NDArray[np.int32], rows: Rows) -> BoolArray:
    """Powers of whole nodes that no node has which is on; while it is declared off it has no floor."""
    names = np.array([name == WHOLE for name in rows.chunk.channels], bool)
    below = np.zeros(len(node), bool)
    if not directory.highest_floor_mw or not names.any():
        return below
    below = names[rows.channel] & ~rows.counter() & (rows.value < directory.floor_mw(node, rows.t_ms))
    if below.any():
        t_ms = rows.t_ms[below]
        off = off_times(set(node[below].tolist()), int(t_ms.min()), int(t_ms.max()) + 1)
        for node_id, times in off.items():
            for start, end in times:
                below &= ~((node == node_id) & (rows.t_ms >= start) & (rows.t_ms < end))
    return below
