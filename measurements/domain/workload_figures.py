"""What a group of like jobs drew on each node type, and in which order: with ranks only where they can be defended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from measurements.domain.blocks import may_show_to_each, told
from measurements.domain.comparison import Interval, Rank, Spread, median_of, ranks, spread, spread_of
from measurements.domain.job_columns import Jobs
from measurements.domain.scopes import MeterScope, common
from measurements.domain.workload_groups import Cell, Kind, Whose

FEWEST_RANKED = 5  # jobs of a type: of fewer the interval of a median is hardly more than the jobs themselves


class Unranked(StrEnum):
    """Why there are no ranks."""

    NO_WORK = "no_work"
    ONE_TYPE = "one_type"
    FEW_JOBS = "few_jobs"
    COVERAGE = "coverage"
    SCOPES = "scopes"
    WHOSE = "whose"  # one's own jobs beside everybody's


@dataclass(frozen=True, slots=True)
class Idle:
    """GPUs that were held and idle: of the jobs of which it is known [J]."""

    idle_j: float
    energy_j: float
    per_unit_j: float | None  # energy without them ÷ work

    @property
    def share(self) -> float:
        """Of the energy of those jobs."""
        return self.idle_j / self.energy_j if self.energy_j else 0.0


@dataclass(frozen=True, slots=True)
class TypeFigures:
    """Like jobs on one node type. Energies in J, times in s, wall time."""

    node_type: str
    whose: str
    n: int
    runtime_s: Spread
    energy_j: Spread
    per_unit_j: Spread | None  # None: no work is declared
    estimated: Spread | None  # metered ÷ estimated from runtime
    estimate_j: float | None  # median estimate, for each unit of work where there is one
    per_unit_s: float | None  # median runtime for each unit of work
    idle: Idle | None  # None: no GPUs, or it is not known, or it would tell of one person
    accelerated: bool  # its jobs held GPUs
    scope: MeterScope
    failed: int | None  # None: not told
    failed_j: float | None
    poor: bool  # too many completed jobs are not measured throughout
    rank: Rank | None = None
    unranked: Unranked | None = None  # why this type has no rank

    @property
    def judged(self) -> Spread:
        """What the order goes by."""
        return self.per_unit_j or self.energy_j


@dataclass(frozen=True, slots=True)
class Comparison:
    """The node types of one cell, the least energy first."""

    cell: Cell
    types: tuple[TypeFigures, ...]
    unranked: Unranked | None  # why there are no ranks at all

    @property
    def jobs(self) -> int:
        """Those that are compared."""
        return sum(one.n for one in self.types)

    def ties(self, one: TypeFigures) -> tuple[str, ...]:
        """The types that one cannot be told apart from, by their intervals."""
        mine = one.judged.interval
        return tuple(
            other.node_type
            for other in self.types
            if other is not one and mine and other.judged.interval and mine.overlaps(other.judged.interval)
        )


def compared(cell: Cell, jobs: Jobs, k: int) -> Comparison | None:
    """The comparison of a cell's jobs, sorted out and released (`workload_groups`); None if there is nothing in it.

    ``k`` is the fewest people behind a figure that is of a crowd. Figures of crowds are rounded before anything else is
    made of them: order, ties and ranks say no more than they do.
    """
    types = [figures for (name,), of_type in jobs.by("node_type") if (figures := _figures(name, of_type, k))]
    if not types:
        return None
    types.sort(key=lambda one: (one.judged.median, one.node_type))
    why = _why_not(cell, types)
    return Comparison(cell, tuple(types if why else _ranked(types)), why)


def _figures(name: str, of_type: Jobs, k: int) -> TypeFigures | None:
    kind = of_type["kind"]
    jobs = of_type.where(kind == Kind.COMPARED)
    if not len(jobs) or not name:
        return None
    whose = str(jobs["whose"][0])
    energy, runtime, estimate, work = map(jobs.number, ("energy_j", "runtime_s", "estimate_j", "work"))
    each = jobs.number("per_unit_j")
    per_unit = spread_of(each) if np.isfinite(each).all() else None
    known = np.isfinite(estimate) & (estimate > 0)
    by = np.where(np.isfinite(work) & (work > 0), work, 1.0)
    failed = of_type.number("energy_j")[kind == Kind.FAILED]
    tells = whose != Whose.CROWD or len(failed) > 0
    found = TypeFigures(
        node_type=name,
        whose=whose,
        n=len(jobs),
        energy_j=spread_of(energy),
        runtime_s=spread_of(runtime),
        per_unit_j=per_unit,
        estimated=spread(energy[known] / estimate[known]),
        estimate_j=median_of((estimate / by)[known]) if known.all() else None,
        per_unit_s=median_of(runtime / by) if per_unit else None,
        idle=_idle(jobs, k),
        accelerated=bool((jobs["gpus"] > 0).any()),
        scope=common(MeterScope(int(scope)) for scope in np.unique(jobs["scope"]).tolist()),
        failed=len(failed) if tells else None,
        failed_j=float(failed.sum()) if tells else None,
        poor=bool(of_type["poor"].any()),
    )
    return _as_told(found) if whose == Whose.CROWD else found


def _as_told(one: TypeFigures) -> TypeFigures:
    """With every figure rounded; how many jobs there are is told as it is."""
    return replace(
        one,
        runtime_s=spread_as_told(one.runtime_s),
        energy_j=spread_as_told(one.energy_j),
        per_unit_j=spread_as_told(one.per_unit_j) if one.per_unit_j else None,
        estimated=spread_as_told(one.estimated) if one.estimated else None,
        estimate_j=_told(one.estimate_j),
        per_unit_s=_told(one.per_unit_s),
        idle=Idle(told(one.idle.idle_j), told(one.idle.energy_j), _told(one.idle.per_unit_j)) if one.idle else None,
        failed_j=_told(one.failed_j),
    )


def _told(value: float | None) -> float | None:
    return None if value is None else told(value)


def spread_as_told(spread: Spread) -> Spread:
    """A spread with every figure rounded as others are told it."""
    interval = interval_as_told(spread.interval) if spread.interval else None
    return Spread(spread.n, told(spread.low), told(spread.median), told(spread.high), interval)


def interval_as_told(interval: Interval) -> Interval:
    """The same of an interval."""
    return Interval(told(interval.value), told(interval.low), told(interval.high))


def _idle(jobs: Jobs, k: int) -> Idle | None:
    known = jobs.where(jobs["gpu_held_s"] > 0)
    if not len(known) or (known["whose"][0] == Whose.CROWD and _tells_of_one(known, k)):
        return None
    idle, energy = known.number("gpu_idle_j"), known.number("energy_j")
    per_unit = (energy - idle) / known.number("work")
    middle = median_of(per_unit) if np.isfinite(per_unit).all() else None
    return Idle(float(idle.sum()), float(energy.sum()), middle)


def _tells_of_one(known: Jobs, k: int) -> bool:
    """Whether the people behind the figure, or behind what was idle, are too few."""
    person = known.codes(["username"])
    energy, idle = (np.bincount(person, known.number(name)).astype(np.float64) for name in ("energy_j", "gpu_idle_j"))
    return not may_show_to_each(energy, k) or bool(idle.any() and not may_show_to_each(idle, k))


def _why_not(cell: Cell, types: list[TypeFigures]) -> Unranked | None:
    """Why none of some types has a rank."""
    if not cell.unit:
        return Unranked.NO_WORK
    if len(types) < 2:
        return Unranked.ONE_TYPE
    if len({one.whose for one in types}) > 1:
        return Unranked.WHOSE
    fit = [one for one in types if not _unfit(one)]
    if len(fit) < 2:
        return Unranked.FEW_JOBS if any(one.n < FEWEST_RANKED for one in types) else Unranked.COVERAGE
    unlike = len({one.scope for one in fit}) > 1 or fit[0].scope in (MeterScope.UNKNOWN, MeterScope.MIXED)
    return Unranked.SCOPES if unlike else None


def _unfit(one: TypeFigures) -> Unranked | None:
    if one.n < FEWEST_RANKED:
        return Unranked.FEW_JOBS
    return Unranked.COVERAGE if one.poor else None


def _ranked(types: list[TypeFigures]) -> list[TypeFigures]:
    """With ranks of those that can have one."""
    intervals = [(one.node_type, one.judged.interval) for one in types if not _unfit(one)]
    fit: list[tuple[str, Interval]] = [(name, interval) for name, interval in intervals if interval]
    places = dict(zip((name for name, _ in fit), ranks([interval for _, interval in fit]), strict=True))
    return [replace(one, rank=places.get(one.node_type), unranked=_unfit(one)) for one in types]
