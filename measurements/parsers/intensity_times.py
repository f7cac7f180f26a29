"""Beginnings and ends of slots as instants, whatever clock they were written by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from measurements.domain.units import DAY_MS, BoolArray, IntArray
from measurements.parsers.intensity_steps import NoStep, ends_of, nearest_end
from measurements.parsers.intensity_table import TextTable, refused
from measurements.parsers.records import Refusal, UnusableFile
from measurements.parsers.times import CURES, REASONS, TimeFault, Times, parse_times

AHEAD_MS = 6 * DAY_MS  # and the day that `parse_times` allows: forecasts reach that far
BRUSSELS = ZoneInfo("Europe/Brussels")  # CET and CEST
_ZONES: dict[str, tzinfo] = {"utc": UTC, "gmt": UTC, "cet/cest": BRUSSELS, "cet": BRUSSELS, "cest": BRUSSELS}
_DAY_FIRST = r"(\d\d)[./](\d\d)[./](\d{4})[ T](\d\d:\d\d(:\d\d)?)"


@dataclass(frozen=True, slots=True)
class Spans:
    """When the rows of a table begin and end; ``good`` are those that say so."""

    start_ms: IntArray
    end_ms: IntArray
    good: BoolArray
    refusals: list[Refusal]
    notes: list[str]


def zone_in(name: str) -> tzinfo | None:
    """The clock that a column's name fixes, as in ``Datetime (UTC)``."""
    for said, zone in _ZONES.items():
        if name.endswith((f"({said})", f"[{said}]", f"_{said}")):
            return zone
    return None


def as_iso(texts: pa.Array) -> pa.Array:
    """Stamps of ENTSO-E, day first and with CET or CEST behind them, as ISO 8601."""
    text = pc.utf8_trim_whitespace(texts)
    for said, offset in ((r"\(CEST\)", "+02:00"), (r"\(CET\)", "+01:00"), (r"\(UTC\)", "+00:00")):
        text = pc.replace_substring_regex(text, rf" ?{said}$", offset)
    return pc.replace_substring_regex(text, rf"^{_DAY_FIRST}", r"\3-\2-\1 \4")


def spans(
    table: TextTable, starts: pa.Array, ends: pa.Array | None, zone: tzinfo | None, step_ms: int | None, now_ms: int
) -> Spans:
    """The slots of a table: up to the next beginning where it has no ends, see `ends_of`."""
    times = parse_times(starts, zone, now_ms + AHEAD_MS)
    start_ms, fault = _decided(times)
    refusals = _refusals(table, fault, starts)
    good = fault == TimeFault.NONE
    notes: list[str] = []
    if ends is not None:
        close = parse_times(ends, zone, now_ms + AHEAD_MS)
        end_ms = nearest_end(start_ms, close.t_ms, close.fold_ms)
        wrong = np.where(good, close.fault, TimeFault.NONE)
        refusals += _refusals(table, wrong, ends)
        good &= close.fault == TimeFault.NONE
    elif step_ms is not None:
        end_ms = start_ms + step_ms
    else:
        end_ms = _by_distance(table, start_ms, good)
    again = int(good.sum()) - len(np.unique(start_ms[good]))
    if again:
        notes.append(f"{again} times come more than once: the shortest slot holds, of equally long ones the last")
    return Spans(start_ms, end_ms, good, refusals, notes)


def _by_distance(table: TextTable, start_ms: IntArray, good: BoolArray) -> IntArray:
    end_ms = start_ms.copy()
    distinct, of_row = np.unique(start_ms[good], return_inverse=True)
    if len(distinct):
        try:
            end_ms[good] = ends_of(distinct)[of_row]
        except NoStep as fault:
            raise UnusableFile(f"{table.where}: {fault}") from fault
    return end_ms


def _decided(times: Times) -> tuple[IntArray, NDArray[np.int8]]:
    """Instants, those of an hour that comes twice by the order of lines; a file may have its newest line first."""
    start_ms, fault = times.t_ms.copy(), times.fault.copy()
    twice = np.flatnonzero((times.fold_ms > 0) & (fault == TimeFault.NONE))
    readable = start_ms[fault == TimeFault.NONE]
    if not len(twice):
        return start_ms, fault
    if readable[0] > readable[-1]:
        twice = twice[::-1]
    for hour in np.split(twice, np.flatnonzero(np.abs(np.diff(start_ms[twice])) > DAY_MS) + 1):
        again = np.flatnonzero(np.diff(start_ms[hour]) <= 0)
        if len(again) == 1:
            late = hour[again[0] + 1 :]
            start_ms[late] += times.fold_ms[late]
        else:  # seen once only, or in no order
            fault[hour] = TimeFault.AMBIGUOUS
    return start_ms, fault


def _refusals(table: TextTable, fault: NDArray[np.int8], texts: pa.Array) -> list[Refusal]:
    found: list[Refusal] = []
    for kind in np.unique(fault[fault != TimeFault.NONE]).tolist():
        reason, cure = REASONS[TimeFault(kind)], CURES[TimeFault(kind)]
        found += refused(table, fault == kind, reason, cure, texts)
    return found
