"""Any other CSV of carbon intensities: a time, perhaps an end, and one value with its unit.

``timestamp,g_per_kwh``, ``start,end,carbon intensity [kg/MWh],estimated``, ``Time,Carbon Intensity`` with --unit.
"""

from __future__ import annotations

from measurements.parsers.intensity_electricity_maps import WORDS
from measurements.parsers.intensity_records import IntensityOptions, IntensitySlots
from measurements.parsers.intensity_slots import Columns, slots_of
from measurements.parsers.intensity_table import Names, TextTable, header_in, read_table, truths
from measurements.parsers.intensity_times import zone_in
from measurements.parsers.intensity_units import plain, unit_in
from measurements.parsers.intensity_zones import ZONE_COLUMNS
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source

EXPECTED = "a time (timestamp, time, start) and a carbon intensity"
_TIMES = ("timestamp", "time", "start", "datetime", "from", "start time", "start_time", "date", "point_time", "hour")
_ENDS = ("end", "to", "end time", "end_time", "until")
_FLAGS = ("data estimated", "estimated", "is_estimated", "isestimated", "forecast")
_UPDATED = ("updatedat", "updated_at", "updated", "update time")
_WORDS = ("intensity", "co2", "emission")
_ALONE = frozenset({"value", "values", "ci"})


def is_header(names: Names) -> bool:
    """Whether a line can be the header of such a table."""
    return has_time(names) and (len(names) == 2 or any(map(_may_be_value, names)))


def has_time(names: Names) -> bool:
    """Whether one of the columns is called like the beginnings of slots."""
    return _named(names, _TIMES) is not None


def matches(head: str) -> bool:
    """Whether a file begins like one."""
    return header_in(head, is_header) is not None


def read(source: Source, options: IntensityOptions, now_ms: int) -> IntensitySlots:
    """The slots of the wanted zone."""
    table = read_table(source, is_header, EXPECTED)
    start = _named(table.names, _TIMES) or 0  # there is one: is_header
    value = _value(table, options, start)
    zone = table.place(*ZONE_COLUMNS, "country", "entity")
    columns = Columns(
        start=start,
        value=value,
        end=_named(table.names, _ENDS),
        zones=() if zone is None else (zone,),
        updated=table.place(*_UPDATED),
        time_zone=zone_in(table.names[start]),
        basis=_basis(table.names[value]),
    )
    return slots_of(table, columns, truths(table.column(*_FLAGS), len(table.line)), options, now_ms)


def _named(names: Names, known: tuple[str, ...]) -> int | None:
    """The first column called so, whatever clock stands behind its name."""
    bare = [name.partition(" (")[0].partition(" [")[0].removesuffix("_utc").removesuffix(" utc") for name in names]
    return next((bare.index(name) for name in known if name in bare), None)


def _may_be_value(name: str) -> bool:
    return bool(unit_in(name)) or name in _ALONE or any(word in name for word in _WORDS)


def _value(table: TextTable, options: IntensityOptions, start: int) -> int:
    """The one column of values: by --column, else by its name, its unit and its basis."""
    if options.column:
        found = table.place(plain(options.column))
        if found is None:
            raise UnusableFile(f"{table.where}: no column {options.column!r} in {', '.join(table.header)}")
        return found
    other = [place for place in range(len(table.names)) if place != start]
    able = [place for place in other if _may_be_value(table.names[place]) and table.names[place] not in _FLAGS]
    able = [place for place in able if unit_in(table.names[place])] or able or other[: len(other) == 1]
    if len(able) > 1:
        able = [place for place in able if _basis(table.names[place]) == options.basis] or able
    if len(able) != 1:
        several = ", ".join(table.header[place] for place in able or other)
        raise UnusableFile(f"{table.where}: which column holds the values? name one of {several} with --column")
    return able[0]


def _basis(name: str) -> str:
    """The basis that a column's name says."""
    return next((basis.value for basis, words in WORDS.items() if any(word.strip("()") in name for word in words)), "")
