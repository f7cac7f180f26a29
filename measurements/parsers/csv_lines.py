"""A small piece of a CSV read line by line: slower, but each bad line is refused for itself."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import tzinfo

import numpy as np
import pyarrow as pa

from measurements.domain.units import FloatArray, IntArray
from measurements.parsers.chunks import Codes
from measurements.parsers.csv_layout import Layout, split_line
from measurements.parsers.records import Refusal
from measurements.parsers.source import shown
from measurements.parsers.times import Times, parse_times

QUOTED_LINES = 16  # most lines that one quoted field may span
_MISSING = frozenset({"", "nan", "null", "none", "na", "n/a", "[n/a]", "-"})
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf(?:inity)?", re.ASCII | re.IGNORECASE)
_MEASURED_NOTHING = float("nan")


@dataclass(frozen=True, slots=True)
class Names:
    """A column of names: codes into the distinct ones."""

    names: list[str]
    codes: Codes


@dataclass(frozen=True, slots=True)
class Table:
    """A piece of the file as columns, one row a record; ``values`` one array a value column, NaN where missing."""

    times: Times
    node: Names | None
    channel: Names | None
    values: list[FloatArray]
    line: IntArray


@dataclass(slots=True)
class _Rows:
    """What is read of good lines."""

    line: list[int] = field(default_factory=list)
    time: list[str] = field(default_factory=list)
    node: list[str] = field(default_factory=list)
    channel: list[str] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)


class _BadLine(ValueError):
    """A line that is not taken: reason and detail."""


def is_name(name: str) -> bool:
    """Whether a node or channel may be called so."""
    return name.isprintable() and "\ufffd" not in name


def number(cell: str, delimiter: str) -> float | None:
    """A cell as a number, NaN if it says that there is none, None if it is neither."""
    cell = cell.strip()
    if _NUMBER.fullmatch(cell):
        return float(cell)
    if cell.casefold() in _MISSING:
        return _MEASURED_NOTHING
    if delimiter != "," and cell.count(",") == 1 and "." not in cell:
        cell = cell.replace(",", ".")
    return float(cell) if _NUMBER.fullmatch(cell) else None


def read_lines(
    first: int, block: bytes, layout: Layout, zone: tzinfo | None, now_ms: int, *, final: bool = False
) -> tuple[Table, list[Refusal], tuple[int, bytes]]:
    """A piece as a table, its refusals, and the lines left over: a quoted field that goes on behind the piece.

    With ``final`` nothing comes after the piece, and nothing is left over.
    """
    rows, refusals = _Rows(), []
    waiting = (0, b"")
    for line, raw, whole in _records(block.removesuffix(b"\n").split(b"\n"), first, layout, final=final):
        if not whole:
            waiting = (line, raw + b"\n" * block.endswith(b"\n"))
            break
        try:
            refusals += _take(rows, layout, line, raw)
        except (_BadLine, csv.Error) as bad:
            reason, detail = bad.args if isinstance(bad, _BadLine) else ("unreadable line", str(bad))
            refusals.append(Refusal(reason, line, detail, shown(raw)))
    return _as_table(rows, layout, zone, now_ms), refusals, waiting


def _records(lines: list[bytes], first: int, layout: Layout, *, final: bool) -> Iterator[tuple[int, bytes, bool]]:
    """Line number and bytes of each record, and whether it is whole; a quoted field may span lines.

    A quote that closes nowhere near, or so that no record comes out, is a stray one: its line
    stands alone. What the end of the piece leaves open is given as not whole, and ends it.
    """
    i = 0
    while i < len(lines):
        end = _end(lines, i, layout)
        if end is None and not final:
            yield first + i, b"\n".join(lines[i:]), False
            return
        end = end or i + 1
        yield first + i, b"\n".join(lines[i:end]), True
        i = end


def _end(lines: list[bytes], i: int, layout: Layout) -> int | None:
    """Where the record that begins at a line ends; None if the piece ends first."""
    if lines[i].count(b'"') % 2 == 0:
        return i + 1
    for j in range(i + 1, min(i + QUOTED_LINES, len(lines))):
        if lines[j].count(b'"') % 2:
            record = b"\n".join(lines[i : j + 1]).decode("utf-8", errors="replace").rstrip("\r")
            try:
                return j + 1 if len(split_line(record, layout.delimiter)) == len(layout.header) else i + 1
            except csv.Error:
                return i + 1
    return None if i + QUOTED_LINES > len(lines) else i + 1


def _take(rows: _Rows, layout: Layout, line: int, raw: bytes) -> list[Refusal]:
    """One record into the rows; gives the refusals of single values of a wide table."""
    text = raw.decode("utf-8", errors="replace").rstrip("\r")
    if not text.strip():
        return []
    cells = _cells(text, layout)
    values: list[float] = []
    refusals: list[Refusal] = []
    for column in layout.values:
        value = number(cells[column.index], layout.delimiter)
        values.append(_MEASURED_NOTHING if value is None else value)
        if value is None:
            detail = f"{cells[column.index][:80]!r} in column {layout.header[column.index]!r}"
            refusals.append(Refusal("not a number", line, detail, shown(raw)))
    if any(value == value for value in values):  # not NaN
        node, channel = _name(cells, layout.node, layout.default_node), _name(cells, layout.channel, "")
        rows.node.append(node)
        rows.channel.append(channel or layout.default_channel)
        rows.line.append(line)
        rows.time.append(cells[layout.time].strip())
        rows.values.append(values)
    return refusals


def _cells(text: str, layout: Layout) -> list[str]:
    if "\0" in text:
        raise _BadLine("unreadable line", "holds NUL bytes")
    cells = split_line(text, layout.delimiter)
    if len(cells) != len(layout.header):
        raise _BadLine("wrong number of fields", f"{len(cells)} instead of {len(layout.header)}")
    if cells[layout.time].strip().casefold() == layout.header[layout.time]:
        raise _BadLine("repeated header", "files put together? each line was read by the first header")
    return cells


def _name(cells: list[str], index: int | None, default: str | None) -> str:
    if index is None:
        return default or ""
    name = cells[index].strip() or default
    if name is None:
        raise _BadLine("no node", "the node's name is empty: give it with --node")
    if not is_name(name):
        raise _BadLine("unreadable line", "a name with bytes that are no UTF-8 text")
    return name


def _as_table(rows: _Rows, layout: Layout, zone: tzinfo | None, now_ms: int) -> Table:
    values = np.array(rows.values, dtype=np.float64).reshape(-1, len(layout.values))
    return Table(
        parse_times(pa.array(rows.time, pa.string()), zone, now_ms),
        _numbered(rows.node) if layout.node is not None else None,
        _numbered(rows.channel) if layout.channel is not None else None,
        list(values.T),
        np.array(rows.line, dtype=np.int64),
    )


def _numbered(names: list[str]) -> Names:
    known: dict[str, int] = {}
    codes = np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int32)
    return Names(list(known), codes)
