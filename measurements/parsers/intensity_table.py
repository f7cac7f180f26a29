"""CSV tables of carbon intensity as columns of text, each row with the number of its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from measurements.domain.units import BoolArray, FloatArray, IntArray
from measurements.parsers.csv_layout import DELIMITERS, split_line
from measurements.parsers.intensity_units import plain
from measurements.parsers.job_rows import require_few
from measurements.parsers.records import Refusal, UnusableFile
from measurements.parsers.source import Source, shown

MISSING = pa.array(["", "nan", "null", "none", "na", "n/a", "[n/a]", "-", "n/e", "#n/a"])
_NUMBER = r"^-?(\d{1,30}(\.\d*)?|\.\d+)(e[+-]?\d{1,2})?$"
_HEADER_WITHIN = 20  # lines
_MOST_COLUMNS = 2_000  # no table of intensities has more

Names = tuple[str, ...]
IsHeader = Callable[[Names], bool]


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table: ``names`` are the cells of its header as they are compared, ``columns`` one array of text for each."""

    where: str
    header: Names  # as written
    names: Names
    columns: list[pa.Array]
    line: IntArray
    refusals: list[Refusal]
    delimiter: str = ","
    above: Names = ()  # the cells of the line above the header

    def place(self, *names: str) -> int | None:
        """Where the first of these names stands in the header."""
        return next((self.names.index(name) for name in names if name in self.names), None)

    def column(self, *names: str) -> pa.Array | None:
        """The column with the first of these names."""
        place = self.place(*names)
        return None if place is None else self.columns[place]

    def unit_above(self, place: int) -> str:
        """What stands above a column's name."""
        return self.above[place] if place < len(self.above) else ""


def header_in(head: str, is_header: IsHeader) -> tuple[int, str, Names] | None:
    """Place, delimiter and cells of the line of a file's beginning that is the header."""
    for number, line in enumerate(head.split("\n")[:_HEADER_WITHIN]):
        for delimiter in DELIMITERS:
            cells = _cells(line, delimiter)
            if 1 < len(cells) <= _MOST_COLUMNS and is_header(tuple(map(plain, cells))):
                return number, delimiter, cells
    return None


def read_table(source: Source, is_header: IsHeader, expected: str) -> TextTable:
    """The table of a source; a line with too many or too few cells is refused."""
    source.head()  # an empty or binary file is refused as a whole
    data = source.read_all().decode("utf-8", errors="replace").encode()
    found = header_in(data[: 64 << 10].decode("utf-8", errors="replace"), is_header)
    if found is None:
        first = shown(data.lstrip().partition(b"\n")[0])[:120]
        raise UnusableFile(f"{source.name}, line 1: no header with {expected} in {first!r}")
    number, delimiter, header = found
    *lines, body = [*data.split(b"\n", number + 1), b""][: number + 2]
    above = _cells(shown(lines[-2]), delimiter) if number else ()
    first_line = number + 2
    columns, line, refusals = _fast(body, delimiter, len(header), first_line) or _slowly(
        body, delimiter, len(header), first_line
    )
    names = tuple(map(plain, header))
    return TextTable(source.name, header, names, columns, line, refusals, delimiter, above)


def numbers(texts: pa.Array, *, decimal_comma: bool = False) -> tuple[FloatArray, BoolArray]:
    """A column as numbers, nan where it says that there is none, and which cells are neither."""
    text = pc.utf8_ltrim(pc.utf8_lower(pc.utf8_trim_whitespace(texts)), "+")
    missing = pc.is_in(text, MISSING)
    if decimal_comma:
        text = pc.replace_substring(text, ",", ".")
    good = pc.and_not(pc.match_substring_regex(text, _NUMBER), missing)
    values = pc.cast(pc.if_else(good, text, pa.scalar(None, pa.string())), pa.float64())
    bad = pc.invert(pc.or_(good, missing))
    return values.to_numpy(zero_copy_only=False), bad.to_numpy(zero_copy_only=False)


def truths(texts: pa.Array | None, rows: int) -> BoolArray:
    """A column of true and false, yes and no, 1 and 0."""
    if texts is None:
        return np.zeros(rows, bool)
    yes = pa.array(["true", "yes", "1", "t", "y", "estimated", "forecast", "1.0"])
    found: BoolArray = pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(texts)), yes).to_numpy(zero_copy_only=False)
    return found


def refused(table: TextTable, which: BoolArray, reason: str, detail: str, *shown_columns: pa.Array) -> list[Refusal]:
    """A refusal for each of these rows."""
    rows = np.flatnonzero(which)
    require_few(len(rows), table.where)
    texts = [column.take(pa.array(rows)).to_pylist() for column in shown_columns]
    return [
        Refusal(reason, line, detail, ",".join(cells)[:500])
        for line, *cells in zip(table.line[rows].tolist(), *texts, strict=True)
    ]


def _cells(line: str, delimiter: str) -> Names:
    try:
        return tuple(cell.strip() for cell in split_line(line.rstrip("\r\n"), delimiter))
    except csv.Error:
        return ()


def _fast(
    body: bytes, delimiter: str, width: int, first_line: int
) -> tuple[list[pa.Array], IntArray, list[Refusal]] | None:
    """All at once; None if a line is broken, or a cell holds a line end."""
    line = _filled_lines(body) + first_line
    if not len(line):
        return [pa.array([], pa.string())] * width, line, []
    if body.count(b'"') % 2:  # pyarrow takes what is behind a quote that nothing closes
        return None
    names = [str(i) for i in range(width)]
    try:
        table = pa_csv.read_csv(
            io.BytesIO(body),
            pa_csv.ReadOptions(column_names=names),
            pa_csv.ParseOptions(delimiter=delimiter),
            pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != len(line):
        return None
    return [table.column(i).combine_chunks() for i in range(width)], line, []


def _filled_lines(body: bytes) -> IntArray:
    """Which lines, counted from 0, are not empty."""
    ends = np.flatnonzero(np.frombuffer(body, np.uint8) == ord(b"\n"))
    if not body.endswith(b"\n"):
        ends = np.append(ends, len(body))
    lengths = np.diff(ends, prepend=-1) - 1
    returns = np.frombuffer(body, np.uint8)[np.maximum(ends - 1, 0)] == ord(b"\r") if len(body) else ends > 0
    return np.flatnonzero(lengths - returns > 0).astype(np.int64)


def _slowly(body: bytes, delimiter: str, width: int, first_line: int) -> tuple[list[pa.Array], IntArray, list[Refusal]]:
    """Line by line: each that is broken is refused for itself."""
    rows: list[Names] = []
    lines: list[int] = []
    refusals: list[Refusal] = []
    for number, text in _lines(body, first_line):
        cells = _cells(text, delimiter)
        if len(cells) == width:
            rows.append(cells)
            lines.append(number)
        else:
            refusals.append(
                Refusal("wrong number of fields", number, f"{len(cells)} instead of {width}", text.rstrip()[:500])
            )
            require_few(len(refusals), "the table")
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)] if rows else []
    return columns or [pa.array([], pa.string())] * width, np.array(lines, np.int64), refusals


def _lines(body: bytes, first_line: int) -> Iterator[tuple[int, str]]:
    for number, text in enumerate(body.decode("utf-8", errors="replace").split("\n"), start=first_line):
        if text.strip():
            yield number, text
