"""An edition's rows as a table to take away: those of the page, in their order, in the frozen figures' own unit."""

from __future__ import annotations

from collections.abc import Sequence

from measurements.domain.board_document import BandRow, Document, Measure, NamedRow
from measurements.models import Edition
from measurements.selectors.boards import Shown, shown
from portal import wording_boards as wording
from portal import wording_editions as in_words
from portal.board_rows import rows_of
from portal.csvs import Cell
from portal.exports import SHARE, Column, Sheet


def edition_sheet(edition: Edition) -> Sheet:
    """Of a frozen edition."""
    found = shown(edition)
    document = found.document
    return Sheet(
        name="edition",
        title=f"{document.board['title']} {wording.edition_number(edition)}",
        columns=[*_columns(document)],
        rows=[_row(row, found) for row in rows_of(document)],
        about={"sha256": found.sha256, **dict(in_words.facts(document))},
    )


def _columns(document: Document) -> Sequence[Column]:
    unit = _unit(document.measure)
    figures = [Column(name, unit) for name in ("value", "low", "high")]
    if document.board["scope"] == wording.Scope.USER:
        return [Column("band"), Column("people"), *figures, Column("withheld")]
    first = Column(document.board["scope"])
    return [first, Column("rank_best"), Column("rank_worst"), Column("band"), *figures, Column("withheld")]


def _unit(measure: Measure) -> str:
    return f"{measure.energy_unit}/{measure.work_unit}" if measure.energy_unit else SHARE


def _row(row: BandRow | NamedRow, found: Shown) -> Sequence[Cell]:
    figures = (row.value, row.low, row.high, row.reason)
    if isinstance(row, BandRow):
        return [row.band, ", ".join(found.member(member) for member in row.members), *figures]
    return [row.name, row.best, row.worst, row.band, *figures]
