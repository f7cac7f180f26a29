"""Whether the meters of nodes seem to include their GPUs: a few nodes at a time, a day of each; its one writer."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta

from django.db.models import Max

from measurements.domain.scope_check import BUCKET_MS, Finding, Reason, Verdict, judge
from measurements.domain.units import HOUR_MS, ms_from_datetime
from measurements.models import Channel, ChannelPeriod, MeterPeriod, Node, ScopeCheck
from measurements.selectors.scope_pairs import Meter, liveliest_days, meters_to_check, pairs_of

NODES_AT_ONCE = 20
BREATH_S = 0.01  # after each node: in the web process pages come first
AGAIN_AFTER = timedelta(days=7)
_MINUTES = BUCKET_MS * 60 // HOUR_MS  # of a pair
_FIELDS = ["day", "checked_at", "minutes", "slope", "low", "high", "verdict", "declared_includes"]


def check_due(now: datetime) -> int:
    """Check nodes whose turn it is, a bounded number of them; how many."""
    today = now.date()
    due = due_nodes(now)
    days = liveliest_days(due, today)
    rows = []
    for meter in meters_to_check(due, today):
        day = days.get(meter.node)
        rows.append(_row(meter, day or today - timedelta(days=1), now, _judged(meter, day)))
        time.sleep(BREATH_S)
    ScopeCheck.objects.bulk_create(rows, update_conflicts=True, unique_fields=["node"], update_fields=_FIELDS)
    return len(rows)


def _judged(meter: Meter, day: date | None) -> Finding:
    pairs = None if day is None else pairs_of(meter, day)
    return Finding(Verdict.UNCLEAR, Reason.FEW, 0, None, None, None) if pairs is None else judge(pairs)


def _row(meter: Meter, day: date, now: datetime, found: Finding) -> ScopeCheck:
    return ScopeCheck(
        node_id=meter.node,
        day=day,
        checked_at=now,
        minutes=found.pairs * _MINUTES,
        slope=found.slope,
        low=found.low,
        high=found.high,
        verdict=found.verdict.value,
        declared_includes=meter.includes,
    )


def due_nodes(now: datetime) -> list[int]:
    """Nodes with a channel of their own and of GPUs: never checked, then declared anew, then checked a week ago."""
    rows = Channel.objects.filter(node__level=Node.Level.NODE)
    whole = rows.filter(name="node").values("node")
    nodes = rows.filter(name__startswith="gpu", node__in=whole).order_by("node").values_list("node", flat=True)
    checked = {row.node_id: row for row in ScopeCheck.objects.all()}
    declared = _declared(now.date())
    now_ms = ms_from_datetime(now)
    chosen = MeterPeriod.objects.filter(valid_from_ms__lte=now_ms).order_by().values_list("node")
    since = dict(chosen.annotate(Max("valid_from_ms")))
    ranked = []
    for node in nodes.distinct():
        row = checked.get(node)
        if row is None:
            ranked.append((0, 0.0, node))
        elif row.declared_includes != declared.get(node, True) or since.get(node, 0) > ms_from_datetime(row.checked_at):
            ranked.append((1, row.checked_at.timestamp(), node))
        elif row.checked_at <= now - AGAIN_AFTER:
            ranked.append((2, row.checked_at.timestamp(), node))
    return sorted(node for _, _, node in sorted(ranked)[:NODES_AT_ONCE])


def _declared(today: date) -> dict[int, bool]:
    """By node whether the newest declaration of its own channel says that the GPUs are in it."""
    rows = ChannelPeriod.objects.filter(channel__name="node", valid_from__lte=today).order_by("valid_from")
    return {node: covers is not False for node, covers in rows.values_list("channel__node", "covers_gpus")}
