"""The CSV export of Electricity Maps: a zone's hours, direct and over the life cycle side by side.

``Datetime (UTC),Country,Zone Name,Zone Id,Carbon Intensity gCO₂eq/kWh (direct),… (LCA),…,Data Estimated,…``;
the stamp is the beginning of the slot. Which of both values is read says the series' basis.
"""

from __future__ import annotations

from datetime import UTC

from measurements.domain.carbon import Basis
from measurements.parsers.intensity_records import IntensityOptions, IntensitySlots
from measurements.parsers.intensity_slots import Columns, slots_of
from measurements.parsers.intensity_table import Names, header_in, read_table, truths
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source

EXPECTED = "Datetime (UTC), Zone Id, Carbon Intensity gCO₂eq/kWh (direct) and (LCA)"
WORDS = {Basis.DIRECT: ("(direct)",), Basis.LIFECYCLE: ("(lca)", "(life cycle)", "(lifecycle)", "(life-cycle)")}
_TIME, _ZONE = "datetime (utc)", "zone id"


def is_header(names: Names) -> bool:
    """Whether a line is this format's header."""
    return _TIME in names and _ZONE in names and any(name.startswith("carbon intensity") for name in names)


def matches(head: str) -> bool:
    """Whether a file begins like one."""
    return header_in(head, is_header) is not None


def read(source: Source, options: IntensityOptions, now_ms: int) -> IntensitySlots:
    """The slots of the wanted zone, under the wanted basis."""
    table = read_table(source, is_header, EXPECTED)
    value = _value(table.names, options.basis, table.where)
    estimated = truths(table.column("data estimated"), len(table.line))
    columns = Columns(
        start=table.names.index(_TIME),
        value=value,
        zones=(table.names.index(_ZONE),),
        time_zone=UTC,
        basis=options.basis,
    )
    return slots_of(table, columns, estimated, options, now_ms)


def _value(names: Names, basis: str, where: str) -> int:
    """The column of a basis."""
    words = WORDS.get(Basis(basis)) if basis else None
    found = [i for i, name in enumerate(names) if name.startswith("carbon intensity") and name.endswith(words or "")]
    if len(found) != 1:
        raise UnusableFile(f"{where}: which of its values is to be read says --basis direct or --basis lifecycle")
    return found[0]
