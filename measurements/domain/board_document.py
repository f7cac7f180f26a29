"""What an edition of a leaderboard says, as plain data: its canonical form, its hash, and what was read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

METHOD = "1"  # one more whenever a figure of a board is computed, or redacted, in another way
BANDS = "ABCDE"


@dataclass(frozen=True, slots=True)
class Measure:
    """What the values are: ``what`` is the board's kind; of energy ``energy_unit`` per ``work_unit``, else a ratio."""

    what: str
    energy_unit: str  # J, Wh or kWh; empty: a share, or a ratio to one's own past
    work_unit: str
    digits: int  # significant digits to which every value is rounded: show no more


@dataclass(frozen=True, slots=True)
class Withheld:
    """Something that is not shown: why (`measurements.domain.boards.Reason`), and of what; no person is ever named."""

    reason: str
    subject: str = ""  # a node type, a band; empty: the edition as a whole


@dataclass(frozen=True, slots=True)
class BandRow:
    """A band of persons: one figure for all of them together, and who they are by pseudonym, alphabetically."""

    band: str  # "A", or "A–B" of bands that are shown together
    members: tuple[str, ...]
    value: float | None  # None: withheld, see ``reason``
    low: float | None  # None: has no bound on this side
    high: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NamedRow:
    """A project or a node type. Rows are in the order of their ranks, then of their names: never of their values."""

    name: str
    band: str
    best: int  # 1 + those proven better
    worst: int
    value: float | None
    low: float | None
    high: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """From when on somebody is compared, and how; shown with the edition."""

    least_jobs: int
    least_days: int
    least_kwh: float
    least_coverage: float
    largest_one: float  # share of a sum that one person may make, and two
    largest_two: float
    level: float  # of the intervals
    draws: int
    seed: int


@dataclass(frozen=True, slots=True)
class Document:
    """All that an edition says. ``board`` has slug, title, kind, scope, audience, project, cluster, workload, phase,
    size, target, unit, note; ``edition`` number, revision, first, last, zone, cutoff_at."""

    board: Mapping[str, str]
    edition: Mapping[str, str | int]
    method: str
    factors: str
    code: str
    smallest_group: int
    coverage: float | None
    scope: str  # name of a `MeterScope`; empty: a share, which does not depend on it
    measure: Measure
    rules: Rules
    withheld: tuple[Withheld, ...]
    bands: tuple[BandRow, ...]  # of boards of persons
    rows: tuple[NamedRow, ...]  # of the others
    left_out: int | None  # projects that may not be shown; None: fewer than two, how many is not said

    @property
    def people(self) -> int:
        """How many persons are compared."""
        return sum(len(row.members) for row in self.bands)


def canonical(document: Document) -> str:
    """As it is hashed: keys sorted, no blanks, ASCII."""
    return json.dumps(asdict(document), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def read(text: str) -> Document:
    """What `canonical` wrote."""
    said = json.loads(text)
    return Document(
        **{
            **_known(Document, said),
            "measure": Measure(**_known(Measure, said["measure"])),
            "rules": Rules(**_known(Rules, said["rules"])),
            "withheld": tuple(Withheld(**_known(Withheld, row)) for row in said["withheld"]),
            "bands": tuple(
                BandRow(**_known(BandRow, row) | {"members": tuple(row["members"])}) for row in said["bands"]
            ),
            "rows": tuple(NamedRow(**_known(NamedRow, row)) for row in said["rows"]),
        }
    )


def _band(said: Mapping[str, Any]) -> BandRow:
    return BandRow(**{**_known(BandRow, said), "members": tuple(said["members"])})


def _known(kind: type, said: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: said[field.name] for field in fields(kind) if field.name in said}


# --- What a correction changed ----------------------------------------------------------------------------------------

_OF_A_ROW = ("value", "low", "high", "band", "best", "worst")


def difference(before: Document, after: Document) -> list[dict[str, Any]]:
    """What differs, line by line: ``row`` (a name or band; empty: the whole), ``what``, ``before`` and ``after``.

    ``what`` is a field of a row, people (how many), row (there, or not), coverage, scope, left_out or unit.
    """
    lines = [_line("", what, getattr(before, what), getattr(after, what)) for what in ("coverage", "scope", "left_out")]
    lines.append(_line("", "unit", before.measure.energy_unit, after.measure.energy_unit))
    then, now = _rows(before), _rows(after)
    for name in dict.fromkeys([*then, *now]):
        if name not in then or name not in now:
            lines.append(_line(name, "row", name in then, name in now))
            continue
        lines += [_line(name, what, then[name].get(what), now[name].get(what)) for what in (*_OF_A_ROW, "people")]
    return [line for line in lines if line["before"] != line["after"]]


def _line(row: str, what: str, before: Any, after: Any) -> dict[str, Any]:
    return {"row": row, "what": what, "before": before, "after": after}


def _rows(document: Document) -> dict[str, dict[str, Any]]:
    named = {row.name: asdict(row) for row in document.rows}
    return named | {row.band: asdict(row) | {"people": len(row.members)} for row in document.bands}
