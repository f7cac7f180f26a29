"""Redfish resources that hold a power: Power, EnvironmentMetrics, Sensor, PowerSupplyMetrics; each is a snapshot.

``readings(document)`` says what a document holds, for files and for who asks a BMC. The node is ``--node``, or what
stands in a file's path before the resource's own (``n001/Chassis/1U/Power/index.json``), or its name (``n001.json``);
the time is the reading's own (``ReadingTime``), else ``--at``. A sample's line is its place among the readings, from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa

from measurements.domain.units import Kind
from measurements.parsers.chunks import ChunkMaker, Rows
from measurements.parsers.csv_lines import is_name
from measurements.parsers.facts import with_facts
from measurements.parsers.json_text import loads
from measurements.parsers.records import ChannelFacts, ParseOptions, PowerChunk, Refusal, UnusableFile
from measurements.parsers.redfish_channels import (
    KWH_CHANNEL,
    channel_by_context,
    channel_of_member,
    number_of,
    part_of_path,
)
from measurements.parsers.series import TWO_SERIES
from measurements.parsers.source import Source
from measurements.parsers.tar_text import node_of_path
from measurements.parsers.times import parse_times, utc_text

_TYPE = re.compile(r'"@odata\.(?:type|id|context)"\s*:')
_DEPTH = 4  # of members expanded inside collections
_J_PER_KWH = 3_600_000.0
_GENERIC = frozenset(
    {"index", "power", "chassis", "environmentmetrics", "powersubsystem", "sensors", "metrics", "thermal"}
)
_UNITS = {"W": (Kind.GAUGE, 1.0), "J": (Kind.COUNTER, 1.0), "kW.h": (Kind.COUNTER, _J_PER_KWH)}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """One power [W] or energy counter [J] of a document; ``value`` is None where the BMC has none."""

    name: str
    channel: str
    kind: Kind
    value: float | None
    time: str = ""  # ISO 8601, where the reading says it
    fault: str = ""  # why it is none, where it is no number


def matches(head: str) -> bool:
    """Whether a text begins like a Redfish resource."""
    return head.lstrip().startswith("{") and _TYPE.search(head[:8_000]) is not None


def read(source: Source, options: ParseOptions, now_ms: int) -> Iterator[PowerChunk]:
    """The readings of a document."""
    document = _document(source)
    node = options.node or _node_of(source.name, str(document.get("@odata.id") or ""))
    if not node or not is_name(node):
        raise UnusableFile(f"{source.name}: neither the document nor its path names a node; name it with --node")
    found, notes = readings(document)
    if not found:
        said = f" ({'; '.join(notes[:3])})" if notes else ""
        raise UnusableFile(
            f"{source.name}: {str(document.get('@odata.type') or 'this resource')[:80]} holds no power{said}; give "
            "the chassis's Power, EnvironmentMetrics or a Sensor of type Power or EnergykWh"
        )
    maker = ChunkMaker(source, warnings=list(notes))
    yield from with_facts(_made(found, node, maker, options, now_ms), ChannelFacts("redfish"))
    yield from maker.finish()


def readings(document: Json, depth: int = 0) -> tuple[list[Reading], list[str]]:
    """What a resource (or the members of an expanded collection) measures, and what of it is left aside, in words."""
    found, notes = _power_control(document)
    sensed, unknown = _sensor(document)
    found, notes = found + _environment(document) + sensed + _supply(document), notes + unknown
    members = document.get("Members")
    if isinstance(members, list) and depth < _DEPTH:
        for member in members:
            if isinstance(member, dict):
                inner, more = readings(member, depth + 1)
                found, notes = found + inner, notes + more
    return found, notes


def _power_control(document: Json) -> tuple[list[Reading], list[str]]:
    """PowerControl: members that name a part are parts, the others are the whole node, or its chassis, together."""
    place = str(document.get("@odata.id") or "").casefold()
    part = part_of_path(place)
    above = f"{part}{number_of(place, '')}" if part else "node"
    parts: list[Reading] = []
    whole: list[Reading] = []
    members = [member for member in _objects(document.get("PowerControl")) if "PowerConsumedWatts" in member]
    for member in members:
        channel = channel_of_member(member)
        channel = above if channel == "node" else channel
        one = _reading(member, "PowerConsumedWatts", channel, Kind.GAUGE, 1.0)
        (whole if channel == above else parts).append(one)
    if len(whole) < 2:
        return whole + parts, []
    values = [one.value for one in whole]
    known = [value for value in values if value is not None]
    names = ", ".join(one.name for one in whole)
    fault = next((one.fault for one in whole if one.fault), "")
    if not all(member.get("Name") for member in members if channel_of_member(member) == "node"):
        fault, known = fault or "a member of several without a name: a part or a board?", []
    total = sum(known) if len(known) == len(values) else None  # without one of them it is not the node's
    told = f"{'the node' if above == 'node' else above}'s power is the sum of {names}"
    return [Reading(names, above, Kind.GAUGE, total, "", fault), *parts], [told]


def _environment(document: Json) -> list[Reading]:
    """PowerWatts and the counters beside it."""
    channel = channel_by_context("", str(document.get("@odata.id") or ""), "")
    if channel is None:
        return []
    fields = (("PowerWatts", "W"), ("EnergyJoules", "J"), ("EnergykWh", "kW.h"))
    return (
        [
            _reading(document[name], "Reading", _named(channel, unit), *_UNITS[unit], name=name)
            for name, unit in fields
            if isinstance(document.get(name), dict)
        ]
        if "InputPowerWatts" not in document
        else []
    )


def _sensor(document: Json) -> tuple[list[Reading], list[str]]:
    """A Sensor of type Power, EnergyJoules or EnergykWh; what is known of none of the node's parts is told."""
    unit = str(
        document.get("ReadingUnits")
        or {"Power": "W", "EnergykWh": "kW.h", "EnergyJoules": "J"}.get(str(document.get("ReadingType")), "")
    )
    if document.get("ReadingType") not in ("Power", "EnergykWh", "EnergyJoules"):
        return [], []
    name = " ".join(str(document[key]) for key in ("Id", "Name") if document.get(key))[:80]
    if unit not in _UNITS:
        return [], [f"sensor {name}: not used, for its unit {unit[:20]!r} is none of W, J and kW.h"]
    channel = channel_by_context(str(document.get("PhysicalContext") or ""), str(document.get("@odata.id") or ""), name)
    if channel is None:
        return [], [f"sensor {name}: not used, for it is no draw of the node or of a part of it that is known"]
    shown = str(document.get("Name") or name)
    return [_reading(document, "Reading", _named(channel, unit), *_UNITS[unit], name=shown)], []


def _supply(document: Json) -> list[Reading]:
    """What a power supply takes in."""
    power = document.get("InputPowerWatts")
    if not isinstance(power, dict):
        return []
    channel = channel_by_context("PowerSupply", str(document.get("@odata.id") or ""), "Input")
    return [] if channel is None else [_reading(power, "Reading", channel, Kind.GAUGE, 1.0, name="InputPowerWatts")]


def _named(channel: str, unit: str) -> str:
    """A counter of whole kWh is too coarse to be a node's meter: it stands beside it."""
    return channel if unit != "kW.h" else KWH_CHANNEL if channel == "node" else f"{channel}_energy"


def _reading(holder: Json, field: str, channel: str, kind: Kind, factor: float, name: str = "") -> Reading:
    value = holder.get(field)
    name = str(name or holder.get("Name") or field)[:80]
    time = str(holder.get("ReadingTime") or "")
    if value is None:
        return Reading(name, channel, kind, None, time)
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError
        return Reading(name, channel, kind, float(value) * factor, time)
    except (TypeError, OverflowError):
        return Reading(name, channel, kind, None, time, f"{str(value)[:80]!r} of {name}")


def _objects(value: object) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _document(source: Source) -> Json:
    try:
        document = loads(source.read_all())
    except (ValueError, RecursionError) as error:
        raise UnusableFile(
            f"{source.name}: not valid JSON ({error}); ask the BMC again and keep its answer as it is"
        ) from error
    if not isinstance(document, dict):
        raise UnusableFile(f"{source.name}: JSON, but no object; give one Redfish resource a file")
    return document


def _node_of(path: str, resource: str) -> str | None:
    """The node by a file's path: what stands before the resource's own path, else the file's or folder's name."""
    parts = [part for part in PurePosixPath(path).with_suffix("").parts if part not in ("/", "index", "redfish", "v1")]
    own = [part for part in PurePosixPath(resource).parts if part not in ("/", "redfish", "v1")]
    if own and len(parts) > len(own) and [p.casefold() for p in parts[-len(own) :]] == [p.casefold() for p in own]:
        return parts[-len(own) - 1]
    name = node_of_path(path)
    if name and name.casefold() not in _GENERIC:
        return name
    folder = PurePosixPath(path).parent.name
    return folder if folder.casefold() not in _GENERIC else None


def _made(
    found: Sequence[Reading], node: str, maker: ChunkMaker, options: ParseOptions, now_ms: int
) -> Iterator[PowerChunk]:
    refusals = [Refusal("not a number", i, one.fault) for i, one in enumerate(found, start=1) if one.fault]
    missing = sum(one.value is None and not one.fault for one in found)
    if missing:
        maker.warnings.append(f"readings without a value (null): {missing}")
    taken: list[tuple[int, Reading]] = []
    seen: dict[tuple[str, Kind, str], int] = {}
    for i, one in enumerate(found, start=1):
        if one.value is not None and not one.time and options.at_ms is None:
            refusals.append(Refusal("no time", i, "say when it was taken with --at", one.name))
        elif one.value is not None and seen.setdefault((one.channel, one.kind, one.time), i) != i:
            first = found[seen[one.channel, one.kind, one.time] - 1].name
            detail = f"{one.channel} is {first} already: give the one that counts, in a file of its own"
            refusals.append(Refusal(TWO_SERIES, i, detail, one.name))
        elif one.value is not None:
            taken.append((i, one))
    channels: dict[tuple[str, Kind], int] = {}
    codes = [channels.setdefault((one.channel, one.kind), len(channels)) for _, one in taken]
    texts = pa.array([one.time or utc_text(options.at_ms or 0) for _, one in taken], pa.string())
    rows = Rows(
        nodes=[node],
        channels=[channel for channel, _ in channels],
        kinds=[kind for _, kind in channels],
        node=np.zeros(len(taken), np.int32),
        channel=np.array(codes, np.int32),
        times=parse_times(texts, options.time_zone, now_ms),
        value=np.array([one.value for _, one in taken], np.float64),
        line=np.array([i for i, _ in taken], np.int64),
    )
    yield from maker.make(rows, lambda line: found[line - 1].name, refusals)
