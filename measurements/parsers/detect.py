"""Which power format a source is in, by its content; file names say nothing.

A new format: a module with ``matches`` and ``read``, and one entry here. The first entry that
matches is taken: plain CSV, which is read most freely, comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from measurements.parsers import clustercockpit, power_csv, ptdaemon
from measurements.parsers.records import ParseOptions, PowerChunk, UnusableFile
from measurements.parsers.source import Source


@dataclass(frozen=True, slots=True)
class PowerParser:
    """One power format: how it is called, how it is known, how it is read.

    ``matches(head)`` gets the first 64 KiB as text; ``read(source, options, now_ms)`` gives
    the samples and raises nothing but UnusableFile.
    """

    name: str
    looks_like: str  # for messages
    matches: Callable[[str], bool]
    read: Callable[[Source, ParseOptions, int], Iterator[PowerChunk]]


POWER_PARSERS: dict[str, PowerParser] = {
    parser.name: parser
    for parser in (
        PowerParser(
            "clustercockpit",
            "a job folder with meta.json and data.json[.gz]",
            clustercockpit.matches_power,
            clustercockpit.read_power,
        ),
        PowerParser("ptdaemon", "Time,MM-DD-YYYY HH:MM:SS.mmm,Watts,W,…", ptdaemon.matches, ptdaemon.read),
        PowerParser("csv", "timestamp,node,watts[,channel]", power_csv.matches, power_csv.read),
    )
}


def detect_power(source: Source, fmt_override: str | None = None) -> PowerParser:
    """The parser for a source; ``fmt_override`` names it outright."""
    if fmt_override is not None:
        if fmt_override not in POWER_PARSERS:
            raise UnusableFile(f"no power format {fmt_override!r}; known: {', '.join(POWER_PARSERS)}")
        return POWER_PARSERS[fmt_override]
    head = source.head().decode("utf-8", errors="replace")
    for parser in POWER_PARSERS.values():
        if parser.matches(head):
            return parser
    first = next((line for line in head.splitlines() if line.strip()), "")
    known = "; ".join(f"{parser.name} ({parser.looks_like})" for parser in POWER_PARSERS.values())
    raise UnusableFile(
        f"{source.name}, line 1: no power log that is known: {first[:120]!r}; known formats: {known}; "
        "name the format with --format if it is one of them"
    )
