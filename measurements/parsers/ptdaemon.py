"""SPEC PTDaemon logs (``spl.txt`` of MLPerf): a wall-side power analyser, about one line a second.

``Time,MM-DD-YYYY HH:MM:SS.mmm,Watts,W,Volts,V,Amps,A,PF,pf,Mark,label[,Ch1,Watts,…]``: month
first, no zone, and no node, so both come from the operator. The first ``Watts`` is the sum of
the channels behind it, which are not added again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from measurements.domain.units import BoolArray, Kind
from measurements.parsers.chunks import ChunkMaker, LineText, Rows, line_text
from measurements.parsers.csv_layout import WHOLE_NODE
from measurements.parsers.records import ParseOptions, PowerChunk, Refusal, UnusableFile
from measurements.parsers.source import BLOCK_BYTES, Source
from measurements.parsers.times import parse_times

_LINE = r"^Time,(?P<time>[^,]*),Watts,\s*(?P<watts>[^,\r]*?)\s*(?:[,\r]|$)"
_DATE = r"^(\d\d)-(\d\d)-(\d{4}) "  # to year-month-day, the rest as it is
_NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
_MISSING = r"(?i)^(nan|null|none|n/?a)?$"
_FIRST_LINES = 20  # an error message may come before the first reading


def matches(head: str) -> bool:
    """Whether one of the first lines is a PTDaemon reading."""
    reading = re.compile(r"Time,\d\d-\d\d-\d{4} \d\d:\d\d:\d\d(?:\.\d+)?,Watts,")
    return any(reading.match(line) for line in head.splitlines()[:_FIRST_LINES])


def read(source: Source, options: ParseOptions, now_ms: int, block_bytes: int = BLOCK_BYTES) -> Iterator[PowerChunk]:
    """The readings of a log; a negative reading is given as it stands, for the ingest to judge."""
    if options.node is None:
        raise UnusableFile(f"{source.name}: a PTDaemon log names no node; name it with --node")
    maker = ChunkMaker(source)
    for first, block in source.blocks(block_bytes):
        text = line_text(first, block)
        rows, refusals = _rows(first, block, options, now_ms, text)
        yield from maker.make(rows, text, refusals)
    yield from maker.finish()


def _rows(first: int, block: bytes, options: ParseOptions, now_ms: int, text: LineText) -> tuple[Rows, list[Refusal]]:
    """The lines of a block as rows, and those that are no reading."""
    lines = pa.array([block.removesuffix(b"\n").decode("utf-8", errors="replace")])
    lines = pc.split_pattern(lines, "\n").flatten()
    number = np.arange(first, first + len(lines), dtype=np.int64)
    fields = pc.extract_regex(lines, _LINE)
    reading = _mask(pc.is_valid(fields))
    blank = _mask(pc.equal(pc.utf8_trim_whitespace(lines), ""))
    refusals = _refused("unreadable line", "no Time,…,Watts,… at its start", number[~reading & ~blank], text)
    watts = pc.struct_field(fields, "watts").filter(pa.array(reading))
    times = pc.struct_field(fields, "time").filter(pa.array(reading))
    number = number[reading]
    is_number = _mask(pc.match_substring_regex(watts, _NUMBER))
    is_missing = _mask(pc.match_substring_regex(watts, _MISSING))
    refusals += _refused("not a number", "the first Watts", number[~is_number & ~is_missing], text)
    picked = pa.array(is_number)
    iso = pc.replace_substring_regex(times.filter(picked), _DATE, r"\3-\1-\2 ")
    rows = Rows(
        nodes=[options.node or ""],
        channels=[options.channel or WHOLE_NODE],
        kinds=[Kind.GAUGE],
        node=np.zeros(len(iso), np.int32),
        channel=np.zeros(len(iso), np.int32),
        times=parse_times(iso, options.time_zone, now_ms),
        value=pc.cast(watts.filter(picked), pa.float64()).to_numpy(zero_copy_only=False),
        line=number[is_number],
    )
    return rows, refusals


def _mask(values: pa.Array) -> BoolArray:
    return values.to_numpy(zero_copy_only=False).astype(bool)


def _refused(reason: str, detail: str, lines: np.ndarray, text: LineText) -> list[Refusal]:
    return [Refusal(reason, line, detail, text(line)) for line in lines.tolist()]
