"""Tables as CSV: streamed, with units in the header, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from django.http import StreamingHttpResponse
from django.utils.timezone import localtime

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute a text that begins so
ROWS_AT_ONCE = 500
Cell = str | float | int | datetime | bool | None


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_response(name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> StreamingHttpResponse:
    """A download of a table; rows are taken as they are sent."""
    response = StreamingHttpResponse(_lines(header, rows), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def cell(value: Cell) -> str:
    """A value as its cell: times with their offset in the site's zone, nothing for nothing, no formulas."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return localtime(value).isoformat()
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    return repr(value)


def _lines(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    writer = csv.writer(_Echo(), lineterminator="\r\n")
    yield str(writer.writerow(header))
    source = iter(rows)
    while lot := list(islice(source, ROWS_AT_ONCE)):
        yield "".join(str(writer.writerow([cell(value) for value in row])) for row in lot)
