"""What a file looks like beyond the name of its format: how it is packed, what kind of table it is, in which unit."""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from dataclasses import dataclass

from measurements.parsers.csv_layout import Layout, find_layout
from measurements.parsers.power_csv import header_lines
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.source import Source

LONG, BY_CHANNEL, BY_NODE = "long", "by channel", "by node"
_COMMA = re.compile(r"(?<![\d,])\d+,\d+(?![\d,])")
_ROWS = 20  # looked at for decimal commas


@dataclass(frozen=True, slots=True)
class Shape:
    """What is seen of a file; empty where it says nothing, or is no table."""

    packed: tuple[str, ...] = ()  # from the outside in: gzip, zstd, tar, UTF-16
    table: str = ""
    delimiter: str = ""
    decimal_comma: bool = False
    units: tuple[tuple[str, str], ...] = ()  # (gauge or counter, unit as the header has it)


def shape_of(source: Source, format_name: str, options: ParseOptions) -> Shape:
    """The shape of a power log."""
    packed = source.packing()
    if format_name != "csv":
        return Shape(packed)
    with suppress(UnusableFile, csv.Error, IndexError):
        header, *rows = header_lines(source.head().decode("utf-8", errors="replace"), _ROWS)
        layout = find_layout(header, options, "")
        commas = layout.delimiter != "," and any(_COMMA.search(row) for row in rows)
        units = tuple(dict.fromkeys((str(value.kind.name).lower(), value.unit) for value in layout.values))
        return Shape(packed, _table(layout), layout.delimiter, commas, units)
    return Shape(packed)


def _table(layout: Layout) -> str:
    if layout.is_long:
        return LONG
    return BY_CHANNEL if layout.values[0].channel else BY_NODE
