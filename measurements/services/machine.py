"""Writes the description of the machine: clusters, nodes, channels, meters, policies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max

from measurements.domain.nodeday import Policy
from measurements.domain.units import EPOCH_DAY, Kind, day_from_ms
from measurements.models import (
    Allocation,
    Channel,
    ChannelPeriod,
    Cluster,
    DirtyNodeDay,
    MeterPeriod,
    Node,
    NodeConfig,
    NodeDay,
    NodeType,
    PolicyPeriod,
)
from measurements.parsers.records import NodeRecord
from measurements.services.marks import mark_jobs, mark_node_days, mark_rolled_up_days
from measurements.services.names import NodeNames
from measurements.services.periods import begun_jobs, held_node_days
from measurements.store import days_between

_CLUSTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PACKAGES = re.compile(r"cpu(\d*)")
_DRAM = re.compile(r"dram(\d*)")
_GPUS = re.compile(r"gpu(\d*)")
_PLATFORMS = re.compile(r"psys(\d*)")
_NO_FIGURE = {"source", "dc"}  # what may be said of a channel without a figure changing
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


def channels_of(cluster: Cluster, wanted: Iterable[tuple[int, str, Kind]]) -> dict[tuple[int, str, Kind], int]:
    """The ids of (node id, name, kind), made where they are not there."""
    wanted = set(wanted)
    missing = sorted(wanted - known_channels(wanted).keys())
    if missing:
        Channel.objects.bulk_create(
            [Channel(node_id=node_id, name=name, kind=kind) for node_id, name, kind in missing],
            ignore_conflicts=True,
        )
    found = known_channels(wanted)
    return {key: found[key] for key in wanted}


def known_channels(wanted: Iterable[tuple[int, str, Kind]]) -> dict[tuple[int, str, Kind], int]:
    """The ids of all channels of the nodes of (node id, name, kind)."""
    rows = Channel.objects.filter(node_id__in={node_id for node_id, _, _ in wanted})
    return {
        (node_id, name, Kind(kind)): pk for node_id, name, kind, pk in rows.values_list("node_id", "name", "kind", "pk")
    }


def made_up_channels(wanted: Iterable[tuple[int, str, Kind]], made_up: int) -> dict[tuple[int, str, Kind], int]:
    """As `channels_of`, but nothing is written: what is not there gets an id behind all others."""
    wanted = sorted(set(wanted))
    found = known_channels(wanted)
    first = (Channel.objects.aggregate(newest=Max("pk"))["newest"] or 0) + 1 + made_up
    return {key: found.get(key, first + i) for i, key in enumerate(wanted)}


@dataclass(frozen=True, slots=True)
class Declaration:
    """What an ingest says of its channels; None where nothing."""

    nominal_ms: int | None = None
    max_gap_ms: int | None = None
    wrap_uj: int | None = None
    source: str | None = None
    covers_gpus: bool | None = None
    dc: bool | None = None

    def said(self) -> dict[str, Any]:
        """The fields that are stated."""
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in pairs if value is not None}


def declare_channels(cluster: Cluster, first_days: dict[int, date], declaration: Declaration) -> None:
    """Date what is said of channels (id → first day of their samples); a change dirties its days.

    Saying the same again, or of earlier days later, gives the same rows in any order.
    """
    said = declaration.said()
    if not said or not first_days:
        return
    periods: dict[int, list[ChannelPeriod]] = {}
    for row in ChannelPeriod.objects.filter(channel_id__in=first_days).order_by("valid_from"):
        periods.setdefault(row.channel_id, []).append(row)
    nodes = dict(Channel.objects.filter(pk__in=first_days).values_list("pk", "node_id"))
    touched: dict[int, date] = {}
    fresh: list[ChannelPeriod] = []
    changed: list[ChannelPeriod] = []
    for channel_id, day in sorted(first_days.items()):
        written = _declared(channel_id, day, said, periods.get(channel_id, []))
        if written is None:
            continue
        (changed if written.pk else fresh).append(written)
        node = nodes[channel_id]
        touched[node] = min(day, touched.get(node, day))
    ChannelPeriod.objects.bulk_create(fresh, 1000)
    ChannelPeriod.objects.bulk_update(changed, ["valid_from", *said], 200)
    if said.keys() <= _NO_FIGURE:
        return
    # A stretch may reach over midnight, hence the day before.
    touch_nodes(cluster, {node: day - timedelta(days=1) for node, day in touched.items()})


def _declared(channel_id: int, day: date, said: dict[str, Any], rows: list[ChannelPeriod]) -> ChannelPeriod | None:
    """The row that must be written so that from ``day`` on holds what is said; None if it does already."""
    current = next((row for row in reversed(rows) if row.valid_from <= day), None)
    following = next((row for row in rows if row.valid_from > day), None)
    if current is not None and _says(current, said):
        return None
    if current is not None and current.valid_from == day:
        row = current
    elif current is None and following is not None and _says(following, said):
        row = following
    else:
        row = copy(current) if current is not None else ChannelPeriod(channel_id=channel_id)
        row.pk = None
        row._state.adding = True
    row.valid_from = day
    for name, value in said.items():
        setattr(row, name, value)
    return row


def _says(row: ChannelPeriod, said: dict[str, Any]) -> bool:
    return all(getattr(row, name) == value for name, value in said.items())


def choose_meters(node_ids: Iterable[int]) -> None:
    """Write a meter for those of some nodes that have none: the node channel, else packages and DRAM (and GPUs)."""
    without = set(node_ids) - set(MeterPeriod.objects.filter(node_id__in=node_ids).values_list("node_id", flat=True))
    channels: dict[int, list[Channel]] = {}
    for channel in Channel.objects.filter(node_id__in=without).order_by("name", "kind"):
        channels.setdefault(channel.node_id, []).append(channel)
    chosen = {node_id: default_meter(present) for node_id, present in sorted(channels.items())}
    periods = [MeterPeriod(node_id=node_id, automatic=True) for node_id, parts in chosen.items() if parts]
    MeterPeriod.objects.bulk_create(periods, 1000)
    through = MeterPeriod.channels.through
    links = [through(meterperiod=p, channel=channel) for p in periods for channel in chosen[p.node_id]]
    through.objects.bulk_create(links, 1000)


def default_meter(channels: Sequence[Channel]) -> list[Channel]:
    """The channels that count as a node's energy if nobody says; of a gauge and a counter of one name the counter."""
    by_name: dict[str, Channel] = {}
    for channel in sorted(channels, key=lambda c: (c.name, c.kind == Kind.COUNTER)):
        by_name[channel.name] = channel
    if "node" in by_name:
        return [by_name["node"]]
    packages = _family(by_name, "cpu", _PACKAGES)
    parts = packages + _family(by_name, "dram", _DRAM) if packages else _host(by_name)
    return parts + _family(by_name, "gpu", _GPUS) if parts else []


def _family(by_name: dict[str, Channel], total: str, pattern: re.Pattern[str]) -> list[Channel]:
    """All parts of a kind, or the one channel that covers them together: never both, for they overlap."""
    if total in by_name:
        return [by_name[total]]
    return [channel for name, channel in sorted(by_name.items()) if pattern.fullmatch(name)]


def _host(by_name: dict[str, Channel]) -> list[Channel]:
    """What covers packages and DRAM together, where they are not metered themselves: host, else the platform."""
    return [by_name["host"]] if "host" in by_name else _family(by_name, "psys", _PLATFORMS)


def policy_on(cluster: Cluster, day: date) -> Policy:
    """The policy in force on a UTC day."""
    row = PolicyPeriod.objects.filter(cluster=cluster, valid_from__lte=day).order_by("-valid_from").first()
    return Policy(row.policy) if row else Policy.ALLOCATION


@transaction.atomic
def set_policy(cluster: Cluster, policy: Policy, since: date | None, until: date | None) -> None:
    """Split shared nodes by ``policy`` on the days [since, until); what that changes is marked dirty."""
    first = since or EPOCH_DAY
    after = policy_on(cluster, until) if until else None
    changed = policy_on(cluster, first) != policy
    inside = PolicyPeriod.objects.filter(cluster=cluster, valid_from__gte=first)
    if until:
        inside = inside.filter(valid_from__lt=until)
    changed |= inside.exclude(policy=policy).exists()
    if not changed:
        return
    inside.delete()
    PolicyPeriod.objects.update_or_create(cluster=cluster, valid_from=first, defaults={"policy": policy})
    if until and after is not None:
        PolicyPeriod.objects.get_or_create(cluster=cluster, valid_from=until, defaults={"policy": after})
    mark_period(cluster, since, until)


def mark_period(cluster: Cluster, since: date | None, until: date | None) -> None:
    """Mark all node-days of [since, until) dirty that the ledger has booked or that there is input for."""
    pairs = held_node_days(cluster, since, until)
    with transaction.atomic():
        Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)  # no day is sealed meanwhile
        for model in (NodeDay, DirtyNodeDay):
            rows = model.objects.filter(cluster=cluster)
            if since:
                rows = rows.filter(day__gte=since)
            if until:
                rows = rows.filter(day__lt=until)
            pairs |= set(rows.values_list("node_id", "day"))
        mark_node_days(cluster, pairs)
        mark_jobs(begun_jobs(cluster, since, until))  # those without a node-day as well
