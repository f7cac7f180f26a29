"""Units of carbon intensity: the factor by which a value in each becomes g/kWh."""

from __future__ import annotations

import re
import unicodedata

from measurements.domain.carbon import G_PER_KWH_FROM_LBS_PER_MWH

CURE = "name it with --unit, as in --unit g/kWh"
_GRAMS = {"mg": 1e-3, "g": 1.0, "kg": 1e3, "t": 1e6, "tonne": 1e6, "tonnes": 1e6}
_PER_KWH = {"kwh": 1.0, "mwh": 1e-3, "gwh": 1e-6, "kj": 3600.0, "mj": 3.6, "gj": 3.6e-3}  # 1 kWh in each, turned over
_POUNDS = frozenset({"lb", "lbs", "pound", "pounds"})
_UNIT = re.compile(
    r"(?<![a-z0-9])(?P<mass>mg|kg|g|tonnes?|t|lbs?|pounds?)"
    r"[ _]?(?:of )?(?:co2(?:[ _-]?eq?(?:uivalent|uiv|v)?\.?)?)?[ _]?"
    r"(?:/|per)[ _]?(?P<energy>[kmgt]wh|[kmg]j)(?![a-z0-9])"
)


def plain(text: str) -> str:
    """A name as it is compared: subscripts as digits, lower case, single blanks."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def unit_in(text: str) -> str:
    """The unit that a name holds: g/kwh, lb/mwh, …; empty if it holds none."""
    found = _UNIT.search(plain(text))
    if found is None:
        return ""
    mass = "lb" if found["mass"] in _POUNDS else "t" if found["mass"].startswith("t") else found["mass"]
    return f"{mass}/{found['energy']}"


def to_g_per_kwh(unit: str) -> float | None:
    """The factor from a unit to g/kWh, or None for one that is not known.

    >>> to_g_per_kwh("kg/MWh"), to_g_per_kwh("gCO2eq/kWh"), to_g_per_kwh("g CO2e/MJ")
    (1.0, 1.0, 3.6)
    >>> to_g_per_kwh("lbs/MWh"), to_g_per_kwh("gC/kWh")
    (0.45359237, None)
    """
    known = unit_in(unit)
    if known == "lb/mwh":
        return G_PER_KWH_FROM_LBS_PER_MWH
    mass, _, energy = known.partition("/")
    return _GRAMS[mass] * _PER_KWH[energy] if mass in _GRAMS and energy in _PER_KWH else None


def chosen_factor(said: str, column: str, above: str = "") -> float:
    """The factor of a column to g/kWh, by its name (or what stands above it), and by what the operator said.

    Raises ValueError with the cure where neither says it, where both differ, and for pounds that the operator does
    not name: of a US file nobody should have to notice afterwards.
    """
    written = unit_in(column) or unit_in(above)
    if said and to_g_per_kwh(said) is None:
        raise ValueError(f"unit {said!r} is not known; known: g/kWh, kg/MWh, kg/kWh, t/MWh, g/MJ, lbs/MWh")
    if said and written and to_g_per_kwh(said) != to_g_per_kwh(written):
        raise ValueError(f"column {column!r} is in {written}, --unit says {said}; leave --unit out or give that one")
    if written.startswith("lb") and not said:
        raise ValueError(f"column {column!r} is in pounds per MWh; if that is so, say --unit lbs/MWh")
    factor = to_g_per_kwh(said or written)
    if factor is None:
        raise ValueError(f"column {column!r} does not say its unit; {CURE}")
    return factor
