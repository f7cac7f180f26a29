"""What ENTSO-E calls the types of production, as fuels with emission factors."""

from __future__ import annotations

import re

from measurements.parsers.intensity_units import plain

STORAGE = "storage"
UNKNOWN = "unknown"  # neither in the mix nor guessed
# psrType B01 to B25; lignite stands apart from hard coal where its factor does.
FUELS = {
    "biomass": "biomass",  # B01
    "fossil brown coal/lignite": "lignite",  # B02
    "fossil coal-derived gas": "gas",  # B03
    "fossil gas": "gas",  # B04
    "fossil hard coal": "hard-coal",  # B05
    "fossil oil": "oil",  # B06
    "fossil oil shale": "hard-coal",  # B07: as coal
    "fossil peat": "hard-coal",  # B08: as coal
    "geothermal": "geothermal",  # B09
    "hydro pumped storage": STORAGE,  # B10
    "hydro run-of-river and poundage": "hydro",  # B11
    "hydro run-of-river and pondage": "hydro",  # the same, spelt right
    "hydro water reservoir": "hydro",  # B12
    "marine": UNKNOWN,  # B13
    "nuclear": "nuclear",  # B14
    "other renewable": UNKNOWN,  # B15
    "solar": "solar",  # B16
    "waste": "waste",  # B17
    "wind offshore": "wind-offshore",  # B18
    "wind onshore": "wind-onshore",  # B19
    "other": UNKNOWN,  # B20
    "energy storage": STORAGE,  # B25
}
STAND_INS = {"lignite": "hard-coal", "hard-coal": "coal", "coal": "hard-coal", "waste": "biomass"}
_COLUMN = re.compile(r"(?P<type>.+?) +- +(?P<what>actual aggregated|actual consumption)(?: [\[(]mw[\])])?")


def production_type(name: str) -> tuple[str, bool] | None:
    """Type and whether it is consumption, of a column ``Fossil Gas  - Actual Aggregated [MW]``; None of another."""
    found = _COLUMN.fullmatch(plain(name))
    return (found["type"], found["what"] == "actual consumption") if found else None


def fuel_of(production: str) -> str | None:
    """The fuel of a production type; None for one that is not known."""
    return FUELS.get(plain(production))
