"""What a comparison of node types says: where a guess misleads, where processors do as well, what is on the front."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np

from measurements.domain.blocks import may_show_to_each
from measurements.domain.comparison import Interval, Spread, median_ratio, spread_of
from measurements.domain.job_columns import Jobs
from measurements.domain.units import BoolArray, FloatArray, IntArray
from measurements.domain.workload_figures import (
    FEWEST_RANKED,
    Comparison,
    TypeFigures,
    interval_as_told,
    spread_as_told,
)
from measurements.domain.workload_groups import Kind, Whose

NEAR = (0.8, 1.25)  # times as much: comparable, if the whole interval lies in it
SAME_WORK = 1e-9  # relative
AMOUNTS_TRIED = 5


class Guess(StrEnum):
    """What people take for energy."""

    ESTIMATE = "estimate"  # rated power × time
    RUNTIME = "runtime"


@dataclass(frozen=True, slots=True)
class Flip:
    """Two node types whose order by a guess is not that by what was metered. Of medians."""

    guess: Guess
    less: TypeFigures  # metered
    more: TypeFigures
    proven: bool  # their metered intervals don't overlap

    @property
    def metered(self) -> float:
        """How many times as much the one draws that was metered to draw more."""
        return self.more.judged.median / self.less.judged.median

    @property
    def guessed(self) -> float:
        """How many times as much it would draw, or how many times as long it takes, by the guess: less than 1."""
        return _guess(self.more, self.guess) / _guess(self.less, self.guess)


def flips(comparison: Comparison) -> tuple[Flip, ...]:
    """
    Pairs of node types that a guess puts the other way round, the largest error first, the proven before the others.

    Only where work is declared: without it a job that did less would look like a better node type.
    """
    if not comparison.cell.unit:
        return ()
    found = [
        Flip(guess, less, more, proven=less.node_type not in comparison.ties(more) and min(less.n, more.n) > 1)
        for less, more in combinations(comparison.types, 2)
        for guess in Guess
        if _wrong(less, more, guess) and less.whose == more.whose and less.scope == more.scope
    ]
    return tuple(sorted(found, key=lambda flip: (not flip.proven, flip.guessed / flip.metered)))


def _wrong(less: TypeFigures, more: TypeFigures, guess: Guess) -> bool:
    guessed = _guess(less, guess), _guess(more, guess)
    return guessed[1] < guessed[0] and less.judged.median < more.judged.median


def _guess(one: TypeFigures, guess: Guess) -> float:
    value = one.estimate_j if guess is Guess.ESTIMATE else one.per_unit_s
    return np.nan if value is None else value


class Verdict(StrEnum):
    """How processors alone compare with accelerators."""

    NEAR = "near"  # within NEAR, the whole interval
    UNTOLD = "untold"  # the interval contains 1
    LESS = "less"
    MORE = "more"


@dataclass(frozen=True, slots=True)
class Beside:
    """A node type without accelerators beside the best one with them, in energy for each unit of work."""

    plain: TypeFigures
    accelerated: TypeFigures
    ratio: Interval  # of their medians
    verdict: Verdict


def beside_accelerators(comparison: Comparison, jobs: Jobs) -> tuple[Beside, ...]:
    """
    Each node type whose jobs held no GPUs against each whose jobs did, the thriftiest first, for each unit of work.

    Comparable is what lies within `NEAR` with the whole interval, or what can't be told apart: where the interval
    contains 1. Nothing is said of fewer than `FEWEST_RANKED` jobs, of unlike meters, or without declared work.
    """
    fit = [one for one in comparison.types if one.per_unit_j and one.n >= FEWEST_RANKED and not one.poor]
    if len({one.accelerated for one in fit}) < 2:
        return ()
    counted = jobs.where(jobs["kind"] == Kind.COMPARED)
    values = {name: of_type.number("per_unit_j") for (name,), of_type in counted.by("node_type")}
    pairs = [
        (plain, other)
        for plain in fit
        for other in fit
        if other.accelerated and not plain.accelerated and plain.scope == other.scope and plain.whose == other.whose
    ]
    found = []
    for plain, other in pairs:
        ratio = median_ratio(values[plain.node_type], values[other.node_type])
        if ratio is not None:
            shown = interval_as_told(ratio) if plain.whose == Whose.CROWD else ratio
            found.append(Beside(plain, other, shown, _verdict(shown)))
    return tuple(found)


def _verdict(ratio: Interval) -> Verdict:
    if ratio.low >= NEAR[0] and ratio.high <= NEAR[1]:
        return Verdict.NEAR
    if ratio.low <= 1 <= ratio.high:
        return Verdict.UNTOLD
    return Verdict.LESS if ratio.high < 1 else Verdict.MORE


@dataclass(frozen=True, slots=True)
class Point:
    """A node type's jobs that did one amount of work."""

    node_type: str
    n: int
    runtime_s: Spread
    energy_j: Spread
    front: bool  # none is both faster and thriftier


@dataclass(frozen=True, slots=True)
class Front:
    """Time to solution against energy to solution, of equal work: the fastest first."""

    work: float
    unit: str
    points: tuple[Point, ...]


def pareto(comparison: Comparison, jobs: Jobs, k: int) -> Front | None:
    """
    The largest set of jobs that declare the same amount of work, on two node types at least; None without one.

    Of a crowd, k people have to stand behind a point, and behind what its node type has besides.
    """
    counted = jobs.where((jobs["kind"] == Kind.COMPARED) & (jobs["measure"] != ""))
    if not len(counted):
        return None
    work = counted.number("work")
    amount = _amounts(work)
    for chosen in _shared(amount, counted.codes(["node_type"])):
        points = _points(counted, amount == chosen, k)
        if len(points) > 1:
            return Front(float(work[amount == chosen][0]), comparison.cell.unit, points)
    return None


def _shared(amount: IntArray, node_type: IntArray) -> list[int]:
    """The amounts that several node types did, most jobs first: those that are worth a try."""
    types = int(node_type.max()) + 1
    several = np.flatnonzero(np.bincount(np.unique(amount * types + node_type) // types) > 1)
    order = np.argsort(-np.bincount(amount)[several], kind="stable")
    found: list[int] = several[order][:AMOUNTS_TRIED].tolist()
    return found


def _amounts(work: FloatArray) -> IntArray:
    """Which amount each is, those that differ by less than `SAME_WORK` being one."""
    order = np.argsort(work, kind="stable")
    new = np.diff(work[order], prepend=0.0) > SAME_WORK * work[order]
    found = np.empty(len(work), np.int64)
    found[order] = np.cumsum(new)
    return found


def _points(jobs: Jobs, same: BoolArray, k: int) -> tuple[Point, ...]:
    found = []
    for (name,), of_type in jobs.having(same=same).by("node_type"):
        equal = of_type["same"]
        crowd = of_type["whose"][0] == Whose.CROWD
        if not equal.any() or (crowd and not _hidden_in_crowds(of_type, k)):
            continue
        runtime, energy = (spread_of(of_type.number(column)[equal]) for column in ("runtime_s", "energy_j"))
        if crowd:
            runtime, energy = spread_as_told(runtime), spread_as_told(energy)
        found.append((name, int(equal.sum()), runtime, energy))
    found.sort(key=lambda point: (point[2].median, point[3].median))
    return tuple(
        Point(name, n, runtime, energy, front=all(other[3].median > energy.median for other in found[:place]))
        for place, (name, n, runtime, energy) in enumerate(found)
    )


def _hidden_in_crowds(of_type: Jobs, k: int) -> bool:
    """Whether crowds stand behind those of one amount, and behind the others, if there are any."""
    person = of_type.codes(["username"])
    energy, same = of_type.number("energy_j"), of_type["same"]
    return all(
        may_show_to_each(np.bincount(person[part], weights[part]).astype(np.float64), k)
        for part in (same, ~same)
        if part.any()
        for weights in (energy, np.ones(len(person)))
    )
