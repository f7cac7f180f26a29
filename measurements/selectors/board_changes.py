"""Which figures of a correction would tell what changed for a few people: held against the edition before it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from measurements.models import Edition, Seat
from measurements.selectors.seats import whose

ROUNDING = 1e-9
Behind = Mapping[str, Mapping[str, tuple[float, ...]]]  # by row, by person (or their hash): figures it depends on


@dataclass(frozen=True, slots=True)
class Earlier:
    """A public revision: what stood behind each of its rows."""

    edition: int
    rows: Behind


Before = Sequence[Earlier]


def earlier_of(edition: Edition, by: str) -> list[Earlier]:
    """The public revisions of the same number; ``by``: what rows are called by, band or project. One query."""
    public = (Edition.State.PUBLISHED, Edition.State.CORRECTED)
    seats = Seat.objects.filter(
        edition__board=edition.board_id, edition__number=edition.number, edition__state__in=public
    ).exclude(edition=edition.pk)
    found: dict[int, dict[str, dict[str, tuple[float, ...]]]] = {}
    for pk, owner, own in seats.order_by("pk").values_list("edition_id", "whose", "own"):
        for each in own:
            if not each["reasons"]:
                rows = found.setdefault(pk, {})
                rows.setdefault(each[by], {})[owner] = (each["energy_j"], each["whole"])
    return [Earlier(pk, rows) for pk, rows in found.items()]


def small_changes(told: Behind, before: Before, k: int, *, across: bool) -> set[str]:
    """Rows that differ from one that is public by the figures of somebody, but of fewer than k people.

    ``across``: rows are held against all of the earlier ones (people move between bands), else against their own.
    """
    found = set()
    for one in before:
        for name, people in told.items():
            now = {whose(one.edition, person): figures for person, figures in people.items()}
            others = one.rows.values() if across else [one.rows[name]] if name in one.rows else []
            if any(0 < _changed(now, then) < k for then in others):
                found.add(name)
    return found


def _changed(now: Mapping[str, tuple[float, ...]], then: Mapping[str, tuple[float, ...]]) -> int:
    """How many people are in one of them only, or with other figures."""
    return sum(1 for key in now.keys() | then.keys() if not _same(now.get(key, ()), then.get(key, ())))


def _same(now: tuple[float, ...], then: tuple[float, ...]) -> bool:
    return len(now) == len(then) and all(math.isclose(a, b, rel_tol=ROUNDING) for a, b in zip(now, then, strict=True))
