"""Rows of a leaderboard out of its scores: who is compared, in which bands, and what of it may be shown to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from measurements.domain.board_document import BandRow, NamedRow, Rules
from measurements.domain.board_places import Group, Places, groups, places
from measurements.domain.board_scores import Intervals
from measurements.domain.comparison import BANDS, DRAWS, LEVEL, SEED, Interval
from measurements.domain.crowd import LARGEST_ONE, LARGEST_TWO, may_show
from measurements.domain.units import J_PER_KWH, S_PER_HOUR, FloatArray, IntArray

RULES = Rules(
    least_jobs=10,
    least_days=5,
    least_kwh=1.0,
    least_coverage=0.95,
    largest_one=LARGEST_ONE,
    largest_two=LARGEST_TWO,
    level=LEVEL,
    draws=DRAWS,
    seed=SEED,
)
DIGITS_OF_PEOPLE = 2  # significant; of figures that persons stand behind
DIGITS = 3  # of node types
IDLE_MARGIN = 1.05  # a node that only waits draws up to so many times its idle power


class Reason(StrEnum):
    """Why somebody is not compared, a figure is not shown, or an edition has nothing to show."""

    FEW_JOBS = "few_jobs"
    FEW_DAYS = "few_days"
    LITTLE_ENERGY = "little_energy"
    LOW_COVERAGE = "low_coverage"
    OTHER_SCOPE = "other_scope"  # metered in another way than most
    NO_WORK = "no_work"  # none declared, in the board's unit, of a job that completed
    NO_PAST = "no_past"  # no such work in the period before
    NO_ACCELERATORS = "no_accelerators"  # held none of which it is known whether they were idle
    FEW_PEOPLE = "few_people"  # as `crowd.Withheld`
    DOMINATED = "dominated"
    FEW_ROWS = "few_rows"  # fewer than two
    SMALL_CHANGE = "small_change"  # a correction that goes back to fewer than k people
    UNKNOWN_SCOPE = "unknown_scope"  # what most meters cover is not known, or differs from node to node of a job
    IDLE_POWER = "idle_power"  # subject: the node type whose idle power is not described
    LEFT_OUT = "left_out"  # an objection was upheld


class Scores(Protocol):
    """What is compared: `measurements.domain.board_scores`."""

    def whole(self) -> FloatArray:
        """What is divided by, of each entity."""

    def each(self, keep: IntArray) -> Intervals:
        """Of some entities, one by one."""

    def together(self, members: IntArray) -> Interval:
        """Of some entities as if they were one."""


@dataclass(frozen=True, slots=True)
class Behind:
    """The people behind the entities, a row each [rows]."""

    entity: IntArray
    person: Sequence[str]
    jobs: IntArray
    excused: IntArray  # jobs that the machine ended: they count nowhere
    energy_j: FloatArray
    whole: FloatArray  # their part of what is divided by, or of the work


@dataclass(frozen=True, slots=True)
class Scored:
    """All that may be compared, as columns [entities]."""

    names: tuple[str, ...]
    scores: Scores
    jobs: IntArray
    days: IntArray  # UTC days on which anything ran
    energy_j: FloatArray
    coverage: FloatArray
    in_scope: FloatArray  # share of the time that is metered as most is
    barred: Mapping[int, Reason]  # other reasons not to compare one
    behind: Behind
    relative: bool  # whether an interval is as wide as its value is large


@dataclass(frozen=True, slots=True)
class Standing:
    """Those that are compared, their places among each other, and why the others are not."""

    kept: IntArray  # of `Scored`
    found: Intervals  # [kept]
    places: Places  # [kept]
    reasons: Mapping[int, tuple[Reason, ...]]  # by place in `Scored`


def reasons_of(scored: Scored) -> dict[int, tuple[Reason, ...]]:
    """Why each of those that are not compared is not."""
    rules = (
        (Reason.FEW_JOBS, scored.jobs < RULES.least_jobs),
        (Reason.FEW_DAYS, scored.days < RULES.least_days),
        (Reason.LITTLE_ENERGY, scored.energy_j < RULES.least_kwh * J_PER_KWH),
        (Reason.LOW_COVERAGE, scored.coverage < RULES.least_coverage),
        (Reason.OTHER_SCOPE, scored.in_scope < RULES.least_coverage),
    )
    found: dict[int, list[Reason]] = {place: [why] for place, why in scored.barred.items()}
    for why, lacking in rules:
        for place in np.flatnonzero(lacking).tolist():
            found.setdefault(place, []).append(why)
    return {place: tuple(found[place]) for place in sorted(found)}


def standing(scored: Scored, hidden: Mapping[int, Reason]) -> Standing:
    """Compare those that may be compared and, with ``hidden`` (projects, node types), shown."""
    reasons = {**{place: (why,) for place, why in hidden.items()}, **reasons_of(scored)}
    kept = np.array([place for place in range(len(scored.names)) if place not in reasons], np.int64)
    found = scored.scores.each(kept)
    return Standing(kept, found, places(found, relative=scored.relative), reasons)


def crowded(behind: Behind, entities: int, k: int) -> dict[int, Reason]:
    """Which entities may not be shown to others because of the people behind them."""
    order = np.argsort(behind.entity, kind="stable")
    edges = np.searchsorted(behind.entity[order], np.arange(entities + 1))
    found = {}
    for place in range(entities):
        mine = order[edges[place] : edges[place + 1]]
        why = few_or_dominated(behind.energy_j[mine], behind.whole[mine], k)
        if why is not None:
            found[place] = why
    return found


def few_or_dominated(energy_j: FloatArray, whole: FloatArray, k: int) -> Reason | None:
    """None if a ratio over these people may be shown: neither their energy nor what it is divided by is one's own."""
    why = may_show(energy_j, k)
    if why is None and whole.sum() > 0:
        tops = np.sort(whole)[::-1]
        most, two = tops[0] / whole.sum(), tops[:2].sum() / whole.sum()
        return Reason.DOMINATED if most > LARGEST_ONE or two > LARGEST_TWO else None
    return None if why is None else Reason(why.value)


# --- Rows -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scale:
    """The unit in which values are shown: joules by it, its name, and to how many significant digits."""

    per: float
    name: str
    digits: int

    def exact(self, value: float) -> float | None:
        """A value in the unit, not rounded."""
        return value / self.per if np.isfinite(value) else None

    def shown(self, value: float) -> float | None:
        """A value as it is shown; None: no bound."""
        return rounded(value / self.per, self.digits) if np.isfinite(value) else None


def rounded(value: float, digits: int) -> float:
    """To so many significant digits.

    >>> rounded(1234.0, 2), rounded(0.08765, 2), rounded(0.0, 2)
    (1200.0, 0.088, 0.0)
    """
    return float(f"{value:.{digits - 1}e}")


def scale_of(values: FloatArray, digits: int, *, energy: bool) -> Scale:
    """J, Wh or kWh, by the middle of the values; of ratios and shares: none."""
    middle = float(np.median(values)) if energy and len(values) else 0.0
    if not energy:
        return Scale(1.0, "", digits)
    if middle < S_PER_HOUR:
        return Scale(1.0, "J", digits)
    return Scale(float(S_PER_HOUR), "Wh", digits) if middle < J_PER_KWH else Scale(J_PER_KWH, "kWh", digits)


def band_groups(stand: Standing, k: int) -> list[Group]:
    """The bands that are shown, of `Standing.kept`; none if there are fewer than twice k people."""
    return groups(stand.places.bands(), k) if len(stand.kept) >= 2 * k else []


def band_rows(
    scored: Scored, stand: Standing, shown: Sequence[Group], pseudonyms: Sequence[str], scale: Scale, k: int
) -> tuple[BandRow, ...]:
    """A row a band; ``pseudonyms`` are those of `Standing.kept`."""
    whole = scored.scores.whole()
    rows = []
    for group in shown:
        members = stand.kept[group.members]
        names = tuple(sorted(pseudonyms[place] for place in group.members.tolist()))
        why = few_or_dominated(scored.energy_j[members], whole[members], k)
        found = scored.scores.together(members)
        value, low, high = (None, None, None) if why else map(scale.shown, (found.value, found.low, found.high))
        rows.append(BandRow(group.label, names, value, low, high, why.value if why else ""))
    return tuple(rows)


def named_rows(scored: Scored, stand: Standing, scale: Scale) -> tuple[NamedRow, ...]:
    """A row a project or node type, in the order of ranks and names."""
    bands = stand.places.bands().tolist()
    rows = []
    for i, place in enumerate(stand.kept.tolist()):
        one = stand.found.at(i)
        best, worst = int(stand.places.best[i]), int(stand.places.worst[i])
        value, low, high = map(scale.shown, (one.value, one.low, one.high))
        rows.append(NamedRow(scored.names[place], BANDS[bands[i]], best, worst, value, low, high))
    return tuple(sorted(rows, key=lambda row: (row.best, row.worst, row.name)))
