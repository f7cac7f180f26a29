"""Power as CSV, long or wide (see `csv_layout`): the form that is always read.

Blocks go through pyarrow in one step. A block in which that fails, or in which lines and rows
do not match one to one, is tried again in small pieces; a piece in which it fails too is read
line by line (`csv_lines`), so that the bad line is refused and nothing else.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from measurements.domain.units import FloatArray, Kind
from measurements.parsers.chunks import ChunkMaker, Codes, Rows, line_text
from measurements.parsers.csv_layout import Layout, UnnamedColumns, find_layout, split_line
from measurements.parsers.csv_lines import Names, Table, is_name, number, read_lines
from measurements.parsers.records import ParseOptions, PowerChunk, Refusal, UnusableFile
from measurements.parsers.source import BLOCK_BYTES, Source, newlines
from measurements.parsers.times import (
    TimeKind,
    Times,
    time_kind,
    times_from_epoch,
    times_from_local,
    times_from_zoned,
)

SLOW_BYTES = 32 << 10  # the size of a piece that is read line by line
_NULLS = ["", "NaN", "nan", "NAN", "null", "NULL", "Null", "None", "none", "NA", "N/A", "n/a", "[N/A]", "-"]
_EXCEL_HINT = re.compile(rb"\"?sep=.\"?\s*", re.IGNORECASE)
_ARROW_TIME = {
    TimeKind.EPOCH: pa.float64(),
    TimeKind.ZONED: pa.timestamp("ns", tz="UTC"),
    TimeKind.LOCAL: pa.timestamp("ns"),
}
_ARROW_NAME = pa.dictionary(pa.int32(), pa.string())


def matches(head: str) -> bool:
    """Whether a text begins like a power CSV; a wide table must also show numbers in its first row."""
    lines = header_lines(head, 2)
    try:
        layout = find_layout(lines[0], ParseOptions(node="any"), "")
        if layout.is_long or len(lines) < 2:
            return True
        cells = split_line(lines[1], layout.delimiter)
        values = [number(cells[column.index], layout.delimiter) for column in layout.values]
        return time_kind(cells[layout.time]) is not None and None not in values
    except UnnamedColumns:
        return True  # who reads it says how to name them
    except (UnusableFile, csv.Error, IndexError):
        return False


def header_lines(head: str, count: int) -> list[str]:
    """The first lines of a text that say something: the header and what follows it."""
    lines = (line for line in head.splitlines() if line.strip() and not _EXCEL_HINT.fullmatch(line.encode()))
    return list(islice(lines, count))


def read(source: Source, options: ParseOptions, now_ms: int, block_bytes: int = BLOCK_BYTES) -> Iterator[PowerChunk]:
    """The samples of a power CSV; ``now_ms`` bounds the times that are taken."""
    blocks = source.blocks(block_bytes)
    header_line, header, rest = _header(source, blocks)
    layout = find_layout(header, options, f"{source.name}, line {header_line}")
    maker = ChunkMaker(source, warnings=list(layout.warnings))
    reader = _Reader(layout, options, now_ms)
    for first, block in _chain(header_line + 1, rest, blocks):
        for start, piece, table, refusals in reader.tables(first, block):
            yield from maker.make(_rows(table, layout), line_text(start, piece), refusals)
    for start, piece, table, refusals in reader.left():
        yield from maker.make(_rows(table, layout), line_text(start, piece), refusals)
    yield from maker.finish()


class _Reader:
    """Reads blocks into tables; lines of a quoted field that a block's end cuts wait for the next block."""

    def __init__(self, layout: Layout, options: ParseOptions, now_ms: int) -> None:
        self.layout = layout
        self.zone = options.time_zone
        self.now_ms = now_ms
        self._waiting: tuple[int, bytes] = (0, b"")

    def tables(self, first: int, block: bytes) -> Iterator[tuple[int, bytes, Table, Sequence[Refusal]]]:
        """The block in pieces: first line, bytes, what was read, what was refused."""
        first, block = self._with_waiting(first, block)
        table = self._fast(first, block)
        if table is not None:
            yield first, block, table, ()
            return
        for line, small in _pieces(first, block):
            start, piece = self._with_waiting(line, small)
            table = self._fast(start, piece)
            refusals: list[Refusal] = []
            if table is None:
                table, refusals, self._waiting = read_lines(start, piece, self.layout, self.zone, self.now_ms)
            yield start, piece, table, refusals

    def left(self) -> Iterator[tuple[int, bytes, Table, Sequence[Refusal]]]:
        """What waits when the file ends: a quote that nobody closed."""
        first, block = self._waiting
        if block:
            table, refusals, _ = read_lines(first, block, self.layout, self.zone, self.now_ms, final=True)
            yield first, block, table, refusals

    def _with_waiting(self, first: int, block: bytes) -> tuple[int, bytes]:
        """The block behind the lines that waited for it."""
        (line, waiting), self._waiting = self._waiting, (0, b"")
        return (line, waiting + block) if waiting else (first, block)

    def _fast(self, first: int, block: bytes) -> Table | None:
        """The block by pyarrow; None if it must be read line by line."""
        cells = block[: block.find(b"\n") + 1 or len(block)].decode("utf-8", errors="replace").split('"')
        kind = self._time_kind("".join(cells))
        lines = newlines(block) + (not block.endswith(b"\n"))
        if kind is None or not _is_plain(block) or not _quotes_end_cells(block, self.layout.delimiter):
            return None
        decimals = ",." if self.layout.delimiter != "," and b"," in block else "."
        for decimal in decimals:
            table = self._arrow(block, kind, decimal)
            if table is not None:
                return self._table(table, kind, first) if table.num_rows == lines else None
        return None

    def _time_kind(self, line: str) -> TimeKind | None:
        cells = line.split(self.layout.delimiter)
        return time_kind(cells[self.layout.time]) if self.layout.time < len(cells) else None

    def _arrow(self, block: bytes, kind: TimeKind, decimal: str) -> pa.Table | None:
        layout = self.layout
        types = {str(column.index): pa.float64() for column in layout.values}
        types |= {str(index): _ARROW_NAME for index in (layout.node, layout.channel) if index is not None}
        types[str(layout.time)] = _ARROW_TIME[kind]
        try:
            return arrow_csv.read_csv(
                pa.BufferReader(block),
                arrow_csv.ReadOptions(
                    use_threads=False,
                    block_size=len(block) + 1,
                    column_names=[str(i) for i in range(len(layout.header))],
                ),
                arrow_csv.ParseOptions(delimiter=layout.delimiter),
                arrow_csv.ConvertOptions(
                    column_types=types, include_columns=list(types), null_values=_NULLS, decimal_point=decimal
                ),
            )
        except pa.ArrowException:
            return None

    def _table(self, table: pa.Table, kind: TimeKind, first: int) -> Table | None:
        layout = self.layout
        time = _one(table, layout.time)
        node = self._names(table, layout.node, layout.default_node)
        channel = self._names(table, layout.channel, layout.default_channel)
        if time.null_count or (layout.node is not None and node is None) or (
            layout.channel is not None and channel is None
        ):  # fmt: skip
            return None
        values = [_one(table, column.index).to_numpy(zero_copy_only=False) for column in layout.values]
        line = np.arange(first, first + table.num_rows, dtype=np.int64)
        return Table(self._times(time, kind), node, channel, values, line)

    def _times(self, time: pa.Array, kind: TimeKind) -> Times:
        if kind is TimeKind.EPOCH:
            return times_from_epoch(time.to_numpy(), self.now_ms)
        ns = time.view(pa.int64()).to_numpy()
        if kind is TimeKind.ZONED:
            return times_from_zoned(ns, self.now_ms)
        return times_from_local(ns, self.zone, self.now_ms)

    def _names(self, table: pa.Table, index: int | None, default: str | None) -> Names | None:
        """A column of names without blanks around; None if there is none or a line's name is not usable."""
        if index is None:
            return None
        column = _one(table, index)
        names = [name.strip() or default for name in column.dictionary.to_pylist()]
        if not all(name is not None and is_name(name) for name in names):
            return None
        known: dict[str, int] = {}
        table_of_codes = np.array([known.setdefault(str(name), len(known)) for name in names], dtype=np.int32)
        codes: Codes = column.indices.to_numpy()
        return Names(list(known), codes if len(known) == len(names) else table_of_codes[codes])


def _pieces(first: int, block: bytes) -> Iterator[tuple[int, bytes]]:
    """A block in small pieces of whole lines, each with the number of its first line."""
    start = 0
    while start < len(block):
        end = block.find(b"\n", start + SLOW_BYTES) + 1 or len(block)
        yield first, block[start:end]
        first += block.count(b"\n", start, end)
        start = end


def _one(table: pa.Table, index: int) -> pa.Array:
    """A column as one array: a block is read as a whole."""
    column = table.column(str(index))
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _is_plain(block: bytes) -> bool:
    """No NUL, no lone carriage return, no quote left open: what pyarrow would read otherwise than line by line."""
    if b"\0" in block or (b'"' in block and block.count(b'"') % 2):
        return False
    return b"\r" not in block or block.count(b"\r") == block.count(b"\r\n") + (block.endswith(b"\r"))


def _quotes_end_cells(block: bytes, delimiter: str) -> bool:
    """Whether each quoted cell is quoted as a whole: pyarrow reads ``"n1"7`` as n17, a name that is not there."""
    if b'"' not in block:
        return True
    data = np.frombuffer(b"\n" + block + b"\n", np.uint8)
    quotes = np.flatnonzero(data == ord('"'))
    edges = np.frombuffer(f'{delimiter}\r\n"'.encode(), np.uint8)  # a quote beside a quote is one that is doubled
    return bool(np.isin(data[quotes[::2] - 1], edges).all() and np.isin(data[quotes[1::2] + 1], edges).all())


def _header(source: Source, blocks: Iterator[tuple[int, bytes]]) -> tuple[int, str, bytes]:
    """Number and text of the first line that is not blank, and the rest of its block."""
    for first, block in blocks:
        start, line = 0, first
        while start < len(block):
            end = block.find(b"\n", start) + 1 or len(block)
            raw = block[start:end]
            if raw.strip() and not _EXCEL_HINT.fullmatch(raw):
                return line, raw.decode("utf-8", errors="replace").strip("\r\n"), block[end:]
            start, line = end, line + 1
    reasons = ", ".join(refusal.reason for refusal in source.take_refusals()) or "only blank lines"
    raise UnusableFile(f"{source.name}, line 1: no header ({reasons}); expected timestamp,node,watts[,channel]")


def _chain(first: int, rest: bytes, blocks: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    if rest:
        yield first, rest
    yield from blocks


def _rows(table: Table, layout: Layout) -> Rows:
    """One row a sample: the columns of a wide table are laid out line by line."""
    wide = len(layout.values)
    node = _spread(table, table.node, [column.node or layout.default_node or "" for column in layout.values])
    named = [(column.channel or layout.default_channel, column.kind) for column in layout.values]
    channel = _spread(table, table.channel, named)
    kinds = [kind for _, kind in dict.fromkeys(named)] if table.channel is None else [named[0][1]] * len(channel.names)
    times = table.times
    if wide > 1:
        times = Times(np.repeat(times.t_ms, wide), np.repeat(times.fold_ms, wide), np.repeat(times.fault, wide))
    values = [
        one if column.scale == 1 else one * column.scale
        for one, column in zip(table.values, layout.values, strict=True)
    ]
    value: FloatArray = values[0] if wide == 1 else np.column_stack(values).ravel()
    line = np.repeat(table.line, wide) if wide > 1 else table.line
    return Rows(node.names, channel.names, kinds, node.codes, channel.codes, times, value, line)


def _spread(table: Table, column: Names | None, named: Sequence[str | tuple[str, Kind]]) -> Names:
    """Names for each sample: from a column of names, else those of the header's columns."""
    rows, wide = len(table.line), len(named)
    if column is not None:
        return Names(column.names, np.repeat(column.codes, wide) if wide > 1 else column.codes)
    known: dict[str | tuple[str, Kind], int] = {}
    codes = np.array([known.setdefault(name, len(known)) for name in named], dtype=np.int32)
    return Names([name if isinstance(name, str) else name[0] for name in known], np.tile(codes, rows))
