"""UK Carbon Intensity (National Energy System Operator): ``GET /intensity/{from}/{to}``, without a key, CC BY 4.0.

Documented: ``{"data": [{from, to, intensity: {forecast, actual, index}}]}``, half hours in UTC written
``YYYY-MM-DDThh:mmZ``, at most 14 days; a region (1 to 17) under ``/regional/intensity/{from}/{to}/regionid/{id}``,
``{"data": {regionid, …, "data": [{from, to, intensity: {forecast, index}, …}]}}``, has forecasts only. Counted is what
leaves the power stations, imports by country [g CO2/kWh consumed].

Known of it (issues of carbon-intensity/api-definitions and jnioche/carbonintensity-api): the half hour that ends at
``from`` is answered as well; a half hour may be told twice with two values; a range over New Year ends in the old year.
"""

from __future__ import annotations

from datetime import UTC, datetime

from measurements.domain.carbon import Basis
from measurements.domain.units import DAY_MS, MS_PER_S, datetime_from_ms, ms_from_datetime
from measurements.parsers.intensity_records import IntensitySlots
from measurements.providers.about import Provider, Zone
from measurements.providers.answers import Fields, ProviderError
from measurements.providers.client import Access, get_json
from measurements.providers.slots import Collected

NAME = "UK Carbon Intensity"
NATIONAL = "GB"
REGIONS = (
    "North Scotland", "South Scotland", "North West England", "North East England", "Yorkshire",
    "North Wales and Merseyside", "South Wales", "West Midlands", "East Midlands", "East England",
    "South West England", "South England", "London", "South East England", "England", "Scotland", "Wales",
)  # fmt: skip
LONGEST_MS = 13 * DAY_MS
MINUTE_MS = 60 * MS_PER_S


def zone(text: str) -> Zone:
    """GB, or the number of a region."""
    if text.upper() == NATIONAL:
        return Zone(NATIONAL, NATIONAL, "Great Britain")
    if text.isdecimal() and 1 <= int(text) <= len(REGIONS):
        return Zone(str(int(text)), f"GB-{int(text)}", REGIONS[int(text) - 1])
    raise ValueError(f"{text!r} is no zone of UK Carbon Intensity: give GB, or the number of a region, 1 to 17")


def piece_end_ms(start_ms: int, end_ms: int) -> int:
    """Not 14 days, and not over New Year."""
    new_year = datetime(datetime_from_ms(start_ms).year + 1, 1, 1, tzinfo=UTC)
    return min(end_ms, start_ms + LONGEST_MS, ms_from_datetime(new_year))


def fetch(zone: str, start_ms: int, end_ms: int, access: Access, basis: Basis) -> IntensitySlots:
    """The half hours that begin in [start, end); a forecast stands in for an actual value, marked as an estimate."""
    if basis != Basis.DIRECT:
        raise ProviderError(f"{NAME}: counts at the power station only: it cannot serve a {basis.value} series")
    # A minute inside on both sides: whole half hours are answered, and not the one before.
    span = f"{_time(start_ms + MINUTE_MS)}/{_time(end_ms - MINUTE_MS)}"
    rows = _national(span, access) if zone == NATIONAL else _regional(zone, span, access)
    found = Collected(rows, start_ms, end_ms)
    for row in rows.items():
        _add(row, found)
    return found.slots()


def _national(span: str, access: Access) -> Fields:
    return get_json(NAME, access, f"/intensity/{span}", {}).of("data")


def _regional(zone: str, span: str, access: Access) -> Fields:
    answer = get_json(NAME, access, f"/regional/intensity/{span}/regionid/{zone}", {}).of("data")
    if isinstance(answer.value, list) and len(answer.value) == 1:  # so documented for a region's current half hour
        (answer,) = answer.items()
    region = answer.of("regionid").whole()
    if str(region) != zone:
        raise answer.wrong(f"regionid is {region}, asked was {zone}: the answer is not used")
    return answer.of("data")


def _add(row: Fields, found: Collected) -> None:
    begin_ms, end_ms = row.of("from").instant_ms(), row.of("to").instant_ms()
    intensity = row.of("intensity")
    known = intensity.has("actual")
    value = intensity.of("actual" if known else "forecast").number_or_nan()
    found.add(begin_ms, end_ms - begin_ms, value, estimated=not known, version=int(known))


def _time(ms: int) -> str:
    return datetime_from_ms(ms).strftime("%Y-%m-%dT%H:%MZ")


PROVIDER = Provider(
    name=NAME,
    url="https://carbonintensity.org.uk/",
    licence="CC BY 4.0",
    attribution="Data: National Energy System Operator, Carbon Intensity API (carbonintensity.org.uk), CC BY 4.0",
    gas="CO2",
    bases=(Basis.DIRECT,),
    mixes=("consumption",),
    note="Emissions at the power station; imports by country. Not comparable with a lifecycle series.",
    needs_token=False,
    every_s=1800,
    pause_s=1,
    calls_a_turn=4,
    zone=zone,
    piece_end_ms=piece_end_ms,
    fetch=fetch,
)
