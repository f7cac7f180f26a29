"""Writes what the batch system says of nodes' states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.db import transaction

from measurements.domain.blame import AFTER_MS, BEFORE_MS, WASTED, stops_jobs
from measurements.domain.units import day_from_ms
from measurements.models import Allocation, AllocationEnergy, Cluster, DirtyNodeDay, NodeDay, NodeState
from measurements.parsers.node_states import StateRecord
from measurements.services.marks import mark_day, mark_node_days, mark_rolled_up_days
from measurements.services.names import NodeNames

FAR_MS = 1 << 62
_CHANGEABLE = ("end_ms", "power", "reason")


@dataclass(frozen=True, slots=True)
class StatesReport:
    """What loading states did."""

    created: int
    changed: int
    unchanged: int
    unknown: tuple[StateRecord, ...]  # of nodes that are not known here


@transaction.atomic
def load_states(cluster: Cluster, records: Sequence[StateRecord]) -> StatesReport:
    """Create and update states, found again by node, start and state; days whose off-time changes are booked anew."""
    Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
    names = NodeNames(cluster)
    known = {(row.node_id, row.start_ms, row.state): row for row in NodeState.objects.filter(node__cluster=cluster)}
    written: dict[tuple[int, int, str], NodeState] = {}
    touched: list[NodeState] = []
    unknown: list[StateRecord] = []
    unchanged = 0
    for record in records:
        node = names.at(record.node, record.start_ms)
        if node < 0:
            unknown.append(record)
            continue
        key = (node, record.start_ms, record.state)
        row = _row(node, record)
        before = written.get(key) or known.get(key)
        if before is not None and all(getattr(before, name) == getattr(row, name) for name in _CHANGEABLE):
            unchanged += 1
            continue
        if before is not None:
            touched.append(before)
            row.pk = before.pk
        touched.append(row)
        written[key] = row
    fresh = [row for row in written.values() if row.pk is None]
    changed = [row for row in written.values() if row.pk is not None]
    NodeState.objects.bulk_create(fresh, 1_000)
    NodeState.objects.bulk_update(changed, _CHANGEABLE, 500)
    _mark(cluster, [row for row in touched if row.power == NodeState.Power.OFF])
    _mark_blame([row for row in touched if stops_jobs(row.state)])
    return StatesReport(len(fresh), len(changed), unchanged, tuple(unknown))


def _mark_blame(stops: list[NodeState]) -> None:
    """The roll-ups of jobs that ended near where a node stopped: whose waste they are may have changed."""
    if not stops:
        return
    first = min(row.start_ms for row in stops) - BEFORE_MS
    last = max(max(row.end_ms or FAR_MS, row.start_ms + AFTER_MS) for row in stops)
    ended = Allocation.objects.filter(
        node__in={row.node_id for row in stops}, end_ms__gte=first, end_ms__lte=last, run__job__state__in=WASTED
    )
    rows = AllocationEnergy.objects.filter(job__in=ended.values("run__job"))
    for cluster, day in rows.order_by().values_list("node__cluster_id", "day").distinct():
        mark_day(cluster, day)


def _row(node: int, record: StateRecord) -> NodeState:
    power = NodeState.Power.OFF if record.is_off else NodeState.Power.ON
    return NodeState(
        node_id=node,
        start_ms=record.start_ms,
        end_ms=record.end_ms,
        state=record.state,
        power=power,
        reason=record.reason,
    )


def _mark(cluster: Cluster, off: list[NodeState]) -> None:
    """Mark the booked days of some off-times dirty, and all roll-ups from the first of them on."""
    if not off:
        return
    first = day_from_ms(min(row.start_ms for row in off))
    spans: dict[int, list[tuple[date, date]]] = {}
    for row in off:
        last = date.max if row.end_ms is None else day_from_ms(row.end_ms)
        spans.setdefault(row.node_id, []).append((day_from_ms(row.start_ms), last))
    pairs: set[tuple[int, date]] = set()
    for model in (NodeDay, DirtyNodeDay):
        rows = model._default_manager.filter(cluster=cluster, node_id__in=spans, day__gte=first)
        for node, day in rows.values_list("node_id", "day"):
            if any(begin <= day <= end for begin, end in spans[node]):
                pairs.add((node, day))
    mark_node_days(cluster, pairs)
    ends = [row.end_ms for row in off]
    known_ends = [end for end in ends if end is not None]
    before = day_from_ms(max(known_ends)) if len(known_ends) == len(ends) else None
    mark_rolled_up_days(cluster, first, date.fromordinal(before.toordinal() + 1) if before else None)
