"""Electricity Maps, API v3: ``GET /carbon-intensity/past-range?zone=DE&start=…&end=…``, token in ``auth-token``.

Documented: rows of ``{zone, carbonIntensity, datetime, updatedAt, createdAt, emissionFactorType, isEstimated,
estimationMethod}`` [g CO2e/kWh of the flow-traced consumption mix], under ``data``, or under ``history`` for the last
24 hours, which is all a free token gets; at most ten days by the hour in one call; without
``shouldUseFallbackCallerLookup=false`` an unknown zone is answered with that of the asking address (newer descriptions
call the switch ``disableCallerLookup=true``: both are sent, and the zone of each row is checked). Estimated rows are
revised later: ``datetime`` says which slot, ``updatedAt`` which version of it.
"""

from __future__ import annotations

import re

from measurements.domain.carbon import Basis
from measurements.domain.units import DAY_MS, HOUR_MS, datetime_from_ms
from measurements.parsers.intensity_records import IntensitySlots
from measurements.providers.about import Provider, Zone
from measurements.providers.answers import Fields, ProviderError
from measurements.providers.client import Access, get_json
from measurements.providers.slots import Collected

NAME = "Electricity Maps"
LONGEST_MS = 10 * DAY_MS
NOT_FOR_THIS_TOKEN = (401, 403)


def zone(text: str) -> Zone:
    """A zone key."""
    if not re.fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,16}){0,3}", text):
        raise ValueError(f"{text!r} is no zone of Electricity Maps: give a key such as DE, SE-SE3 or US-CAL-CISO")
    return Zone(text, text, text)


def piece_end_ms(start_ms: int, end_ms: int) -> int:
    """Ten days, the most it answers by the hour."""
    return min(end_ms, start_ms + LONGEST_MS)


def fetch(zone: str, start_ms: int, end_ms: int, access: Access, basis: Basis) -> IntensitySlots:
    """The hours that begin in [start, end); with a free token those of the last 24 hours."""
    if not re.fullmatch(r"[!-~]+", access.token):
        raise ProviderError(f"{NAME}: the token is missing, or holds what no token may hold")
    try:
        said = _ask("past-range", zone, access, basis, start=_time(start_ms), end=_time(end_ms))
    except ProviderError as refused:
        if refused.status not in NOT_FOR_THIS_TOKEN:
            raise
        return _recent(zone, start_ms, end_ms, access, basis, refused)
    return _slots(said.of("data"), zone, basis, Collected(said, start_ms, end_ms))


def _recent(
    zone: str, start_ms: int, end_ms: int, access: Access, basis: Basis, refused: ProviderError
) -> IntensitySlots:
    """What a free token may ask for instead; if it covers nothing of what is wanted the refusal stands."""
    said = _ask("history", zone, access, basis)
    slots = _slots(said.of("history"), zone, basis, Collected(said, start_ms, end_ms))
    if not len(slots.start_ms):
        raise ProviderError(f"{refused}. A free token gets the last 24 hours only: set --since to today")
    return slots


def _ask(what: str, zone: str, access: Access, basis: Basis, **more: str) -> Fields:
    query = {
        "zone": zone,
        "emissionFactorType": basis.value,
        "temporalGranularity": "hourly",
        "shouldUseFallbackCallerLookup": "false",
        "disableCallerLookup": "true",
        **more,
    }
    return get_json(NAME, access, f"/carbon-intensity/{what}", query, {"auth-token": access.token})


def _slots(rows: Fields, zone: str, basis: Basis, found: Collected) -> IntensitySlots:
    for row in rows.items():
        _same(row, "zone", zone)
        _same(row, "emissionFactorType", basis.value)
        if row.has("temporalGranularity"):
            _same(row, "temporalGranularity", "hourly")
        begin_ms, updated_ms = row.of("datetime").instant_ms(), row.of("updatedAt").instant_ms()
        value, estimated = row.of("carbonIntensity").number_or_nan(), row.of("isEstimated").flag()
        found.add(begin_ms, HOUR_MS, value, estimated=estimated, version=updated_ms)
    return found.slots(zone, basis.value, dated=True)


def _same(row: Fields, key: str, asked: str) -> None:
    said = row.of(key).text()
    if said != asked:
        raise row.wrong(f"{key} is {said[:64]!r}, asked was {asked!r}: the answer is not used")


def _time(ms: int) -> str:
    return datetime_from_ms(ms).strftime("%Y-%m-%dT%H:%M:%SZ")


PROVIDER = Provider(
    name=NAME,
    url="https://www.electricitymaps.com/",
    licence="Electricity Maps terms of service",
    attribution="Data: Electricity Maps (electricitymaps.com)",
    gas="CO2e",
    bases=(Basis.LIFECYCLE, Basis.DIRECT),
    mixes=("consumption",),
    note="Flow-traced. What may be stored and shown is said by the contract that the token belongs to.",
    needs_token=True,
    every_s=3600,
    pause_s=1,
    calls_a_turn=3,
    zone=zone,
    piece_end_ms=piece_end_ms,
    fetch=fetch,
)
