"""What the batch system says of nodes: when they were off."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q

from measurements.models import NodeState


def off_times(nodes: Iterable[int], start_ms: int, end_ms: int) -> dict[int, list[tuple[int, int]]]:
    """Per node the times [start, end) inside the window in which it was off, ascending; they may overlap."""
    rows = NodeState.objects.filter(
        Q(end_ms__isnull=True) | Q(end_ms__gt=start_ms),
        node__in=list(nodes),
        power=NodeState.Power.OFF,
        start_ms__lt=end_ms,
    ).order_by("node_id", "start_ms", "end_ms")
    found: dict[int, list[tuple[int, int]]] = {}
    for node, start, end in rows.values_list("node_id", "start_ms", "end_ms"):
        found.setdefault(node, []).append((max(start, start_ms), end_ms if end is None else min(end, end_ms)))
    return found
