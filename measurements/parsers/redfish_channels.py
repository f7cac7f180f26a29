"""Which channel a Redfish reading is of: the whole node, a part of it, or none of both."""

from __future__ import annotations

import re
from collections.abc import Mapping

KWH_CHANNEL = "node_energy"  # a counter in whole kWh, beside the node's power
_NODE_CONTEXTS = frozenset({"", "chassis", "intake", "systemboard", "computebay", "system"})
_PARTS = (
    (re.compile(r"gpu|accelerator|graphics"), "gpu"),
    (re.compile(r"memory|dimm|dram"), "dram"),
    (re.compile(r"cpu|processor"), "cpu"),
    (re.compile(r"fan"), "fan"),
    (re.compile(r"powersupply|power supply|psu"), "psu"),
    (re.compile(r"storage|disk|drive"), "disk"),
    (re.compile(r"network|nic\b"), "nic"),
)
_OUTPUT = re.compile(r"output|out\d|rail", re.IGNORECASE)
_OWNER = re.compile(r"/(processors|memory|powersupplies|fans|drives)/([^/]+)")
_NUMBER = re.compile(r"(\d{1,3})")


def channel_of_member(member: Mapping[str, object]) -> str:
    """The channel of a member of PowerControl: a part if its name or context says so, else the node."""
    said = f"{member.get('PhysicalContext') or ''} {member.get('Name') or ''} {member.get('MemberId') or ''}"
    return _part(said.casefold()) or "node"


def channel_by_context(context: str, resource: str, name: str) -> str | None:
    """The channel of a resource by its physical context and path; None for what is no draw of its own (an output)."""
    if _OUTPUT.search(name):
        return None
    place = resource.casefold()
    part = _part(context.casefold()) or (_part_of_path(place) if context.casefold() in _NODE_CONTEXTS else None)
    if part is None:
        return "node" if context.casefold() in _NODE_CONTEXTS else None
    owner = _OWNER.search(place)
    number = _NUMBER.search(owner[2] if owner else name)
    return part + (str(int(number[1])) if number else "")


def _part(text: str) -> str | None:
    return next((channel for pattern, channel in _PARTS if pattern.search(text)), None)


def _part_of_path(place: str) -> str | None:
    """The part whose resource it is: …/Processors/CPU1/EnvironmentMetrics is one of a CPU."""
    inner = _OWNER.search(place)
    if inner is None:
        return None
    if inner[1] == "processors":
        return "gpu" if "gpu" in inner[2] else "cpu"
    return {"memory": "dram", "powersupplies": "psu", "fans": "fan", "drives": "disk"}[inner[1]]
