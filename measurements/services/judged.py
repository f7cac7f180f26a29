"""Samples that are being judged, and how those that are refused are kept: in the plain form, with a cure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measurements.domain.units import MW_PER_W, UJ_PER_J, BoolArray, IntArray, Kind
from measurements.parsers.records import PowerChunk
from measurements.services.batches import QuarantineDraft

SECOND_SOURCE = "another source feeds this channel"
UNKNOWN_GPU = "GPU of unknown index"
CURES = {
    SECOND_SOURCE: "leave one of both out, or declare the change from a day on (channel periods, in the admin)",
    UNKNOWN_GPU: "nobody told which index this UUID has: the node agent, dcgm-exporter and nvidia_smi_index do",
    "unknown node": "load it with load_nodes, then give the same file again",
    "zero watts": "a powered node never draws 0 W: the sensor gave no value",
    "negative power": "a node draws no negative power: check sign and sensor",
    "above ceiling": "beyond ceiling_w of the node (load_nodes), or 1 MW where none is declared",
    "no value (sentinel)": "the sensor's mark for 'no value', not a reading",
    "negative counter": "a counter of energy is never negative",
}


@dataclass(frozen=True, slots=True)
class Rows:
    """Samples of a chunk, as columns of equal length."""

    chunk: PowerChunk
    code: NDArray[np.int32]
    channel: NDArray[np.int32]
    t_ms: IntArray
    value: IntArray
    line: IntArray

    def take(self, which: BoolArray) -> Rows:
        """Those under a mask."""
        return Rows(
            self.chunk, self.code[which], self.channel[which], self.t_ms[which], self.value[which], self.line[which]
        )

    def counter(self) -> BoolArray:
        """Which of them are of counters."""
        return np.array([kind == Kind.COUNTER for kind in self.chunk.kinds], bool)[self.channel]


def refuse(draft: QuarantineDraft, reason: str, rows: Rows, detail: str = "") -> None:
    """Put samples into quarantine."""
    if len(rows.t_ms):
        text = _text(rows.chunk, rows.code, rows.channel, rows.t_ms, rows.value, rows.counter())
        draft.add_lines(reason, rows.line, text, f"{text[0]}: {detail}{CURES[reason]}")


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
