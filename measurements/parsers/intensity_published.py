"""Tables of yearly or monthly means, one row a zone and year: CSV, or JSON of objects by zone.

``Entity,Code,Year,Carbon intensity of electricity (gCO2/kWh)``; a column ``month`` (1 to 12, or YYYY-MM) makes them
monthly. A table that names no year needs --year.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from measurements.domain.units import BoolArray, FloatArray, IntArray
from measurements.parsers.intensity_csv import has_time
from measurements.parsers.intensity_records import IntensityOptions, PublishedTable
from measurements.parsers.intensity_slots import NOT_A_NUMBER
from measurements.parsers.intensity_table import Names, TextTable, header_in, numbers, read_table, refused
from measurements.parsers.intensity_units import chosen_factor, plain, unit_in
from measurements.parsers.intensity_zones import ZONE_COLUMNS, rows_of
from measurements.parsers.json_text import loads
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source

EXPECTED = "a zone (Code, Entity, zone, country), a year and a carbon intensity"
NO_YEAR = "no year or month"
FIRST_YEAR, LAST_YEAR = 1900, 2100
_NAMES = ("entity", "country", "countryname", "country_name", "location", "country_or_region", "regioncode", "key")
_ZONES = (*ZONE_COLUMNS, *_NAMES)
_VALUES = ("carbonintensity", "carbon intensity", "carbon_intensity", "emissions", "value", "ci")


def is_header(names: Names) -> bool:
    """Whether a line is the header of such a table."""
    return any(name in names for name in _ZONES) and "year" in names and _value(names) is not None


def is_bare_header(names: Names) -> bool:
    """Likewise, of a table that names no year."""
    return any(name in names for name in _ZONES) and _value(names) is not None


def matches(head: str) -> bool:
    """Whether a file begins like one."""
    if head.lstrip().startswith(("{", "[")):
        return True
    if header_in(head, is_header) is not None:
        return True
    found = header_in(head, is_bare_header)
    return found is not None and not has_time(tuple(map(plain, found[2])))


def read(source: Source, options: IntensityOptions, _now_ms: int) -> PublishedTable:
    """The years or months of the wanted zone."""
    table = _table(source)
    place = _value(table.names)
    if options.column:
        place = table.place(plain(options.column))
    if place is None:
        raise UnusableFile(f"{table.where}: no column {options.column!r} in {', '.join(table.header)}")
    try:
        factor = chosen_factor(options.unit, table.header[place], table.unit_above(place))
    except ValueError as fault:
        raise UnusableFile(f"{table.where}: {fault}") from fault
    zones = [table.columns[i] for i, name in enumerate(table.names) if name in _ZONES]
    here = rows_of(table, zones, options.zone)
    value, bad = numbers(table.columns[place], decimal_comma=table.delimiter != ",")
    return _published(table, here, value * factor, bad, options)


def _published(
    table: TextTable, here: BoolArray, value: FloatArray, bad: BoolArray, options: IntensityOptions
) -> PublishedTable:
    year, month, wrong = _dates(table, options)
    refusals = refused(table, here & bad, NOT_A_NUMBER, "", *table.columns)
    refusals += refused(table, here & ~bad & wrong, NO_YEAR, "", *table.columns)
    missing = here & ~bad & ~wrong & np.isnan(value)
    taken = np.flatnonzero(here & ~bad & ~wrong & ~missing)
    return PublishedTable(
        resolution="month" if month is not None else "year",
        start=[date(int(year[row]), 1 if month is None else int(month[row]), 1) for row in taken],
        g_per_kwh=value[taken],
        line=table.line[taken],
        read=len(table.line) + len(table.refusals),
        missing=int(missing.sum()),
        refusals=[*table.refusals, *refusals],
        elsewhere=int((~here).sum()),
    )


def _dates(table: TextTable, options: IntensityOptions) -> tuple[IntArray, IntArray | None, BoolArray]:
    """Year and month of each row, and which have none that can be."""
    years, months = table.column("year"), table.column("month")
    rows = len(table.line)
    if years is None and months is None:
        if options.year is None:
            raise UnusableFile(f"{table.where}: it does not say of which year it is; give it with --year")
        return np.full(rows, options.year), None, np.zeros(rows, bool)
    if years is None:  # YYYY-MM
        years, months = pc.utf8_slice_codeunits(months, 0, 4), pc.utf8_slice_codeunits(months, 5, 7)
    year, wrong = _whole(years, FIRST_YEAR, LAST_YEAR)
    if months is None:
        return year, None, wrong
    month, wrong_too = _whole(pc.replace_substring_regex(months, r"^\d{4}-", ""), 1, 12)
    return year, month, wrong | wrong_too


def _whole(texts: pa.Array, lowest: int, highest: int) -> tuple[IntArray, BoolArray]:
    found, bad = numbers(texts)
    wrong = bad | ~((found >= lowest) & (found <= highest) & (found == np.rint(found)))
    return np.where(wrong, lowest, found).astype(np.int64), wrong


def _value(names: Names) -> int | None:
    """The column of values: one with a unit in its name, else one that is called so."""
    with_unit = [i for i, name in enumerate(names) if unit_in(name)]
    named = [names.index(name) for name in _VALUES if name in names]
    return next(iter(with_unit or named), None)


def _table(source: Source) -> TextTable:
    if source.head().lstrip().startswith((b"{", b"[")):
        return _json_table(source)
    head = source.head().decode("utf-8", errors="replace")
    return read_table(source, is_header if header_in(head, is_header) else is_bare_header, EXPECTED)


def _json_table(source: Source) -> TextTable:
    """Objects by zone, or a list of objects, as a table; a member ``_unit`` says the units."""
    try:
        document = loads(source.read_all())
    except (ValueError, RecursionError) as fault:
        raise UnusableFile(f"{source.name}: no JSON that can be read ({fault})") from fault
    units = document.pop("_unit", {}) if isinstance(document, dict) else {}
    members = dict(_members(document))
    header = tuple(dict.fromkeys(key for member in members.values() for key in member))
    names = tuple(map(plain, header))
    if not is_bare_header(names):
        raise UnusableFile(f"{source.name}: no JSON of {EXPECTED}")
    columns = [pa.array([_text(member.get(key)) for member in members.values()], pa.string()) for key in header]
    above = tuple(str(units.get(key, "")) for key in header) if isinstance(units, dict) else ()
    line = np.arange(1, len(members) + 1)  # the place of the member: a document has no lines
    return TextTable(source.name, header, names, columns, line, [], above=above)


def _members(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    entries = document.items() if isinstance(document, dict) else enumerate(document)
    for key, member in entries:
        if isinstance(member, dict):
            yield str(key), ({"key": key} if isinstance(document, dict) else {}) | member


def _text(value: Any) -> str:
    return "" if value is None else str(value)
