"""Which chassis of a BMC is the node: never one that nodes share, never a part, and never a guess."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from measurements.feeds.bmc import AskError
from measurements.feeds.redfish import ROOT, Client, Json, NotThere

MOST_CHASSIS = 128
MOST_PAGES = 20
# What holds several nodes, and what is only a part of one (DMTF's schema Chassis, ChassisType).
SHARED_TYPES = frozenset(
    {"Enclosure", "Rack", "RackGroup", "Row", "Pod", "Zone", "Shelf", "ImmersionTank", "PowerStrip", "HeatExchanger"}
)
PART_TYPES = frozenset(
    {"Card", "Cartridge", "Component", "Module", "Expansion", "Sidecar", "Drawer", "StorageEnclosure", "IPBasedDrive"}
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The chassis that is the node (None: none is), and those whose power nodes share."""

    document: Json | None
    shared: tuple[str, ...] = ()
    why: str = ""  # there is none


def chassis_of(client: Client, wanted: str = "") -> Chosen:
    """The chassis that is the node; ``wanted`` is its Id where the operator says it."""
    found = list(_documents(client, members(client, link(client.get(ROOT), "Chassis"), MOST_CHASSIS)))
    if wanted:
        named = [one for one in found if wanted in (str(one.get("Id") or ""), str(one.get("Name") or ""))]
        if len(named) == 1:
            return Chosen(named[0])
        raise AskError(f"it has no chassis {wanted[:80]}: it names {_names(found)}")
    return choose(found)


def _documents(client: Client, paths: Iterable[str]) -> Iterator[Json]:
    for path in paths:
        with suppress(NotThere):  # a collection may name what is gone
            yield client.get(path)


def choose(found: Sequence[Json]) -> Chosen:
    """By type, systems and what contains what: the topmost chassis of one system that is no enclosure and no part."""
    shared = [one for one in found if is_shared(one)]
    names = tuple(_name(one) for one in shared)
    nodes = [one for one in found if not is_shared(one) and str(one.get("ChassisType") or "") not in PART_TYPES]
    inside = {place for one in nodes for place in _linked(one, "Contains")}
    paths = {_path(one) for one in nodes}
    top = [one for one in nodes if _path(one) not in inside and not paths & set(_linked(one, "ContainedBy"))]
    if len(top) > 1:
        top = [one for one in top if _linked(one, "ComputerSystems")] or top
    if len(top) == 1:
        return Chosen(top[0], names)
    if top:
        return Chosen(None, names, f"several chassis could be the node ({_names(top)}): say which in chassis")
    if shared:
        return Chosen(
            None, names, f"it knows only what nodes may share ({', '.join(names)}): see docs/pull.md, Redfish"
        )
    return Chosen(None, names, f"none of its chassis is a node ({_names(found)}): say which one is in chassis")


def is_shared(chassis: Json) -> bool:
    """Whether it holds more than a node, or may."""
    return str(chassis.get("ChassisType") or "") in SHARED_TYPES or len(_linked(chassis, "ComputerSystems")) > 1


def link(document: Mapping[str, Any], name: str) -> str:
    """Where a property leads to; empty if it is not there."""
    place = document.get(name)
    return str(place.get("@odata.id") or "") if isinstance(place, dict) else ""


def members(client: Client, collection: str, most: int) -> Iterator[str]:
    """The paths of a collection's members, over all its pages."""
    count = 0
    for _ in range(MOST_PAGES):
        if not collection:
            return
        page = client.get(collection)
        for member in page.get("Members") or ():
            if isinstance(member, dict) and member.get("@odata.id") and count < most:
                count += 1
                yield str(member["@odata.id"])
        collection = str(page.get("Members@odata.nextLink") or "")


def _linked(chassis: Json, name: str) -> list[str]:
    links = chassis.get("Links")
    found = links.get(name) if isinstance(links, dict) else None
    many = found if isinstance(found, list) else [found]
    return [_plain(str(one.get("@odata.id") or "")) for one in many if isinstance(one, dict)]


def _path(chassis: Json) -> str:
    return _plain(str(chassis.get("@odata.id") or ""))


def _plain(path: str) -> str:
    return path.rstrip("/")


def _name(chassis: Json) -> str:
    return str(chassis.get("Id") or chassis.get("Name") or "?")[:80]


def _names(found: Sequence[Json]) -> str:
    return ", ".join(_name(one) for one in found[:8]) or "none"
