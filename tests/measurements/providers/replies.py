"""Replies in the shapes that the providers document; all numbers are made up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from measurements.domain.units import ms_from_datetime
from measurements.parsers.intensity_records import IntensitySlots

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUARTER, HALF, HOUR, DAY = (timedelta(minutes=minutes) for minutes in (15, 30, 60, 1440))


def ms(instant: datetime) -> int:
    """In ms."""
    return ms_from_datetime(instant)


def energy_charts(
    first: datetime,
    measured: Sequence[float | None],
    forecast: Sequence[float | None] | None = None,
    step: timedelta = QUARTER,
    **more: Any,
) -> dict[str, Any]:
    """An answer of /co2eq."""
    return {
        "unix_seconds": [int((first + step * place).timestamp()) for place in range(len(measured))],
        "co2eq": list(measured),
        "co2eq_forecast": list(forecast or [None] * len(measured)),
        "deprecated": False,
        **more,
    }


def hour(at: datetime, value: float | None, **more: Any) -> dict[str, Any]:
    """A row of Electricity Maps."""
    return {
        "zone": "DE",
        "carbonIntensity": value,
        "datetime": f"{at:%Y-%m-%dT%H:%M:%S}.000Z",
        "updatedAt": f"{at + HOUR:%Y-%m-%dT%H:%M:%S}.411Z",
        "createdAt": f"{at - DAY:%Y-%m-%dT%H:%M:%S}.907Z",
        "emissionFactorType": "lifecycle",
        "isEstimated": False,
        "estimationMethod": None,
        "temporalGranularity": "hourly",
        **more,
    }


def electricity_maps(rows: Iterable[dict[str, Any]], key: str = "data") -> dict[str, Any]:
    """An answer of /carbon-intensity/past-range, or with the key "history" of /carbon-intensity/history."""
    return {"zone": "DE", "temporalGranularity": "hourly", key: list(rows)}


def half_hour(at: datetime, forecast: int | None, actual: int | None = None, *, region: bool = False) -> dict[str, Any]:
    """A row of the UK's, of the nation or of a region."""
    intensity: dict[str, Any] = {"forecast": forecast, "index": "moderate"}
    if not region:
        intensity["actual"] = actual
    return {"from": f"{at:%Y-%m-%dT%H:%MZ}", "to": f"{at + HALF:%Y-%m-%dT%H:%MZ}", "intensity": intensity}


def regional(region: int, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """An answer of /regional/intensity/…/regionid/…."""
    mix = [{"fuel": "wind", "perc": 41.5}, {"fuel": "gas", "perc": 58.5}]
    data = [{**row, "generationmix": mix} for row in rows]
    return {"data": {"regionid": region, "dnoregion": "UKPN London", "shortname": "London", "data": data}}


def told(slots: IntensitySlots) -> list[tuple[str, int, float, bool]]:
    """Slots as (begin, minutes, value, estimated)."""
    return [
        (f"{datetime.fromtimestamp(begin / 1000, UTC):%d %H:%M}", (end - begin) // 60_000, value, estimated)
        for begin, end, value, estimated in zip(
            slots.start_ms.tolist(), slots.end_ms.tolist(), slots.g_per_kwh.tolist(), slots.estimated.tolist(),
            strict=True,
        )
    ]  # fmt: skip
