"""Writes the description of the machine: clusters, node types, nodes and what they are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from django.db import transaction

from measurements.domain.units import EPOCH_DAY, day_from_ms
from measurements.models import (
    Allocation,
    Cluster,
    DirtyDay,
    DirtyDoubt,
    DirtyNodeDay,
    Node,
    NodeConfig,
    NodeDay,
    NodeType,
    PolicyPeriod,
    PriceDay,
    Token,
    TypeDay,
    UsageDay,
)
from measurements.parsers.records import NodeRecord
from measurements.services.marks import mark_jobs, mark_node_days, mark_rolled_up_days
from measurements.services.names import NodeNames
from measurements.store import days_between

_CLUSTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# What describes a cluster, and what is made anew from what it holds.
_GOES_WITH_ITS_CLUSTER = {
    NodeType, PolicyPeriod, DirtyDay, DirtyDoubt, DirtyNodeDay, NodeDay, PriceDay, TypeDay, UsageDay
}  # fmt: skip
_CONFIG_FIELDS = (
    "cpus",
    "gpus",
    "threads_per_core",
    "cpu_model",
    "gpu_model",
    "memory_gib",
    "idle_w",
    "rated_w",
    "ceiling_w",
    "floor_w",
    "gpu_idle_w",
)


@dataclass(frozen=True, slots=True)
class NodesReport:
    """What loading nodes did."""

    created: int
    changed: int
    unchanged: int
    notes: tuple[str, ...] = ()  # what could not be done, and why


def create_cluster(name: str) -> Cluster:
    """The cluster of a name, made if it is not there; its name becomes part of paths, hence the check."""
    if not _CLUSTER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} can't name a cluster: use letters, digits, dot, dash and underscore, 64 at most")
    return Cluster.objects.get_or_create(name=name)[0]


class StillHolds(ValueError):
    """Why a cluster is not deleted: names of what it holds, in the reader's language."""

    def __init__(self, what: Sequence[str]) -> None:
        """With the names."""
        self.what = tuple(what)
        super().__init__(f"it holds {', '.join(what)}")


def held_by(cluster: Cluster) -> list[str]:
    """What a cluster holds beside what describes it and what is derived: with that it was no typing error."""
    found = []
    for relation in Cluster._meta.related_objects:
        model = relation.related_model
        if model in _GOES_WITH_ITS_CLUSTER:
            continue
        rows = model._default_manager.filter(**{relation.field.name: cluster})
        if model is Token:
            rows = rows.filter(revoked_at__isnull=True)
        if model is Node:
            rows = rows.filter(last_sample_ms__isnull=False)
        if rows.exists():
            found.append(str(model._meta.verbose_name_plural))
    return found


@transaction.atomic
def delete_cluster(cluster: Cluster) -> None:
    """Delete one that holds nothing, with its description; `StillHolds` otherwise."""
    Cluster.objects.select_for_update().get(pk=cluster.pk)
    if what := held_by(cluster):
        raise StillHolds(what)
    Node.objects.filter(cluster=cluster).delete()  # before their types, which are kept from them
    cluster.delete()


@transaction.atomic
def load_nodes(cluster: Cluster, records: Sequence[NodeRecord]) -> NodesReport:
    """Create and update nodes; what a change touches is marked dirty. Calling it twice changes nothing."""
    Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
    known = set(Node.objects.filter(cluster=cluster).values_list("name", flat=True))
    names = list(dict.fromkeys(record.node for record in records))
    Node.objects.bulk_create(
        [Node(cluster=cluster, name=name) for name in names if name not in known], ignore_conflicts=True
    )
    nodes = {node.name: node for node in Node.objects.filter(cluster=cluster)}
    types = _node_types(cluster, {record.node_type for record in records})
    configs = _configs(nodes.values())
    changed: dict[int, date] = {}
    for record in records:
        node = nodes[record.node]
        first_day = _configure(node, types[record.node_type], record, configs)
        if first_day is not None:
            changed[node.pk] = min(first_day, changed.get(node.pk, first_day))
    moved, notes = _place(cluster, nodes, records)
    touch_nodes(cluster, changed | dict.fromkeys(moved, EPOCH_DAY))
    if changed or moved:
        mark_rolled_up_days(cluster, EPOCH_DAY if moved else min(changed.values()))
    heal_allocations(cluster)
    created = sum(name not in known for name in names)
    updated = sum(nodes[name].pk in changed or nodes[name].pk in moved for name in names if name in known)
    return NodesReport(created, updated, len(names) - created - updated, notes)


def _place(cluster: Cluster, nodes: dict[str, Node], records: Sequence[NodeRecord]) -> tuple[set[int], tuple[str, ...]]:
    """Set levels and parents as the records say; which nodes that changed, and what was not done."""
    notes: list[str] = []
    parents = {node.pk: node.parent_id for node in nodes.values()}
    moved: dict[int, Node] = {}
    for record in records:
        node = nodes[record.node]
        if record.level and record.level != node.level:
            node.level = record.level
            moved[node.pk] = node
        above = nodes.get(record.parent)
        if not record.parent or (above is not None and above.pk == node.parent_id):
            continue
        if above is None:
            notes.append(f"{record.node}: its parent {record.parent} is no node of {cluster}; describe it too")
        elif _leads_to(above.pk, node.pk, parents):
            notes.append(f"{record.node}: {record.parent} can't be its parent, it lies below it")
        else:
            node.parent, parents[node.pk] = above, above.pk
            moved[node.pk] = node
    Node.objects.bulk_update(moved.values(), ["level", "parent"], 500)
    return set(moved), tuple(notes)


def _leads_to(start: int, wanted: int, parents: dict[int, int | None]) -> bool:
    """Whether one comes from a node to another by going up."""
    at: int | None = start
    while at is not None and at != wanted:
        at = parents.get(at)
    return at == wanted


def _node_types(cluster: Cluster, names: Iterable[str]) -> dict[str, NodeType]:
    NodeType.objects.bulk_create(
        [NodeType(cluster=cluster, name=name) for name in sorted(names)], ignore_conflicts=True
    )
    return {t.name: t for t in NodeType.objects.filter(cluster=cluster)}


def _configs(nodes: Iterable[Node]) -> dict[tuple[int, date], NodeConfig]:
    rows = NodeConfig.objects.filter(node__in=list(nodes))
    return {(row.node_id, row.valid_from): row for row in rows}


def _configure(
    node: Node, node_type: NodeType, record: NodeRecord, configs: dict[tuple[int, date], NodeConfig]
) -> date | None:
    """Write what a record says of a node; the first day that changes, if any does.

    A record that does not say from when on it holds is about the newest description.
    """
    if record.valid_from_ms is not None:
        first_day = day_from_ms(record.valid_from_ms)
    else:
        first_day = max((day for owner, day in configs if owner == node.pk), default=EPOCH_DAY)
    said = {name: getattr(record, name) for name in _CONFIG_FIELDS if getattr(record, name) not in (None, "")}
    row = configs.get((node.pk, first_day))
    if row is None:
        earlier = [c for (owner, day), c in configs.items() if owner == node.pk and day < first_day]
        base = max(earlier, key=lambda c: c.valid_from, default=None)
        inherited = {name: getattr(base, name) for name in _CONFIG_FIELDS} if base else {}
        row = NodeConfig(node=node, valid_from=first_day, node_type=node_type, **(inherited | said))
    elif row.node_type_id == node_type.pk and all(getattr(row, name) == value for name, value in said.items()):
        return None
    else:
        row.node_type = node_type
        for name, value in said.items():
            setattr(row, name, value)
    row.save()
    configs[node.pk, first_day] = row
    return first_day


def heal_allocations(cluster: Cluster) -> int:
    """Give allocations that were kept by name the nodes that exist by now; how many."""
    names = NodeNames(cluster)
    homeless = Allocation.objects.filter(node__isnull=True, run__job__cluster=cluster)
    found: dict[int, list[Allocation]] = {}
    for row in homeless.select_related("run").iterator(chunk_size=10_000):
        node_id = names.at(row.node_name, row.start_ms)
        if node_id >= 0:
            found.setdefault(node_id, []).append(row)
    pairs: list[tuple[int, date]] = []
    for node in Node.objects.filter(pk__in=found):
        pairs += [(node.pk, day) for row in found[node.pk] for day in allocation_days(row.start_ms, row.end_ms, node)]
    mark_node_days(cluster, pairs)
    for node_id, rows in found.items():
        Allocation.objects.filter(pk__in=[row.pk for row in rows]).update(node=node_id)
    mark_jobs(row.run.job_id for rows in found.values() for row in rows)
    return sum(map(len, found.values()))


def allocation_days(start_ms: int, end_ms: int | None, node: Node) -> list[date]:
    """The UTC days an allocation touches; one that runs, up to its node's last sample."""
    if end_ms is None:
        end_ms = max(start_ms, node.last_sample_ms or start_ms) + 1
    return days_between(day_from_ms(start_ms), day_from_ms(max(start_ms, end_ms - 1)))


def touch_nodes(cluster: Cluster, first_days: dict[int, date]) -> None:
    """Mark the days of some nodes dirty, from a day on, that the ledger has booked or is about to book."""
    if not first_days:
        return
    pairs = [
        (node, day)
        for model in (NodeDay, DirtyNodeDay)
        for node, day in model.objects.filter(node_id__in=first_days).values_list("node_id", "day")
        if day >= first_days[node]
    ]
    mark_node_days(cluster, pairs)


@transaction.atomic
def description_changed(nodes: Iterable[Node]) -> None:
    """After a person changed what is said of some nodes: all their days are booked and rolled up anew."""
    for node in nodes:
        touch_nodes(node.cluster, {node.pk: EPOCH_DAY})
        mark_rolled_up_days(node.cluster, EPOCH_DAY)
