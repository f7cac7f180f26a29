"""Which country a time zone is of."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


def country_of(time_zone: str) -> str:
    """The ISO 3166-1 code of a time zone's country; empty for UTC and the like."""
    return _countries().get(time_zone, "")


@cache
def _countries() -> dict[str, str]:
    """From the table of the time zone database: code, place, name."""
    text = (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return {row[2]: row[0] for row in rows}
