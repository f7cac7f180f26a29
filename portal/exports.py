"""A table to take away: as CSV, JSON or a workbook, streamed, the same figures in base units in each of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from itertools import islice
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.csvs import ENGLISH, GERMAN, ROWS_AT_ONCE, Cell, csv_lines, download, written

MOST_ROWS = 50_000
TIME = "ISO 8601"  # the unit of a column of instants
DAY = "date"
SHARE = "1"


class Format(StrEnum):
    """What a table can be taken away as: the values of ``?format=``."""

    CSV = "csv"
    CSV_DE = "csv-de"
    JSON = "json"
    XLSX = "xlsx"


@dataclass(frozen=True, slots=True)
class Column:
    """A column; its name ends in its unit (``energy_j``), as the header has it."""

    name: str
    unit: str = ""  # J, W, g, h, TIME, DAY, SHARE; empty: words
    description: str = ""


@dataclass(slots=True)
class Sheet:
    """A table with what it is of: period, filter, method, edition of the factors ("": left out).

    ``rows`` may be as long as it likes: of more than ``most`` rows the rest is left out, and the file says so.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Cell]]
    about: Mapping[str, str] = field(default_factory=dict)
    most: int = MOST_ROWS
    cut_off: str = ""  # the sentence, once the rows were taken and there were more

    def taken(self) -> Iterator[Sequence[Cell]]:
        """The rows, as many as a file may have."""
        source = iter(self.rows)
        yield from islice(source, self.most)
        if next(source, None) is not None:
            self.cut_off = _("Cut off after %(count)d rows: there are more. Narrow the filter or the period.") % {
                "count": self.most
            }

    def of(self) -> dict[str, str]:
        """What the table is of, with where and when it was taken."""
        known = {
            "title": self.title,
            "site": settings.SITE_URL.geturl(),
            **self.about,
            "simulated": _("The figures are of a simulated cluster.") if settings.JOULEBOOK_DEMO else "",
            "time_zone": timezone.get_default_timezone_name(),
            "retrieved_at": written(timezone.now()),
        }
        return {name: value for name, value in known.items() if value}


def export_response(request: HttpRequest, filename: str, sheet: Sheet) -> StreamingHttpResponse:
    """The table as a download in the format the address asks for; ``filename`` is without its ending."""
    match asked_format(request):
        case Format.CSV:
            return download(f"{filename}.csv", "text/csv; charset=utf-8", _csv(sheet, german=False))
        case Format.CSV_DE:
            return download(f"{filename}-de.csv", "text/csv; charset=utf-8", _csv(sheet, german=True))
        case Format.JSON:
            return download(f"{filename}.json", "application/json", json_parts(sheet))
        case Format.XLSX:
            from portal.workbook import WORKBOOK, workbook  # it needs what stands here

            return download(f"{filename}.xlsx", WORKBOOK, workbook(sheet))


def asked_format(request: HttpRequest) -> Format:
    """What the address asks for, CSV if nothing; a format that there is not does not exist."""
    try:
        return Format(request.GET.get("format") or Format.CSV)
    except ValueError:
        raise Http404("no such format") from None


def _csv(sheet: Sheet, *, german: bool) -> Iterator[str]:
    return csv_lines([column.name for column in sheet.columns], _with_end(sheet), GERMAN if german else ENGLISH)


def _with_end(sheet: Sheet) -> Iterator[Sequence[Cell]]:
    yield from sheet.taken()
    if sheet.cut_off:
        yield [sheet.cut_off, *[""] * (len(sheet.columns) - 1)]


def json_parts(sheet: Sheet) -> Iterator[str]:
    """The table as one JSON object: ``about``, ``columns``, ``rows``, and ``cut_off`` (a sentence or null)."""
    columns = [{"name": c.name, "unit": c.unit, "description": c.description} for c in sheet.columns]
    yield f'{{"about": {_json(sheet.of())},\n"columns": {_json(columns)},\n"rows": ['
    source, before = sheet.taken(), "\n"
    while lot := list(islice(source, ROWS_AT_ONCE)):
        yield before + ",\n".join(_json([_plain(value) for value in row]) for row in lot)
        before = ",\n"
    yield f'\n],\n"cut_off": {_json(sheet.cut_off or None)}}}\n'


def _plain(value: Cell) -> Cell:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return written(value) if isinstance(value, date) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
