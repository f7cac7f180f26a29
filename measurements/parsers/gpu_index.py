"""Which number a GPU has on its node, where an archive names GPUs by PCI address."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_LARGEST_BYTES = 16 << 20  # of a cluster.json
_BARE_UUID = re.compile(r"(?:gpu-)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII | re.IGNORECASE)


def gpu_indices(ids: Sequence[str], all_of_node: Sequence[str]) -> dict[str, int]:
    """The index of each GPU id: the number it is, or its place in the order of the addresses.

    ``all_of_node`` lists the node's GPUs where they are known; else only those given are
    counted, which is right where the job holds all of them.
    """
    if all(one.isascii() and one.isdigit() and len(one) < 6 for one in ids):
        return {one: int(one) for one in ids}
    listed = {one.casefold() for one in all_of_node}
    if not listed.issuperset(one.casefold() for one in ids):
        listed = {one.casefold() for one in ids}
    place = {one: i for i, one in enumerate(sorted(listed))}
    return {one: place[one.casefold()] for one in ids}


def accelerators_of(meta: dict[str, Any], folder: Path) -> dict[str, list[str]]:
    """The GPU ids of each of a job's hosts: all that cluster.json of the archive knows, else those of the job.

    A job folder lies three levels below its cluster's: <cluster>/<id / 1000>/<id % 1000>/<start>.
    """
    hosts: dict[str, list[str]] = {}
    all_of_type = _of_subcluster(folder.resolve(), str(meta.get("subCluster")))
    resources = meta.get("resources")
    for resource in resources if isinstance(resources, list) else []:
        if isinstance(resource, dict):
            held = resource.get("accelerators")
            hosts[str(resource.get("hostname"))] = all_of_type or list(map(str, held if isinstance(held, list) else []))
    return hosts


def _of_subcluster(folder: Path, subcluster: str) -> list[str]:
    """The GPU ids of a node type from the archive's cluster.json; empty if there is none, or none that fits."""
    try:
        with (folder.parents[2] / "cluster.json").open("rb") as file:
            cluster = json.loads(file.read(_LARGEST_BYTES))
        for one in cluster["subClusters"]:
            if one["name"] == subcluster:
                return [str(accelerator["id"]) for accelerator in one["topology"].get("accelerators") or []]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []  # the archive's description is a help, not a need
    return []


def gpu_uuid(text: str) -> str:
    """A GPU's UUID as NVML spells it (GPU-… in lower case); what has another form is kept as it is."""
    match = _BARE_UUID.fullmatch(text.strip())
    return f"GPU-{match[1].lower()}" if match else text.strip()[:64]
