"""Figures of allocations as data frames: added up, filled where nothing was metered, graded, summed.

A frame of allocations has one row an allocation: allocation_id, run_id, node_id, node_name, start_ms, end_ms,
cpus, exclusive, consumed_j (the run's, as the batch system says), rated_w and node_cpus; nan where
not known. A frame of bookings has one row a ledger row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from measurements.domain.integrate import LARGEST_POWER_MW
from measurements.domain.quality import Grade, grades
from measurements.domain.units import MW_PER_W, US_PER_MS, US_PER_S, FloatArray, IntArray

BOOKING_FIELDS = [
    "allocation_id",
    "day",
    "energy_j",
    "gpu_energy_j",
    "covered_us",
    "elapsed_us",
    "samples",
    "expected_samples",
    "apportioned",
    "gpu_held_us",
    "gpu_idle_us",
    "gpu_idle_j",
    "reserved_us",
    "flags",
]
_BOOKED_FLOATS = ("energy_j", "gpu_energy_j", "gpu_idle_j", "expected_samples")
_BOOKED_WHOLE = ("covered_us", "elapsed_us", "samples", "gpu_held_us", "gpu_idle_us", "reserved_us")
_SUMS = [*_BOOKED_FLOATS, "filled_j", *_BOOKED_WHOLE]
FIGURE_FIELDS = [*_SUMS, "quality"]
_FAR_MS = 1 << 62
_WORDS = np.array([Grade(g).word for g in sorted(Grade)], object)


def by_allocation(parts: pd.DataFrame, booked: pd.DataFrame, start_ms: int = 0, end_ms: int = _FAR_MS) -> pd.DataFrame:
    """One row an allocation: its bookings of a period added up day by day, and ``wall_us``, its whole length.

    What has no booking (its node is not known, say) has its elapsed time in the period from its start and end.
    """
    place = pd.Series(np.arange(len(parts)), index=parts["allocation_id"])
    booked = booked.sort_values("day", kind="stable")
    owner = place[booked["allocation_id"]].to_numpy() if len(booked) else np.empty(0, np.int64)
    totals = parts.copy()
    for name in _BOOKED_FLOATS:
        totals[name] = np.bincount(owner, booked[name].to_numpy(np.float64), len(parts))
    for name in _BOOKED_WHOLE:
        totals[name] = _int_sums(owner, counts_of(booked[name]), len(parts))
    totals["apportioned"] = np.bincount(owner, booked["apportioned"].to_numpy(np.float64), len(parts)) > 0
    flags = np.zeros(len(parts), np.int64)
    np.bitwise_or.at(flags, owner, booked["flags"].to_numpy(np.int64))
    totals["flags"] = flags
    begin = parts["start_ms"].to_numpy(np.int64)
    finish = pd.to_numeric(parts["end_ms"]).fillna(parts["start_ms"]).to_numpy(np.int64)
    inside = np.clip(finish, start_ms, end_ms) - np.clip(begin, start_ms, end_ms)
    totals["wall_us"] = (finish - begin) * US_PER_MS
    totals["elapsed_us"] = np.where(totals["elapsed_us"] == 0, inside * US_PER_MS, totals["elapsed_us"])
    return totals


def counts_of(values: pd.Series) -> IntArray:
    """A column of whole numbers; what a row does not say, for it was booked before anybody asked, counts as 0."""
    return pd.to_numeric(values).fillna(0).to_numpy(np.int64)


def _int_sums(owner: IntArray, values: IntArray, count: int) -> IntArray:
    sums = np.zeros(count, np.int64)
    np.add.at(sums, owner, values)
    return sums


def fill(totals: pd.DataFrame) -> pd.DataFrame:
    """With ``filled_j`` and ``grade``, in an order that depends on the content alone.

    For a run of which nothing was metered the batch system's own figure is shared over its allocations by time; else
    an allocation without metering is estimated. Of what is metered nothing is filled.
    """
    totals = totals.sort_values(["start_ms", "node_name", "end_ms", "energy_j", "elapsed_us"], kind="stable")
    elapsed_s = totals["elapsed_us"].to_numpy(np.float64) / US_PER_S
    unmetered = (totals["covered_us"].to_numpy() == 0) & (elapsed_s > 0)
    metered_runs = set(totals.loc[totals["covered_us"] > 0, "run_id"])
    consumed = pd.to_numeric(totals["consumed_j"]).to_numpy(np.float64)
    reported = unmetered & (consumed >= 0) & ~totals["run_id"].isin(metered_runs).to_numpy()
    wall = totals.groupby("run_id")["wall_us"].transform("sum").to_numpy(np.float64) / US_PER_S
    reported &= consumed <= LARGEST_POWER_MW / MW_PER_W * wall  # more than any node draws is no measurement
    estimate = estimated_j(totals, elapsed_s)
    estimated = unmetered & ~np.isnan(estimate)
    share = elapsed_s / np.where(wall > 0, wall, 1.0)
    totals["filled_j"] = np.where(reported, consumed * share, np.where(estimated, estimate, 0.0))
    totals["grade"] = grades(
        totals["covered_us"].to_numpy(np.int64),
        totals["elapsed_us"].to_numpy(np.int64),
        totals["samples"].to_numpy(np.int64),
        totals["expected_samples"].to_numpy(np.float64),
        totals["apportioned"].to_numpy(bool),
        reported,
        estimated,
    )
    return totals


def estimated_j(totals: pd.DataFrame, elapsed_s: FloatArray) -> FloatArray:
    """Rated power × time × share of cores [J]; nan where the rated power is not known. GPUs are not in it."""
    cpus = pd.to_numeric(totals["cpus"]).to_numpy(np.float64)
    share = np.minimum(cpus / totals["node_cpus"].to_numpy(np.float64), 1.0)
    share[totals["exclusive"].eq(other=True).to_numpy(bool)] = 1.0
    return totals["rated_w"].to_numpy(np.float64) * elapsed_s * np.where(np.isnan(share), 1.0, share)


def summed(totals: pd.DataFrame) -> dict[str, Any]:
    """Sums over filled allocations, and the worst quality of those that lasted."""
    if totals.empty:
        return dict.fromkeys(_SUMS, 0) | {"quality": Grade.NONE.word}
    row = summed_by(totals, []).iloc[0]
    return {name: row[name].item() for name in _SUMS} | {"quality": row["quality"]}


def summed_by(totals: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """`summed` of each group of rows with the same keys, in the order of the keys; with ``flags``.

    Values are added one after the other in the frame's order, so that a sum depends on nothing but its own terms.
    """
    group, count = group_of(totals, keys) if keys else (np.zeros(len(totals), np.int64), 1)
    return summed_in(totals, group, count, keys)


def summed_in(totals: pd.DataFrame, group: IntArray, count: int, keys: list[str]) -> pd.DataFrame:
    """`summed_by` where it is known which group each row belongs to (`group_of`)."""
    first = np.full(count, -1, np.int64)
    first[group[::-1]] = np.arange(len(group) - 1, -1, -1)
    found: dict[str, Any] = {name: totals[name].to_numpy()[first] for name in keys}
    for name in _SUMS:
        values = totals[name].to_numpy()
        whole = np.issubdtype(values.dtype, np.integer)
        found[name] = _int_sums(group, values, count) if whole else np.bincount(group, values, count)
    grade = np.full(count, max(Grade), np.int64)
    lasting = totals["elapsed_us"].to_numpy() > 0
    np.minimum.at(grade, group[lasting], totals["grade"].to_numpy(np.int64)[lasting])
    grade[np.bincount(group[lasting], minlength=count) == 0] = Grade.NONE
    found["quality"] = pd.Series(_WORDS[grade], dtype=object)  # as pandas' own texts they are slow to read again
    flags = np.zeros(count, np.int64)
    np.bitwise_or.at(flags, group, totals["flags"].to_numpy(np.int64))
    return pd.DataFrame(found | {"flags": flags})


def group_of(rows: pd.DataFrame, keys: list[str]) -> tuple[IntArray, int]:
    """Which of the groups with the same keys each row belongs to, in the order of the keys; how many there are."""
    grouped = rows.groupby(keys, sort=True)
    group = grouped.ngroup().to_numpy(np.int64)
    return group, int(group.max(initial=-1)) + 1
