"""Actual generation per production type, as ENTSO-E's transparency platform exports it (CSV), as carbon intensity.

Two shapes: a column a type (``Area,MTU,Biomass - Actual Aggregated [MW],…``), or a row a type
(``MTU (CET/CEST),Area,Production Type,Generation (MW)``). MTU is ``01.01.2020 00:00 - 01.01.2020 00:15``, in UTC or
in CET/CEST as the header, the cells or --time-zone say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, tzinfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from measurements.domain.units import FloatArray
from measurements.parsers.generation_fuels import production_type
from measurements.parsers.generation_mix import Generation, intensity_of
from measurements.parsers.intensity_records import IntensityOptions, IntensitySlots
from measurements.parsers.intensity_slots import NOT_A_NUMBER, Columns, assembled
from measurements.parsers.intensity_table import Names, TextTable, header_in, numbers, read_table, refused
from measurements.parsers.intensity_times import BRUSSELS, as_iso, zone_in
from measurements.parsers.intensity_zones import rows_of
from measurements.parsers.records import Refusal, UnusableFile
from measurements.parsers.source import Source

EXPECTED = "MTU and production types (… - Actual Aggregated [MW], or Production Type and Generation (MW))"
_TYPE = "production type"
_UNITS = ("", "(mw)", "[mw]")


@dataclass(frozen=True, slots=True)
class _Amounts:
    """Generation [MW] and consumption by type, a row a slot; nan where the file has none."""

    table: TextTable
    generated: dict[str, FloatArray]
    consumed: dict[str, FloatArray]
    refusals: list[Refusal]


def is_header(names: Names) -> bool:
    """Whether a line is this format's header."""
    if not any(name.startswith("mtu") for name in names):
        return False
    by_column = any(production_type(name) for name in names)
    return by_column or (_TYPE in names and _amount(names, "generation") is not None)


def matches(head: str) -> bool:
    """Whether a file begins like one."""
    return header_in(head, is_header) is not None


def read(source: Source, options: IntensityOptions, now_ms: int) -> IntensitySlots:
    """The intensity of the mix that is produced in the wanted zone."""
    table = read_table(source, is_header, EXPECTED)
    if not options.fuels:
        raise UnusableFile(f"{table.where}: there are no {options.basis} emission factors of fuels; load them first")
    mtu = next(place for place, name in enumerate(table.names) if name.startswith("mtu"))
    areas = [table.columns[place] for place, name in enumerate(table.names) if name == "area"]
    here = rows_of(table, areas, options.zone)
    inside = _only(table, np.flatnonzero(here))
    amounts = _by_row(inside, mtu) if _TYPE in table.names else _by_column(inside)
    try:
        found, notes = intensity_of(Generation(amounts.generated, amounts.consumed), options.fuels)
    except ValueError as fault:
        raise UnusableFile(f"{table.where}: {fault}") from fault
    starts, ends, zone = _times(amounts.table.columns[mtu], table.names[mtu])
    spans = replace(amounts.table, columns=[starts, ends], header=("from", "to"), names=("from", "to"))
    nothing = np.zeros(len(found), bool)
    columns = Columns(start=0, value=0, end=1, time_zone=zone, basis=options.basis)
    slots = assembled(spans, columns, found, nothing, nothing, amounts.refusals, options, now_ms)
    read_rows = len(table.line) + len(table.refusals)
    return replace(slots, read=read_rows, elsewhere=int((~here).sum()), notes=[*slots.notes, *notes])


def _by_column(table: TextTable) -> _Amounts:
    """A column a type."""
    generated: dict[str, FloatArray] = {}
    consumed: dict[str, FloatArray] = {}
    refusals: list[Refusal] = []
    for name, column in zip(table.names, table.columns, strict=True):
        kind = production_type(name)
        if kind is not None:
            (consumed if kind[1] else generated)[kind[0]] = _megawatts(table, column, refusals)
    return _Amounts(table, generated, consumed, refusals)


def _by_row(table: TextTable, mtu: int) -> _Amounts:
    """A row a type: as a column a type."""
    refusals: list[Refusal] = []
    place = table.names.index(_TYPE)
    slot, first = _codes(table.columns[mtu])
    types = pc.dictionary_encode(table.columns[place])
    of_row = types.indices.to_numpy(zero_copy_only=False)
    amounts: list[dict[str, FloatArray]] = []
    for word in ("generation", "consumption"):
        column = _amount(table.names, word)
        amounts.append({})
        if column is None:
            continue
        value = _megawatts(table, table.columns[column], refusals)
        for code, name in enumerate(types.dictionary.to_pylist()):
            rows = of_row == code
            amounts[-1][name] = np.full(len(first), np.nan)
            amounts[-1][name][slot[rows]] = value[rows]
    return _Amounts(_only(table, first), amounts[0], amounts[1], refusals)


def _megawatts(table: TextTable, column: pa.Array, refusals: list[Refusal]) -> FloatArray:
    """Amounts; of what is not expected (n/e) nothing is generated."""
    value, bad = numbers(column, decimal_comma=table.delimiter != ",")
    refusals += refused(table, bad, NOT_A_NUMBER, "", column)
    none = pc.equal(pc.utf8_lower(pc.utf8_trim_whitespace(column)), "n/e").to_numpy(zero_copy_only=False)
    return np.where(none, 0.0, value)


def _codes(
    texts: pa.Array,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """A number for each distinct text, and the row where each comes first."""
    coded = pc.dictionary_encode(texts)
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, np.unique(codes, return_index=True)[1].astype(np.int64)


def _amount(names: Names, word: str) -> int | None:
    """The column of amounts that is called so, in MW."""
    return next((i for i, name in enumerate(names) if name.removeprefix(word).strip() in _UNITS and word in name), None)


def _only(table: TextTable, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> TextTable:
    if len(rows) == len(table.line):
        return table
    return replace(table, columns=[column.take(pa.array(rows)) for column in table.columns], line=table.line[rows])


def _times(mtu: pa.Array, name: str) -> tuple[pa.Array, pa.Array, tzinfo | None]:
    """Beginnings and ends, and the clock that header or cells say."""
    first = mtu[0].as_py() if len(mtu) else ""
    zone = zone_in(name) or (UTC if first.endswith("(UTC)") else BRUSSELS if "(CE" in first else None)
    text = pc.replace_substring_regex(mtu, r" ?\((UTC|CET/CEST)\) *$", "")
    starts = as_iso(pc.replace_substring_regex(text, r"^(.*?) - .*$", r"\1"))
    ends = as_iso(pc.replace_substring_regex(text, r"^.*? - (.*)$", r"\1"))
    return starts, ends, zone
