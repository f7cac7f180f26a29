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
    (re.compile(r"powersupply|power supply|psu|(?<![a-z])ps_?\d"), "psu"),
    (re.compile(r"storage|disk|drive"), "disk"),
    (re.compile(r"network|nic\b"), "nic"),
    (re.compile(r"(?<![a-z])hgx(?![a-z])"), "board"),
)
# What a sensor says that is no draw of its own: what comes out behind it, what is allowed, what was once.
_NO_DRAW = re.compile(
    r"output|out\d|rail|limit|budget|threshold|capacity|headroom|(?<![a-z])(cap|max|min|peak|avg|average|allocated)",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"total|system|sys(?![a-z])|chassis|node|server|input|consum|usage|^((ac|dc|power|pwr|energy)_?)*$")
_MEMORY_OF_GPU = re.compile(r"gpu.*(dram|hbm|memory)")
_OWNER = re.compile(r"/(processors|memory|powersupplies|fans|drives)/([^/]+)")
_CHASSIS = re.compile(r"/chassis/((?:[^/]*_)?(?:gpu|cpu)(?:_sxm)?_?\d+|hgx_[^/]+)(?=/|$)")  # of a part of a node
_PROCESSORS = (("gpu", "gpu"), ("accel", "gpu"), ("fpga", "board"), ("switch", "board"), ("dpu", "nic"))
_NUMBER = re.compile(r"\d{1,3}")


def channel_of_member(member: Mapping[str, object]) -> str:
    """The channel of a member of PowerControl: a part if its name or context says so, else the node."""
    said = f"{member.get('PhysicalContext') or ''} {member.get('Name') or ''} {member.get('MemberId') or ''}"
    return _part(said.casefold()) or "node"


def channel_by_context(context: str, resource: str, name: str) -> str | None:
    """The channel of a resource by its physical context, its path and its name; None for what is no draw of its own.

    A sensor that says no context is known by its name, or not at all: nothing of a node is taken for the whole of it.
    """
    plain = _plain(name)
    if _NO_DRAW.search(plain) or _MEMORY_OF_GPU.search(plain):
        return None
    place, said = resource.casefold(), context.casefold()
    part = _part(said) or ((part_of_path(place) or _part(plain)) if said in _NODE_CONTEXTS else None)
    if part is None:
        return "node" if said in _NODE_CONTEXTS and (said or _WHOLE.search(plain)) else None
    return part + number_of(place, plain)


def part_of_path(place: str) -> str | None:
    """The part whose resource it is: …/Processors/CPU1/EnvironmentMetrics is a CPU's, …/Chassis/HGX_GPU_0/… a GPU's."""
    inner = _OWNER.search(place)
    if inner is None:
        chassis = _CHASSIS.search(place)
        return _part(chassis[1]) if chassis else None
    if inner[1] == "processors":
        return next((part for word, part in _PROCESSORS if word in inner[2]), "cpu")
    return {"memory": "dram", "powersupplies": "psu", "fans": "fan", "drives": "disk"}[inner[1]]


def number_of(place: str, plain: str) -> str:
    """Which of several parts it is; empty if nothing says."""
    owner, chassis = _OWNER.search(place), _CHASSIS.search(place)
    found = _NUMBER.findall(owner[2])[:1] if owner else _NUMBER.findall(chassis[1])[-1:] if chassis else []
    found = found or _NUMBER.findall(plain)[:1]
    return str(int(found[0])) if found else ""


def _plain(name: str) -> str:
    """A name in lower case, its words apart: TotalPower, total_power and Total Power are one."""
    return re.sub(r"[\s_-]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).casefold()


def _part(text: str) -> str | None:
    return next((channel for pattern, channel in _PARTS if pattern.search(text)), None)
