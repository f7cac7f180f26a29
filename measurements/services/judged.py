"""Samples that are being judged, and how those that are refused are kept: in the plain form, with a cure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measurements.domain.units import MW_PER_W, UJ_PER_J, BoolArray, IntArray, Kind
from measurements.parsers.records import ChannelFacts, PowerChunk
from measurements.services.quarantine import QuarantineDraft

SECOND_SOURCE = "another source feeds this channel"
UNKNOWN_GPU = "GPU of unknown index"
FROM_THE_FUTURE = "from the future (clock skew)"
BELOW_FLOOR = "below floor"
CURES = {
    FROM_THE_FUTURE: "later than the clock here: is the sender's clock, or the zone given, ahead? Give it again then",
    BELOW_FLOOR: "below floor_w of the node (load_nodes) while it is not declared off (node states)",
    SECOND_SOURCE: "leave one of both out, or declare the change of source from a day on (channel_source)",
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
        text = _text(rows)
        draft.add_lines(reason, rows.line, text, f"{text[0]}: {detail}{CURES[reason]}")


def _text(rows: Rows) -> list[str]:
    """Refused samples in the plain form, so that they can be read and given again; behind it what is known of them."""
    chunk, counter = rows.chunk, rows.counter()
    when = pd.Series(rows.t_ms.astype("datetime64[ms]")).dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str[:-3]
    values, place = np.unique(rows.value, return_inverse=True)  # powers are mostly few different ones
    written = [[f"{_decimal(one, size)} {unit}" for one in values.tolist()] for size, unit in _units(counter)]
    about = [f"{chunk.channels[one]}{facts_text(chunk, one)}" for one in range(len(chunk.channels))]
    columns = zip(when, rows.code.tolist(), place.tolist(), rows.channel.tolist(), counter.tolist(), strict=True)
    return [f"{w}Z,{chunk.nodes[n]},{written[j][v]},{about[c]}{_gpu(chunk, n, c)}" for w, n, v, c, j in columns]


def _units(counter: BoolArray) -> tuple[tuple[int, str], ...]:
    """What values are counted in, of gauges and, where there are any, of counters."""
    return ((MW_PER_W, "W"), (UJ_PER_J, "J")) if counter.any() else ((MW_PER_W, "W"),)


def _decimal(value: int, unit: int) -> str:
    """A stored value in its unit, every digit of it."""
    whole, rest = divmod(abs(value), unit)
    digits = f"{whole}.{rest:0{len(str(unit)) - 1}d}".rstrip("0").rstrip(".")
    return f"-{digits}" if value < 0 else digits


def facts_text(chunk: PowerChunk, channel: int) -> str:
    """What a chunk says of one of its channels, as a refused line has it: ``,source=nvml,covers_gpus=1``."""
    facts = chunk.facts[channel] if chunk.facts else ChannelFacts()
    interval_ms = facts.interval_ms or chunk.interval_ms
    said = (
        ("source", facts.source),
        ("covers_gpus", facts.covers_gpus),
        ("dc", facts.dc),
        ("wrap_uj", facts.wrap_uj),
        ("interval_ms", interval_ms),
    )
    words = [
        (name, int(value) if isinstance(value, bool) else value) for name, value in said if value not in (None, "")
    ]
    return "".join(f",{name}={value}" for name, value in words)


def _gpu(chunk: PowerChunk, node: int, channel: int) -> str:
    uuid = chunk.gpus.get((node, channel), "") if chunk.gpus else ""
    return f",uuid={uuid}" if uuid else ""
