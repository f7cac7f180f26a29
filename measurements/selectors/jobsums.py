"""Sums over the jobs of a filter, where they are few enough to be added up for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from measurements.domain.quality import FULL_COVERAGE, ratio
from measurements.domain.units import MS_PER_S, S_PER_HOUR, US_PER_S, BoolArray, FloatArray, IntArray, day_from_ms
from measurements.models import NodeConfig
from measurements.selectors.jobfilter import FAILED, Selection

MOST_SUMMED = 5_000  # jobs
MOST_HELD = 8_000  # nodes held by them; of more no figures by node type are given
_COLUMNS = {
    "job_id": "pk",
    "state": "state",
    "start_ms": "start_ms",
    "end_ms": "end_ms",
    "energy_j": "energy__energy_j",
    "filled_j": "energy__filled_j",
    "covered_us": "energy__covered_us",
    "elapsed_us": "energy__elapsed_us",
}
_NODE = "runs__allocations__node_id"
_NUMBERS = [name for name in _COLUMNS if name not in ("job_id", "state")]
SEVERAL = ""  # node type of a job that ran on nodes of several types


@dataclass(frozen=True, slots=True)
class TypeSums:
    """The jobs of a selection that ran on one node type."""

    node_type: str  # SEVERAL: on more than one
    jobs: int
    measured: int  # ended, and measured for 95 % of their time: the medians are of these
    median_j: float | None
    median_runtime_s: float | None


@dataclass(frozen=True, slots=True)
class JobSums:
    """What the jobs of a selection come to."""

    jobs: int
    measured_jobs: int  # of which anything was metered
    energy_j: float  # metered
    filled_j: float  # reported or estimated instead; not part of energy_j
    node_hours: float
    coverage: float | None
    failed: int
    failed_j: float  # metered
    by_type: tuple[TypeSums, ...]  # empty also where they hold too many nodes

    @property
    def failed_share(self) -> float | None:
        """Drawn by failed jobs ÷ drawn by all."""
        return ratio(self.failed_j, self.energy_j)


def job_sums(selection: Selection) -> JobSums | None:
    """The sums; None if there are more jobs than a page may add up."""
    rows = list(selection.matching().values_list(*_COLUMNS.values(), _NODE)[: MOST_HELD + 1])
    if len(rows) <= MOST_HELD:
        *columns, nodes = zip(*rows, strict=True) if rows else [()] * (len(_COLUMNS) + 1)
        types = types_of_jobs(columns[0], columns[2], nodes)
    else:  # too many nodes
        rows = list(selection.matching().values_list(*_COLUMNS.values())[: MOST_SUMMED + 1])
        columns, types = list(zip(*rows, strict=True)), {}
    jobs = _jobs(columns)
    return _sums(jobs, types) if len(jobs.ids) <= MOST_SUMMED else None


@dataclass(frozen=True, slots=True)
class _Jobs:
    """Columns, one value a job; nan: not known."""

    ids: IntArray
    failed: BoolArray
    numbers: dict[str, FloatArray]


def _jobs(columns: Sequence[Sequence[Any]]) -> _Jobs:
    """Each job once, of rows that may be one a node it held."""
    ids, first = np.unique(np.array(columns[0], np.int64), return_index=True)
    failed = np.array([state in FAILED for state in columns[1]], bool)[first]
    numbers = {name: np.array(column, np.float64)[first] for name, column in zip(_NUMBERS, columns[2:], strict=True)}
    return _Jobs(ids, failed, numbers)


def _sums(jobs: _Jobs, types: dict[int, str]) -> JobSums:
    energy, filled, covered, elapsed = (np.nan_to_num(jobs.numbers[name]) for name in _NUMBERS[2:])
    kinds = np.array([types.get(job) for job in jobs.ids.tolist()], object)
    return JobSums(
        jobs=len(jobs.ids),
        measured_jobs=int((covered > 0).sum()),
        energy_j=float(energy.sum()),
        filled_j=float(filled.sum()),
        node_hours=float(elapsed.sum()) / US_PER_S / S_PER_HOUR,
        coverage=ratio(float(covered.sum()), float(elapsed.sum())),
        failed=int(jobs.failed.sum()),
        failed_j=float(energy[jobs.failed].sum()),
        by_type=tuple(_of_type(name, jobs.numbers, kinds == name) for name in sorted(set(types.values()))),
    )


def _of_type(name: str, numbers: dict[str, FloatArray], jobs: BoolArray) -> TypeSums:
    covered, elapsed = numbers["covered_us"], numbers["elapsed_us"]
    whole = jobs & (covered > 0) & (covered >= FULL_COVERAGE * elapsed) & ~np.isnan(numbers["end_ms"])
    runtime_s = (numbers["end_ms"] - numbers["start_ms"])[whole] / MS_PER_S
    return TypeSums(
        node_type=name,
        jobs=int(jobs.sum()),
        measured=int(whole.sum()),
        median_j=float(np.median(numbers["energy_j"][whole])) if whole.any() else None,
        median_runtime_s=float(np.median(runtime_s)) if whole.any() else None,
    )


def types_of_jobs(jobs: Sequence[int], starts_ms: Sequence[int | None], nodes: Sequence[int | None]) -> dict[int, str]:
    """Per job the type of its nodes on the day it began; a node not yet described then has its first type."""
    described: dict[int, list[tuple[date, str]]] = {}
    rows = NodeConfig.objects.filter(node__in={node for node in nodes if node is not None}).order_by("valid_from")
    for node, since, name in rows.values_list("node_id", "valid_from", "node_type__name"):
        described.setdefault(node, []).append((since, name))
    types: dict[int, str] = {}
    for job, start_ms, held in zip(jobs, starts_ms, nodes, strict=True):
        if held in described and start_ms is not None:
            kind = _type_on(described[held], start_ms)
            types[job] = kind if types.get(job, kind) == kind else SEVERAL
    return types


def _type_on(periods: list[tuple[date, str]], at_ms: int) -> str:
    """The one in force on an instant's day, or the first."""
    if len(periods) == 1:
        return periods[0][1]
    day = day_from_ms(at_ms)
    return next((name for since, name in reversed(periods) if since <= day), periods[0][1])
