"""What usage emits and costs, step by step, and how its quarter hours lie against the grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from measurements.domain.carbon import Part, PriceList
from measurements.domain.chain import Footprint, embodied_of, footprint, together
from measurements.domain.profiles import HOURS_PER_DAY, RESERVED
from measurements.domain.timeshift import time_resolved
from measurements.domain.units import EPOCH_DAY, HOUR_MS, QUARTER_MS, S_PER_HOUR, BoolArray, FloatArray, IntArray
from measurements.domain.usage import Quartered
from measurements.selectors.usage_rows import UsageRows

_Days = tuple[date, date]  # UTC, both included


@dataclass(frozen=True, slots=True)
class Quarters:
    """The period by quarter hour [n]: when the jobs ran, and what the grid was like."""

    at_ms: IntArray
    facility_j: FloatArray  # of the jobs, with infrastructure and PUE
    grid_g_per_kwh: FloatArray  # of the cluster on which most was drawn, location-based; nan: not known
    grid_resolved: BoolArray  # where that is known of the quarter hour itself, not as a mean of a longer time


def node_hours_of(rows: UsageRows, bounds: IntArray, days: _Days) -> dict[tuple[int, int], FloatArray]:
    """Node-hours that the rows' jobs held inside the period, by cluster and node type, of each UTC day."""
    start, end = rows.hour * HOUR_MS, (rows.hour + 1) * HOUR_MS
    inside = np.clip(np.minimum(end, bounds[-1]) - np.maximum(start, bounds[0]), 0, HOUR_MS) / HOUR_MS
    first, count = (days[0] - EPOCH_DAY).days, (days[1] - days[0]).days + 1
    _type, place, code = np.unique(rows.node_type, return_index=True, return_inverse=True)
    key = code[rows.owner] * count + rows.hour // HOURS_PER_DAY - first
    hours = np.bincount(key, rows.records[:, RESERVED] * inside / S_PER_HOUR, len(place) * count)
    pairs = zip(rows.cluster[place].tolist(), rows.node_type[place].tolist(), strict=True)
    return dict(zip(pairs, hours.astype(np.float64).reshape(len(place), count), strict=True))


def footprint_of(
    rows: UsageRows,
    found: Quartered,
    cluster: IntArray,
    node_hours: Mapping[tuple[int, int], FloatArray],
    prices: Mapping[int, PriceList],
) -> Footprint:
    """The period's figure with every step."""
    figures = []
    for pk, price in prices.items():
        mine = slice(None) if len(prices) == 1 else cluster[found.kind] == pk
        place = found.at[mine] - int(price.at_ms[0]) // QUARTER_MS
        metered_j, filled_j = (
            np.bincount(place, values[mine], len(price.at_ms)).astype(np.float64)
            for values in (found.energy_j, found.filled_j)
        )
        held = {kind: hours for (owner, kind), hours in node_hours.items() if owner == pk}
        figures.append(footprint(metered_j, filled_j, price, embodied_of(held, price.embodied)))
    return together(figures)


def main_currency(figure: Footprint) -> str:
    """The one in which most of the energy is priced: amounts of two currencies can't be held against each other."""
    drawn_j: dict[str, float] = {}
    for share in figure.shares.get(Part.TARIFF, ()):
        name = share.origin.unit.partition("/")[0]
        drawn_j[name] = drawn_j.get(name, 0.0) + share.weight_j
    return max(sorted(drawn_j), key=lambda name: drawn_j[name], default="")


def quarters_of(
    found: Quartered,
    cluster: IntArray,
    facility_j: FloatArray,
    prices: Mapping[int, PriceList],
    bounds: IntArray,
) -> Quarters:
    """The period's quarter hours against the grid of the cluster on which most was drawn."""
    first, end = int(bounds[0]) // QUARTER_MS, int(bounds[-1]) // QUARTER_MS
    at_ms = np.arange(first, end, dtype=np.int64) * QUARTER_MS
    drawn_j = np.bincount(found.at - first, facility_j, end - first).astype(np.float64)
    by_kind = np.bincount(found.kind, found.energy_j + found.filled_j, len(cluster))
    heaviest = max(prices, key=lambda pk: float(by_kind[cluster == pk].sum()), default=None)
    if heaviest is None:
        return Quarters(at_ms, drawn_j, np.full(len(at_ms), np.nan), np.zeros(len(at_ms), bool))
    price = prices[heaviest]
    place = slice(first - int(price.at_ms[0]) // QUARTER_MS, end - int(price.at_ms[0]) // QUARTER_MS)
    return Quarters(at_ms, drawn_j, price.part(Part.LOCATION)[place], time_resolved(price)[place])
