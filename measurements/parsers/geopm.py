"""Traces of GEOPM: one node, ``|`` between columns, times in seconds since a start that the first lines say.

A counter (``BOARD_ENERGY``) is read before the power made of it (``BOARD_POWER``), a part as a whole before its domains
(``GPU_ENERGY-gpu-0``, as ``GPU_ENERGY@gpu`` is traced). The board is the whole node; CPU,
DRAM and GPU are parts of it, in channels of their own, and do not sum up to it. The start is local, without a zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from measurements.domain.units import MS_PER_S, Kind
from measurements.parsers.chunks import ChunkMaker, Rows
from measurements.parsers.clock_texts import iso_of
from measurements.parsers.csv_layout import WHOLE_NODE
from measurements.parsers.csv_lines import is_name
from measurements.parsers.facts import with_facts
from measurements.parsers.line_table import LineBlock, cells_of, line_blocks, numbers
from measurements.parsers.records import ChannelFacts, ParseOptions, PowerChunk, Refusal, UnusableFile
from measurements.parsers.source import BLOCK_BYTES, Source
from measurements.parsers.times import TimeRefused, parse_instant, times_from_epoch

_PARTS = (("BOARD", WHOLE_NODE), ("CPU", "cpu"), ("DRAM", "dram"), ("GPU", "gpu"))
_SUFFIXES = (("_ENERGY", Kind.COUNTER), ("_POWER", Kind.GAUGE))
_HEADER_LINES = 60


@dataclass(frozen=True, slots=True)
class _Column:
    """One column that is read."""

    index: int
    channel: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class _Header:
    """What the first lines say."""

    line: int  # of the names of columns
    width: int
    columns: tuple[_Column, ...]
    node: str
    start_ms: int


def matches(head: str) -> bool:
    """Whether a text begins like a trace of GEOPM."""
    return head.startswith("# geopm_version") or ("|EPOCH_COUNT|" in head[:4_000] and "TIME|" in head[:4_000])


def read(source: Source, options: ParseOptions, now_ms: int, block_bytes: int = BLOCK_BYTES) -> Iterator[PowerChunk]:
    """The counters, or powers, of a node's board and its parts."""
    header = _header(source, options, now_ms)
    maker = ChunkMaker(source)
    for block in line_blocks(source, block_bytes):
        rows, refusals = _rows(block.picked(block.number > header.line), header, now_ms)
        yield from with_facts(maker.make(rows, block.raw, refusals), ChannelFacts("geopm"))
    yield from maker.finish()


def _header(source: Source, options: ParseOptions, now_ms: int) -> _Header:
    said: dict[str, str] = {}
    for number, line in enumerate(
        source.head().decode("utf-8", errors="replace").splitlines()[:_HEADER_LINES], start=1
    ):
        if line.startswith("#"):
            name, _, value = line.lstrip("# ").partition(":")
            said[name.strip()] = value.strip().strip('"')
        elif line.strip():
            names = [name.strip() for name in line.split("|")]
            return _Header(number, len(names), _columns(source, names), *_node_and_start(source, said, options, now_ms))
    raise UnusableFile(f"{source.name}: no line that names the columns; copy the trace anew")


def _columns(source: Source, names: list[str]) -> tuple[_Column, ...]:
    """TIME first, then what is read of each part: its counter, else its power."""
    found = [_Column(names.index("TIME"), "", Kind.GAUGE)] if "TIME" in names else []
    for part, channel in _PARTS:
        found += next(filter(None, (_of_part(names, part + suffix, channel, kind) for suffix, kind in _SUFFIXES)), [])
    if len(found) < 2 or found[0].channel:
        raise UnusableFile(
            f"{source.name}: no TIME, or none of BOARD_ENERGY, BOARD_POWER, CPU_ENERGY, … among the columns; "
            "ask GEOPM for them with GEOPM_TRACE_SIGNALS"
        )
    return tuple(found)


def _of_part(names: list[str], signal: str, channel: str, kind: Kind) -> list[_Column]:
    """The column of a signal, else one for each of its domains: ``CPU_ENERGY-package-0`` is of the channel cpu0."""
    if signal in names:
        return [_Column(names.index(signal), channel, kind)]
    domain = re.compile(rf"{signal}-(?:board|package|memory|gpu)-(\d{{1,3}})")
    matches = [(at, match) for at, name in enumerate(names) if (match := domain.fullmatch(name))]
    if channel == WHOLE_NODE:
        return [_Column(at, channel, kind) for at, _ in matches[:1]]
    return [_Column(at, f"{channel}{int(match[1])}", kind) for at, match in matches]


def _node_and_start(source: Source, said: dict[str, str], options: ParseOptions, now_ms: int) -> tuple[str, int]:
    node = options.node or said.get("node_name", "")
    if not node or not is_name(node):
        raise UnusableFile(f"{source.name}: no node_name in the first lines; name it with --node")
    if not said.get("start_time"):
        if options.at_ms is None:
            raise UnusableFile(f"{source.name}: no start_time in the first lines; say it with --at")
        return node, options.at_ms
    try:
        return node, parse_instant(iso_of(said["start_time"], options.time_zone), options.time_zone, now_ms)
    except TimeRefused as refused:
        raise UnusableFile(f"{source.name}: start_time {refused}") from refused


def _rows(block: LineBlock, header: _Header, now_ms: int) -> tuple[Rows, list[Refusal]]:
    """The lines of a block, each with a sample for every channel."""
    cells, whole_lines, whole = cells_of(block, "|", header.width)
    refusals = block.refused("wrong number of fields", f"the header has {header.width}", ~whole & ~block.blank)
    (since_s, wrong), *values = [numbers(cells[column.index]) for column in header.columns]
    refusals += whole_lines.refused("unreadable time", "TIME is seconds since the start", wrong | np.isnan(since_s))
    broken = np.zeros(len(since_s), bool)
    for _, no_number in values:
        broken |= no_number
    refusals += whole_lines.refused("not a number", "an energy or power", broken)
    good = ~wrong & ~np.isnan(since_s)
    count, width = int(good.sum()), len(values)
    times = times_from_epoch(np.repeat(header.start_ms / MS_PER_S + since_s[good], width), now_ms)
    rows = Rows(
        nodes=[header.node],
        channels=[column.channel for column in header.columns[1:]],
        kinds=[column.kind for column in header.columns[1:]],
        node=np.zeros(count * width, np.int32),
        channel=np.tile(np.arange(width, dtype=np.int32), count),
        times=times,
        value=np.column_stack([value[good] for value, _ in values]).ravel(),
        line=np.repeat(whole_lines.number[good], width),
    )
    return rows, refusals
