"""What VictoriaMetrics exports: a line of JSON a series, or a part of one, with raw samples.

``{"metric": {"__name__": …}, "values": [1.5, …], "timestamps": [1435781451781, …]}``, times in ms; a value that is none
(a stale marker, NaN) is null, an infinite one a text. A sample's line is its position among all of the export, from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from measurements.domain.units import FloatArray, IntArray
from measurements.parsers.json_stream import BrokenJson
from measurements.parsers.json_text import loads
from measurements.parsers.prometheus_json import CHUNK_ROWS, HeldSeries
from measurements.parsers.records import PowerChunk
from measurements.parsers.series import Catalogue

LONGEST_LINE = 32 << 20


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
