"""``nvidia-smi -q -x``: snapshots of a node's GPUs as XML, one document or, with ``-l``, one after the other.

Older drivers say ``power_readings``, newer ones ``gpu_power_readings``, and some ``average_power_draw`` and
``instant_power_draw`` in place of ``power_draw``. The power of a module (``module_power_readings``) holds the GPU's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

import numpy as np
import pyarrow as pa

from measurements.domain.units import Kind
from measurements.parsers.chunks import ChunkMaker, Rows
from measurements.parsers.clock_texts import as_iso
from measurements.parsers.facts import with_facts
from measurements.parsers.line_table import numbers, without_unit
from measurements.parsers.records import ChannelFacts, ParseOptions, PowerChunk, Refusal, UnusableFile
from measurements.parsers.source import Source, newlines
from measurements.parsers.times import Times, parse_times, times_from_epoch

_DOCUMENT = re.compile(rb"<\?xml\b")
_READINGS = ("gpu_power_readings", "power_readings")
_DRAWS = ("power_draw", "average_power_draw", "instant_power_draw")  # the first that there is


@dataclass(slots=True)
class _Gpu:
    """What a document says of a GPU."""

    words: dict[str, tuple[str, int]] = field(default_factory=dict)  # element → text and line

    @property
    def draw(self) -> tuple[str, int] | None:
        """The first that says something, else the first."""
        said = [self.words[name] for name in _DRAWS if name in self.words]
        return next((one for one in said if one[0][:1].isdigit()), said[0] if said else None)


@dataclass(slots=True)
class _Snapshot:
    """One document, as far as it could be read."""

    first_line: int
    time: str = ""
    attached: str = ""
    gpus: list[_Gpu] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def channel(self, place: int) -> str | None:
        """The channel of a GPU: its place among all of the node, else its minor number; None if neither is said."""
        minor = self.gpus[place].words.get("minor_number", ("", 0))[0]
        if self.attached == str(len(self.gpus)):
            return f"gpu{place}"
        return f"gpu{int(minor)}" if minor.isascii() and minor.isdigit() and len(minor) < 4 else None


class _Unwanted(Exception):
    """XML that declares entities: no tool writes it, and it can be made to grow without end."""


def matches(head: str) -> bool:
    """Whether a text begins like the XML of nvidia-smi."""
    return "<nvidia_smi_log" in head[:2_000]


def read(source: Source, options: ParseOptions, now_ms: int) -> Iterator[PowerChunk]:
    """The power of each GPU of each snapshot."""
    if options.node is None:
        raise UnusableFile(f"{source.name}: nvidia-smi names no node; name it with --node")
    maker = ChunkMaker(source)
    gpus: dict[tuple[str, str], str] = {}
    chunks = (
        chunk
        for snapshot in _snapshots(source.read_all())
        for chunk in maker.make(_rows(snapshot, options, now_ms, gpus), _said, snapshot.refusals)
    )
    yield from with_facts(chunks, ChannelFacts("nvml"), gpus=gpus)
    yield from with_facts(maker.finish(), ChannelFacts("nvml"), gpus=gpus)


def _said(line: int) -> str:
    return f"power draw in line {line}"


def _snapshots(whole: bytes) -> Iterator[_Snapshot]:
    """The documents of a text, each with the number of its first line."""
    starts = [match.start() for match in _DOCUMENT.finditer(whole)] or [0]
    line = 1 + newlines(whole[: starts[0]])
    for start, end in zip(starts, [*starts[1:], len(whole)], strict=True):
        yield _snapshot(whole[start:end].strip(), line)
        line += newlines(whole[start:end])


def _snapshot(document: bytes, first_line: int) -> _Snapshot:
    """One document; what stands before a fault is taken."""
    found = _Snapshot(first_line)
    path: list[str] = []
    text: list[str] = []
    parser = expat.ParserCreate()

    def begin(name: str, _attributes: dict[str, str]) -> None:
        path.append(name)
        text.clear()
        if path[1:] == ["gpu"]:
            found.gpus.append(_Gpu())

    def end(name: str) -> None:
        _note(found, path[1:], "".join(text).strip(), first_line - 1 + parser.CurrentLineNumber)
        path.pop()
        text.clear()

    def entity(*_declared: object) -> None:
        raise _Unwanted("it declares entities, which nvidia-smi never does")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = text.append, entity
    try:
        parser.Parse(document, True)  # noqa: FBT003 - expat takes it by position only
    except (expat.ExpatError, _Unwanted, UnicodeError, LookupError) as error:
        line = first_line - 1 + max(parser.CurrentLineNumber, 1)
        found.refusals.append(Refusal("broken XML", line, f"{error}; what stands before it was taken"))
    return found


def _note(found: _Snapshot, path: list[str], text: str, line: int) -> None:
    """An element that ended."""
    if path == ["timestamp"]:
        found.time = text
    elif path == ["attached_gpus"]:
        found.attached = text
    elif path[:1] == ["gpu"] and found.gpus:
        is_draw = len(path) == 3 and path[1] in _READINGS and path[2] in _DRAWS
        if is_draw or path[1:] in (["minor_number"], ["uuid"]):
            found.gpus[-1].words[path[-1]] = (text, line)


def _rows(snapshot: _Snapshot, options: ParseOptions, now_ms: int, gpus: dict[tuple[str, str], str]) -> Rows:
    """The GPUs of a snapshot that have a power; which GPU has which index goes to ``gpus``."""
    channels: list[str] = []
    texts: list[str] = []
    lines: list[int] = []
    for place, gpu in enumerate(snapshot.gpus):
        channel, draw = snapshot.channel(place), gpu.draw
        if draw is None:
            continue
        if channel is None:
            snapshot.refusals.append(Refusal("no GPU", draw[1], "fewer GPUs than attached, and no minor_number"))
            continue
        channels.append(channel)
        texts.append(draw[0])
        lines.append(draw[1])
        if uuid := gpu.words.get("uuid"):
            gpus[options.node or "", channel] = uuid[0]
    return _as_rows(snapshot, channels, texts, lines, options, now_ms)


def _as_rows(
    snapshot: _Snapshot, channels: list[str], texts: list[str], lines: list[int], options: ParseOptions, now_ms: int
) -> Rows:
    value, wrong = numbers(without_unit(pa.array(texts, pa.string()), "W"))
    for i in np.flatnonzero(wrong).tolist():
        snapshot.refusals.append(Refusal("not a number", lines[i], "the power draw", texts[i][:500]))
    return Rows(
        nodes=[options.node or ""],
        channels=channels,
        kinds=[Kind.GAUGE] * len(channels),
        node=np.zeros(len(channels), np.int32),
        channel=np.arange(len(channels), dtype=np.int32),
        times=_times(snapshot.time, len(channels), options, now_ms),
        value=value,
        line=np.array(lines, np.int64),
    )


def _times(text: str, count: int, options: ParseOptions, now_ms: int) -> Times:
    """The time of a snapshot, for each of its GPUs."""
    if not text and options.at_ms is not None:
        return times_from_epoch(np.full(count, options.at_ms / 1000), now_ms)
    return parse_times(as_iso(pa.array([text] * count, pa.string()), options.time_zone), options.time_zone, now_ms)
