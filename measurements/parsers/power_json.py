"""Power as JSON: ``{"samples": [{"timestamp", "node", "channel", "watts" | "joules"}, …], "channels": {…}}``.

It says what the plain CSV says, and is read as that: the same times, the same missing values, the same reasons. The
line of a refusal is the sample's place in the list, from 1. ``channels`` says what is known of channels: source,
interval, modulus, and the GPU behind one, of the body's ``node`` or the only one that its samples name.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from measurements.parsers import power_csv
from measurements.parsers.body import Body, json_object
from measurements.parsers.facts import with_facts
from measurements.parsers.records import ChannelFacts, ParseOptions, PowerChunk, Refusal, UnusableFile

_FIELDS = ("timestamp", "node", "channel")
_UNITS = ("joules", "watts")
_TEXT_LIMIT = 500


def read(body: bytes, now_ms: int) -> list[PowerChunk]:
    """The samples of a body; raises UnusableFile where it is not of this form."""
    document = json_object(body)
    samples = document.get("samples")
    if not isinstance(samples, list):
        raise UnusableFile('the body: no list "samples": send {"samples": [{"timestamp": …, "node": …, "watts": …}]}')
    channels = document.get("channels") or {}
    if not isinstance(channels, dict) or not all(isinstance(said, dict) for said in channels.values()):
        raise UnusableFile('the body: "channels" is no object of objects')
    node = document.get("node")
    options = ParseOptions(node=node) if isinstance(node, str) and node else ParseOptions()
    chunks = [chunk for unit in _UNITS for chunk in _of_unit(samples, unit, options, now_ms)]
    odd = list(_odd(samples))
    if odd:
        chunks.append(replace(_EMPTY, refusals=odd))
    return list(_with_said(chunks, channels, options.node))


def _unit(sample: Any) -> str | None:
    """What a sample is in; with both it is a counter's."""
    if not isinstance(sample, dict):
        return None
    return next((unit for unit in _UNITS if sample.get(unit) is not None), None)


def _of_unit(samples: Sequence[Any], unit: str, options: ParseOptions, now_ms: int) -> Iterator[PowerChunk]:
    """The samples in one unit, as the CSV parser reads them."""
    places = [place for place, sample in enumerate(samples, start=1) if _unit(sample) == unit]
    if not places:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*_FIELDS, unit))
    for place in places:
        sample = samples[place - 1]
        writer.writerow([_cell(sample.get(name)) for name in (*_FIELDS, unit)])
    place_of = np.array([0, 0, *places], np.int64)  # by line of that CSV, whose first is the header
    for chunk in power_csv.read(Body(text.getvalue().encode()), options, now_ms):
        refusals = [replace(refusal, line=int(place_of[refusal.line])) for refusal in chunk.refusals]
        yield replace(chunk, line=place_of[chunk.line], refusals=refusals)


def _cell(value: Any) -> str:
    """A value as a cell: one line, so that lines stay samples."""
    if value is None or isinstance(value, bool | dict | list):
        return "" if value is None else "\ufffd"  # as what is no text: no name, no time, no number
    return str(value).replace("\n", " ").replace("\r", " ")


def _odd(samples: Sequence[Any]) -> Iterator[Refusal]:
    """Entries that are no sample at all; one whose value is null is missing, as an empty cell is."""
    for place, sample in enumerate(samples, start=1):
        if not isinstance(sample, dict):
            yield Refusal("unreadable line", place, "no JSON object", repr(sample)[:_TEXT_LIMIT])
        elif not any(unit in sample for unit in _UNITS):
            yield Refusal("unreadable line", place, 'neither "watts" nor "joules"', repr(sample)[:_TEXT_LIMIT])


def _with_said(chunks: Sequence[PowerChunk], channels: Mapping[str, Any], node: str | None) -> Iterator[PowerChunk]:
    """The chunks with what the body says of its channels."""
    if not channels:
        return iter(chunks)
    nodes = {name for chunk in chunks for name in chunk.nodes}
    own = node if node is not None else next(iter(nodes)) if len(nodes) == 1 else None
    gpus = {(own, name): said["uuid"] for name, said in channels.items() if isinstance(said.get("uuid"), str)}
    if gpus and own is None:
        raise UnusableFile('the body: a GPU\'s "uuid" needs to be of one node: say "node", or send a body a node')
    facts = {name: _facts(name, said) for name, said in channels.items()}
    named = {(own_node, name): uuid for (own_node, name), uuid in gpus.items() if own_node is not None}
    return with_facts(chunks, ChannelFacts(), facts, named)


def _facts(name: str, said: Mapping[str, Any]) -> ChannelFacts:
    source = said.get("source", "")
    if not isinstance(source, str) or len(source) > 32:
        raise UnusableFile(f'the body: the "source" of {name} is no short text')
    return ChannelFacts(
        source=source,
        covers_gpus=_flag(name, said, "covers_gpus"),
        dc=_flag(name, said, "dc"),
        wrap_uj=_number(name, said, "wrap_uj", 2**63 - 1),
        interval_ms=_number(name, said, "interval_ms", 86_400_000),
    )


def _flag(name: str, said: Mapping[str, Any], key: str) -> bool | None:
    value = said.get(key)
    if value is not None and not isinstance(value, bool):
        raise UnusableFile(f'the body: "{key}" of {name} is neither true nor false')
    return value


def _number(name: str, said: Mapping[str, Any], key: str, most: int) -> int | None:
    value = said.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= most:
        raise UnusableFile(f'the body: "{key}" of {name} is no number from 1 to {most}')
    return round(value)


_EMPTY = PowerChunk(
    (), (), (), np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64),
    np.empty(0, np.int64),
)  # fmt: skip
