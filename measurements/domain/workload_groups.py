"""Jobs of a workload in groups that may be compared: of one phase, size, target and unit, by node type."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from measurements.domain.blocks import crowd_blocks, month_of, whole_blocks
from measurements.domain.job_columns import Column, Jobs, together
from measurements.domain.quality import FULL_COVERAGE
from measurements.domain.units import BoolArray

NO_UNIT = "units"  # of work that is declared without a unit
POOR = 0.2  # of a type's completed jobs: if more are not measured throughout, those that are may be of another kind
SEVERAL = ""  # node type of jobs on nodes of several types
FEWEST_OWN = 3  # of one's own jobs, before figures are made of them
CELL = ["phase", "size", "target", "measure"]
GROUP = [*CELL, "node_type"]
MEASURED = ("metered", "apportioned", "coarse")


class Kind(StrEnum):
    """What a job is to a comparison; only the first one is compared."""

    COMPARED = "compared"
    FAILED = "failed"  # it did not complete
    UNMEASURED = "unmeasured"  # completed, not measured throughout
    SEVERAL = "several"  # on nodes of several types, or of a type that is not known
    EXCUSED = "excused"  # the machine ended it


class Whose(StrEnum):
    """Whose jobs a figure is of."""

    ALL = "all"  # everybody's, for whoever may see all jobs
    CROWD = "crowd"  # those of enough people
    OWN = "own"


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """What has to be equal of jobs that are compared; an empty unit: no work is declared."""

    phase: str
    size: str
    target: str
    unit: str


@dataclass(frozen=True, slots=True)
class Months:
    """UTC months since 1970, both included, and the one that is not over."""

    first: int
    last: int
    open: int


def sorted_out(rows: Jobs) -> Jobs:
    """The rows of jobs with ``kind``, ``measure`` (the unit of its declared work, empty without), ``per_unit_j``, and
    ``poor``: whether too many of its group's completed jobs are not measured throughout."""
    work, unit, energy = rows["work"], rows["unit"], rows["energy_j"]
    known = np.isfinite(work) & (work > 0)
    measured = rows.among("quality", MEASURED) & (rows["coverage"] >= FULL_COVERAGE)
    measured &= (energy > 0) & (rows["runtime_s"] > 0)
    found = rows.having(
        kind=_kind(rows, measured),
        measure=np.where(known, np.where(unit == "", NO_UNIT, unit), ""),
        per_unit_j=np.divide(energy, work, out=np.full(len(rows), np.nan), where=known),
    )
    return found.having(poor=_poor(found))


def _kind(rows: Jobs, measured: BoolArray) -> Column:
    """The first that holds."""
    reasons = {
        Kind.EXCUSED: rows["excused"],
        Kind.SEVERAL: rows["node_type"] == SEVERAL,
        Kind.FAILED: rows["state"] != "COMPLETED",
        Kind.UNMEASURED: ~measured,
    }
    words = np.array([*(kind.value for kind in reasons), Kind.COMPARED.value], object)
    return np.asarray(words[np.select(list(reasons.values()), range(len(reasons)), len(reasons))])


def _poor(jobs: Jobs) -> BoolArray:
    kind = jobs["kind"]
    missing = kind == Kind.UNMEASURED
    if not missing.any():
        return np.zeros(len(jobs), np.bool_)
    group = jobs.codes(GROUP)
    completed = np.bincount(group, missing | (kind == Kind.COMPARED))
    share = np.bincount(group, missing) / np.maximum(completed, 1.0)
    return np.asarray(share[group] > POOR)


def shown_to(jobs: Jobs, own: Jobs, viewer: str, months: Months, k: int) -> Jobs:
    """
    Of sorted jobs those that figures for a person who may not see all of them may be made of, with ``whose``.

    Parameters
    ----------
    jobs, own : Jobs
        Everybody's; all of the viewer's in the same time.
    viewer : str
        Who asks.
    months : Months
        Of others' jobs only whole months.
    k : int
        The fewest people behind a figure.

    Notes
    -----
    The jobs of a group are released in blocks (`measurements.domain.blocks`), those that failed apart from those that
    are compared. Of a group that is not released there are the viewer's own jobs, if they are enough to make figures
    of. Nothing else is left: no sum, no count and no name of a group tells what was taken away.
    """
    kept = [jobs.where(_released(jobs, months, k)).having(whose=Whose.CROWD.value)]
    seen = {key for key, _ in kept[0].places(*GROUP)}
    mine = own.where(own["username"] == viewer)
    groups = list(mine.places(*GROUP))
    compared = mine["kind"] == Kind.COMPARED
    enough = [at for key, at in groups if key not in seen and np.count_nonzero(compared[at]) >= FEWEST_OWN]
    kept += [mine.where(at).having(whose=Whose.OWN.value) for at in enough]
    return together(kept)


def _released(jobs: Jobs, months: Months, k: int) -> BoolArray:
    """Those in blocks of the months; of a group's failed jobs only if there are some that are compared."""
    found = np.zeros(len(jobs), np.bool_)
    month, person, energy = month_of(jobs["end_ms"]), jobs.codes(["username"]), jobs["energy_j"]
    seen: set[tuple[str, ...]] = set()
    for (kind, *group), at in jobs.places("kind", *GROUP):  # those that are compared come first
        if kind != Kind.COMPARED and (kind != Kind.FAILED or tuple(group) not in seen):
            continue
        block = crowd_blocks(np.unique(person[at], return_inverse=True)[1], energy[at], month[at], months.open, k)
        found[at] = whole_blocks(block, month[at], months.first, months.last)
        if found[at].any():
            seen.add(tuple(group))
    return found
