"""Which rows of a table are of the zone that is wanted."""

from __future__ import annotations

import difflib
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from measurements.domain.units import BoolArray
from measurements.domain.zones import also_called
from measurements.parsers.intensity_table import TextTable
from measurements.parsers.intensity_units import plain
from measurements.parsers.records import UnusableFile

ZONE_COLUMNS = ("zone id", "zone_id", "zone", "area", "code", "country code", "country_code", "iso_code", "region")
_NAMED = re.compile(r"(?P<before>[^()|]*)\((?P<inside>[^()]*)\)")
_NEAR = 5


def names_of(text: str) -> set[str]:
    """What a zone may be called by: of ``BZN|DE-LU`` and ``Germany (DE)`` the parts too."""
    names = {plain(text)}
    for part in text.split("|"):
        names.add(plain(part))
        found = _NAMED.fullmatch(part.strip())
        if found:
            names |= {plain(found["before"]), plain(found["inside"])}
    return names - {""}


def rows_of(table: TextTable, columns: list[pa.Array], zone: str) -> BoolArray:
    """The rows whose zone is the wanted one in one of these columns; all of a table that names none.

    Raises UnusableFile with near names where there is no such row.
    """
    rows = np.ones(len(table.line), bool)
    if not columns or not len(rows):
        return rows
    rows[:] = False
    wanted = {plain(zone), plain(also_called(zone))} - {""}
    known: list[str] = []
    for column in columns:
        coded = pc.dictionary_encode(column)
        distinct = coded.dictionary.to_pylist()
        known += distinct
        same = np.array([not wanted.isdisjoint(names_of(name)) for name in distinct], bool)
        rows |= same[coded.indices.to_numpy(zero_copy_only=False)]
    if not rows.any():
        raise UnusableFile(f"{table.where}: {_no_zone(zone, [name for name in known if name.strip()])}")
    return rows


def _no_zone(zone: str, known: list[str]) -> str:
    distinct = list(dict.fromkeys(known))
    if len(distinct) <= _NEAR:
        said = f"it is of {', '.join(distinct)}" if distinct else "its column of zones is empty"
        return f"nothing of zone {zone!r} in it: {said}; nothing is taken"
    folded = {plain(name): name for name in distinct}
    near = (
        difflib.get_close_matches(plain(zone), folded, _NEAR, 0.5)
        or [name for name in folded if name.startswith(plain(zone)[:2])][:_NEAR]
    )
    said = ", ".join(folded[name] for name in near) or ", ".join(distinct[:_NEAR]) + ", …"
    return (
        f"no zone {zone!r} among its {len(distinct)}; near to it: {said}; say how the file calls it with --zone-in-file"
    )
