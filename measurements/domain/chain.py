"""The chain from joules to emissions, cost and water: each step a line, each line with its source and share.

metered IT energy → what is filled → shared infrastructure → PUE → carbon intensity, tariff; water and embodied beside
it. Every step is applied once, to the quarter hours in which the energy was used (never at a job's start).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from measurements.domain.carbon import EmbodiedRate, Origin, Part, PriceList, edition_of
from measurements.domain.units import J_PER_KWH, FloatArray


@dataclass(frozen=True, slots=True)
class Slots:
    """What energies become slot by slot, of any shape [..., n]; nan where a factor is not known."""

    node_j: FloatArray  # metered and filled
    infrastructure_j: FloatArray
    facility_j: FloatArray  # with infrastructure and PUE
    location_g: FloatArray
    market_g: FloatArray
    cost: FloatArray
    water_l: FloatArray


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a figure that was made with one factor."""

    origin: Origin
    weight_j: float  # facility energy priced with it (infrastructure, PUE, water: energy of the nodes)
    amount: float  # what it gave: J, g, money, litres


@dataclass(frozen=True, slots=True)
class Embodied:
    """Embodied emissions of reserved node-hours [g CO2e], and those node-hours."""

    low_g: float
    central_g: float
    high_g: float
    node_hours: float
    unknown_node_hours: float  # of node types without a declared figure
    origins: tuple[Origin, ...]


@dataclass(frozen=True, slots=True)
class Footprint:
    """A figure with all its steps. Sums of slots; nothing is rounded."""

    metered_j: float
    filled_j: float
    infrastructure_j: float
    facility_j: float
    location_g: float | None  # operational, location-based; None: no carbon intensity is known
    market_g: float | None
    cost: Mapping[str, float]  # by currency
    water_l: float | None
    unpriced_j: float  # facility energy without a location-based intensity; not in location_g
    market_unpriced_j: float
    shares: Mapping[Part, tuple[Share, ...]]
    embodied: Embodied | None = None

    @property
    def node_j(self) -> float:
        """Energy of the nodes, metered and filled."""
        return self.metered_j + self.filled_j

    @property
    def it_j(self) -> float:
        """Energy of the nodes and of shared infrastructure."""
        return self.node_j + self.infrastructure_j

    @property
    def plant_j(self) -> float:
        """What the PUE adds: cooling, power distribution."""
        return self.facility_j - self.it_j

    @property
    def pue(self) -> float | None:
        """Facility ÷ IT energy of this figure; 1 where none is configured."""
        return self.facility_j / self.it_j if self.it_j else None

    @property
    def priced_j(self) -> float:
        """Facility energy with a location-based intensity."""
        return self.facility_j - self.unpriced_j

    @property
    def intensity_g_per_kwh(self) -> float | None:
        """Mean location-based intensity, weighted by the energy."""
        if self.location_g is None or not self.priced_j:
            return None
        return self.location_g / (self.priced_j / J_PER_KWH)

    @property
    def market_g_per_kwh(self) -> float | None:
        """Mean market-based intensity, weighted by the energy."""
        priced_j = self.facility_j - self.market_unpriced_j
        return self.market_g / (priced_j / J_PER_KWH) if self.market_g is not None and priced_j else None

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Of all factors that it was made with."""
        found = [share.origin for shares in self.shares.values() for share in shares]
        return tuple(dict.fromkeys([*found, *(self.embodied.origins if self.embodied else ())]))

    @property
    def factor_edition(self) -> str:
        """A short name of the set of factors; empty where none was used."""
        return edition_of(self.origins)


NOTHING = Footprint(0.0, 0.0, 0.0, 0.0, None, None, {}, None, 0.0, 0.0, {})


def slots(node_j: FloatArray, prices: PriceList) -> Slots:
    """Price energies of nodes [..., n] in the n quarter hours of a list, element by element."""
    share = np.nan_to_num(prices.part(Part.INFRASTRUCTURE))  # not known: not included, and said so
    pue = np.where(np.isnan(prices.part(Part.PUE)), 1.0, prices.part(Part.PUE))
    infrastructure_j = node_j * share
    it_j = node_j + infrastructure_j
    facility_j = it_j * pue
    kwh = facility_j / J_PER_KWH
    return Slots(
        node_j=node_j,
        infrastructure_j=infrastructure_j,
        facility_j=facility_j,
        location_g=kwh * prices.part(Part.LOCATION),
        market_g=kwh * prices.part(Part.MARKET),
        cost=kwh * prices.part(Part.TARIFF),
        water_l=it_j / J_PER_KWH * prices.part(Part.WATER),
    )


def footprint(
    metered_j: FloatArray, filled_j: FloatArray, prices: PriceList, embodied: Embodied | None = None
) -> Footprint:
    """
    Price the energy of nodes, quarter hour by quarter hour, with every step.

    Parameters
    ----------
    metered_j, filled_j : array of n
        Metered energy of the nodes, and what stands in for what was not metered [J].
    prices : PriceList of n quarter hours

    Returns
    -------
    Footprint

    Notes
    -----
    IT = (metered + filled) · (1 + infrastructure share); facility = IT · PUE; emissions = Σ facility · CI by quarter
    hour (not the intensity at the start); cost = Σ facility · tariff; water = Σ IT · WUE. PUE and share enter once.
    """
    priced = slots(metered_j + filled_j, prices)
    amounts = {
        Part.INFRASTRUCTURE: priced.infrastructure_j,
        Part.PUE: priced.facility_j,
        Part.LOCATION: priced.location_g,
        Part.MARKET: priced.market_g,
        Part.TARIFF: priced.cost,
        Part.WATER: priced.water_l,
    }
    of_nodes = (Part.INFRASTRUCTURE, Part.PUE, Part.WATER)
    shares = {
        part: _shares(prices, part, priced.node_j if part in of_nodes else priced.facility_j, amount)
        for part, amount in amounts.items()
    }
    facility_j = float(priced.facility_j.sum())
    return Footprint(
        metered_j=float(metered_j.sum()),
        filled_j=float(filled_j.sum()),
        infrastructure_j=float(priced.infrastructure_j.sum()),
        facility_j=facility_j,
        location_g=_known_sum(priced.location_g, priced.facility_j),
        market_g=_known_sum(priced.market_g, priced.facility_j),
        cost=_by_unit(shares[Part.TARIFF]),
        water_l=_known_sum(priced.water_l, priced.facility_j),
        unpriced_j=_unknown_j(priced.location_g, priced.facility_j),
        market_unpriced_j=_unknown_j(priced.market_g, priced.facility_j),
        shares=shares,
        embodied=embodied,
    )


def _known_sum(amount: FloatArray, energy_j: FloatArray) -> float | None:
    """None where nothing of it is known; without any energy 0 where a factor is."""
    known = ~np.isnan(amount)
    drawn = energy_j != 0
    if not (known & drawn).any() and (drawn.any() or not known.any()):
        return None
    return float(amount[known].sum())


def _unknown_j(amount: FloatArray, energy_j: FloatArray) -> float:
    return float(energy_j[np.isnan(amount)].sum())


def _shares(prices: PriceList, part: Part, weight_j: FloatArray, amount: FloatArray) -> tuple[Share, ...]:
    """By origin, in the order of the list; those that priced no energy are left out."""
    count = len(prices.origins)
    place = prices.origin[part] + 1
    weights = np.bincount(place, weight_j, count + 1)[1:].tolist()
    amounts = np.bincount(place, np.nan_to_num(amount), count + 1)[1:].tolist()
    rows = zip(prices.origins, weights, amounts, strict=True)
    return tuple(Share(origin, weight, amount) for origin, weight, amount in rows if weight)


def _by_unit(shares: Sequence[Share]) -> dict[str, float]:
    """Money by currency: the part of the unit before the stroke."""
    found: dict[str, float] = {}
    for share in shares:
        currency = share.origin.unit.partition("/")[0]
        found[currency] = found.get(currency, 0.0) + share.amount
    return found


def embodied_of(node_hours: Mapping[int, FloatArray], rates: Sequence[Mapping[int, EmbodiedRate]]) -> Embodied | None:
    """Embodied emissions of reserved node-hours: by node type an array of UTC days, as long as ``rates``.

    None where no node type has a rate.
    """
    low = central = high = total = unknown = 0.0
    origins: dict[Origin, None] = {}
    for node_type in sorted(node_hours):
        for hours, by_type in zip(node_hours[node_type].tolist(), rates, strict=True):
            rate = by_type.get(node_type)
            total += hours
            if rate is None:
                unknown += hours
            elif hours:
                low, central, high = low + hours * rate.low, central + hours * rate.central, high + hours * rate.high
                origins[rate.origin] = None
    if not any(rates):
        return None
    return Embodied(low, central, high, total, unknown, tuple(origins))


def together(parts: Sequence[Footprint]) -> Footprint:
    """The sum of figures of several clusters, or of jobs; an amount is known where any part of it is."""
    if not parts:
        return NOTHING
    shares: dict[Part, dict[Origin, Share]] = {}
    cost: dict[str, float] = {}
    for each in parts:
        for part, found in each.shares.items():
            of_part = shares.setdefault(part, {})
            for share in found:
                before = of_part.get(share.origin, Share(share.origin, 0.0, 0.0))
                of_part[share.origin] = Share(
                    share.origin, before.weight_j + share.weight_j, before.amount + share.amount
                )
        for currency, amount in each.cost.items():
            cost[currency] = cost.get(currency, 0.0) + amount
    return Footprint(
        metered_j=sum(p.metered_j for p in parts),
        filled_j=sum(p.filled_j for p in parts),
        infrastructure_j=sum(p.infrastructure_j for p in parts),
        facility_j=sum(p.facility_j for p in parts),
        location_g=_optional_sum([p.location_g for p in parts]),
        market_g=_optional_sum([p.market_g for p in parts]),
        cost=cost,
        water_l=_optional_sum([p.water_l for p in parts]),
        unpriced_j=sum(p.unpriced_j for p in parts),
        market_unpriced_j=sum(p.market_unpriced_j for p in parts),
        shares={part: tuple(found.values()) for part, found in shares.items()},
        embodied=_embodied_together([p.embodied for p in parts]),
    )


def _optional_sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _embodied_together(parts: Sequence[Embodied | None]) -> Embodied | None:
    known = [part for part in parts if part is not None]
    if not known:
        return None
    return Embodied(
        low_g=sum(part.low_g for part in known),
        central_g=sum(part.central_g for part in known),
        high_g=sum(part.high_g for part in known),
        node_hours=sum(part.node_hours for part in known),
        unknown_node_hours=sum(part.unknown_node_hours for part in known),
        origins=tuple(dict.fromkeys(origin for part in known for origin in part.origins)),
    )
