"""A person's energy by day and node type, in the site's own days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from django.contrib.auth.models import AbstractUser, AnonymousUser

from measurements.domain.figures import fill
from measurements.domain.quality import ratio
from measurements.domain.units import (
    DAY_MS,
    QUARTER_MS,
    US_PER_MS,
    US_PER_S,
    FloatArray,
    IntArray,
    day_from_ms,
    day_start_ms,
    ms_from_datetime,
)
from measurements.models import AllocationEnergy, Job, NodeConfig, NodeType, UserDay

_BY_DAY = ("energy_j", "filled_j", "covered_s", "elapsed_s")
_LEDGER = {
    "allocation_id": "allocation_id",
    "node_id": "node_id",
    "day": "day",
    "energy_j": "energy_j",
    "gpu_energy_j": "gpu_energy_j",
    "first_quarter": "first_quarter",
    "quarters": "quarters",
    "covered_us": "covered_us",
    "elapsed_us": "elapsed_us",
    "samples": "samples",
    "expected_samples": "expected_samples",
    "apportioned": "apportioned",
    "flags": "flags",
    "cpus": "allocation__cpus",
    "exclusive": "allocation__exclusive",
    "node_name": "allocation__node_name",
    "start_ms": "allocation__start_ms",
    "end_ms": "allocation__end_ms",
}
_DAYS_A_ROW_TOUCHES = 3  # of 24 h, a day of 23 h in the middle


@dataclass(frozen=True, slots=True)
class DayEnergy:
    """What a person's jobs drew on one of the site's days."""

    day: date
    energy_j: float  # metered
    filled_j: float  # estimated where nothing was metered; not part of energy_j
    covered_s: float  # node-seconds
    elapsed_s: float  # node-seconds; 0: no job ran
    by_type_j: tuple[float, ...]  # metered, in the order of the history's node types

    @property
    def coverage(self) -> float | None:
        """Covered ÷ elapsed, 0 to 1."""
        return ratio(self.covered_s, self.elapsed_s)


@dataclass(frozen=True, slots=True)
class History:
    """Days [first, last] of a person, each of them, oldest first."""

    first: date
    last: date
    zone: str
    node_types: tuple[str, ...]  # most energy first
    days: tuple[DayEnergy, ...]
    previous_j: float  # metered in the period of the same length before
    previous_elapsed_s: float

    @property
    def energy_j(self) -> float:
        """Metered in the period."""
        return sum(d.energy_j for d in self.days)

    @property
    def filled_j(self) -> float:
        """Estimated in the period where nothing was metered."""
        return sum(d.filled_j for d in self.days)

    @property
    def elapsed_s(self) -> float:
        """Node-seconds of the period's jobs inside it."""
        return sum(d.elapsed_s for d in self.days)

    @property
    def coverage(self) -> float | None:
        """Covered ÷ elapsed of the whole period, 0 to 1."""
        return ratio(sum(d.covered_s for d in self.days), self.elapsed_s)


def energy_history(viewer: AbstractUser | AnonymousUser, first: date, last: date, zone: ZoneInfo) -> History:
    """The viewer's own energy on the days [first, last] of ``zone``; the roll-up serves where they are UTC days."""
    length = (last - first).days + 1
    bounds = day_bounds_ms(first - timedelta(days=length), last, zone)
    is_utc = not (bounds % DAY_MS).any() and bool((np.diff(bounds) == DAY_MS).all())
    rows = _from_roll_up(viewer, bounds) if is_utc else _from_ledger(viewer, bounds)
    before, inside = rows[rows["place"] < length], rows[rows["place"] >= length]
    types = _labels(inside)
    days = _days(inside.assign(place=inside["place"] - length), first, length, types)
    return History(
        first=first,
        last=last,
        zone=zone.key,
        node_types=tuple(types.values()),
        days=days,
        previous_j=float(before["energy_j"].sum()),
        previous_elapsed_s=float(before["elapsed_s"].sum()),
    )


def day_bounds_ms(first: date, last: date, zone: ZoneInfo) -> IntArray:
    """The instants at which the days of ``zone`` from first to last begin, and the last one ends."""
    days = [first + timedelta(days=i) for i in range((last - first).days + 2)]
    return np.array([ms_from_datetime(datetime.combine(day, time.min, zone)) for day in days], np.int64)


def _from_roll_up(viewer: AbstractUser | AnonymousUser, bounds: IntArray) -> pd.DataFrame:
    """Place of the day, node type id and the sums, from the rows of user × UTC day × node type."""
    columns = ["day", "node_type_id", "energy_j", "filled_j", "covered_us", "elapsed_us"]
    first, after = day_from_ms(bounds[0]), day_from_ms(bounds[-1])
    known = viewer.is_authenticated and viewer.is_active
    mine = UserDay.objects.filter(username=viewer.get_username()) if known else UserDay.objects.none()
    rows = mine.filter(day__gte=first, day__lt=after)
    values = rows.order_by("day", "cluster_id", "node_type_id").values_list(*columns)
    frame = pd.DataFrame(values, columns=columns)
    frame["place"] = np.array([(day - first).days for day in frame["day"]], np.int64)
    frame["covered_s"] = frame["covered_us"].to_numpy(np.float64) / US_PER_S
    frame["elapsed_s"] = frame["elapsed_us"].to_numpy(np.float64) / US_PER_S
    return frame[["place", "node_type_id", *_BY_DAY]].astype(dict.fromkeys(_BY_DAY, np.float64))


def _from_ledger(viewer: AbstractUser | AnonymousUser, bounds: IntArray) -> pd.DataFrame:
    """The same from quarter-hour joules of ledger rows, for days that begin when no UTC day does.

    Covered time is known by UTC day: it is spread over the row's time evenly, as what was estimated is.
    """
    ledger = _ledger_rows(viewer, day_from_ms(bounds[0]), day_from_ms(bounds[-1] - 1))
    count, types = len(bounds) - 1, np.unique(ledger["node_type_id"].to_numpy(np.int64))
    kind = np.searchsorted(types, ledger["node_type_id"].to_numpy(np.int64))
    sums = {name: np.zeros(count * len(types)) for name in _BY_DAY}
    owner, place, joules = _quarters(ledger, bounds)
    sums["energy_j"] += np.bincount(place * len(types) + kind[owner], joules, count * len(types))
    for place, seconds in _overlaps(ledger, bounds):
        lasting = np.flatnonzero(seconds > 0)
        share = seconds[lasting] * US_PER_S / ledger["elapsed_us"].to_numpy(np.float64)[lasting]
        key = place[lasting] * len(types) + kind[lasting]
        sums["elapsed_s"] += np.bincount(key, seconds[lasting], len(sums["elapsed_s"]))
        covered_s = ledger["covered_us"].to_numpy(np.float64)[lasting] / US_PER_S
        sums["covered_s"] += np.bincount(key, covered_s * share, len(sums["covered_s"]))
        filled_j = ledger["filled_j"].to_numpy(np.float64)[lasting]
        sums["filled_j"] += np.bincount(key, filled_j * share, len(sums["filled_j"]))
    frame = pd.DataFrame({"place": np.repeat(np.arange(count), len(types)), "node_type_id": np.tile(types, count)})
    frame = frame.assign(**sums)
    return frame[frame["elapsed_s"] > 0]


def _ledger_rows(viewer: AbstractUser | AnonymousUser, first: date, last: date) -> pd.DataFrame:
    """The viewer's ledger rows of UTC days, each with its node's type and what is estimated for it."""
    mine = Job.objects.visible_to(viewer).filter(username=viewer.get_username())
    rows = AllocationEnergy.objects.filter(job__in=mine, day__gte=first, day__lte=last).order_by("pk")
    frame = pd.DataFrame(rows.values_list(*_LEDGER.values()).iterator(chunk_size=20_000), columns=list(_LEDGER))
    frame = frame.astype({"node_id": np.int64})
    described = _described(frame)
    frame["node_type_id"], frame["rated_w"], frame["node_cpus"] = described
    frame["run_id"], frame["consumed_j"], frame["wall_us"] = 0, np.nan, 0  # a reported figure has no days
    return fill(frame)


def _described(ledger: pd.DataFrame) -> tuple[IntArray, FloatArray, FloatArray]:
    """Type, rated power and cpus of each row's node on its day; before the first description, by that one."""
    nodes = ledger["node_id"].to_numpy(np.int64)
    days = np.array([day.toordinal() for day in ledger["day"]], np.int64)
    configs = NodeConfig.objects.filter(node__in=np.unique(nodes).tolist()).order_by("node_id", "valid_from")
    rows = list(configs.values_list("node_id", "valid_from", "node_type_id", "rated_w", "cpus"))
    width = date.max.toordinal() + 1
    keys = np.array([node * width + since.toordinal() for node, since, *_ in rows], np.int64)
    in_force = np.searchsorted(keys, nodes * width + days, side="right") - 1
    spot = np.maximum(in_force, np.searchsorted(keys, nodes * width))
    types = np.array([row[2] for row in rows], np.int64)[spot]
    rated = np.array([np.nan if row[3] is None else row[3] for row in rows], np.float64)[spot]
    return types, rated, np.array([row[4] or np.nan for row in rows], np.float64)[spot]


def _quarters(ledger: pd.DataFrame, bounds: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
    """For each quarter hour inside the bounds: its row, its day's place, its joules."""
    packed = [bytes(data) for data in ledger["quarters"]]
    joules = np.frombuffer(b"".join(packed), "<f8")
    lengths = np.array([len(data) // joules.itemsize for data in packed], np.int64)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    first = np.array([day_start_ms(day) // QUARTER_MS for day in ledger["day"]], np.int64)
    first += ledger["first_quarter"].to_numpy(np.int64)
    before = np.cumsum(lengths) - lengths
    quarter = first[owner] + np.arange(len(owner)) - before[owner]
    place = np.searchsorted(bounds // QUARTER_MS, quarter, side="right") - 1
    inside = (place >= 0) & (place < len(bounds) - 1)
    return owner[inside], place[inside], joules[inside]


def _overlaps(ledger: pd.DataFrame, bounds: IntArray) -> Iterable[tuple[IntArray, FloatArray]]:
    """How long each row lasts [s] in the first, second and third day it touches, with those days' places."""
    day_ms = np.array([day_start_ms(day) for day in ledger["day"]], np.int64)
    start = np.maximum(ledger["start_ms"].to_numpy(np.int64), day_ms) * US_PER_MS
    end = start + ledger["elapsed_us"].to_numpy(np.int64)
    edges = bounds * US_PER_MS
    first = np.searchsorted(edges, start, side="right") - 1
    for step in range(_DAYS_A_ROW_TOUCHES):
        place = first + step
        known = (place >= 0) & (place < len(edges) - 1)
        place = np.where(known, place, 0)
        inside = np.minimum(end, edges[place + 1]) - np.maximum(start, edges[place])
        yield place, np.where(known, np.maximum(inside, 0), 0) / US_PER_S


def _labels(rows: pd.DataFrame) -> dict[int, str]:
    """Measured node types by id, most energy first; with the cluster's name where there are several clusters."""
    weight = rows[rows["covered_s"] > 0].groupby("node_type_id")["energy_j"].sum()
    found = list(NodeType.objects.filter(pk__in=weight.index.tolist()).select_related("cluster"))
    several = len({row.cluster_id for row in found}) > 1
    found.sort(key=lambda row: (-weight[row.pk], row.name))
    return {row.pk: f"{row.cluster}/{row.name}" if several else row.name for row in found}


def _days(rows: pd.DataFrame, first: date, count: int, types: dict[int, str]) -> tuple[DayEnergy, ...]:
    place = rows["place"].to_numpy(np.int64)
    sums = np.stack([np.bincount(place, rows[name].to_numpy(np.float64), count) for name in _BY_DAY], axis=1)
    by_type = np.zeros((count, len(types)))
    column = {pk: i for i, pk in enumerate(types)}
    measured = rows[rows["node_type_id"].isin(column)]
    kinds = np.array([column[pk] for pk in measured["node_type_id"]], np.int64)
    np.add.at(by_type, (measured["place"].to_numpy(np.int64), kinds), measured["energy_j"].to_numpy(np.float64))
    days = enumerate(zip(sums.tolist(), by_type.tolist(), strict=True))
    return tuple(
        DayEnergy(first + timedelta(days=i), energy_j, filled_j, covered_s, elapsed_s, tuple(parts))
        for i, ((energy_j, filled_j, covered_s, elapsed_s), parts) in days
    )
