"""DCMI power statistics as three tools print them: ``ipmitool dcmi power reading``, FreeIPMI's ``ipmi-dcmi
--get-system-power-statistics`` and ``ipmiutil dcmi power``.

A log is such outputs one below the other. Only the current power is read, not the minimum, maximum and mean of the
BMC's own window, and only where the BMC says that it measures (``activated``, ``Active``). The time is the BMC's, in
its own zone, unless a line ``Timestamp: …`` or the time alone stands above, or its clock was never set. The node is
``--node``, a file's name behind ``==> … <==``, or what FreeIPMI, pdsh and clush put before each line of several hosts
(``n001: Current Power : …``; see `gathered`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from measurements.domain.units import Kind
from measurements.parsers.chunks import ChunkMaker, Rows
from measurements.parsers.clock_texts import ALONE, as_iso
from measurements.parsers.csv_layout import WHOLE_NODE
from measurements.parsers.csv_lines import is_name
from measurements.parsers.facts import with_facts
from measurements.parsers.gathered import Banners
from measurements.parsers.records import ChannelFacts, ParseOptions, PowerChunk, Refusal
from measurements.parsers.source import TEXT_LIMIT, Source
from measurements.parsers.tar_text import FILE_LINE, dated_name, node_of_path
from measurements.parsers.times import parse_times, utc_text

_HOST = r"(?:(?P<host>[\w.-]+): )?\s*"
_POWER = re.compile(
    _HOST + r"(?:instantaneous power reading|current power)\s*:\s*(?P<value>\S+)\s+watts?", re.IGNORECASE | re.ASCII
)
# ipmitool 1.8.19 forgets the end of the line behind its time.
_TIME = re.compile(
    _HOST + r"(?P<whose>ipmi timestamp|time ?stamp)\s*:\s*(?P<time>.+?)(?:(?<!\s)\s+sampling period:.*)?",
    re.IGNORECASE | re.ASCII,
)
_STATE = re.compile(
    _HOST + r"(?:power reading state is|power measurement|(?:\S.* )?state is)\s*:\s*(?P<state>.+)",
    re.IGNORECASE | re.ASCII,
)
_ALONE = re.compile(rf"(?:(?P<host>[\w.-]+): +)?(?P<time>{ALONE})")
_INDENTED = re.compile(r"(?:[\w.-]+: )?\s")
# What a BMC says whose clock nobody set: nothing, seconds since it started, or 1970.
_UNSET = re.compile(r"unspecified|s\+ .*|pre-?init.*|.*(?<!\d)19[7-9]\d|\d\d/\d\d/[7-9]\d .*", re.IGNORECASE)
_FILE = re.compile(FILE_LINE)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)
_MEASURES = frozenset({"activated", "active"})
_CHUNK_READINGS = 100_000


@dataclass(slots=True)
class _Reading:
    """One output, as far as it has been read."""

    line: int
    text: str
    node: str
    value: str
    time: str
    state: str = ""


@dataclass(slots=True)
class _Log:
    """The outputs read so far, and what the next one has from above."""

    options: ParseOptions
    node: str
    times: dict[str, tuple[int, str]] = field(default_factory=dict)  # host, or none → line and time of a logger
    banners: Banners = field(default_factory=Banners)
    readings: list[_Reading] = field(default_factory=list)
    open: dict[str, _Reading] = field(default_factory=dict)  # host → its last one

    def take(self, number: int, raw: str) -> None:
        """A line, whatever it is: what tools print beside the power says nothing of it."""
        line = self.banners.line(raw.strip())
        if match := _POWER.fullmatch(line):
            host = match["host"] or ""
            reading = _Reading(number, line, host or self.node, match["value"], self._said(host))
            self.readings.append(reading)
            self.open[host] = reading
        elif match := _STATE.fullmatch(line):
            if known := self.open.get(match["host"] or ""):
                known.state = match["state"].strip().casefold()
        elif match := _TIME.fullmatch(line):
            self._time(number, match, indented=_INDENTED.match(raw) is not None)
        elif match := _ALONE.fullmatch(line):
            self.times[match["host"] or ""] = number, match["time"]
        elif match := _FILE.fullmatch(line):
            self.node = self.options.node or node_of_path(match["path"]) or ""
            self.times.clear()
            self.open.clear()

    def _said(self, host: str) -> str:
        """The last time that a logger said, of this host or of all."""
        said = [self.times[name] for name in ("", host) if name in self.times]
        return max(said)[1] if said else ""

    def _time(self, number: int, match: re.Match[str], *, indented: bool) -> None:
        """The BMC's time belongs to the power above it, that of a logger to the powers below.

        ipmitool says ``IPMI timestamp``, FreeIPMI ``Time Stamp``, ipmiutil ``Timestamp`` as well, but indented.
        """
        reading = self.open.get(match["host"] or "")
        by_bmc = indented or " " in match["whose"]
        if by_bmc and reading is not None:
            reading.time = reading.time or ("" if _UNSET.fullmatch(match["time"]) else match["time"])
        elif not by_bmc:
            self.times[match["host"] or ""] = number, match["time"]


def matches(head: str) -> bool:
    """Whether a text holds a power as one of the three tools prints it."""
    return any(_POWER.fullmatch(line.strip()) for line in head.splitlines()[:200])


def read(source: Source, options: ParseOptions, now_ms: int) -> Iterator[PowerChunk]:
    """The current powers of a log, in the channel ``node``."""
    yield from with_facts(_chunks(source, options, now_ms), ChannelFacts("ipmi_dcmi"))


def _chunks(source: Source, options: ParseOptions, now_ms: int) -> Iterator[PowerChunk]:
    maker = ChunkMaker(source)
    log = _Log(options, options.node or dated_name(source.name) or "")
    for number, line in source.lines():
        log.take(number, line)
        if len(log.readings) > _CHUNK_READINGS:
            whole, log.readings = log.readings[:-1], log.readings[-1:]
            yield from _made(whole, maker, options, now_ms)
    yield from _made(log.readings, maker, options, now_ms)
    yield from maker.finish()


def _made(readings: list[_Reading], maker: ChunkMaker, options: ParseOptions, now_ms: int) -> Iterator[PowerChunk]:
    """Readings as a chunk."""
    refusals: list[Refusal] = []
    taken = [reading for reading in readings if _is_taken(reading, options, refusals)]
    texts = {reading.line: reading.text[:TEXT_LIMIT] for reading in taken}
    nodes: dict[str, int] = {}
    times = pa.array([reading.time or utc_text(options.at_ms or 0) for reading in taken], pa.string())
    rows = Rows(
        node=np.array([nodes.setdefault(reading.node, len(nodes)) for reading in taken], np.int32),
        nodes=list(nodes),
        channels=[options.channel or WHOLE_NODE],
        kinds=[Kind.GAUGE],
        channel=np.zeros(len(taken), np.int32),
        times=parse_times(as_iso(times, options.time_zone), options.time_zone, now_ms),
        value=np.array([float(reading.value) for reading in taken], np.float64),
        line=np.array([reading.line for reading in taken], np.int64),
    )
    yield from maker.make(rows, lambda line: texts[line], refusals)


def _is_taken(reading: _Reading, options: ParseOptions, refusals: list[Refusal]) -> bool:
    """Whether a reading says a power, a node and a time; what it lacks is refused."""
    fault = None
    if reading.state not in _MEASURES:
        said = f"the BMC says {reading.state[:40]!r}" if reading.state else "no line says that the BMC measures"
        fault = ("power measurement not active", f"{said}: activate it (ipmitool dcmi power activate)")
    elif not _NUMBER.fullmatch(reading.value):
        fault = ("not a number", "the current power")
    elif not reading.node or not is_name(reading.node):
        fault = ("no node", "say it with --node")
    elif not reading.time and options.at_ms is None:
        fault = ("no time", "say when it was taken with --at")
    if fault:
        refusals.append(Refusal(fault[0], reading.line, fault[1], reading.text[:TEXT_LIMIT]))
    return fault is None
