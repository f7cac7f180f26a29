"""Tables as CSV: streamed, with units in the header, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.timezone import localtime

SIGNS = "=+\\-@＝＋－＠"  # a spreadsheet would compute a text that begins so; it takes the wide ones for the others
FORMULA = re.compile(rf"[{SIGNS}\t\r\n]")
ROWS_AT_ONCE = 500
Cell = str | float | int | datetime | date | bool | None


def _begins_inside(separator: str) -> re.Pattern[str]:
    """Where a program that splits at another separator than ours sees a formula begin inside of a text."""
    return re.compile(rf"""((?:{separator}|(?<!\A)[\t\r\n])["' ]*)(?=[{SIGNS}])""")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the cells of a line are parted, and numbers written."""

    separator: str
    comma: str
    hidden_formula: re.Pattern[str]
    begins_with: str = ""


ENGLISH = Dialect(",", ".", _begins_inside(";"))
GERMAN = Dialect(";", ",", _begins_inside(","), "\ufeff")  # as a German Excel reads a file on a double click


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_response(name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> StreamingHttpResponse:
    """A download of a table; rows are taken as they are sent."""
    return download(name, "text/csv; charset=utf-8", csv_lines(header, rows))


def download(name: str, content_type: str, content: Iterable[str | bytes]) -> StreamingHttpResponse:
    """An answer that a browser keeps as a file, and never takes for a page."""
    response = StreamingHttpResponse(content, content_type=content_type)
    response.headers["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name) or ""
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[Cell]], dialect: Dialect = ENGLISH) -> Iterator[str]:
    """A table as CSV, some rows at a time."""
    writer = csv.writer(_Echo(), lineterminator="\r\n", delimiter=dialect.separator)
    yield dialect.begins_with + str(writer.writerow([cell(name, dialect) for name in header]))
    source = iter(rows)
    while lot := list(islice(source, ROWS_AT_ONCE)):
        yield "".join(str(writer.writerow([cell(value, dialect) for value in row])) for row in lot)


def cell(value: Cell, dialect: Dialect = ENGLISH) -> str:
    """A value as its cell: times with their offset in the site's zone, nothing for nothing, no formulas."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _harmless(value, dialect)
    if isinstance(value, float):
        return repr(value).replace(".", dialect.comma) if math.isfinite(value) else ""
    return written(value) if isinstance(value, date) else repr(value)


def written(value: date) -> str:
    """ISO 8601: a day, or an instant with its offset in the site's zone."""
    return localtime(value).isoformat() if isinstance(value, datetime) else value.isoformat()


def _harmless(text: str, dialect: Dialect) -> str:
    inside = dialect.hidden_formula.sub(r"\1'", text)
    return f"'{inside}" if FORMULA.match(text) else inside
