"""A table as a workbook (.xlsx): figures as figures, instants as instants, words as words and never as formulas."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from tempfile import TemporaryFile

from django.utils.timezone import get_default_timezone_name, localtime
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from portal.csvs import Cell
from portal.exports import SHARE, TIME, Column, Sheet

WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PIECE = 64 * 1024
MOST_EXACT = 2**53  # a workbook's numbers are floats
LONGEST_NAME = 31  # of a sheet
WIDEST, A_FIGURE = 60, 12  # of a column, in digits
STRINGS = {"strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
FORMATS = {
    "J": "#,##0", "kWh": "#,##0.000", "W": "#,##0.0", "g": "#,##0.0", "g CO2e": "#,##0.0", "s": "#,##0",
    "h": "#,##0.00", SHARE: "0.0%",
}  # fmt: skip
MONEY = "#,##0.00"
CURRENCY = re.compile("[A-Z]{3}")
MOMENT, DATE = "yyyy-mm-dd hh:mm:ss", "yyyy-mm-dd"


def workbook(sheet: Sheet) -> Iterator[bytes]:
    """The workbook in pieces: the table, then a sheet on what it is of. Rows go to a file, not to memory."""
    with TemporaryFile() as file:
        with Workbook(file, {"constant_memory": True, **STRINGS}) as book:
            book.set_properties({"title": sheet.title})
            _table(book, sheet)
            _about(book, sheet)
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece


@dataclass(slots=True)
class _Looks:
    """How cells look, and how wide they are."""

    columns: list[Format]
    moment: Format
    day: Format

    @classmethod
    def of(cls, book: Workbook, sheet: Sheet) -> _Looks:
        columns = [MONEY if CURRENCY.fullmatch(c.unit) else FORMATS.get(c.unit, "General") for c in sheet.columns]
        moment, day, *looks = (book.add_format({"num_format": pattern}) for pattern in (MOMENT, DATE, *columns))
        return cls(looks, moment, day)

    def write(self, page: Worksheet, at: tuple[int, int], value: Cell) -> int:
        """Write a cell as what it is; how many characters that takes."""
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return 0
        if isinstance(value, bool):
            page.write_boolean(*at, value)
        elif isinstance(value, datetime):
            page.write_datetime(*at, localtime(value).replace(tzinfo=None), self.moment)
            return len(MOMENT) + 1
        elif isinstance(value, date):
            page.write_datetime(*at, value, self.day)
        elif isinstance(value, str) or (isinstance(value, int) and abs(value) > MOST_EXACT):
            page.write_string(*at, str(value))
            return len(str(value)) + 1
        else:
            page.write_number(*at, value, self.columns[at[1]])
        return A_FIGURE


def _table(book: Workbook, sheet: Sheet) -> None:
    page, looks = book.add_worksheet(sheet.name[:LONGEST_NAME]), _Looks.of(book, sheet)
    head = book.add_format({"bold": True, "bottom": 1})
    names = [_name(column) for column in sheet.columns]
    widths = [len(name) + 4 for name in names]  # beside the name stands the button of the filter
    page.freeze_panes(1, 0)
    for x, name in enumerate(names):
        page.write_string(0, x, name, head)
    last = 0
    for last, row in enumerate(sheet.taken(), start=1):
        for x, value in enumerate(row):
            widths[x] = max(widths[x], looks.write(page, (last, x), value))
    if sheet.cut_off:
        page.write_string(last + 1, 0, sheet.cut_off, book.add_format({"italic": True}))
    page.autofilter(0, 0, last, len(names) - 1)
    _set_widths(page, [min(width, WIDEST) for width in widths])


def _name(column: Column) -> str:
    """As in the other formats; a workbook's instants have no zone of their own, so that it stands here."""
    return f"{column.name} ({get_default_timezone_name()})" if column.unit == TIME else column.name


def _about(book: Workbook, sheet: Sheet) -> None:
    page, labels = book.add_worksheet(_("About")), _labels()
    bold = book.add_format({"bold": True, "valign": "top"})
    words = book.add_format({"text_wrap": True, "valign": "top"})
    facts = [(labels.get(name, name), "", value) for name, value in sheet.of().items()]
    incomplete = [(_("Incomplete"), "", sheet.cut_off)] if sheet.cut_off else []
    head = ("", "", ""), (_("Column"), _("Unit"), _("Meaning"))
    columns = [(_name(column), column.unit, column.description) for column in sheet.columns]
    for y, line in enumerate([*facts, *incomplete, *head, *columns]):
        for x, text in enumerate(line):
            page.write_string(y, x, text, words if x else bold)
    _set_widths(page, [max(len(name) for name in [*labels.values(), *(line[0] for line in columns)]) + 2, 10, 80])


def _labels() -> dict[str, str]:
    return {
        "title": _("Table"),
        "site": _("Site"),
        "period": _("Period"),
        "filter": pgettext("noun", "Filter"),
        "method": _("Method"),
        "factor_edition": _("Edition of the factors"),
        "freshness": _("Freshness"),
        "simulated": _("Simulated"),
        "time_zone": _("Time zone"),
        "retrieved_at": _("Retrieved at"),
    }


def _set_widths(page: Worksheet, widths: Sequence[int]) -> None:
    for x, width in enumerate(widths):
        page.set_column(x, x, width)
