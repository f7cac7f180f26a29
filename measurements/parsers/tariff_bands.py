"""Hours of the week with a price of their own, as somebody types them: ``mon-fri 08:00-20:00 0.31``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from typing import TypedDict

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_PER_DAY = 24 * 60
_BAND = re.compile(
    r"(?P<days>[a-z,-]+) +(?P<h1>\d\d?):(?P<m1>[0-5]\d) *- *(?P<h2>\d\d?):(?P<m2>[0-5]\d) +(?P<price>\d+(\.\d+)?)"
)
FORM = "write it as 'mon-fri 08:00-20:00 0.31', 'sat,sun 00:00-24:00 0.2' or 'daily 22:00-06:00 0.19'"


class BandDetail(TypedDict):
    """A band as a tariff keeps it."""

    days: list[int]  # 0: Monday
    start: int  # minute of the local day
    end: int  # likewise, up to 1440; at or below the start: over midnight
    price: float


class WrongBand(ValueError):
    """No band, or bands that cannot hold together; the message says why and what to write."""


def read_band(text: str) -> BandDetail:
    """A band of a tariff from its text."""
    found = _BAND.fullmatch(text.strip().lower())
    if found is None:
        raise WrongBand(f"{text!r} is no band of a tariff: {FORM}")
    start, end = (int(found[h]) * 60 + int(found[m]) for h, m in (("h1", "m1"), ("h2", "m2")))
    if start >= MINUTES_PER_DAY or end > MINUTES_PER_DAY or start == end:
        raise WrongBand(f"{text!r}: hours are 00:00 to 24:00, and a band ends at another time than it begins")
    return {
        "days": _days(found["days"], text),
        "start": start,
        "end": end or MINUTES_PER_DAY,
        "price": float(found["price"]),
    }


def check_bands(bands: Sequence[BandDetail]) -> None:
    """WrongBand where two of them hold at one time."""
    for (i, one), (j, other) in combinations(enumerate(bands, 1), 2):
        both = sorted(_minutes(one) & _minutes(other))
        if both:
            day, minute = divmod(both[0], MINUTES_PER_DAY)
            when = f"{DAYS[day]} {minute // 60:02}:{minute % 60:02}"
            raise WrongBand(f"bands {i} and {j} both hold at {when}: cut one of them")


def band_text(band: BandDetail) -> str:
    """A band as it can be typed."""
    days = "daily" if len(band["days"]) == len(DAYS) else ",".join(DAYS[day] for day in band["days"])
    start, end = (f"{minute // 60:02}:{minute % 60:02}" for minute in (band["start"], band["end"]))
    return f"{days} {start}-{end} {band['price']:g}"


def _days(said: str, text: str) -> list[int]:
    if said == "daily":
        return list(range(len(DAYS)))
    found: set[int] = set()
    for part in said.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS or ("-" in part and not last):
            raise WrongBand(f"{text!r}: days are {', '.join(DAYS)}, or daily; {FORM}")
        low, high = DAYS.index(first), DAYS.index(last or first)
        found |= {day % len(DAYS) for day in range(low, high + 1 if high >= low else high + len(DAYS) + 1)}
    return sorted(found)


def _minutes(band: BandDetail) -> set[int]:
    """Of the week."""
    end = band["end"] if band["end"] > band["start"] else band["end"] + MINUTES_PER_DAY
    starts = (day * MINUTES_PER_DAY for day in band["days"])
    return {(start + m) % (len(DAYS) * MINUTES_PER_DAY) for start in starts for m in range(band["start"], end)}
