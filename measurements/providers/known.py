"""The providers there are, by the names under which they stand in the database."""

from __future__ import annotations

from measurements.providers import electricity_maps, energy_charts, uk_carbon_intensity
from measurements.providers.about import Provider

PROVIDERS: dict[str, Provider] = {
    "energy_charts": energy_charts.PROVIDER,
    "electricity_maps": electricity_maps.PROVIDER,
    "uk_carbon_intensity": uk_carbon_intensity.PROVIDER,
}
