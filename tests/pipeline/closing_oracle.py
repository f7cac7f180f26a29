"""Prices by quarter hour worked out anew, in plain loops: nothing of the code that prices is used here.

A quarter hour is its number since 1970 (UTC). What is not known is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

QUARTER_S = 900
KWH_J = 3_600_000.0
Hours = Mapping[int, float]


@dataclass(frozen=True)
class Grid:
    """A series with its slots, months and years, as a supply names them."""

    since: date | None  # local day; None: from the beginning
    slots: Sequence[tuple[datetime, int, float | None]] = ()  # begin, minutes, g/kWh
    months: Mapping[tuple[int, int], float] = field(default_factory=dict)
    years: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Factor:
    """A declared value from a local day on; None as value: none any more."""

    since: date | None
    value: float | None
    night: float | None = None  # of a tariff: from 22:00 to 06:00 local


@dataclass(frozen=True)
class Meters:
    """Joules by quarter hour of what stands above the nodes and of the nodes, and the nodes' coverage."""

    facility: Hours
    infrastructure: Hours
    nodes: Hours
    coverage: Hours


@dataclass(frozen=True)
class Price:
    """Of one quarter hour."""

    infrastructure: float
    pue: float
    location: float | None
    market: float | None
    tariff: float | None
    water: float | None

    def of(self, joules: float) -> dict[str, float | None]:
        """What the joules of nodes become."""
        it_j = joules * (1 + self.infrastructure)
        kwh = it_j * self.pue / KWH_J
        per_kwh = {"location_g": self.location, "market_g": self.market, "cost": self.tariff}
        found = {name: None if rate is None else kwh * rate for name, rate in per_kwh.items()}
        return found | {"water_l": None if self.water is None else it_j / KWH_J * self.water}


@dataclass(frozen=True)
class Rules:
    """All that prices one cluster."""

    zone: ZoneInfo
    location: Sequence[Grid]
    market: Sequence[Grid]
    pue: Sequence[Factor]
    infrastructure: Sequence[Factor]
    tariff: Sequence[Factor]
    water: Sequence[Factor]

    def price(self, quarter: int, meters: Meters) -> Price:
        """Of one quarter hour: measured before declared."""
        share = _measured_share(quarter, meters)
        declared = _declared(self.infrastructure, quarter, self.zone)
        pue = _measured_pue(quarter // 96, meters, lambda q: self._share(q, meters))
        declared_pue = _declared(self.pue, quarter, self.zone)
        return Price(
            infrastructure=share if share is not None else (declared or 0.0),
            pue=pue if pue is not None else (declared_pue or 1.0),
            location=_intensity(self.location, quarter, self.zone),
            market=_intensity(self.market, quarter, self.zone),
            tariff=_declared(self.tariff, quarter, self.zone),
            water=_declared(self.water, quarter, self.zone),
        )

    def _share(self, quarter: int, meters: Meters) -> float:
        measured = _measured_share(quarter, meters)
        return measured if measured is not None else (_declared(self.infrastructure, quarter, self.zone) or 0.0)


def begin_of(quarter: int) -> datetime:
    """When it begins."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=QUARTER_S * quarter)


def quarter_of(instant: datetime) -> int:
    """In which an instant lies."""
    return int((instant - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() // QUARTER_S)


def _holds(since: date | None, quarter: int, zone: ZoneInfo) -> bool:
    return since is None or datetime.combine(since, time(), zone).astimezone(UTC) <= begin_of(quarter)


def _declared(rows: Sequence[Factor], quarter: int, zone: ZoneInfo) -> float | None:
    value = None
    for row in rows:  # in the order of their days
        if _holds(row.since, quarter, zone):
            local = begin_of(quarter).astimezone(zone)
            by_night = row.night is not None and (local.hour >= 22 or local.hour < 6)
            value = row.night if by_night else row.value
    return value


def _intensity(rows: Sequence[Grid], quarter: int, zone: ZoneInfo) -> float | None:
    in_force = [row for row in rows if _holds(row.since, quarter, zone)]
    if not in_force:
        return None
    grid, begin = in_force[-1], begin_of(quarter)
    for start, minutes, value in grid.slots:
        if start <= begin < start + timedelta(minutes=minutes) and value is not None:
            return value
    local = begin.astimezone(zone)
    if (local.year, local.month) in grid.months:
        return grid.months[local.year, local.month]
    earlier = [year for year in grid.years if year <= local.year]
    return grid.years[max(earlier)] if earlier else None


def _all_nodes_j(quarter: int, meters: Meters) -> float | None:
    coverage = meters.coverage.get(quarter, 0.0)
    return meters.nodes[quarter] / coverage if coverage >= 0.95 else None


def _one_share(quarter: int, meters: Meters) -> float | None:
    nodes_j, above_j = _all_nodes_j(quarter, meters), meters.infrastructure.get(quarter)
    return above_j / nodes_j if nodes_j and above_j else None


def _measured_share(quarter: int, meters: Meters) -> float | None:
    own = _one_share(quarter, meters)
    if own is not None:
        return own
    day = quarter // 96
    others = [_one_share(q, meters) for q in range(96 * day, 96 * day + 96)]
    known = [share for share in others if share is not None]
    return math.fsum(known) / len(known) if known else None


def _measured_pue(day: int, meters: Meters, share: Callable[[int], float]) -> float | None:
    facility, it, count = [], [], 0
    for quarter in range(96 * day, 96 * day + 96):
        nodes_j, above_j = _all_nodes_j(quarter, meters), meters.facility.get(quarter)
        if nodes_j and above_j:
            facility.append(above_j)
            it.append(nodes_j * (1 + share(quarter)))
            count += 1
    if count < 48:  # half of a day that is over
        return None
    pue = math.fsum(facility) / math.fsum(it)
    return pue if 1 <= pue <= 5 else None


def total(values: Iterable[float | None]) -> float:
    """The exact sum of what is known."""
    return math.fsum(value for value in values if value is not None)
