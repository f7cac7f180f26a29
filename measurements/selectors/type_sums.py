"""The roll-ups of node types of some clusters, added up between instants; and what is known of their jobs' GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from measurements.domain.packing import stacked
from measurements.domain.profiles import HOURS_PER_DAY
from measurements.domain.quality import ratio
from measurements.domain.slot_sums import by_quarter
from measurements.domain.units import US_PER_S, BoolArray, FloatArray, IntArray, day_from_ms
from measurements.models import TypeDay
from measurements.selectors.frames import frame_of
from measurements.selectors.machine import Closed
from measurements.selectors.type_days import SUMS, TypeDays, type_days_of

_NAMED = {"node_type_id": "node_type_id", "cluster": "cluster__name", "name": "node_type__name"}
_DAY = ("day", "nodes", "measured_nodes", "off_us", "covered_hours", "metered_quarters", "unallocated_quarters")
_HOURS = ("reserved_hours", "idle_hours")
_GPU_SUMS = ("gpu_energy_j", "gpu_held_us", "gpu_idle_us")
_APART = "\x1f"  # sorts before every letter of a name


@dataclass(frozen=True, slots=True)
class Gpus:
    """The GPUs that jobs held, as far as it is known whether they were idle."""

    energy_j: float
    held_s: float
    idle_s: float
    idle_j: float

    @property
    def mean_w(self) -> float | None:
        """Mean power of one GPU while a job held it [W]."""
        return ratio(self.energy_j, self.held_s)


@dataclass(frozen=True, slots=True)
class TypeSum:
    """One node type between the first edge and the last."""

    pk: int
    cluster: str
    name: str
    nodes: int  # most of any UTC day
    measured_nodes: int
    total: Closed
    slots: tuple[Closed, ...]
    reserved_s: float  # node-seconds × share that jobs held
    gpus: Gpus | None  # None: nothing is known


def type_sums(clusters: Sequence[int], edges: IntArray, now_ms: int) -> list[TypeSum]:
    """By cluster and name; types without a node in service are left out; time after ``now_ms`` is no gap. One query."""
    frame = _frame(clusters, int(edges[0]), int(edges[-1]))
    if frame.empty:
        return []
    cells = _Cells(type_days_of(frame, now_ms), edges)
    slots = {name: cells.by_slot(getattr(cells.rows, name)) for name in SUMS}
    reserved, idle = (cells.by_slot(by_quarter(stacked(frame[name], HOURS_PER_DAY))).sum(axis=1) for name in _HOURS)
    energy_j, held_us, idle_us = (cells.by_type(frame[name].to_numpy(np.float64)) for name in _GPU_SUMS)
    types = frame["node_type_id"].to_numpy(np.int64)
    found = []
    for i, key in enumerate(cells.rows.types):
        days = cells.days(i)
        nodes = int(cells.rows.nodes[days].max(initial=0))
        if not nodes:
            continue
        cluster, name = key.split(_APART)
        gpus = Gpus(float(energy_j[i]), float(held_us[i]) / US_PER_S, float(idle_us[i]) / US_PER_S, float(idle[i]))
        found.append(
            TypeSum(
                pk=int(types[days][0]),
                cluster=cluster,
                name=name,
                nodes=nodes,
                measured_nodes=int(cells.rows.measured[days].max()),
                total=_closed({of: float(values[i].sum()) for of, values in slots.items()}),
                slots=_slots({of: values[i].tolist() for of, values in slots.items()}),
                reserved_s=float(reserved[i]),
                gpus=gpus if gpus.held_s else None,
            )
        )
    return found


class _Cells:
    """To which type and which slot each quarter hour of some roll-ups belongs."""

    def __init__(self, rows: TypeDays, edges: IntArray) -> None:
        self.rows = rows
        self.shape = (len(rows.types), len(edges) - 1)
        place = np.searchsorted(edges, rows.at_ms, side="right") - 1
        self.inside = (place >= 0) & (place < self.shape[1])
        self.cell = np.where(self.inside, rows.kind[:, None] * self.shape[1] + place, 0).ravel()

    def by_slot(self, values: FloatArray) -> FloatArray:
        """Sums of values by quarter hour [k, 96] as [types, slots]."""
        counted = np.where(self.inside, values, 0.0).ravel()
        found: FloatArray = np.bincount(self.cell, counted, self.shape[0] * self.shape[1]).astype(np.float64)
        return found.reshape(self.shape)

    def by_type(self, values: FloatArray) -> FloatArray:
        """Sums of values by UTC day [k] as [types]; of a day that lies partly inside, as much of it."""
        return np.bincount(self.rows.kind, values * self.inside.mean(axis=1), self.shape[0]).astype(np.float64)

    def days(self, kind: int) -> BoolArray:
        """Which rows are of a type, and inside [k]."""
        found: BoolArray = self.inside.any(axis=1) & (self.rows.kind == kind)
        return found


def _slots(columns: dict[str, list[float]]) -> tuple[Closed, ...]:
    return tuple(_closed(dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True))


def _closed(sums: dict[str, float]) -> Closed:
    return Closed(other_j=None, **sums)


def _frame(clusters: Sequence[int], start_ms: int, end_ms: int) -> pd.DataFrame:
    """The roll-ups of all days that reach into [start, end), as `type_days_of` takes them: their key is in the name."""
    rows = TypeDay.objects.filter(
        cluster__in=clusters, day__gte=day_from_ms(start_ms), day__lte=day_from_ms(end_ms - 1)
    ).order_by("day", "cluster__name", "node_type__name")
    more = (*_DAY, *_HOURS, *_GPU_SUMS)
    frame = frame_of(rows.values_list(*_NAMED.values(), *more), [*_NAMED, *more])
    return frame.assign(node_type__name=frame["cluster"] + _APART + frame["name"])
