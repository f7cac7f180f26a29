"""From the columns of a table to `IntensitySlots`: what the formats share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo

import numpy as np
import pyarrow as pa

from measurements.domain.units import BoolArray, FloatArray
from measurements.parsers.intensity_records import IntensityOptions, IntensitySlots
from measurements.parsers.intensity_table import TextTable, numbers, refused
from measurements.parsers.intensity_times import AHEAD_MS, spans
from measurements.parsers.intensity_units import chosen_factor
from measurements.parsers.intensity_zones import rows_of
from measurements.parsers.records import Refusal, UnusableFile
from measurements.parsers.times import TimeFault, parse_times

NOT_A_NUMBER = "not a number"
REPEATED = "repeated header"


@dataclass(frozen=True, slots=True)
class Columns:
    """What a format makes of its header."""

    start: int
    value: int
    unit: str = ""  # where the format fixes it
    end: int | None = None
    zones: tuple[int, ...] = ()
    updated: int | None = None
    time_zone: tzinfo | None = None  # where the format fixes it
    basis: str = ""


def slots_of(
    table: TextTable, columns: Columns, estimated: BoolArray, options: IntensityOptions, now_ms: int
) -> IntensitySlots:
    """The slots of a table that has one value a row."""
    try:
        factor = chosen_factor(
            options.unit, table.header[columns.value], columns.unit or table.unit_above(columns.value)
        )
    except ValueError as fault:
        raise UnusableFile(f"{table.where}: {fault}") from fault
    value, bad = numbers(table.columns[columns.value], decimal_comma=table.delimiter != ",")
    repeated = _repeated(table, columns.start)
    refusals = [
        *refused(table, repeated, REPEATED, "files put together?", table.columns[columns.start]),
        *refused(table, bad & ~repeated, NOT_A_NUMBER, "", *table.columns),
    ]
    return assembled(table, columns, value * factor, bad | repeated, estimated, refusals, options, now_ms)


def assembled(
    table: TextTable,
    columns: Columns,
    g_per_kwh: FloatArray,
    without: BoolArray,
    estimated: BoolArray,
    refusals: Sequence[Refusal],
    options: IntensityOptions,
    now_ms: int,
) -> IntensitySlots:
    """Slots of values [g/kWh]; rows ``without`` have none, and were refused for it."""
    here = rows_of(table, [table.columns[place] for place in columns.zones], options.zone)
    part = _rows(table, here & ~_repeated(table, columns.start))
    kept = part.line_index
    span = spans(
        part.table,
        part.table.columns[columns.start],
        None if columns.end is None else part.table.columns[columns.end],
        columns.time_zone or options.time_zone,
        options.step_ms,
        now_ms,
    )
    value = np.where(without, np.nan, g_per_kwh)[kept]
    missing = np.isnan(value) & ~without[kept] & span.good
    taken = span.good & ~np.isnan(value)
    updated = None if columns.updated is None else _updated(part.table.columns[columns.updated], options, now_ms)
    told = set(table.line[without].tolist())  # a line is refused once
    lines = set(part.table.line.tolist()) if not here.all() else None
    return IntensitySlots(
        start_ms=span.start_ms[taken],
        end_ms=span.end_ms[taken],
        g_per_kwh=value[taken],
        estimated=(estimated[kept] | options.estimated)[taken],
        basis=columns.basis,
        updated_ms=None if updated is None else updated[taken],
        read=len(table.line) + len(table.refusals),
        missing=int(missing.sum()),
        refusals=[
            *table.refusals,
            *(one for one in refusals if lines is None or one.line in lines),
            *(one for one in span.refusals if one.line not in told),
        ],
        line=part.table.line[taken],
        elsewhere=int((~here).sum()),
        notes=span.notes,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    table: TextTable
    line_index: pa.Array


def _rows(table: TextTable, which: BoolArray) -> _Part:
    """Some rows of a table."""
    rows = np.flatnonzero(which)
    columns = table.columns if which.all() else [column.take(pa.array(rows)) for column in table.columns]
    return _Part(replace(table, columns=columns, line=table.line[rows]), rows)


def _repeated(table: TextTable, start: int) -> BoolArray:
    """Rows that are the header once more."""
    same: BoolArray = np.asarray(table.columns[start].to_numpy(zero_copy_only=False) == table.header[start])
    return same if same.shape == table.line.shape else np.zeros(len(table.line), bool)


def _updated(texts: pa.Array, options: IntensityOptions, now_ms: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """When each row was last changed; 0 where that cannot be read."""
    times = parse_times(texts, options.time_zone, now_ms + AHEAD_MS)
    return np.where(times.fault == TimeFault.NONE, times.t_ms, 0)
