"""``nvidia-smi --query-gpu=timestamp,index,power.draw --format=csv``: power of GPUs as NVIDIA's tool prints it.

The unit stands in the header and, without ``nounits``, in each cell; ``[N/A]`` and its kin are missing. The clock is
local, without a zone. The lines name GPUs by index or UUID at best, and no node: ``--node`` says it, or what pdsh and
clush put before each line of several hosts (``n001: 2026/09/11 …``; see `gathered`). Of several powers
``power.draw`` is read, which is what the tool shows; ``power.draw.instant`` and ``.average`` are other views of it,
read where the first lines say nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from measurements.domain.units import BoolArray, FloatArray, IntArray, Kind
from measurements.parsers.chunks import ChunkMaker, Codes, Rows
from measurements.parsers.clock_texts import as_iso
from measurements.parsers.facts import with_facts
from measurements.parsers.gathered import HOST, split_hosts
from measurements.parsers.line_table import LineBlock, as_mask, cells_of, coded, lines_of, numbers, without_unit
from measurements.parsers.records import ChannelFacts, ParseOptions, PowerChunk, Refusal, UnusableFile
from measurements.parsers.source import BLOCK_BYTES, Source
from measurements.parsers.times import Times, parse_times, times_from_epoch

_POWERS = ("power.draw", "power.draw.average", "power.draw.instant")  # the first that there is
_FIRST_LINES = 20  # messages of the driver may come before the header
_WITH_UNIT = r"(?i) W$"
_INDEX = r"^(?:0|[1-9]\d{0,2})$"
_OF_HOST = re.compile(HOST)
_UUID = r"^[A-Za-z]+-[0-9A-Fa-f-]{8,80}$"


@dataclass(frozen=True, slots=True)
class _Header:
    """Which column is what."""

    line: int
    text: str
    width: int
    power: int
    time: int | None
    index: int | None
    uuid: int | None
    note: str = ""
    of_hosts: bool = False  # whether the host stands before each line


def matches(head: str) -> bool:
    """Whether one of the first lines names a power draw as nvidia-smi does."""
    return _find(head.splitlines()) is not None


def read(source: Source, options: ParseOptions, now_ms: int, block_bytes: int = BLOCK_BYTES) -> Iterator[PowerChunk]:
    """The power of each GPU, in the channel ``gpu`` with its index, or ``gpu@`` with its UUID."""
    gpus: dict[tuple[str, str], str] = {}
    chunks = _chunks(source, options, now_ms, block_bytes, gpus)
    yield from with_facts(chunks, ChannelFacts("nvml"), gpus=gpus)


def _chunks(
    source: Source, options: ParseOptions, now_ms: int, block_bytes: int, gpus: dict[tuple[str, str], str]
) -> Iterator[PowerChunk]:
    header = _header(source, options)
    maker = ChunkMaker(source, warnings=[header.note] if header.note else [])
    for first, raw in source.blocks(block_bytes):
        block, cut = _without_cut_line(lines_of(raw, first), header, ends=raw.endswith(b"\n"))
        rows, refusals = _rows(block, header, options, now_ms, gpus)
        yield from maker.make(rows, block.raw, [*refusals, *cut])
    yield from maker.finish()


def _find(lines: Sequence[str]) -> _Header | None:
    """The header among the first lines."""
    for number, raw in enumerate(lines[:_FIRST_LINES], start=1):
        of_host = _OF_HOST.fullmatch(raw.strip())
        line = of_host["rest"] or "" if of_host else raw
        names = [cell.strip().partition(" [")[0].casefold().removeprefix("gpu_") for cell in line.split(",")]
        powers = [names.index(name) for name in _POWERS if name in names]
        if powers:
            time, index, uuid = (
                names.index(name) if name in names else None for name in ("timestamp", "index", "uuid")
            )
            power = _said(lines[number:], powers, len(names))
            note = "" if power == powers[0] else f"{names[power]} is read: {names[powers[0]]} says nothing"
            hosts = of_host is not None
            return _Header(number, line.strip(), len(names), power, time, index, uuid, note, hosts)
    return None


def _said(lines: Sequence[str], powers: Sequence[int], width: int) -> int:
    """Of several powers the first that has a number in the lines at hand, else the first."""
    rows = [cells for line in lines if len(cells := line.split(",")) == width]
    return next((power for power in powers if any(row[power].strip()[:1].isdigit() for row in rows)), powers[0])


def _without_cut_line(block: LineBlock, header: _Header, *, ends: bool) -> tuple[LineBlock, list[Refusal]]:
    """A block without its last line if a copy cut that short: 18 of ``187.80 W`` would be a power too."""
    texts = block.texts
    if ends or not len(texts) or header.power != header.width - 1:
        return block, []
    with_unit = as_mask(pc.match_substring_regex(texts, _WITH_UNIT))
    if not str(texts[-1])[-1:].isdigit() or not with_unit[:-1].any():
        return block, []
    last = np.arange(len(texts)) == len(texts) - 1
    return block.picked(~last), block.refused("unreadable line", "the file ends within it: copy it anew", last)


def _header(source: Source, options: ParseOptions) -> _Header:
    """The header of a log; what neither it nor the operator says can't be guessed."""
    header = _find(source.head().decode("utf-8", errors="replace").splitlines())
    if header is None:
        raise UnusableFile(f"{source.name}: no header that names power.draw; query it without --format=…,noheader")
    if options.node is None and not header.of_hosts:
        raise UnusableFile(f"{source.name}: nvidia-smi names no node; name it with --node")
    if header.index is None and header.uuid is None and options.channel is None:
        raise UnusableFile(
            f"{source.name}: the log does not say which GPU a line is of; query index and uuid as well, "
            "or if it is of one GPU alone, say which with --channel gpu0"
        )
    if header.time is None and options.at_ms is None:
        raise UnusableFile(f"{source.name}: the log has no times; query timestamp as well, or say when with --at")
    return header


def _rows(
    block: LineBlock, header: _Header, options: ParseOptions, now_ms: int, gpus: dict[tuple[str, str], str]
) -> tuple[Rows, list[Refusal]]:
    """The lines of a block as rows, and those that are none; which GPU has which index goes to ``gpus``."""
    columns, cells, refusals = _cells(block, header)
    value, readable, refused = _values(columns, cells, header, options)
    refusals += refused
    columns, cells = [column.filter(pa.array(readable)) for column in columns], cells.picked(readable)
    node, names = coded(columns[-1])
    nodes = [name or options.node or "" for name in names]
    code, channels = _channels(columns, header, options)
    if header.index is not None and header.uuid is not None:
        _note_uuids(columns[header.uuid], (node, nodes), (code, channels), gpus)
    rows = Rows(
        nodes=nodes,
        channels=channels,
        kinds=[Kind.GAUGE] * len(channels),
        node=node,
        channel=code,
        times=_times(columns, header, options, now_ms),
        value=value[readable],
        line=cells.number,
    )
    return rows, refusals


def _cells(block: LineBlock, header: _Header) -> tuple[list[pa.Array], LineBlock, list[Refusal]]:
    """The cells of lines below the header, a column each, last that of the hosts before the lines; what is no row."""
    hosts = pa.array([""] * len(block.texts), pa.string())
    if header.of_hosts:
        texts, hosts = split_hosts(block.texts)
        block = LineBlock(texts, block.number, block.raw)
    is_header = as_mask(pc.equal(block.texts, header.text))
    again = is_header & (block.number != header.line) & (not header.of_hosts)  # each host has one
    refusals = block.refused("repeated header", "each line is read by the first header", again)
    block, hosts = block.picked(~is_header), hosts.filter(pa.array(~is_header))
    columns, cells, whole = cells_of(block, ",", header.width)
    detail = f"the header has {header.width} columns"
    refusals += block.refused("wrong number of fields", detail, ~whole & ~block.blank)
    return [*columns, hosts.filter(pa.array(whole))], cells, refusals


def _values(
    columns: list[pa.Array], cells: LineBlock, header: _Header, options: ParseOptions
) -> tuple[FloatArray, BoolArray, list[Refusal]]:
    """The power that lines say [W], which of them can be used, and why others can't."""
    value, wrong = numbers(without_unit(columns[header.power], "W"))
    refusals = cells.refused("not a number", "the power draw", wrong)
    said, named = ~np.isnan(value), _named(columns, header)
    refusals += cells.refused("no GPU", "neither an index nor a UUID", said & ~named)
    nameless = as_mask(pc.equal(columns[-1], "")) & (options.node is None)
    refusals += cells.refused("no node", "say it with --node", said & named & nameless)
    return value, said & named & ~nameless, refusals


def _named(columns: list[pa.Array], header: _Header) -> BoolArray:
    """Which lines say, in the form that is expected, what GPU they are of."""
    if header.index is not None:
        return as_mask(pc.match_substring_regex(columns[header.index], _INDEX))
    if header.uuid is not None:
        return as_mask(pc.match_substring_regex(columns[header.uuid], _UUID))
    return np.ones(len(columns[0]), bool)


def _channels(columns: list[pa.Array], header: _Header, options: ParseOptions) -> tuple[Codes, list[str]]:
    """Each row's channel, and the channels."""
    if header.index is not None:
        code, indices = coded(columns[header.index])
        return code, [f"gpu{index}" for index in indices]
    if header.uuid is not None:
        code, uuids = coded(columns[header.uuid])
        return code, [f"gpu@{uuid}" for uuid in uuids]
    return np.zeros(len(columns[0]), np.int32), [options.channel or ""]


def _note_uuids(
    uuids: pa.Array, node: tuple[Codes, list[str]], channel: tuple[Codes, list[str]], gpus: dict[tuple[str, str], str]
) -> None:
    """The UUID of each channel; where it changes inside a block, the last."""
    known = np.flatnonzero(as_mask(pc.match_substring_regex(uuids, _UUID)))
    of_gpu = node[0].astype(np.int64) * max(len(channel[1]), 1) + channel[0]
    for row in known[_last_of_each(of_gpu[known])].tolist():
        gpus[node[1][node[0][row]], channel[1][channel[0][row]]] = str(uuids[row])


def _last_of_each(code: IntArray) -> np.ndarray:
    """The rows at which each code comes for the last time."""
    _, from_end = np.unique(code[::-1], return_index=True)
    return len(code) - 1 - from_end


def _times(columns: list[pa.Array], header: _Header, options: ParseOptions, now_ms: int) -> Times:
    if header.time is None:
        return times_from_epoch(np.full(len(columns[0]), (options.at_ms or 0) / 1000), now_ms)
    return parse_times(as_iso(columns[header.time], options.time_zone), options.time_zone, now_ms)
