"""A year's energies by quarter hour and their price list, summed up to the months of a statement and the year."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from measurements.domain.carbon import G_PER_KG, EmbodiedRate, Origin, Part, PriceList, Rung
from measurements.domain.chain import Embodied, Slots, embodied_of, slots
from measurements.domain.statement import EmbodiedFigures, FactorUse, StatementPeriod
from measurements.domain.units import (
    DAY_MS,
    J_PER_KWH,
    QUARTER_MS,
    QUARTERS_PER_DAY,
    S_PER_HOUR,
    BoolArray,
    FloatArray,
    IntArray,
)

_METER = "meter"  # factor of an origin that meters give
_OF_NODES = (Part.INFRASTRUCTURE, Part.PUE, Part.WATER)  # priced by the energy of nodes, the others by the facility's


@dataclass(frozen=True, slots=True)
class LedgerYear:
    """What a cluster's ledger and meters say of the UTC days of a year [n quarter hours], and its prices."""

    prices: PriceList
    jobs_j: FloatArray  # metered
    own_j: FloatArray  # metered, unallocated
    filled_j: FloatArray
    wall_s: FloatArray
    covered_s: FloatArray
    off_s: FloatArray
    meter_j: FloatArray  # of the facility; nan: not known
    held_s: Mapping[int, FloatArray]  # node-seconds held by jobs, by node type
    free_s: Mapping[int, FloatArray]  # those that nobody held
    renewable: FloatArray  # declared share; nan: none
    now_ms: int


class _Sums:
    """Sums of quarter hours by month, and of the months as the last one."""

    def __init__(self, at_ms: IntArray, edges_ms: IntArray) -> None:
        self.inside: BoolArray = (at_ms >= edges_ms[0]) & (at_ms < edges_ms[-1])
        self.count = len(edges_ms) - 1
        self.place = np.searchsorted(edges_ms, at_ms[self.inside], side="right") - 1

    def of(self, values: FloatArray | BoolArray) -> list[float]:
        """Month by month, then the year."""
        months: list[float] = np.bincount(self.place, np.asarray(values, np.float64)[self.inside], self.count).tolist()
        return [*months, sum(months)]

    def known(self, amount: FloatArray, energy_j: FloatArray) -> list[float | None]:
        """Likewise; None where nothing of it is known (nan). Of no energy at all: 0 where a factor is."""
        is_known, drawn = ~np.isnan(amount), energy_j != 0
        both, some, any_factor = (self.of(mask) for mask in (is_known & drawn, drawn, is_known))
        sums = self.of(np.nan_to_num(amount))
        return [
            None if not b and (s or not k) else total
            for total, b, s, k in zip(sums, both, some, any_factor, strict=True)
        ]

    def missing(self, amount: FloatArray, energy_j: FloatArray) -> list[float]:
        """The energy for which an amount is not known."""
        return self.of(np.where(np.isnan(amount), energy_j, 0.0))


def periods(
    year: LedgerYear, edges_ms: IntArray, starts: Sequence[date]
) -> tuple[tuple[StatementPeriod, ...], StatementPeriod]:
    """
    The months between consecutive edges, and all of them together.

    Parameters
    ----------
    year : LedgerYear
        Whole UTC days that hold all edges.
    edges_ms : array of months + 1
        When each month begins, and the last one ends; on quarter hours. [ms]
    starts : dates of the edges
        In the site's zone.

    Returns
    -------
    (months, total)

    Notes
    -----
    By quarter hour: IT = (jobs + unallocated + filled) · (1 + infrastructure share); plant = IT · (PUE - 1). Where the
    PUE of the day is measured and the facility meter shows something, facility is what it shows, and what that is
    beyond IT + plant (nodes in their gaps, above all) stands apart; else facility = IT + plant. Scope 2 and cost are
    facility · factor; CUE = PUE · intensity = g of IT + plant ÷ IT, so that what is beyond IT is not in it.
    """
    sums = _Sums(year.prices.at_ms, edges_ms)
    jobs, own = slots(year.jobs_j + year.filled_j, year.prices), slots(year.own_j, year.prices)
    facility_j, metered = _facility(year, jobs.facility_j + own.facility_j)
    columns = {
        **_energy_columns(sums, year, jobs, own, facility_j, metered),
        **_overhead_columns(sums, year, jobs, own),
        **_emission_columns(sums, year, jobs, own, facility_j),
        **_embodied_columns(year, edges_ms),
        **_ratio_columns(sums, year, jobs, own, facility_j),
    }
    last = len(edges_ms) - 1
    spans = [(i, i + 1) for i in range(last)] + [(0, last)]
    found = [
        StatementPeriod(
            start=starts[a].isoformat(),
            end=starts[b].isoformat(),
            over=bool(edges_ms[b] <= year.now_ms),
            **{name: column[i] for name, column in columns.items()},  # type: ignore[arg-type]
        )
        for i, (a, b) in enumerate(spans)
    ]
    return tuple(found[:-1]), found[-1]


Column = Sequence[object]  # of all months, then of the year


def _facility(year: LedgerYear, computed_j: FloatArray) -> tuple[FloatArray, BoolArray]:
    """What the facility drew, and where its meter says so: on days on which the PUE could be measured with it."""
    usable = _is(year.prices, Part.PUE, lambda o: o.factor == _METER and o.rung is Rung.MEASURED)
    over = year.prices.at_ms + QUARTER_MS <= year.now_ms
    metered = usable & ~np.isnan(year.meter_j) & over
    return np.where(metered, year.meter_j, computed_j), metered


def _is(prices: PriceList, part: Part, wanted: Callable[[Origin], bool]) -> BoolArray:
    """In which quarter hours a factor's origin is as wanted."""
    flags = np.array([wanted(o) for o in prices.origins] + [False])
    found: BoolArray = flags[prices.origin[part]]
    return found


def _energy_columns(
    sums: _Sums, year: LedgerYear, jobs: Slots, own: Slots, facility_j: FloatArray, metered: BoolArray
) -> dict[str, Column]:
    infrastructure_j = jobs.infrastructure_j + own.infrastructure_j
    computed_j = jobs.facility_j + own.facility_j
    return {
        "recorded_share": _share(sums.of(year.wall_s > 0), sums.of(year.prices.at_ms + QUARTER_MS <= year.now_ms)),
        "wall_s": sums.of(year.wall_s),
        "covered_s": sums.of(year.covered_s),
        "off_s": sums.of(year.off_s),
        "jobs_j": sums.of(year.jobs_j),
        "unallocated_j": sums.of(year.own_j),
        "filled_j": sums.of(year.filled_j),
        "infrastructure_j": sums.of(infrastructure_j),
        "plant_j": sums.of(computed_j - jobs.node_j - own.node_j - infrastructure_j),
        "beyond_j": sums.of(facility_j - computed_j),
        "facility_j": sums.of(facility_j),
        "facility_metered_j": sums.of(np.where(metered, facility_j, 0.0)),
    }


def _overhead_columns(sums: _Sums, year: LedgerYear, jobs: Slots, own: Slots) -> dict[str, Column]:
    """PUE where it is known, and how; infrastructure likewise."""
    prices, node_j, there = year.prices, jobs.node_j + own.node_j, year.wall_s > 0
    it_j = node_j + jobs.infrastructure_j + own.infrastructure_j
    has_pue = ~np.isnan(prices.part(Part.PUE))
    declared = {part: _is(prices, part, lambda o: o.rung is Rung.DECLARED) for part in (Part.PUE, Part.INFRASTRUCTURE)}
    has_share = ~np.isnan(prices.part(Part.INFRASTRUCTURE))
    time, nodes = sums.of(there), sums.of(node_j)
    return {
        "pue": _ratio(sums.of(np.where(has_pue, jobs.facility_j + own.facility_j, 0.0)), sums.of(it_j * has_pue)),
        "pue_measured_share": _share(sums.of(there & has_pue & ~declared[Part.PUE]), time),
        "pue_declared_share": _share(sums.of(there & declared[Part.PUE]), time),
        "infrastructure_measured_share": _share(sums.of(node_j * (has_share & ~declared[Part.INFRASTRUCTURE])), nodes),
        "infrastructure_declared_share": _share(sums.of(node_j * declared[Part.INFRASTRUCTURE]), nodes),
    }


def _emission_columns(
    sums: _Sums, year: LedgerYear, jobs: Slots, own: Slots, facility_j: FloatArray
) -> dict[str, Column]:
    prices = year.prices
    beyond_j = facility_j - jobs.facility_j - own.facility_j
    beyond_g = beyond_j / J_PER_KWH * prices.part(Part.LOCATION)
    market_g = facility_j / J_PER_KWH * prices.part(Part.MARKET)
    location_g = jobs.location_g + own.location_g + beyond_g
    return {
        "location_g": sums.known(location_g, facility_j),
        "location_jobs_g": sums.known(jobs.location_g, jobs.facility_j),
        "location_own_g": sums.known(own.location_g, own.facility_j),
        "location_beyond_g": sums.known(beyond_g, beyond_j),
        "market_g": sums.known(market_g, facility_j),
        "unpriced_j": sums.missing(location_g, facility_j),
        "market_unpriced_j": sums.missing(market_g, facility_j),
        "cost": _cost(sums, prices, facility_j),
        "untariffed_j": sums.missing(prices.part(Part.TARIFF), facility_j),
        "water_l": sums.known(jobs.water_l + own.water_l, jobs.node_j + own.node_j),
    }


def _cost(sums: _Sums, prices: PriceList, facility_j: FloatArray) -> list[dict[str, float]]:
    """By currency, where any energy is priced in it."""
    currencies = sorted({o.unit.partition("/")[0] for i, o in enumerate(prices.origins) if _prices_tariff(prices, i)})
    found: list[dict[str, float]] = [{} for _ in range(sums.count + 1)]
    for currency in currencies:
        mine = _is(prices, Part.TARIFF, _in(currency))
        priced_j = sums.of(facility_j * mine)
        amounts = sums.of(np.where(mine, facility_j / J_PER_KWH * np.nan_to_num(prices.part(Part.TARIFF)), 0.0))
        for row, joules, amount in zip(found, priced_j, amounts, strict=True):
            if joules:
                row[currency] = amount
    return found


def _in(currency: str) -> Callable[[Origin], bool]:
    return lambda origin: origin.unit.partition("/")[0] == currency


def _prices_tariff(prices: PriceList, place: int) -> bool:
    return bool((prices.origin[Part.TARIFF] == place).any())


def _ratio_columns(sums: _Sums, year: LedgerYear, jobs: Slots, own: Slots, facility_j: FloatArray) -> dict[str, Column]:
    """Each only where all of its inputs are known of all of the energy."""
    prices = year.prices
    it_j = jobs.node_j + own.node_j + jobs.infrastructure_j + own.infrastructure_j
    it_kwh = sums.of(it_j / J_PER_KWH)
    no_pue = np.isnan(prices.part(Part.PUE))
    emitted_kg = (np.nan_to_num(jobs.location_g) + np.nan_to_num(own.location_g)) / G_PER_KG
    no_cue = sums.of(it_j * (no_pue | np.isnan(prices.part(Part.LOCATION))))
    no_wue = sums.of(it_j * np.isnan(prices.part(Part.WATER)))
    no_share = sums.of(facility_j * np.isnan(year.renewable))
    no_ref = sums.of(facility_j * (np.isnan(year.renewable) | no_pue))
    water_l = sums.of(np.nan_to_num(jobs.water_l) + np.nan_to_num(own.water_l))
    green_j, drawn_j = sums.of(facility_j * np.nan_to_num(year.renewable)), sums.of(facility_j)
    return {
        "cue_kg_per_kwh": _ratio(sums.of(emitted_kg), it_kwh, no_cue),
        "wue_l_per_kwh": _ratio(water_l, it_kwh, no_wue),
        "renewable_share": _ratio(green_j, drawn_j, no_share),
        "ref": _ratio(green_j, drawn_j, no_ref),
    }


def _ratio(
    above: Sequence[float], below: Sequence[float], unknown: Sequence[float] | None = None
) -> list[float | None]:
    missing = unknown or [0.0] * len(above)
    return [a / b if b and not gone else None for a, b, gone in zip(above, below, missing, strict=True)]


def _share(part: Sequence[float], whole: Sequence[float]) -> list[float]:
    return [a / b if b else 0.0 for a, b in zip(part, whole, strict=True)]


# --- Embodied, and the list of factors ---------------------------------------------------------------


def _embodied_columns(year: LedgerYear, edges_ms: IntArray) -> dict[str, Column]:
    return {
        "embodied_jobs": _embodied(year, year.held_s, edges_ms),
        "embodied_own": _embodied(year, year.free_s, edges_ms),
    }


def _embodied(year: LedgerYear, seconds: Mapping[int, FloatArray], edges_ms: IntArray) -> list[EmbodiedFigures | None]:
    bounds = [*zip(edges_ms[:-1].tolist(), edges_ms[1:].tolist(), strict=True), (int(edges_ms[0]), int(edges_ms[-1]))]
    return [_figures(embodied_of(*_node_hours(year.prices, seconds, start, end))) for start, end in bounds]


def _node_hours(
    prices: PriceList, seconds: Mapping[int, FloatArray], start_ms: int, end_ms: int
) -> tuple[dict[int, FloatArray], Sequence[Mapping[int, EmbodiedRate]]]:
    """By UTC day those between two instants, and the rates of these days."""
    first = (start_ms - int(prices.at_ms[0])) // DAY_MS
    last = -(-(end_ms - int(prices.at_ms[0])) // DAY_MS)
    part = slice(first * QUARTERS_PER_DAY, last * QUARTERS_PER_DAY)
    inside = (prices.at_ms[part] >= start_ms) & (prices.at_ms[part] < end_ms)
    hours = {
        kind: np.where(inside, values[part], 0.0).reshape(-1, QUARTERS_PER_DAY).sum(axis=1) / S_PER_HOUR
        for kind, values in seconds.items()
    }
    return hours, prices.embodied[first:last]


def _figures(found: Embodied | None) -> EmbodiedFigures | None:
    if found is None:
        return None
    return EmbodiedFigures(found.low_g, found.central_g, found.high_g, found.node_hours, found.unknown_node_hours)


def factor_uses(year: LedgerYear, edges_ms: IntArray) -> list[tuple[str, float, Origin]]:
    """Part of the chain, share of what it priced, and where the factor is from; only those that priced anything."""
    prices = year.prices
    inside = (prices.at_ms >= edges_ms[0]) & (prices.at_ms < edges_ms[-1])
    jobs, own = slots(year.jobs_j + year.filled_j, prices), slots(year.own_j, prices)
    facility_j, _ = _facility(year, jobs.facility_j + own.facility_j)
    found = []
    for part in Part:
        energy_j = (jobs.node_j + own.node_j if part in _OF_NODES else facility_j)[inside]
        weights = np.bincount(prices.origin[part][inside] + 1, energy_j, len(prices.origins) + 1)[1:].tolist()
        whole = float(energy_j.sum())
        found += [
            (part.name.lower(), w / whole, o) for o, w in zip(prices.origins, weights, strict=True) if w and whole
        ]
    return found + _embodied_uses(year, edges_ms)


def _embodied_uses(year: LedgerYear, edges_ms: IntArray) -> list[tuple[str, float, Origin]]:
    hours: dict[Origin, float] = {}
    whole = 0.0
    for seconds in (year.held_s, year.free_s):
        by_type, rates = _node_hours(year.prices, seconds, int(edges_ms[0]), int(edges_ms[-1]))
        for kind, by_day in by_type.items():
            whole += float(by_day.sum())
            for count, rate in zip(by_day.tolist(), (of_day.get(kind) for of_day in rates), strict=True):
                if rate is not None and count:
                    hours[rate.origin] = hours.get(rate.origin, 0.0) + count
    return [("embodied", count / whole, origin) for origin, count in hours.items() if whole]


def used(rows: Sequence[tuple[str, float, Origin]]) -> tuple[FactorUse, ...]:
    """As they stand in a statement: part by part, what priced most first."""
    order = [*(part.name.lower() for part in Part), "renewable", "embodied"]
    said = [FactorUse(part, share, origin.as_json()) for part, share, origin in rows]
    return tuple(sorted(said, key=lambda use: (order.index(use.part), -use.share, sorted(use.origin.items()))))
