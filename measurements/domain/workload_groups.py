"""Jobs of a workload in groups that may be compared: of one phase, size, target and unit, by node type."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from measurements.domain.blocks import crowd_blocks, month_of, whole_blocks
from measurements.domain.job_columns import Jobs, together
from measurements.domain.quality import FULL_COVERAGE
from measurements.domain.units import BoolArray

NO_UNIT = "units"  # of work that is declared without a unit
POOR = 0.2  # of a type's completed jobs: if more are not measured throughout, those that are may be of another kind
FEWEST_OWN = 3  # of one's own jobs, before figures are made of them
CELL = ["phase", "size", "target", "measure"]
GROUP = [*CELL, "node_type"]
MEASURED = ("metered", "apportioned", "coarse")
_WORDS = ["username", "phase", "size", "target", "node_type"]
_NUMBERS = ["job", "work", "gpus", "end_ms", "runtime_s", "energy_j", "gpu_held_s", "gpu_idle_j", "estimate_j", "scope"]


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


def sorted_out(rows: pd.DataFrame) -> Jobs:
    """The rows of jobs with ``kind``, ``measure`` (the unit of its declared work, empty without), ``per_unit_j``, and
    ``poor``: whether too many of its group's completed jobs are not measured throughout."""
    work = rows["work"].to_numpy(np.float64)
    known = np.isfinite(work) & (work > 0)
    unit = rows["unit"].to_numpy(object)
    measured = rows["quality"].isin(MEASURED).to_numpy() & (rows["coverage"].to_numpy(np.float64) >= FULL_COVERAGE)
    measured &= (rows["energy_j"].to_numpy(np.float64) > 0) & (rows["runtime_s"].to_numpy(np.float64) > 0)
    kinds = np.select(
        [
            rows["excused"].to_numpy(bool),
            (rows["node_type"] == "").to_numpy(),
            (rows["state"] != "COMPLETED").to_numpy(),
            ~measured,
        ],
        [Kind.EXCUSED.value, Kind.SEVERAL.value, Kind.FAILED.value, Kind.UNMEASURED.value],
        Kind.COMPARED.value,
    )
    divided = np.divide(rows["energy_j"].to_numpy(np.float64), work, out=np.full(len(rows), np.nan), where=known)
    found = Jobs(
        {
            **{name: rows[name].to_numpy(object) for name in _WORDS},
            **{name: rows[name].to_numpy() for name in _NUMBERS},
            "kind": kinds.astype(object),
            "measure": np.where(known, np.where(unit == "", NO_UNIT, unit), ""),
            "per_unit_j": divided,
        }
    )
    return found.having(poor=_poor(found))


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
    parts = []
    seen: set[tuple[str, ...]] = set()
    kind = jobs["kind"]
    for key, group in jobs.where((kind == Kind.COMPARED) | (kind == Kind.FAILED)).by("kind", *GROUP):
        released = _released(group, months, k)
        if len(released) and (key[0] == Kind.COMPARED or key[1:] in seen):  # those that are compared come first
            parts.append(released.having(whose=Whose.CROWD.value))
            seen |= {key[1:]} if key[0] == Kind.COMPARED else set()
    mine = list(own.where(own["username"] == viewer).by("kind", *GROUP))
    enough = {key[1:] for key, group in mine if key[0] == Kind.COMPARED and len(group) >= FEWEST_OWN} - seen
    parts += [group.having(whose=Whose.OWN.value) for key, group in mine if key[1:] in enough]
    return together([jobs.where(np.zeros(len(jobs), np.bool_)).having(whose=""), *parts])


def _released(group: Jobs, months: Months, k: int) -> Jobs:
    month = month_of(group["end_ms"])
    block = crowd_blocks(group.codes(["username"]), group.number("energy_j"), month, months.open, k)
    return group.where(whole_blocks(block, month, months.first, months.last))
