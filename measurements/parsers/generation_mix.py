"""From generation by ENTSO-E's types to the carbon intensity of the mix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from measurements.domain.carbon import mix_intensity
from measurements.domain.units import FloatArray
from measurements.parsers.generation_fuels import STAND_INS, STORAGE, UNKNOWN, fuel_of

IMPORTS = "it is the mix that is produced in the zone: imports and exports are not in it"


@dataclass(frozen=True, slots=True)
class Generation:
    """Amounts [MW] by type of production, slot by slot; nan where nothing is said."""

    generated: Mapping[str, FloatArray]
    consumed: Mapping[str, FloatArray]


def intensity_of(generation: Generation, factors: Mapping[str, float]) -> tuple[FloatArray, list[str]]:
    """
    Carbon intensity of a mix, and what is to be known of how it came about.

    Parameters
    ----------
    generation : Generation
        [MW]
    factors : mapping of fuel to float
        Emission factors of one basis [g CO2e/kWh].

    Returns
    -------
    array
        [g CO2e/kWh]; nan where a type says nothing that speaks elsewhere, and where nothing was generated.
    list of str
        Sentences for the operator.

    Raises
    ------
    ValueError
        If no type of production has an emission factor.

    Notes
    -----
    Storage is generation when it discharges, at the mean of the mix while it was charged, weighted by what charged it
    (all slots given); where nobody says what charged it, it is left out. What has no emission factor (marine, other) is
    left out of numerator and denominator, and the share of that is said.
    """
    notes: list[str] = [IMPORTS]
    fuels, stored = _by_fuel(generation, notes)
    unknown = [fuel for fuel in fuels if _known(fuel, factors) is None]
    if unknown:
        share = _total(fuels[fuel] for fuel in unknown) / max(_total(fuels.values()), 1e-9)
        notes.append(f"{', '.join(unknown)}: no emission factor; {share:.1%} of what was generated is not in the mix")
    burnt = {fuel: amount for fuel, amount in fuels.items() if fuel not in unknown}
    values = {fuel: factors[_known(fuel, factors) or fuel] for fuel in burnt}
    notes += [f"{fuel} is counted as {_known(fuel, factors)}" for fuel in burnt if fuel not in factors]
    if not burnt:
        raise ValueError("none of the types of production that it gives has an emission factor")
    found = mix_intensity(burnt, values)
    if stored is None or not stored.any():
        return found, notes
    charged = _charged(generation)
    weight = np.where(np.isnan(found), 0, charged)
    if not weight.any():
        return found, [*notes, "storage: nothing says when it was charged; it is left out of the mix"]
    at_charging = float(np.nansum(found * weight) / weight.sum())
    notes.append(f"storage counts when it discharges, with the mean at charging: {at_charging:.1f} g/kWh")
    return mix_intensity(burnt | {STORAGE: stored}, values | {STORAGE: at_charging}), notes


def _by_fuel(generation: Generation, notes: list[str]) -> tuple[dict[str, FloatArray], FloatArray | None]:
    """Amounts by fuel, 0 or more, and what storage gave."""
    fuels: dict[str, FloatArray] = {}
    stored: FloatArray | None = None
    negative = 0
    for name, amount in generation.generated.items():
        fuel = fuel_of(name)
        if np.isnan(amount).all():
            continue
        if fuel == STORAGE:
            stored = np.maximum(np.nan_to_num(amount), 0) + (0 if stored is None else stored)
            continue
        negative += int((amount < 0).sum())
        part = np.maximum(amount, 0)
        key = fuel if fuel is not None and fuel != UNKNOWN else name.lower()
        fuels[key] = fuels[key] + part if key in fuels else part
    if negative:
        notes.append(f"{negative} amounts below 0 (own use) count as 0")
    return fuels, stored


def _charged(generation: Generation) -> FloatArray:
    """What charged storage: consumption, or generation below 0."""
    parts = [np.abs(np.nan_to_num(v)) for name, v in generation.consumed.items() if fuel_of(name) == STORAGE]
    parts += [np.maximum(-np.nan_to_num(v), 0) for name, v in generation.generated.items() if fuel_of(name) == STORAGE]
    return np.sum(parts, axis=0)


def _known(fuel: str, factors: Mapping[str, float]) -> str | None:
    """The fuel whose factor counts: itself, or what stands in for it."""
    stand_in = fuel
    for _ in STAND_INS:
        if stand_in in factors:
            return stand_in
        stand_in = STAND_INS.get(stand_in, stand_in)
    return None


def _total(amounts: object) -> float:
    return float(sum(np.nansum(amount) for amount in amounts))  # type: ignore[attr-defined]
