"""Pushes without a network: a token, bodies as CSV, what the store holds of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from measurements.domain.samples import Samples
from measurements.domain.units import Kind, ms_from_datetime
from measurements.models import Channel, Cluster, Node, NodeConfig, NodeType, Token
from measurements.parsers import power_csv
from measurements.parsers.body import Body
from measurements.parsers.records import ParseOptions
from measurements.services.batches import IngestReport
from measurements.services.push import push
from measurements.services.tokens import make_token
from measurements.store import SampleStore, Selection

NOW = datetime(2025, 3, 1, 12, 0, 30, tzinfo=UTC)
Row = tuple[datetime, str, float]  # instant, node, watts


def cluster_of(*names: str) -> Cluster:
    """A cluster of nodes that draw 2 kW at most."""
    cluster, _ = Cluster.objects.get_or_create(name="atlas")
    kind, _ = NodeType.objects.get_or_create(cluster=cluster, name="big")
    for name in names:
        NodeConfig.objects.create(
            node=Node.objects.create(cluster=cluster, name=name), node_type=kind, cpus=64, ceiling_w=2000.0
        )
    return cluster


def token_for(cluster: Cluster, name: str = "agents") -> Token:
    """One that may send readings."""
    return make_token(cluster, name, [Token.Scope.POWER_WRITE], by="olga", now=NOW)[0]


def at(seconds: float) -> datetime:
    """An instant, counted from noon."""
    return NOW.replace(second=0) + timedelta(seconds=seconds)


def send(token: Token, rows: Sequence[Row], now: datetime = NOW, *, counter: bool = False) -> IngestReport:
    """Push rows as a CSV body."""
    unit = "joules" if counter else "watts"
    text = f"timestamp,node,{unit}\n" + "".join(f"{t.isoformat()},{node},{value}\n" for t, node, value in rows)
    return push(token, list(power_csv.read(Body(text.encode()), ParseOptions(), ms_from_datetime(now))), now)


def held(
    cluster: Cluster, first: datetime = NOW - timedelta(days=2), last: datetime = NOW + timedelta(days=2)
) -> set[tuple[str, int, int]]:
    """(node, ms, mW) of everything in the store."""
    names = dict(Node.objects.filter(cluster=cluster).values_list("pk", "name"))
    wanted = Selection(np.array(sorted(names), np.int32), ms_from_datetime(first), ms_from_datetime(last))
    found: Samples = SampleStore().scan(cluster.pk, wanted)
    assert set(found.channel.tolist()) <= set(Channel.objects.filter(kind=Kind.GAUGE).values_list("pk", flat=True))
    rows = zip(found.node.tolist(), found.t_ms.tolist(), found.value.tolist(), strict=True)
    return {(names[node], t, value) for node, t, value in rows}


def said(rows: Sequence[Row]) -> set[tuple[str, int, int]]:
    """The same of rows as they were sent."""
    return {(node, ms_from_datetime(t), round(watts * 1000)) for t, node, watts in rows}
