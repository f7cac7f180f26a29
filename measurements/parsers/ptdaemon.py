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

from measurements.domain.units import Kind
from measurements.parsers.chunks import ChunkMaker, Rows
from measurements.parsers.csv_layout import WHOLE_NODE
from measurements.parsers.line_table import LineBlock, line_blocks, numbers
from measurements.parsers.records import ParseOptions, PowerChunk, Refusal, UnusableFile
from measurements.parsers.source import BLOCK_BYTES, Source
from measurements.parsers.times import parse_times

_LINE = r"^Time,(?P<time>[^,]*),Watts,\s*(?P<watts>[^,]*?)\s*(?:,|$)"
_DATE = r"^(\d\d)-(\d\d)-(\d{4}) "  # to year-month-day, the rest as it is
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
    for block in line_blocks(source, block_bytes):
        rows, refusals = _rows(block, options, now_ms)
        yield from maker.make(rows, block.raw, refusals)
    yield from maker.finish()


def _rows(block: LineBlock, options: ParseOptions, now_ms: int) -> tuple[Rows, list[Refusal]]:
    """The lines of a block as rows, and those that are no reading."""
    fields, reading = block.extract(_LINE)
    refusals = block.refused("unreadable line", "no Time,…,Watts,… at its start", ~reading & ~block.blank)
    fields, block = fields.filter(pa.array(reading)), block.picked(reading)
    value, wrong = numbers(pc.struct_field(fields, "watts"))
    refusals += block.refused("not a number", "the first Watts", wrong)
    measured = ~np.isnan(value)
    iso = pc.replace_substring_regex(pc.struct_field(fields, "time").filter(pa.array(measured)), _DATE, r"\3-\1-\2 ")
    rows = Rows(
        nodes=[options.node or ""],
        channels=[options.channel or WHOLE_NODE],
        kinds=[Kind.GAUGE],
        node=np.zeros(len(iso), np.int32),
        channel=np.zeros(len(iso), np.int32),
        times=parse_times(iso, options.time_zone, now_ms),
        value=value[measured],
        line=block.number[measured],
    )
    return rows, refusals
