"""Units of series: what a mapping may say, and what a series says itself in a label ``unit``."""

from __future__ import annotations

from measurements.domain.units import Kind

# mW in one unit of power, µJ in one unit of energy
POWER = {"W": 1e3, "mW": 1.0, "uW": 1e-3, "µW": 1e-3, "kW": 1e6, "MW": 1e9}
ENERGY = {"J": 1e6, "mJ": 1e3, "uJ": 1.0, "µJ": 1.0, "kJ": 1e9, "MJ": 1e12, "Wh": 3.6e9, "kWh": 3.6e12}
_PREFIXES = {"": "", "milli": "m", "micro": "u", "kilo": "k", "mega": "M"}
_WORDS = {
    prefix + word + plural: letter + symbol
    for prefix, letter in _PREFIXES.items()
    for word, symbol in (("watt", "W"), ("joule", "J"))
    for plural in ("", "s")
}


def contradicts(said: str, kind: Kind, scale: float) -> bool:
    """Whether a series says itself that its values are in another unit than its mapping takes them for."""
    unit = said.strip()
    unit = _WORDS.get(unit.casefold(), unit)
    if unit not in POWER and unit not in ENERGY:
        return False  # of something else, or in words that nobody knows: the mapping decides
    return (POWER if kind == Kind.GAUGE else ENERGY).get(unit) != scale
