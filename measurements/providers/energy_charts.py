"""Energy-Charts (Fraunhofer ISE): ``GET /co2eq?country=de&start=…&end=…``, without a key.

Answered are ``unix_seconds`` (beginnings of slots), ``co2eq`` and ``co2eq_forecast`` of the same length [g CO2e/kWh],
null where a value is not known, ``deprecated`` and sometimes ``substitute``. Its specification limits requests to two
a minute per address, and puts the data under CC BY 4.0 with the attribution "Energy-Charts.info". An unknown country
is HTTP 400. Not said in its answers: basis and mix, which the site therefore has to state.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from itertools import pairwise

from measurements.domain.carbon import Basis
from measurements.domain.units import DAY_MS, MS_PER_S, QUARTER_MS, datetime_from_ms
from measurements.parsers.intensity_records import IntensitySlots
from measurements.providers.about import Provider, Zone
from measurements.providers.answers import Fields
from measurements.providers.client import Access, get_json
from measurements.providers.slots import Collected

logger = logging.getLogger(__name__)
NAME = "Energy-Charts"
LONGEST_MS = 28 * DAY_MS


def zone(text: str) -> Zone:
    """A country's two letters."""
    if not re.fullmatch(r"[A-Za-z]{2}", text):
        raise ValueError(f"{text!r} is no country of Energy-Charts: give two letters such as de or fr")
    return Zone(text.lower(), text.upper(), text.upper())


def piece_end_ms(start_ms: int, end_ms: int) -> int:
    """Four weeks: years at once are allowed, but slow."""
    return min(end_ms, start_ms + LONGEST_MS)


def fetch(zone: str, start_ms: int, end_ms: int, access: Access, basis: Basis) -> IntensitySlots:
    """The slots that begin in [start, end); a forecast stands in where nothing is measured, marked as an estimate."""
    query = {"country": zone, "start": _time(start_ms), "end": _time(end_ms)}
    answer = get_json(NAME, access, "/co2eq", query)
    if answer.has("deprecated") and answer.of("deprecated").flag():
        logger.warning("%s calls this interface deprecated: look for a newer version of Joulebook", NAME)
    substitute = answer.has("substitute") and answer.of("substitute").flag()
    begins = [item.whole() * MS_PER_S for item in answer.of("unix_seconds").items()]
    measured = _values(answer.of("co2eq"), len(begins))
    forecast = (
        _values(answer.of("co2eq_forecast"), len(begins)) if answer.has("co2eq_forecast") else [None] * len(begins)
    )
    found, length_ms = Collected(answer, start_ms, end_ms), _length_ms(begins)
    for begin_ms, value, expected in zip(begins, measured, forecast, strict=True):
        if value is not None:
            found.add(begin_ms, length_ms, value, estimated=substitute, version=1)
        elif expected is not None:
            found.add(begin_ms, length_ms, expected, estimated=True)
    return found.slots()


def _values(column: Fields, length: int) -> list[float | None]:
    values = [None if item.value is None else item.number_or_nan() for item in column.items()]
    if len(values) != length:
        raise column.wrong(f"{len(values)} values for {length} times")
    return values


def _length_ms(begins: list[int]) -> int:
    """Of every slot: the usual step; a time left out does not make the slot before it longer."""
    steps = Counter(right - left for left, right in pairwise(begins) if right != left)
    return max(steps, key=lambda step: (steps[step], -step), default=QUARTER_MS)


def _time(ms: int) -> str:
    return datetime_from_ms(ms).strftime("%Y-%m-%dT%H:%MZ")


PROVIDER = Provider(
    name=NAME,
    url="https://api.energy-charts.info/",
    licence="CC BY 4.0",
    attribution="Data: Energy-Charts.info (Fraunhofer ISE), CC BY 4.0",
    gas="CO2e",
    bases=(Basis.LIFECYCLE, Basis.DIRECT),
    mixes=("production", "consumption"),
    note="Basis and mix as this site stated them: the provider's answers do not say.",
    needs_token=False,
    every_s=1800,
    pause_s=31,
    calls_a_turn=2,
    zone=zone,
    piece_end_ms=piece_end_ms,
    fetch=fetch,
)
