"""Rows of the plain CSV forms: header, quoted fields over several lines, numbers."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from measurements.parsers.job_rows import COUNT_LIMIT, Lines, RowRefused
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import TEXT_LIMIT

QUOTED_LINES = 50  # most lines of one row
QUOTED_CHARS = 1 << 18

Fields = dict[str, str]

_SEP = re.compile(r"\"?sep=.?\"?", re.IGNORECASE)


def first_row(lines: Lines) -> tuple[list[str], str]:
    """The fields of the header, and what divides them."""
    return header_of(text for _line, text in lines)


def columns_in(head: str) -> set[str]:
    """The names of the columns, lower case, that the beginning of a CSV says."""
    return {name.strip().lower() for name in header_of(head.splitlines())[0]}


def header_of(lines: Iterable[str]) -> tuple[list[str], str]:
    """The names of columns, and what divides them: a comma, semicolon or tab; Excel's ``sep=;`` may precede them."""
    text = next((line for line in lines if line.strip() and not _SEP.fullmatch(line.strip())), "")
    separator = next((separator for separator in ";\t" if separator in text), ",")
    return split_quoted(text, separator) or [], separator


def fields_of(columns: list[str], row: list[str]) -> Fields:
    """The fields of a row by column, without blanks around them."""
    return {column: field.strip() for column, field in zip(columns, row, strict=True)}


def header(
    first: list[str], required: tuple[str, ...], optional: tuple[str, ...], name: str
) -> tuple[list[str], list[str]]:
    """The column names of the first row and a warning about those that are not read."""
    columns = [column.strip().lower() for column in first]
    missing = [column for column in required if column not in columns]
    if missing:
        raise UnusableFile(f"{name}: no column {', '.join(missing)}; the first line must name {', '.join(required)}")
    twice = sorted(column for column, count in Counter(columns).items() if count > 1)
    if twice:
        raise UnusableFile(f"{name}: column {', '.join(twice)} comes twice")
    unread = [column for column in columns if column not in (*required, *optional)]
    return columns, [f"columns not read: {', '.join(unread)}"[:TEXT_LIMIT]] if unread else []


def csv_rows(lines: Lines, width: int, separator: str = ",") -> Iterator[tuple[int, str, list[str] | RowRefused]]:
    """The rows of a CSV: first line, its text, and ``width`` fields; quoted fields may hold newlines.

    A quote that is never closed costs its own line, not the rest of the file.
    """
    for line, text in lines:
        if not text.strip():
            continue
        row = text.split(separator) if '"' not in text else _quoted_row(lines, text, width, separator)
        if row is None:
            yield line, text, RowRefused("broken quotes", "a quoted field that is not closed, or text behind it")
        elif len(row) != width:
            many = "too many fields" if len(row) > width else "too few fields"
            cure = "quote a hostlist that holds commas" if separator == "," else f"all are divided by {separator!r}"
            yield line, text, RowRefused(many, f"{len(row)} instead of {width}; {cure}")
        else:
            yield line, text, row


def _quoted_row(lines: Lines, text: str, width: int, separator: str) -> list[str] | None:
    """The fields of a row with quotes, which may go on in the following lines; None if it never ends."""
    row = split_quoted(text, separator)
    taken: list[tuple[int, str]] = []
    while row is None and len(taken) < QUOTED_LINES and len(text) < QUOTED_CHARS:
        following = next(lines, None)
        if following is None:
            break
        taken.append(following)
        text = f"{text}\n{following[1]}"
        row = split_quoted(text, separator) if text.count('"') % 2 == 0 else None
        if row is not None and len(row) != width:  # the quote that closed it was meant for another row
            row = None
            break
    if row is None:
        lines.give_back(taken)
    return row


def split_quoted(text: str, separator: str = ",") -> list[str] | None:
    """The fields of one row, or None where a quoted field stays open or has text behind it."""
    try:
        rows = list(csv.reader([text], delimiter=separator, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def number(row: Fields, column: str) -> float | None:
    """A number that is finite and not negative; None where the field is empty or missing."""
    text = row.get(column, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0) or "_" in text:
        cure = "; write decimals with a point" if "," in text else ""
        raise RowRefused(f"bad {column}", f"{text[:80]!r} is no number from 0{cure}")
    return value


def whole_number(row: Fields, column: str) -> int | None:
    """A whole number from 0; None where the field is empty or missing."""
    value = number(row, column)
    if value is None:
        return None
    if value != int(value) or value > COUNT_LIMIT:
        raise RowRefused(f"bad {column}", f"{row[column][:80]!r} is no whole number")
    return int(value)
