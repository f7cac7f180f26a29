"""Node-days as the ledger has them when a description changes, and which of them are to be booked anew."""

from __future__ import annotations

from datetime import date

from measurements.models import DirtyNodeDay, Node, NodeDay

MARCH = [date(2025, 3, day) for day in range(1, 32)]


def booked(node: Node, *days: date) -> None:
    NodeDay.objects.bulk_create(
        NodeDay(
            cluster=node.cluster, node=node, day=day, metered_j=0, jobs_j=0, unallocated_j=0, unplaced_j=0,
            covered_us=0, samples=0, margin_ms=0, metered_quarters=b"", unallocated_quarters=b"",
        )
        for day in days
    )  # fmt: skip


def dirty_days() -> list[date]:
    return list(DirtyNodeDay.objects.order_by("day").values_list("day", flat=True))
