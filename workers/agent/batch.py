"""A batch: the readings of some seconds as a file, the channels' facts in its first line, then a plain power CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from workers.agent import VERSION
from workers.agent.readings import Channel, Reading, time_text, value_text

MARK = "#"  # the first line of a batch: no part of the CSV


def head(node: str, channels: Sequence[Channel]) -> bytes:
    """The first two lines: facts, and the table's heading."""
    facts = json.dumps({channel.name: channel.facts() for channel in channels}, sort_keys=True)
    return f"{MARK}{facts}\ntimestamp,node,{','.join(channel.column for channel in channels)}\n".encode()


def rows(node: str, columns: Mapping[str, int], readings: Iterable[Reading]) -> bytes:
    """A line for each instant; a column that was not read then is empty."""
    lines: dict[int, list[str]] = {}
    for t_ms, column, value in readings:
        cells = lines.get(t_ms)
        if cells is None:
            cells = lines[t_ms] = [""] * len(columns)
        cells[columns[column]] = value_text(column, value)
    return "".join(f"{time_text(t_ms)},{node},{','.join(cells)}\n" for t_ms, cells in lines.items()).encode()


@dataclass(frozen=True)
class Batch:
    """What lies in a file, without a line that a kill tore."""

    facts: str  # JSON, as written
    header: str
    lines: tuple[str, ...]

    @property
    def readings(self) -> int:
        """How many values it holds."""
        return sum(len(line.split(",")) - 2 - line.split(",").count("") for line in self.lines)

    @property
    def span(self) -> tuple[float, float]:
        """From when to when [s since 1970]; of a batch without lines nothing."""
        times = [float(line.partition(",")[0]) for line in self.lines]
        return (min(times), max(times)) if times else (0.0, 0.0)

    def follows(self, other: Batch) -> bool:
        """Whether both can go in one request."""
        return self.facts == other.facts and self.header == other.header


def parse(data: bytes) -> Batch | None:
    """A batch from a file's bytes; None where not even its head is whole."""
    text = data[: data.rfind(b"\n") + 1].decode("utf-8", "replace")
    parts = text.split("\n", 2)
    if len(parts) < 3 or not parts[0].startswith(MARK) or not parts[1].startswith("timestamp,"):
        return None
    width = parts[1].count(",")
    return Batch(parts[0][1:], parts[1], tuple(line for line in parts[2].splitlines() if line.count(",") == width))


def as_csv(batches: Sequence[Batch]) -> bytes:
    """Batches with the same facts as one plain CSV."""
    lines = [line for batch in batches for line in batch.lines]
    return "\n".join([batches[0].header, *lines, ""]).encode()


def as_json(node: str, batches: Sequence[Batch], lost: Sequence[Mapping[str, object]] = ()) -> bytes:
    """The same with the facts, and with what was lost before."""
    body: dict[str, object] = {"node": node, "agent": VERSION, "channels": json.loads(batches[0].facts)}
    if lost:
        body["lost"] = list(lost)
    columns = batches[0].header.split(",")[2:]
    body["samples"] = [sample for batch in batches for line in batch.lines for sample in _samples(line, columns)]
    return json.dumps(body).encode()


def _samples(line: str, columns: Sequence[str]) -> list[dict[str, object]]:
    stamp, node, *cells = line.split(",")
    return [
        {
            "timestamp": float(stamp),
            "node": node,
            "channel": column[:-2],
            "joules" if column.endswith("_j") else "watts": float(cells[i]),
        }
        for i, column in enumerate(columns)
        if cells[i]
    ]
