"""Prices of a joule by quarter hour: infrastructure, PUE, carbon intensity, tariff, water, and where each is from.

Factors are rates, dated and sourced; nothing is baked into energies. docs/carbon.md states the rules.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np

from measurements.domain.units import QUARTERS_PER_DAY, FloatArray, IntArray

G_PER_KG = 1_000.0
G_PER_T = 1_000_000.0
HOURS_PER_YEAR = 365 * 24.0  # of SCI's lifetime: its example counts a year so
G_PER_KWH_FROM_LBS_PER_MWH = 0.45359237  # international pound; 1 lb/MWh = 453.59237 g / 1000 kWh
LOWEST_G_PER_KWH, HIGHEST_G_PER_KWH = 0.0, 3_000.0  # no grid's hour is outside; oil shale alone emits less
LOWEST_PUE, HIGHEST_PUE = 1.0, 5.0


class Method(StrEnum):
    """How electricity is accounted for (GHG Protocol Scope 2)."""

    LOCATION = "location_based"
    MARKET = "market_based"


class Basis(StrEnum):
    """What an intensity counts."""

    DIRECT = "direct"  # at the power station
    LIFECYCLE = "lifecycle"  # with what comes before and after


class Rung(StrEnum):
    """How a factor is known, best first."""

    MEASURED = "measured"  # of the slot itself
    ESTIMATED = "estimated"  # of the slot, by its publisher or from the rest of the day
    MONTHLY = "monthly"
    YEARLY = "yearly"
    EARLIER_YEAR = "earlier_year"  # the year is not published yet
    DECLARED = "declared"  # typed in by the site


class Part(IntEnum):
    """The rows of a price list."""

    INFRASTRUCTURE = 0  # shared infrastructure ÷ energy of the nodes
    PUE = 1  # facility ÷ IT energy, 1 or more
    LOCATION = 2  # g CO2e per kWh of the facility
    MARKET = 3  # likewise, by contract or residual mix
    TARIFF = 4  # money per kWh of the facility
    WATER = 5  # litres per kWh of IT energy (WUE)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a factor is from: what has to stand beside every figure made with it."""

    rung: Rung
    factor: str  # which row of which table: series:12, site:7, meter
    title: str
    edition: str = ""
    unit: str = ""
    zone: str = ""
    basis: str = ""
    gas: str = ""
    mix: str = ""
    since: str = ""  # ISO day from which it holds, or the year or month that it is of
    url: str = ""
    licence: str = ""
    retrieved: str = ""  # ISO day
    note: str = ""

    def as_json(self) -> dict[str, str]:
        """Without what is empty."""
        return {key: str(value) for key, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True)
class EmbodiedRate:
    """Embodied emissions of one reserved node-hour [g CO2e]."""

    low: float
    central: float
    high: float
    origin: Origin


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices of consecutive UTC days of one cluster, by quarter hour; nan: not known."""

    at_ms: IntArray  # [n] begins
    values: FloatArray  # [6, n] by `Part`
    origin: IntArray  # [6, n] place in origins, -1: not known
    origins: tuple[Origin, ...]
    embodied: tuple[dict[int, EmbodiedRate], ...] = field(default=())  # [days] by node type

    @property
    def days(self) -> int:
        """How many UTC days."""
        return len(self.at_ms) // QUARTERS_PER_DAY

    def part(self, part: Part) -> FloatArray:
        """One row [n]."""
        row: FloatArray = self.values[part]
        return row

    def between(self, start_ms: int, end_ms: int) -> PriceList:
        """The quarter hours that begin in [start, end); embodied rates stay those of all days."""
        inside = (self.at_ms >= start_ms) & (self.at_ms < end_ms)
        return PriceList(
            self.at_ms[inside], self.values[:, inside], self.origin[:, inside], self.origins, self.embodied
        )


def nothing_known(at_ms: IntArray, days: int = 0) -> PriceList:
    """A list without any price."""
    shape = (len(Part), len(at_ms))
    return PriceList(at_ms, np.full(shape, np.nan), np.full(shape, -1, np.int64), (), ({},) * days)


def joined(lists: Sequence[PriceList]) -> PriceList:
    """Lists one after the other in time as one; equal origins become one."""
    if len(lists) == 1:
        return lists[0]
    place: dict[Origin, int] = {}
    mapped = []
    for prices in lists:
        into = [place.setdefault(origin, len(place)) for origin in prices.origins]
        same = into == list(range(len(into)))
        mapped.append(prices.origin if same else np.array([*into, -1], np.int64)[prices.origin])
    return PriceList(
        at_ms=np.concatenate([prices.at_ms for prices in lists]),
        values=np.concatenate([prices.values for prices in lists], axis=1),
        origin=np.concatenate(mapped, axis=1),
        origins=tuple(place),
        embodied=tuple(rates for prices in lists for rates in prices.embodied),
    )


# --- Rates from what is declared ------------------------------------------------------------------


def embodied_rate_g_per_h(total_kg: float, lifetime_years: float) -> float:
    """Embodied emissions of one hour for which the whole thing is reserved.

    Parameters
    ----------
    total_kg : float
        Of making, moving and disposing of it [kg CO2e].
    lifetime_years : float
        Over which they are spread, above 0 [years of 365 days].

    Returns
    -------
    float
        [g CO2e per h]

    Notes
    -----
    SCI: M = TE · (TiR / EL) · (RR / ToR), here for TiR = 1 h and RR = ToR [1]_.

    References
    ----------
    .. [1] Green Software Foundation, Software Carbon Intensity Specification v1.1 (ISO/IEC 21031:2024).

    Examples
    --------
    1000 kg over 4 years:

    >>> round(embodied_rate_g_per_h(1000, 4), 2)
    28.54
    """
    if not lifetime_years > 0:
        raise ValueError(f"a lifetime of {lifetime_years} years: it must be above 0")
    return total_kg * G_PER_KG / (lifetime_years * HOURS_PER_YEAR)


def mix_intensity(generation: dict[str, FloatArray], factors: dict[str, float]) -> FloatArray:
    """Carbon intensity of a mix of generation, slot by slot.

    Parameters
    ----------
    generation : dict of str to array
        By fuel, all of one length, 0 or more, in any one unit of power or energy.
    factors : dict of str to float
        Emission factor of each of these fuels [g CO2e/kWh].

    Returns
    -------
    array
        [g CO2e/kWh]; nan where nothing was generated.

    Raises
    ------
    ValueError
        For a fuel without a factor.

    Notes
    -----
    CI = Σ G_f · EF_f / Σ G_f. Storage is generation at discharge and no generation while it charges.

    Examples
    --------
    >>> mix_intensity({"gas": np.array([1.0]), "wind": np.array([3.0])}, {"gas": 490.0, "wind": 10.0}).tolist()
    [130.0]
    """
    missing = sorted(set(generation) - set(factors))
    if missing:
        raise ValueError(f"no emission factor for {', '.join(missing)}")
    length = len(next(iter(generation.values()))) if generation else 0
    total, weighted = np.zeros(length), np.zeros(length)
    for fuel in sorted(generation):
        total = total + generation[fuel]
        weighted = weighted + generation[fuel] * factors[fuel]
    return np.divide(weighted, total, out=np.full(length, np.nan), where=total > 0)


def edition_of(origins: Sequence[Origin]) -> str:
    """A short name of a set of factors: the same for the same rows, whatever their order."""
    rows = sorted(json.dumps(origin.as_json(), sort_keys=True) for origin in set(origins))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12] if rows else ""


def origin_from_json(said: dict[str, Any]) -> Origin:
    """What `Origin.as_json` gave."""
    return Origin(**{**said, "rung": Rung(said["rung"])})
