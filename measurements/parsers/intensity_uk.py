"""Half hours of the UK Carbon Intensity service as CSV: what was, and where that is not known yet, the forecast.

``Datetime (UTC),Actual Carbon Intensity (gCO2/kWh),Forecast Carbon Intensity (gCO2/kWh),Index``, the same as
``from,to,intensity.forecast,intensity.actual``, or ``time,deltaseconds,unix,intensity``, which is a forecast. The
service counts what power stations emit, and imports by country: it is no life cycle.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import numpy as np

from measurements.domain.carbon import Basis
from measurements.parsers.intensity_records import IntensityOptions, IntensitySlots
from measurements.parsers.intensity_slots import NOT_A_NUMBER, Columns, assembled, slots_of
from measurements.parsers.intensity_table import Names, TextTable, header_in, numbers, read_table, refused
from measurements.parsers.source import Source

EXPECTED = "Datetime (UTC) with Actual and Forecast Carbon Intensity, or time,deltaseconds,unix,intensity"
NOTE = "the UK service counts what power stations emit: no life cycle, which is what the series says"
_TIMES = ("datetime (utc)", "datetime", "from", "time")
_UNIT = "g/kWh"  # of the service, whatever the header says


def is_header(names: Names) -> bool:
    """Whether a line is this format's header."""
    both = _like(names, "actual") is not None and _like(names, "forecast") is not None
    return any(name in names for name in _TIMES) and (both or {"deltaseconds", "intensity"} <= set(names))


def matches(head: str) -> bool:
    """Whether a file begins like one."""
    return header_in(head, is_header) is not None


def read(source: Source, options: IntensityOptions, now_ms: int) -> IntensitySlots:
    """The half hours of a file."""
    table = read_table(source, is_header, EXPECTED)
    start = table.place(*_TIMES) or 0  # there is one: is_header
    columns = Columns(start, 0, unit=_UNIT, end=table.place("to"), time_zone=UTC, basis=Basis.DIRECT.value)
    if "deltaseconds" in table.names:
        columns = Columns(start, table.names.index("intensity"), unit=_UNIT, time_zone=UTC)
        forecast = slots_of(table, columns, np.ones(len(table.line), bool), options, now_ms)
        return replace(forecast, notes=[*forecast.notes, NOTE] if options.basis != Basis.DIRECT else forecast.notes)
    return _of_both(table, columns, options, now_ms)


def _of_both(table: TextTable, columns: Columns, options: IntensityOptions, now_ms: int) -> IntensitySlots:
    actual, forecast = (table.columns[_like(table.names, word) or 0] for word in ("actual", "forecast"))
    was, bad = numbers(actual)
    expected, bad_too = numbers(forecast)
    estimated = np.isnan(was)
    faulty = bad | (estimated & bad_too)
    refusals = refused(table, faulty, NOT_A_NUMBER, "", *table.columns)
    return assembled(table, columns, np.where(estimated, expected, was), faulty, estimated, refusals, options, now_ms)


def _like(names: Names, word: str) -> int | None:
    """The column of actual or of forecast intensity."""
    return next((i for i, name in enumerate(names) if word in name and ("intensity" in name or name == word)), None)
