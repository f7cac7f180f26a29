"""What energies by quarter hour emit, cost and take of water: roll-ups and ledger rows times price lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd

from measurements.domain.carbon import PriceList
from measurements.domain.chain import Footprint, embodied_of, footprint
from measurements.domain.packing import stacked
from measurements.domain.profiles import HOURS_PER_DAY
from measurements.domain.slot_sums import by_quarter
from measurements.domain.units import (
    MS_PER_S,
    QUARTER_MS,
    QUARTERS_PER_DAY,
    S_PER_HOUR,
    BoolArray,
    FloatArray,
    IntArray,
    day_from_ms,
)
from measurements.models import Cluster, TypeDay
from measurements.selectors.frames import frame_of
from measurements.selectors.prices import price_list

_MACHINE_COLUMNS = ("day", "node_type_id", "metered_quarters", "unallocated_quarters", "filled_hours", "reserved_hours")


@dataclass(frozen=True, slots=True)
class Energies:
    """Energies of one cluster by quarter hour of the UTC days from ``first`` on."""

    first: date
    metered_j: FloatArray  # [n]
    filled_j: FloatArray  # [n]
    reserved_s: Mapping[int, FloatArray] = field(default_factory=dict)  # node-seconds held, by node type [n]

    @property
    def node_j(self) -> FloatArray:
        """Metered and filled [n]."""
        return self.metered_j + self.filled_j

    def priced(self, prices: PriceList, where: BoolArray | None = None) -> Footprint:
        """The figure of the quarter hours that a mask [n] picks, with all its steps; prices are of the same days."""
        inside = np.ones(len(self.metered_j), bool) if where is None else where
        node_hours = {
            kind: np.where(inside, seconds, 0.0).reshape(-1, QUARTERS_PER_DAY).sum(axis=1) / S_PER_HOUR
            for kind, seconds in self.reserved_s.items()
        }
        return footprint(
            np.where(inside, self.metered_j, 0.0),
            np.where(inside, self.filled_j, 0.0),
            prices,
            embodied_of(node_hours, prices.embodied),
        )


def rolled_up(rows: pd.DataFrame, first: date, last: date, energy: str = "energy_quarters") -> Energies:
    """Roll-ups (day, node_type_id, joules packed by quarter hour; filled_hours, reserved_hours) as one array each."""
    days = (last - first).days + 1
    place = np.array([(day - first).days for day in rows["day"]], np.int64)
    metered_j, filled_j = np.zeros((2, days, QUARTERS_PER_DAY))
    np.add.at(metered_j, place, stacked(rows[energy]))
    np.add.at(filled_j, place, _quarters(rows["filled_hours"]))
    reserved = _quarters(rows["reserved_hours"])
    kinds = rows["node_type_id"].to_numpy(np.int64)
    held_s = {kind: _added(kinds == kind, place, reserved, days) for kind in np.unique(kinds).tolist()}
    return Energies(first, metered_j.ravel(), filled_j.ravel(), held_s)


def _added(mine: BoolArray, place: IntArray, values: FloatArray, days: int) -> FloatArray:
    total = np.zeros((days, QUARTERS_PER_DAY))
    np.add.at(total, place[mine], values[mine])
    return total.ravel()


def _quarters(hours: pd.Series) -> FloatArray:
    """Values packed by hour as quarter hours [rows, 96]."""
    return by_quarter(stacked(hours, HOURS_PER_DAY))


# --- A whole machine --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MachineFootprints:
    """A cluster's emissions: of its jobs, and its own. Both together are the cluster's, slot by slot."""

    jobs: Footprint  # metered and filled
    own: Footprint  # unallocated energy, and the node-hours that no job reserved
    prices: PriceList


def cluster_footprints(
    cluster: Cluster,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    prices: PriceList | None = None,
    rows: pd.DataFrame | None = None,
) -> MachineFootprints:
    """In [start, end), both on quarter hours; two queries. No node-hour after ``now_ms`` is anybody's yet.

    ``prices`` of the same UTC days are taken in place of the cluster's own: what would be. ``rows`` are roll-ups that
    were read already (`type_days.type_day_frame`), of these days at least: then it is one query.
    """
    first, last = day_from_ms(start_ms), day_from_ms(max(end_ms - 1, start_ms))
    frame = _of_days(cluster, first, last) if rows is None else rows[rows["day"].between(first, last)]
    if prices is None:
        prices = price_list(cluster, first, last, set(frame["day"]))
    inside = (prices.at_ms >= start_ms) & (prices.at_ms < end_ms)
    metered = rolled_up(frame, first, last, "metered_quarters")
    own = rolled_up(frame, first, last, "unallocated_quarters")
    jobs = Energies(first, metered.metered_j - own.metered_j, metered.filled_j, metered.reserved_s)
    free_s = {kind: wall - metered.reserved_s[kind] for kind, wall in _wall_s(frame, prices.at_ms, now_ms).items()}
    nobodys = Energies(first, own.metered_j, np.zeros(len(inside)), free_s)
    return MachineFootprints(jobs.priced(prices, inside), nobodys.priced(prices, inside), prices)


def _of_days(cluster: Cluster, first: date, last: date) -> pd.DataFrame:
    rows = TypeDay.objects.filter(cluster=cluster, day__gte=first, day__lte=last).order_by("day", "node_type_id")
    return frame_of(rows.values_list(*_MACHINE_COLUMNS, "nodes"), (*_MACHINE_COLUMNS, "nodes"))


def _wall_s(frame: pd.DataFrame, at_ms: IntArray, now_ms: int) -> dict[int, FloatArray]:
    """Node-seconds of each quarter hour by node type, whether the nodes were on or off: they were made all the same."""
    over_s = np.clip(now_ms - at_ms, 0, QUARTER_MS) / MS_PER_S
    first = day_from_ms(int(at_ms[0]))
    found: dict[int, FloatArray] = {}
    for day, kind, nodes in frame[["day", "node_type_id", "nodes"]].itertuples(index=False):
        of_day = slice((day - first).days * QUARTERS_PER_DAY, ((day - first).days + 1) * QUARTERS_PER_DAY)
        found.setdefault(int(kind), np.zeros(len(at_ms)))[of_day] = nodes * over_s[of_day]
    return found
