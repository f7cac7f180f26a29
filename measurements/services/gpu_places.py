"""Which GPU is behind which index of a node: the one writer of `GpuPlace`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from measurements.models import Cluster, GpuPlace

Places = dict[tuple[int, int], list[tuple[int, str]]]  # (node, index) → (from when on [ms], UUID), ascending


@dataclass(frozen=True, slots=True, order=True)
class GpuSeen:
    """That a node's GPU of an index was a device at an instant."""

    since_ms: int
    node: int
    index: int
    uuid: str


def places_of(cluster: Cluster) -> Places:
    """All that is known of a cluster's GPUs."""
    found: Places = {}
    rows = GpuPlace.objects.filter(node__cluster=cluster).order_by("node", "index", "valid_from_ms")
    for node, index, since_ms, uuid in rows.values_list("node_id", "index", "valid_from_ms", "uuid"):
        found.setdefault((node, index), []).append((since_ms, uuid))
    return found


def in_force(steps: list[tuple[int, str]], t_ms: int) -> str:
    """The UUID of a place at an instant; empty before the first."""
    return next((uuid for since_ms, uuid in reversed(steps) if since_ms <= t_ms), "")


def note_gpu_places(seen: Iterable[GpuSeen]) -> None:
    """Write what was seen where it says something new; saying it again changes nothing.

    What was seen before the first thing known moves that back, if it is the same device.
    """
    seen = sorted(set(seen))
    nodes = {one.node for one in seen}
    rows: dict[tuple[int, int], list[GpuPlace]] = {}
    for row in GpuPlace.objects.filter(node_id__in=nodes).order_by("valid_from_ms"):
        rows.setdefault((row.node_id, row.index), []).append(row)
    fresh: list[GpuPlace] = []
    moved: list[GpuPlace] = []
    for one in seen:
        steps = rows.setdefault((one.node, one.index), [])
        before = [row for row in steps if row.valid_from_ms <= one.since_ms]
        after = steps[len(before) :]
        if before and before[-1].uuid == one.uuid:
            continue
        if after and after[0].uuid == one.uuid:
            after[0].valid_from_ms = one.since_ms
            moved += [after[0]] if after[0].pk else []
            continue
        row = GpuPlace(node_id=one.node, index=one.index, uuid=one.uuid, valid_from_ms=one.since_ms)
        steps.insert(len(before), row)
        fresh.append(row)
    GpuPlace.objects.bulk_update(moved, ["valid_from_ms"], 500)
    GpuPlace.objects.bulk_create(fresh, 500, ignore_conflicts=True)
