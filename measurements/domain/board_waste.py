"""Shares of waste: energy of idle accelerators, or of failed jobs, beside what was put to use.

What was put to use is what successful jobs drew *above idle*: who sleeps, holds more or runs slower never has more of
it. Rows are those of the roll-up (`UsageDay`): user, project, day, node type, end state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from measurements.domain.blame import WASTED
from measurements.domain.board_scores import Ratio, Span
from measurements.domain.boards import IDLE_MARGIN, Behind, Reason, Scored
from measurements.domain.units import US_PER_S, FloatArray


@dataclass(frozen=True, slots=True)
class IdlePower:
    """Of a node type, without its GPUs, and of one of its GPUs [W]; nan: not described."""

    node_w: float
    gpu_w: float
    gpus: float


def counting(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of jobs that ended by their own doing."""
    return frame[frame["state"].isin(["COMPLETED", *WASTED]) & ~frame["excused"].astype(bool)]


def undescribed(frame: pd.DataFrame, powers: Mapping[int, IdlePower], *, gpus_only: bool) -> list[int]:
    """The node types whose idle power is needed and not described."""
    held = set(frame.loc[frame["gpu_held_us"] > 0, "node_type_id"].tolist())
    found = []
    for kind, power in sorted(powers.items()):
        has_gpus = kind in held or (power.gpus > 0 and not gpus_only)
        if (has_gpus and np.isnan(power.gpu_w)) or (not gpus_only and np.isnan(power.node_w)):
            found.append(kind)
    return found


def with_parts(frame: pd.DataFrame, powers: Mapping[int, IdlePower], *, gpus_only: bool) -> pd.DataFrame:
    """With ``wasted`` and, above idle, ``used`` of each row [J]."""
    kinds, place = np.unique(frame["node_type_id"].to_numpy(np.int64), return_inverse=True)
    node_w, gpu_w, gpus = (
        np.array([getattr(powers[kind], name) for kind in kinds.tolist()], np.float64)[place]
        for name in IdlePower.__slots__
    )
    failed = frame["state"].isin(WASTED).to_numpy(bool)
    held_s, idle_s, reserved_s = (
        frame[name].to_numpy() / US_PER_S for name in ("gpu_held_us", "gpu_idle_us", "reserved_us")
    )
    if gpus_only:
        wasted = frame["gpu_idle_j"].to_numpy()
        busy_j = (frame["gpu_energy_j"] - frame["gpu_idle_j"]).to_numpy()
        used = busy_j - IDLE_MARGIN * (held_s - idle_s) * np.nan_to_num(gpu_w)
        used = np.where(held_s > 0, used, 0.0)
    else:
        wasted = np.where(failed, frame["energy_j"].to_numpy(), 0.0)
        gpu_s = np.where(held_s > 0, held_s, reserved_s * gpus)
        idle_w_s = reserved_s * np.nan_to_num(node_w) + gpu_s * np.nan_to_num(gpu_w)
        used = frame["energy_j"].to_numpy() - IDLE_MARGIN * idle_w_s
    return frame.assign(wasted=wasted, used=np.where(failed, 0.0, used))


def used_above_idle(sums: FloatArray) -> FloatArray:
    """
    Energy put to use by day and entity, of sums that may be below 0 [days, entities].

    Its total is that of the sums, 0 at least: whoever moves what draws less than the margin to another day, or onto
    another kind of node, has no more of it. Days below 0 count as 0, the others in proportion.
    """
    positive = np.maximum(sums, 0.0)
    total, whole = np.maximum(sums.sum(axis=0), 0.0), positive.sum(axis=0)
    return positive * np.divide(total, whole, out=np.zeros(len(total)), where=whole > 0)


def shares(table: pd.DataFrame, by: str, span: Span, jobs: Mapping[tuple[str, ...], int], *, of_gpus: bool) -> Scored:
    """
    x ÷ (x + y) by entity: x wasted, y put to use.

    Parameters
    ----------
    table : DataFrame
        Rows with what `with_parts` adds, and ``day``, days since 1970.
    by : str
        The entities' column: username or account.
    span : Span
    jobs : dict
        How many ended, by entity and, where that is a project, user.
    of_gpus : bool
        Whether the energy of accelerators alone is compared.
    """
    entity, names = pd.factorize(table[by].to_numpy(object), sort=True)
    day = np.clip(table["day"].to_numpy(np.int64) - span.first, 0, span.days - 1)
    shape = (span.days, len(names))

    def by_day(column: str) -> FloatArray:
        key = day * len(names) + entity
        sums = np.bincount(key, table[column].to_numpy(np.float64), shape[0] * shape[1])
        return sums.astype(np.float64, copy=False).reshape(shape)

    wasted, used = by_day("wasted"), used_above_idle(by_day("used"))
    covered, elapsed = by_day("covered_us").sum(axis=0), by_day("elapsed_us")
    behind = _behind(table, by, tuple(map(str, names)), jobs)
    whole = wasted + used
    barred = dict.fromkeys(np.flatnonzero(whole.sum(axis=0) <= 0).tolist(), Reason.LITTLE_ENERGY)
    if of_gpus:
        none = np.flatnonzero(by_day("gpu_held_us").sum(axis=0) <= 0)
        barred |= dict.fromkeys(none.tolist(), Reason.NO_ACCELERATORS)
    total = elapsed.sum(axis=0)
    return Scored(
        names=tuple(map(str, names)),
        scores=Ratio(wasted, whole),
        jobs=np.bincount(behind.entity, behind.jobs, len(names)).astype(np.int64),
        days=(elapsed > 0).sum(axis=0).astype(np.int64),
        energy_j=by_day("gpu_energy_j" if of_gpus else "energy_j").sum(axis=0),
        coverage=np.divide(covered, total, out=np.zeros(len(names)), where=total > 0),
        in_scope=np.ones(len(names)),
        barred=barred,
        behind=behind,
        relative=False,
    )


def _behind(table: pd.DataFrame, by: str, names: tuple[str, ...], count: Mapping[tuple[str, ...], int]) -> Behind:
    """By entity and person."""
    keys = list(dict.fromkeys([by, "username"]))
    sums = (
        table.assign(whole=table["wasted"] + table["used"].clip(lower=0.0)).groupby(keys)[["energy_j", "whole"]].sum()
    )
    index = [key if isinstance(key, tuple) else (key,) for key in sums.index.tolist()]
    place = {name: i for i, name in enumerate(names)}
    return Behind(
        entity=np.array([place[key[0]] for key in index], np.int64),
        person=[key[-1] for key in index],
        jobs=np.array([count.get(key, 0) for key in index], np.int64),
        excused=np.zeros(len(index), np.int64),
        energy_j=sums["energy_j"].to_numpy(np.float64),
        whole=sums["whole"].to_numpy(np.float64),
    )
