"""Which device is behind a GPU's channel, and when it became another one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from measurements.domain.channel_names import gpu_index
from measurements.domain.units import Kind
from measurements.models import Channel, GpuPlace


def device_changes(channels: Iterable[Channel]) -> dict[tuple[int, str], list[int]]:
    """By node and channel the instants [ms since 1970, UTC] from which on its GPU is another one.

    Only counters mind; without one nothing is asked.
    """
    nodes = {row.node_id for row in channels if row.kind == Kind.COUNTER and gpu_index(row.name) is not None}
    if not nodes:
        return {}
    rows = GpuPlace.objects.filter(node__in=nodes).order_by("node", "index", "valid_from_ms")
    found: dict[tuple[int, str], list[int]] = {}
    for (node, index, uuid, _), (next_node, next_index, next_uuid, since_ms) in pairwise(
        rows.values_list("node_id", "index", "uuid", "valid_from_ms")
    ):
        if (node, index) == (next_node, next_index) and uuid != next_uuid:
            found.setdefault((node, f"gpu{index}"), []).append(since_ms)
    return found
