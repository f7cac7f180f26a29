"""What one BMC says of its node's power: where it stands is found once, then only that is asked.

Of several resources that say the same the first one is read: EnvironmentMetrics, Power, the inputs of all supplies
together, a sensor. A power is of the middle of the request that brought it; where the BMC gives a reading a time of its
own and its clock is right (the header Date, to 5 s) it is of that time, so that what was read twice is one sample.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from measurements.domain.units import Kind
from measurements.feeds.bmc import AskError
from measurements.feeds.bmc_memory import Known
from measurements.feeds.redfish import Client, Json, NotThere
from measurements.feeds.redfish_chassis import chassis_of, link, members
from measurements.parsers.redfish_channels import channel_by_context
from measurements.parsers.redfish_json import Reading, readings
from measurements.parsers.times import EARLIEST_MS, TimeRefused, parse_instant

LARGEST_SKEW_S = 5.0
OLDEST_S = 3_600.0  # what was measured longer ago says nothing of now
FIND_AGAIN_MS = 24 * 3_600_000
MOST_SUPPLIES, MOST_SENSORS = 16, 24
WHOLE = "node"
_OF_POWER = re.compile(r"pow|pwr|watt|energy|consum", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of a channel at an instant [ms since 1970, UTC]; ``value`` in W or J."""

    channel: str
    kind: Kind
    t_ms: int
    value: float
    name: str


@dataclass(slots=True)
class Told:
    """What one BMC gave in a turn."""

    samples: list[Sample] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)  # as `Known.found`
    skew_s: float | None = None
    repeated: int = 0
    missing: list[str] = field(default_factory=list)  # channels without a value now
    faults: list[str] = field(default_factory=list)  # values that are none
    own: dict[str, list[Any]] = field(default_factory=dict)  # as `Known.told`


def ask(client: Client, known: Known, chassis: str, now_ms: int) -> Told:
    """The node's power now; where it stands is found first, if that is not known or a day ago."""
    fresh = not known.found.get("paths") or now_ms - known.found_ms > FIND_AGAIN_MS + _spread_ms(client.address)
    found = find(client, chassis) if fresh else known.found
    try:
        return _read(client, known, found)
    except NotThere:
        if fresh:
            raise
    return _read(client, known, find(client, chassis))


def _spread_ms(address: str) -> int:
    """Within six hours, so that not all BMCs are looked through in the same turn of each day."""
    return zlib.crc32(address.encode()) % (FIND_AGAIN_MS // 4)


def find(client: Client, chassis: str) -> dict[str, Any]:
    """Which resources say what: ``paths`` → the channels read of each; ``supplies``: the node is their sum."""
    chosen = chassis_of(client, chassis)
    if chosen.document is None:
        raise AskError(chosen.why)
    paths: dict[str, list[list[str]]] = {}
    claimed: set[tuple[str, str]] = set()
    for path in _candidates(client, chosen.document, claimed):
        said = [one for one in _of(client, path) if _counts(one)]
        claims = list(dict.fromkeys((one.channel, str(one.kind)) for one in said))
        known = claimed | set(claims)
        fresh = [claim for claim in claims if claim not in claimed and not (_has_node(known) and _is_supply(claim[0]))]
        if fresh:
            paths[path] = [list(claim) for claim in fresh]
            claimed |= set(fresh)
    if not paths:
        raise AskError(f"its chassis {str(chosen.document.get('Id'))[:80]} says no power")
    whole = any(channel == WHOLE for channel, _ in claimed)
    return {"paths": paths, "supplies": not whole and bool(_psus(claimed)), "shared": list(chosen.shared)}


def _is_supply(channel: str) -> bool:
    """Whether it is of a power supply: worth nothing beside the node's own power."""
    return channel.startswith("psu")


def _candidates(client: Client, chassis: Json, claimed: set[tuple[str, str]]) -> Iterator[str]:
    """The resources that may say a power, best first; the dearer ones only where nothing said the node's yet."""
    yield from filter(None, (link(chassis, "EnvironmentMetrics"), link(chassis, "Power")))
    if not _has_node(claimed):
        yield from _supplies(client, chassis)
    if not _has_node(claimed) and not _psus(claimed):
        paths = (path for path in members(client, link(chassis, "Sensors"), 500) if _OF_POWER.search(path))
        yield from (path for _, path in zip(range(MOST_SENSORS), paths, strict=False))


def _supplies(client: Client, chassis: Json) -> Iterator[str]:
    subsystem = link(chassis, "PowerSubsystem")
    place = link(client.get(subsystem), "PowerSupplies") if subsystem else ""
    for path in members(client, place, MOST_SUPPLIES):
        metrics = link(client.get(path), "Metrics")
        if metrics:
            yield metrics


def _has_node(claimed: set[tuple[str, str]]) -> bool:
    return any(channel == WHOLE for channel, _ in claimed)


def _psus(claimed: set[tuple[str, str]]) -> list[str]:
    return [channel for channel, kind in claimed if _is_supply(channel) and kind == str(Kind.GAUGE)]


def _of(client: Client, path: str) -> list[Reading]:
    """What a resource says; of one that it names and does not have nothing."""
    try:
        return _readings(client.get(path))
    except NotThere:
        return []


def _readings(document: Json) -> list[Reading]:
    found, _ = readings(document)
    return found + _inputs(document)


def _inputs(document: Json) -> list[Reading]:
    """What the supplies of a resource Power take in; their output is less, and no draw of its own."""
    supplies = document.get("PowerSupplies")
    listed = [one for one in supplies if isinstance(one, dict)] if isinstance(supplies, list) else []
    found = []
    for number, one in enumerate(listed):
        watts = one.get("PowerInputWatts")
        channel = channel_by_context("PowerSupply", "", f"{one.get('MemberId') or number}") or f"psu{number}"
        if isinstance(watts, (int, float)) and not isinstance(watts, bool):
            found.append(Reading(str(one.get("Name") or channel)[:80], channel, Kind.GAUGE, float(watts)))
    return found


def _counts(one: Reading) -> bool:
    """Whether it has a value; a counter that stands at nothing may be one that never counts."""
    return one.value is not None and not (one.kind == Kind.COUNTER and one.value == 0)


def _read(client: Client, known: Known, found: dict[str, Any]) -> Told:
    told = Told(found=found)
    for path, claims in found["paths"].items():
        wanted = {(channel, kind) for channel, kind in claims}
        said = {(one.channel, str(one.kind)): one for one in reversed(_readings(client.get(path)))}
        if not wanted <= said.keys():
            raise NotThere(f"{path} says no more what it said")
        for claim in sorted(wanted):
            _take(told, known, said[claim], client)
    told.skew_s = client.skew_s
    if found.get("supplies"):
        _add_up(told, found)
    return told


def _take(told: Told, known: Known, one: Reading, client: Client) -> None:
    if one.fault:
        told.faults.append(one.fault)
    if one.value is None:
        told.missing.append(one.channel)
        return
    own_ms = _own_ms(one)
    believed = own_ms is not None and _is_believed(own_ms, client)
    if own_ms is not None and not believed:
        key = f"{one.channel}/{one.kind}"
        told.own[key] = [one.time, one.value]
        if known.told.get(key) == told.own[key]:
            told.repeated += 1
            return
    t_ms = own_ms if own_ms is not None and believed else client.asked_ms
    told.samples.append(Sample(one.channel, one.kind, t_ms, one.value, one.name))


def _own_ms(one: Reading) -> int | None:
    """When it was measured by the BMC's own word [ms]; None if it has none (before 2000: one that was never set)."""
    try:
        own_ms = parse_instant(one.time, None) if one.time else None
    except TimeRefused:
        return None
    return own_ms if own_ms is not None and own_ms >= EARLIEST_MS else None


def _is_believed(own_ms: int, client: Client) -> bool:
    """Whether the BMC's clock is right, and the reading not an old one that it keeps on telling."""
    ahead_s = (own_ms - client.asked_ms) / 1_000
    skew_s = ahead_s if client.skew_s is None else client.skew_s
    return abs(skew_s) <= LARGEST_SKEW_S and -OLDEST_S <= ahead_s <= LARGEST_SKEW_S


def _add_up(told: Told, found: dict[str, Any]) -> None:
    """The node as the sum of what its supplies take in; without one of them it is not the node's."""
    wanted = {channel for claims in found["paths"].values() for channel, kind in claims if kind == str(Kind.GAUGE)}
    wanted = {channel for channel in wanted if _is_supply(channel)}
    parts = [one for one in told.samples if one.channel in wanted and one.kind == Kind.GAUGE]
    if {one.channel for one in parts} == wanted:
        t_ms = round(sum(one.t_ms for one in parts) / len(parts))
        total = sum(one.value for one in parts)
        told.samples.append(Sample(WHOLE, Kind.GAUGE, t_ms, total, "the inputs of all power supplies"))
