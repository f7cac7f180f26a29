"""Usage as plain data, the same for the interface and the command; null: not known."""

from __future__ import annotations

import itertools
from typing import Any

from measurements.domain.units import FloatArray, datetime_from_ms
from measurements.selectors.energy import emissions_json
from measurements.selectors.usage import Usage

COLUMNS = {
    "energy_j": "energy_j",
    "filled_j": "filled_j",
    "covered_s": "covered_s",
    "elapsed_s": "elapsed_s",
    "failed_j": "failed_j",
    "idle_j": "idle_j",
    "facility_energy_j": "facility_j",
    "emissions_g_co2e": "location_g",
    "emissions_market_g_co2e": "market_g",
    "cost": "cost",
}


def usage_json(found: Usage) -> dict[str, Any]:
    """The period, its bars and groups, of each quantity a list of bars of groups, and the whole with every step."""
    asked = found.asked
    bounds = [datetime_from_ms(ms).isoformat() for ms in found.bounds_ms.tolist()]
    return {
        "first": asked.first.isoformat(),
        "last": asked.last.isoformat(),
        "zone": asked.zone.key,
        "bars": [{"start": start, "end": end} for start, end in itertools.pairwise(bounds)],
        "group_by": asked.group_by.value if asked.group_by else None,
        "groups": list(found.groups) if found.elapsed_s else [],
        "filters": {name.value: list(values) for name, values in asked.filters.items()},
        "energy_j": found.energy_j,
        "filled_j": found.filled_j,
        "wasted_j": found.wasted_j,
        "covered_s": found.covered_s,
        "elapsed_s": found.elapsed_s,
        "coverage": found.coverage,
        "currency": found.currency or None,
        "cells": {name: _rows(getattr(found.cells, column), found) for name, column in COLUMNS.items()},
        **emissions_json(found.footprint),
    }


def _rows(values: FloatArray, found: Usage) -> list[list[float | None]]:
    if not found.elapsed_s:
        return [[] for _ in range(len(values))]
    return [[None if value != value else value for value in row] for row in values.tolist()]
