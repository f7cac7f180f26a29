"""An edition's rows in words, in the order of its document, as the page, its files and its chart have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from measurements.domain.board_document import BandRow, Document, NamedRow
from measurements.selectors.boards import Own, Shown
from portal import wording_editions as in_words
from portal.quantities import format_quantity


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the table, with its column's title for a phone."""

    title: str
    text: str
    words: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table."""

    name: str
    cells: list[Cell]
    own: bool = False


@dataclass(frozen=True, slots=True)
class OwnPlace:
    """One's own figures."""

    facts: list[tuple[str, str]]
    sentence: str
    directive: str
    line: str
    period: str


@dataclass(frozen=True, slots=True)
class EditionPage:
    """An edition in words."""

    heading: str
    unit: str
    columns: list[Cell]
    rows: list[Line]
    ties: str
    withheld: str
    method: str
    facts: list[tuple[str, str]]
    left_out: list[str]
    footnote: str


def rows_of(document: Document) -> list[BandRow | NamedRow]:
    """Bands of persons, or projects or node types."""
    return [*document.bands, *document.rows]


def edition_page(found: Shown, own: Sequence[Own] = ()) -> EditionPage:
    """The rows, in the document's order, and what they are of."""
    document = found.document
    unit = in_words.unit(document.measure)
    rows = [_band_line(row, found, own) for row in document.bands] or [
        _named_line(row, document, own) for row in document.rows
    ]
    first = in_words.first_column(document.board["scope"])
    return EditionPage(
        heading=in_words.rows_heading(document.board["scope"]),
        unit=unit,
        columns=[Cell(first, first)]
        + [Cell(cell.title, cell.title, cell.words) for cell in (rows[0].cells if rows else [])],
        rows=rows,
        ties=in_words.ties(document),
        withheld=in_words.withheld(document),
        method=in_words.method(document),
        facts=in_words.facts(document),
        left_out=in_words.left_out(document),
        footnote=in_words.footnote(document),
    )


def _band_line(row: BandRow, found: Shown, own: Sequence[Own]) -> Line:
    mine = any(one.pseudonym and one.pseudonym in row.members for one in own)
    people = ", ".join(found.member(member) for member in row.members)
    cells = [
        Cell(_("Means"), in_words.band_words(row.band), words=True),
        Cell(_("People"), people, words=True),
        *_figures(row, found.document),
    ]
    return Line(row.band, cells, mine)


def _named_line(row: NamedRow, document: Document, own: Sequence[Own]) -> Line:
    mine = any(one.project == row.name for one in own if one.project)
    cells = [
        Cell(_("Place"), in_words.rank_range(row.best, row.worst)),
        Cell(_("Band"), row.band),
        *_figures(row, document),
    ]
    return Line(row.name, cells, mine)


def _figures(row: BandRow | NamedRow, document: Document) -> list[Cell]:
    measure = document.measure
    if row.value is None:
        return [
            Cell(_("Value"), in_words.reason(row.reason) if row.reason else "–"),
            Cell(_("From"), "–"),
            Cell(_("To"), "–"),
        ]
    return [
        Cell(_("Value"), in_words.value(row.value, measure)),
        Cell(_("From"), in_words.bound(row.low, measure)),
        Cell(_("To"), in_words.bound(row.high, measure)),
    ]


def own_place(own: Own, document: Document) -> OwnPlace:
    """Told to nobody else."""
    measure = document.measure
    said = [
        (in_words.own_value_name(own), in_words.with_unit(own.value, measure)),
        (pgettext("statistics", "Interval"), in_words.interval(own, measure)),
        (_("Place"), in_words.rank_range(own.best, own.worst) if own.best and own.worst else ""),
        (_("Your jobs"), str(own.jobs)),
        (_("Of them ended by the machine: left out"), str(own.excused) if own.excused else ""),
        (_("Your energy"), format_quantity(own.energy_j, "energy")),
    ]
    words, line = in_words.directive(document.measure.what)
    period = f"first={document.edition['first']}&last={document.edition['last']}"
    sentence = " ".join(part for part in (in_words.own_name(own), in_words.own_sentence(own)) if part)
    return OwnPlace([fact for fact in said if fact[1]], sentence, words, line, period)
