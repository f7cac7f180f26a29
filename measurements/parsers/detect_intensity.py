"""Which format a file of carbon intensities is in, by its content; file names say nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from measurements.parsers import (
    generation_entsoe,
    intensity_csv,
    intensity_electricity_maps,
    intensity_published,
    intensity_uk,
)
from measurements.parsers.intensity_records import IntensityOptions, IntensitySlots, PublishedTable
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source


@dataclass(frozen=True, slots=True)
class IntensityParser:
    """One format: how it is called, how it is known, how it is read; ``read`` raises nothing but UnusableFile."""

    name: str
    looks_like: str  # for messages
    matches: Callable[[str], bool]
    read: Callable[[Source, IntensityOptions, int], IntensitySlots | PublishedTable]


# In the order they are tried: plain CSV, which is read most freely, comes last.
INTENSITY_PARSERS: dict[str, IntensityParser] = {
    parser.name: parser
    for parser in (
        IntensityParser(
            "electricitymaps",
            intensity_electricity_maps.EXPECTED,
            intensity_electricity_maps.matches,
            intensity_electricity_maps.read,
        ),
        IntensityParser("entsoe", generation_entsoe.EXPECTED, generation_entsoe.matches, generation_entsoe.read),
        IntensityParser("uk", intensity_uk.EXPECTED, intensity_uk.matches, intensity_uk.read),
        IntensityParser("table", intensity_published.EXPECTED, intensity_published.matches, intensity_published.read),
        IntensityParser("csv", intensity_csv.EXPECTED, intensity_csv.matches, intensity_csv.read),
    )
}


def detect_intensity(source: Source, fmt: str | None = None) -> IntensityParser:
    """The parser for a source; ``fmt`` names it outright."""
    if fmt:
        if fmt not in INTENSITY_PARSERS:
            raise UnusableFile(f"no intensity format {fmt!r}; known: {', '.join(INTENSITY_PARSERS)}")
        return INTENSITY_PARSERS[fmt]
    head = source.head().decode("utf-8", errors="replace")
    for parser in INTENSITY_PARSERS.values():
        if parser.matches(head):
            return parser
    first = next((line for line in head.splitlines() if line.strip()), "")
    known = "; ".join(f"{parser.name} ({parser.looks_like})" for parser in INTENSITY_PARSERS.values())
    raise UnusableFile(f"{source.name}, line 1: no carbon intensity in {first[:120]!r}; known formats: {known}")
