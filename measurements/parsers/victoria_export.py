"""What VictoriaMetrics exports: a line of JSON a series, or a part of one, with raw samples.

``{"metric": {"__name__": …}, "values": [1.5, …], "timestamps": [1435781451781, …]}``, times in ms; a value that is none
(a stale marker, NaN) is null, an infinite one a text. A sample's line is its position among all of the export, from 1.
An answer to a feed that breaks off is no answer; of a file all lines are read that can be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from measurements.domain.units import FloatArray, IntArray
from measurements.parsers.json_stream import BrokenJson
from measurements.parsers.json_text import loads
from measurements.parsers.mappings import load_mappings
from measurements.parsers.prometheus_json import CHUNK_ROWS, HeldSeries
from measurements.parsers.records import ParseOptions, PowerChunk
from measurements.parsers.series import Catalogue
from measurements.parsers.series_texts import finished
from measurements.parsers.source import BLOCK_BYTES, Source

LONGEST_LINE = 32 << 20
_FIRST = re.compile(
    r'\{\s*"metric"\s*:\s*\{(?:"(?:[^"\\]|\\.)*"|[^"}])*\}\s*,\s*"(?:values|timestamps)"\s*:\s*\[\s*[-\d"n]'
)


def matches(head: str) -> bool:
    """Whether a text begins with a series as VictoriaMetrics exports it."""
    return bool(_FIRST.match(head.lstrip()))


def read(source: Source, options: ParseOptions, now_ms: int, block_bytes: int = BLOCK_BYTES) -> Iterator[PowerChunk]:
    """The power samples of an export; a line that is none is refused, and the others are read."""
    catalogue = Catalogue(load_mappings(options.mappings), options.node)
    held = HeldSeries()
    for _, block in source.blocks(block_bytes, LONGEST_LINE):
        for line in block.splitlines(keepends=True):
            if not line.strip():
                continue
            try:
                _take(line, held, catalogue)
            except BrokenJson as broken:
                held.refuse_line(broken.reason, str(broken), line)
            if held.rows >= CHUNK_ROWS:
                yield held.chunk(catalogue, now_ms)
    yield held.chunk(catalogue, now_ms)
    yield finished(catalogue, source)


def export_chunks(lines: BinaryIO, catalogue: Catalogue, now_ms: int) -> Iterator[PowerChunk]:
    """The samples of an export, some series at a time; raises BrokenJson behind the last good line."""
    held = HeldSeries()
    while line := lines.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise BrokenJson("broken JSON", f"a line has more than {LONGEST_LINE >> 20} MiB")
        if line.strip():
            _take(line, held, catalogue)
        if held.rows >= CHUNK_ROWS:
            yield held.chunk(catalogue, now_ms)
    yield held.chunk(catalogue, now_ms)


def _take(line: bytes, held: HeldSeries, catalogue: Catalogue) -> None:
    try:
        member = loads(line)
    except (ValueError, RecursionError) as error:
        raise BrokenJson("broken JSON" if line.endswith(b"\n") else "truncated JSON", error) from error
    metric = member.get("metric") if isinstance(member, dict) else None
    columns = _columns(member) if isinstance(metric, dict) else None
    if columns is None or not isinstance(metric, dict):
        held.refuse(member)
    else:
        held.put(metric, *columns, catalogue)


def _columns(member: dict[str, Any]) -> tuple[IntArray, FloatArray] | None:
    """Times [ms] and values; None if they are no columns of one length."""
    times, values = member.get("timestamps"), member.get("values")
    if not isinstance(times, list) or not isinstance(values, list) or len(times) != len(values):
        return None
    if not set(map(type, times)) <= {int} or not set(map(type, values)) <= {int, float, str, type(None)}:
        return None
    try:
        return np.array(times, np.int64), np.array(values, np.float64)  # null becomes NaN, which is no sample
    except (ValueError, OverflowError):
        return None
