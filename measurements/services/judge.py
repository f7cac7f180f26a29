"""Which samples are taken: known nodes, plausible values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from measurements.domain.integrate import LARGEST_POWER_MW
from measurements.domain.samples import Samples
from measurements.domain.units import MW_PER_W, UJ_PER_J, BoolArray, IntArray, Kind, day_start_ms
from measurements.models import Cluster, NodeConfig
from measurements.parsers.records import PowerChunk
from measurements.services.batches import QuarantineDraft
from measurements.services.channel_facts import FactsDraft, KnownFacts
from measurements.services.judge_channels import of_channels
from measurements.services.judged import Rows, refuse
from measurements.services.machine import channels_of, made_up_channels
from measurements.services.names import NodeNames

# What interfaces print for "no value": 2^32 - 1 and - 2 as W and as mW, 2^63 - 1, 2^64 - 1 and - 2.
_SENTINELS = (2**32 - 1, 2**32 - 2)
SENTINELS_MW = np.array([s * f for s in _SENTINELS for f in (1, MW_PER_W)], np.int64)
SENTINELS_UJ = np.array([s * UJ_PER_J for s in _SENTINELS], np.int64)


class NodeDirectory(NodeNames):
    """The nodes of a cluster with their ceilings and channels."""

    def __init__(self, cluster: Cluster, *, dry_run: bool = False) -> None:
        super().__init__(cluster)
        self.dry_run = dry_run
        self._ceilings = _ceilings(self.cluster)
        declared = [value for steps in self._ceilings.values() for _, value in steps]
        self.lowest_ceiling_mw = min([LARGEST_POWER_MW, int(SENTINELS_MW.min()) - 1, *declared])
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


def judge(
    directory: NodeDirectory,
    chunk: PowerChunk,
    lines: BoolArray | slice,
    draft: QuarantineDraft,
    news: FactsDraft | None = None,
) -> Samples:
    """The samples of a chunk (under ``lines``) that are taken; the others go to quarantine.

    What the chunk says of channels and GPUs and was not known is put into ``news``, for `write_facts`.
    """
    rows = Rows(
        chunk, chunk.node[lines], chunk.channel[lines], chunk.t_ms[lines], chunk.value[lines], chunk.line[lines]
    )
    node = directory.resolve(chunk.nodes, rows.code, rows.t_ms)
    if not _beyond_doubt(directory, chunk, node, rows.value):
        left = np.ones(len(node), bool)
        for reason, wrong in _faults(directory, node, rows.t_ms, rows.value, rows.counter()):
            hit = left & wrong
            left &= ~wrong
            refuse(draft, reason, rows.take(hit))
        node, rows = node[left], rows.take(left)
    return of_channels(directory, rows, node, draft, FactsDraft() if news is None else news)


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
