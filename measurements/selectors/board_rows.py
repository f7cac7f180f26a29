"""What an edition says, made of the ledger as it is now: for a preview, and to be frozen when it goes into review."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
from django.conf import settings

from measurements.domain.board_document import METHOD, BandRow, Document, Measure, NamedRow, Withheld
from measurements.domain.board_jobs import hidden_node_types
from measurements.domain.board_places import Group
from measurements.domain.boards import (
    DIGITS,
    DIGITS_OF_PEOPLE,
    RULES,
    Reason,
    Scale,
    Scored,
    Standing,
    band_groups,
    band_rows,
    crowded,
    named_rows,
    rounded,
    scale_of,
    standing,
)
from measurements.domain.comparison import BANDS
from measurements.domain.pseudonyms import fresh
from measurements.domain.scopes import MeterScope
from measurements.models import Board, Edition
from measurements.selectors.board_changes import Before, earlier_of, small_changes
from measurements.selectors.board_jobs import work_scores
from measurements.selectors.board_period import zone_name
from measurements.selectors.board_usage import waste_shares
from measurements.selectors.statement import VERSION

_OF_WORK = (Board.Kind.ENERGY_PER_WORK, Board.Kind.NODE_TYPES, Board.Kind.IMPROVEMENT)
_NOT_COMPARED = (MeterScope.UNKNOWN, MeterScope.MIXED)
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sitting:
    """Where somebody is in an edition, and their own figures: a list, of boards of projects one a project."""

    pseudonym: str  # empty: not among those compared
    own: tuple[Figures, ...]


@dataclass(frozen=True, slots=True)
class Composed:
    """An edition and its seats by user."""

    document: Document
    seats: Mapping[str, Sitting] = field(default_factory=dict)


def smallest_group(board: Board) -> int:
    """The fewest people behind a figure: never fewer than the site says."""
    return max(board.smallest_group, settings.SMALLEST_GROUP)


def compose(edition: Edition, now: datetime) -> Composed:
    """What the edition would say now, and where people would be in it."""
    board = edition.board
    before = earlier_of(edition, "project" if board.scope == Board.Scope.PROJECT else "band")
    k = smallest_group(board)
    scored, scope, withheld = _scored(edition, k)
    stand = standing(scored, _hidden(board, scored, k))
    withheld += _of_all(board, scope, stand, k)
    digits = DIGITS if board.scope == Board.Scope.NODE_TYPE else DIGITS_OF_PEOPLE
    energy = board.kind in (Board.Kind.ENERGY_PER_WORK, Board.Kind.NODE_TYPES)
    scale = scale_of(stand.found.value, digits, energy=energy)
    document = _document(edition, now, k, scored, stand, scope, withheld, scale)
    if any(not one.subject or one.reason == Reason.IDLE_POWER.value for one in withheld):
        return Composed(document)
    if board.scope == Board.Scope.USER:
        return _of_persons(document, scored, stand, scale, k, before)
    document = replace(document, rows=named_rows(scored, stand, scale))
    if board.scope == Board.Scope.NODE_TYPE:
        return Composed(document)
    return _of_projects(document, scored, stand, scale, k, before)


def _scored(edition: Edition, k: int) -> tuple[Scored, MeterScope | None, tuple[Withheld, ...]]:
    if edition.board.kind in _OF_WORK:
        return *work_scores(edition, k), ()
    scored, lacking = waste_shares(edition)
    return scored, None, lacking


def _hidden(board: Board, scored: Scored, k: int) -> dict[int, Reason]:
    """Projects and node types that too few people stand behind."""
    if board.scope == Board.Scope.USER:
        return {}
    if board.scope == Board.Scope.NODE_TYPE:
        return hidden_node_types(scored.behind, len(scored.names), settings.BENCHMARK_USERS, k)
    return crowded(scored.behind, len(scored.names), k)


def _of_all(board: Board, scope: MeterScope | None, stand: Standing, k: int) -> tuple[Withheld, ...]:
    """Why nothing at all is shown, if so."""
    if scope in _NOT_COMPARED and len(stand.kept):
        return (Withheld(Reason.UNKNOWN_SCOPE.value),)
    if board.scope == Board.Scope.USER:
        return () if band_groups(stand, k) else (Withheld(Reason.FEW_PEOPLE.value),)
    return () if len(stand.kept) > 1 else (Withheld(Reason.FEW_ROWS.value),)


def _document(
    edition: Edition,
    now: datetime,
    k: int,
    scored: Scored,
    stand: Standing,
    scope: MeterScope | None,
    withheld: tuple[Withheld, ...],
    scale: Scale,
) -> Document:
    """All but the rows."""
    board = edition.board
    kept = stand.kept
    coverage = float(np.average(scored.coverage[kept], weights=scored.energy_j[kept])) if len(kept) else None
    if board.scope == Board.Scope.NODE_TYPE:  # no persons: each is named with the first reason
        withheld += tuple(Withheld(whys[0].value, scored.names[place]) for place, whys in stand.reasons.items())
    return Document(
        board=_board(board),
        edition=_edition(edition, now),
        method=METHOD,
        factors="",
        code=VERSION,
        smallest_group=k,
        coverage=None if coverage is None else rounded(coverage, DIGITS_OF_PEOPLE),
        scope="" if scope is None else scope.name,
        measure=Measure(str(board.kind), scale.name, board.unit if scale.name else "", scale.digits),
        rules=RULES,
        withheld=withheld,
        bands=(),
        rows=(),
        left_out=_left_out(board, scored, stand),
    )


def _board(board: Board) -> dict[str, str]:
    names = ("slug", "title", "kind", "scope", "audience", "workload", "phase", "size", "target", "unit", "note")
    found = {name: str(getattr(board, name)) for name in names}
    return found | {"project": str(board.project or ""), "cluster": str(board.cluster or "")}


def _edition(edition: Edition, now: datetime) -> dict[str, str | int]:
    return {
        "number": edition.number,
        "revision": edition.revision,
        "first": edition.first.isoformat(),
        "last": edition.last.isoformat(),
        "zone": zone_name(),
        "cutoff_at": now.astimezone(UTC).isoformat(timespec="seconds"),
    }


def _left_out(board: Board, scored: Scored, stand: Standing) -> int | None:
    """Projects with any energy that are not shown; of fewer than two it is not said how many."""
    if board.scope != Board.Scope.PROJECT:
        return None
    others = sum(1 for place in stand.reasons if scored.energy_j[place] > 0)
    return others if others > 1 else None


# --- Rows and seats ---------------------------------------------------------------------------------------------------


def _of_persons(document: Document, scored: Scored, stand: Standing, scale: Scale, k: int, before: Before) -> Composed:
    pseudonyms = fresh(len(stand.kept))
    shown = band_groups(stand, k)
    seats: dict[str, Sitting] = {}
    people = {name: i for i, name in enumerate(scored.behind.person)}
    labels = _labels(shown)
    for i, place in enumerate(stand.kept.tolist()):
        own = _own(stand, i, scale, exact=True) | {"band": labels[i]}
        seats[scored.names[place]] = Sitting(pseudonyms[i], (own | _part(scored, people[scored.names[place]]),))
    for place, reasons in stand.reasons.items():
        own = _own(stand, None, scale, exact=True) | {"reasons": [why.value for why in reasons]}
        seats[scored.names[place]] = Sitting("", (own | _part(scored, people[scored.names[place]]),))
    bands = band_rows(scored, stand, shown, pseudonyms, scale, k)
    told = {row.band: _figures(seats, row.band, "band") for row in bands}
    small = small_changes(told, before, k, across=True)
    return Composed(replace(document, bands=tuple(_bare(row) if row.band in small else row for row in bands)), seats)


def _of_projects(document: Document, scored: Scored, stand: Standing, scale: Scale, k: int, before: Before) -> Composed:
    places = {place: i for i, place in enumerate(stand.kept.tolist())}
    found: dict[str, list[Figures]] = {}
    for row in np.argsort(scored.behind.entity, kind="stable").tolist():
        place = int(scored.behind.entity[row])
        own = _own(stand, places.get(place), scale, exact=False) | _part(scored, row)
        own |= {"project": scored.names[place], "reasons": _told(stand.reasons.get(place, ()))}
        found.setdefault(scored.behind.person[row], []).append(own)
    seats = {
        name: Sitting(next((str(each["project"]) for each in own if not each["reasons"]), ""), tuple(own))
        for name, own in found.items()
    }
    told = {row.name: _figures(seats, row.name, "project") for row in document.rows}
    small = small_changes(told, before, k, across=False)
    rows = tuple(_bare(row) if row.name in small else row for row in document.rows)
    return Composed(replace(document, rows=rows), seats)


def _told(reasons: Iterable[Reason]) -> list[str]:
    """Why a project is not shown, to one of its people: not whether another one of them drew most of it."""
    return [(Reason.FEW_PEOPLE if why is Reason.DOMINATED else why).value for why in reasons]


def _labels(shown: Iterable[Group]) -> dict[int, str]:
    return {place: group.label for group in shown for place in group.members.tolist()}


def _own(stand: Standing, i: int | None, scale: Scale, *, exact: bool) -> Figures:
    """The figures of an entity in the unit of the edition: one's own as they are, others' as everybody gets them."""
    said: Figures = {"project": "", "band": "", "best": None, "worst": None, "of": None, "reasons": []}
    if i is None:
        return said | {"value": None, "low": None, "high": None}
    one = stand.found.at(i)
    figures = {name: getattr(one, name) for name in ("value", "low", "high")}
    return said | {
        **{name: scale.exact(value) if exact else scale.shown(value) for name, value in figures.items()},
        "band": BANDS[int(stand.places.bands()[i])],
        "best": int(stand.places.best[i]),
        "worst": int(stand.places.worst[i]),
        "of": len(stand.kept),
    }


def _part(scored: Scored, row: int) -> Figures:
    """What is the person's own of it."""
    behind = scored.behind
    return {
        "jobs": int(behind.jobs[row]),
        "excused": int(behind.excused[row]),
        "energy_j": float(behind.energy_j[row]),
        "whole": float(behind.whole[row]),
    }


def _figures(seats: Mapping[str, Sitting], name: str, by: str) -> dict[str, tuple[float, ...]]:
    """What stands behind a row: by person the figures that it depends on."""
    return {
        person: (each["energy_j"], each["whole"])
        for person, seat in seats.items()
        for each in seat.own
        if each[by] == name and not each["reasons"]
    }


Row = TypeVar("Row", BandRow, NamedRow)


def _bare(row: Row) -> Row:
    return replace(row, value=None, low=None, high=None, reason=Reason.SMALL_CHANGE.value)
