"""The steps of a figure as plain data, as the commands and the API give them."""

from __future__ import annotations

from typing import Any

from measurements.domain.carbon import Part
from measurements.domain.chain import Footprint

FILL_RULE = "rated power of the node × time × share of its cores, or the batch system's own figure"


def steps(found: Footprint) -> list[dict[str, Any]]:
    """The steps as the commands and the API give them, in their order; amounts are not rounded."""
    rows: list[dict[str, Any]] = [
        {"step": "metered", "energy_j": found.metered_j},
        {"step": "filled", "energy_j": found.filled_j, "rule": FILL_RULE},
        _step(found, "infrastructure", Part.INFRASTRUCTURE, {"energy_j": found.infrastructure_j}),
        _step(found, "pue", Part.PUE, {"pue": found.pue, "energy_j": found.facility_j}),
        _step(
            found,
            "carbon_intensity",
            Part.LOCATION,
            {
                "method": "location_based",
                "g_co2e_per_kwh": found.intensity_g_per_kwh,
                "emissions_g_co2e": found.location_g,
                "unpriced_j": found.unpriced_j,
            },
        ),
        _step(
            found,
            "carbon_intensity",
            Part.MARKET,
            {
                "method": "market_based",
                "g_co2e_per_kwh": found.market_g_per_kwh,
                "emissions_g_co2e": found.market_g,
                "unpriced_j": found.market_unpriced_j,
            },
        ),
    ]
    if found.embodied is not None:
        rows.append(
            {
                "step": "embodied",
                "low_g_co2e": found.embodied.low_g,
                "emissions_g_co2e": found.embodied.central_g,
                "high_g_co2e": found.embodied.high_g,
                "node_hours": found.embodied.node_hours,
                "unknown_node_hours": found.embodied.unknown_node_hours,
                "factors": [origin.as_json() for origin in found.embodied.origins],
            }
        )
    rows.append(_step(found, "cost", Part.TARIFF, {"amounts": dict(found.cost)}))
    rows.append(_step(found, "water", Part.WATER, {"water_l": found.water_l}))
    return rows


def _step(found: Footprint, name: str, part: Part, figures: dict[str, Any]) -> dict[str, Any]:
    """A step with its factors, each with the share of the energy that it priced."""
    rows = found.shares.get(part, ())
    whole = found.node_j if part in (Part.INFRASTRUCTURE, Part.PUE, Part.WATER) else found.facility_j
    factors = [row.origin.as_json() | {"share": row.weight_j / whole if whole else 0.0} for row in rows]
    return {"step": name} | figures | {"configured": bool(rows), "factors": factors}
