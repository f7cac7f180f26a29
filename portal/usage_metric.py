"""What a metric is in figures: its cells, its unit, its words."""

from __future__ import annotations

from measurements.domain.carbon import Part
from measurements.domain.units import FloatArray
from measurements.selectors.usage import Usage
from portal.quantities import Unit, format_quantity, money, number, unit_for
from portal.usage_view import Metric
from portal.wording_carbon import FEW

LIKE_COVERAGE = 0.1  # two times of which shares further apart than this were measured are not compared
QUANTITY = {Metric.ENERGY: "energy", Metric.WASTE: "energy", Metric.EMISSIONS: "emissions"}


def cells_of(usage: Usage, metric: Metric, *, market: bool) -> FloatArray:
    """The values [bars, groups] in J, g or money; nan: not known."""
    cells = usage.cells
    return {
        Metric.ENERGY: cells.energy_j,
        Metric.WASTE: cells.wasted_j,
        Metric.EMISSIONS: cells.market_g if market else cells.location_g,
        Metric.COST: cells.cost,
    }[metric]


def total_of(usage: Usage, metric: Metric, *, market: bool) -> float | None:
    """The sum of the period; None: not known, or nothing was measured."""
    found = usage.footprint
    if metric in (Metric.ENERGY, Metric.WASTE):
        total = usage.energy_j if metric is Metric.ENERGY else usage.wasted_j
        return total if usage.covered_s else None
    if not usage.covered_s and not usage.filled_j:
        return None
    if metric is Metric.COST:
        return usage.cost
    return found.market_g if market else found.location_g


def known_share(usage: Usage, metric: Metric, *, market: bool) -> float:
    """Of the energy of the facility: what a factor or a tariff in the total's currency is known for."""
    found = usage.footprint
    if metric in (Metric.ENERGY, Metric.WASTE) or not found.facility_j:
        return 1.0
    if metric is Metric.EMISSIONS:
        return 1.0 - (found.market_unpriced_j if market else found.unpriced_j) / found.facility_j
    tariffs = found.shares.get(Part.TARIFF, ())
    mine = [share.weight_j for share in tariffs if share.origin.unit.partition("/")[0] == usage.currency]
    return sum(mine) / found.facility_j


def comparable(usage: Usage, earlier: Usage, metric: Metric, *, market: bool) -> bool:
    """Whether two times' totals are of the same: as well measured, known for all of the energy, in one currency."""
    if metric in (Metric.ENERGY, Metric.WASTE):
        return abs((usage.coverage or 0.0) - (earlier.coverage or 0.0)) <= LIKE_COVERAGE
    if metric is Metric.COST and usage.currency != earlier.currency:
        return False
    return all(1.0 - known_share(each, metric, market=market) <= FEW for each in (usage, earlier))


def unit_of(largest: float, metric: Metric, currency: str) -> Unit:
    """The one unit of a chart or a column."""
    quantity = QUANTITY.get(metric)
    return unit_for(largest, quantity) if quantity else Unit(currency, 1.0)


def in_words(value: float | None, metric: Metric, currency: str) -> str:
    """A value with its unit."""
    if value is None:
        return "–"
    quantity = QUANTITY.get(metric)
    return format_quantity(value, quantity) if quantity else money(value, currency)


def bare(value: float, unit: Unit) -> str:
    """A number for a column whose heading has the unit."""
    return number(value / unit.size)
