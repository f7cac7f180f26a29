"""What the meters of some nodes cover while a job is on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from measurements.domain.hostlist import compress
from measurements.domain.units import datetime_from_ms, day_from_ms
from measurements.models import ChannelPeriod, MeterPeriod, NodeConfig

_FOREVER_MS = 1 << 62


@dataclass(frozen=True, slots=True, order=True)
class MeterChannel:
    """One channel of a meter, with what is declared of it."""

    name: str  # node, cpu0, dram1, gpu3
    kind: str
    source: str  # ipmi_dcmi, rapl, …; empty: not declared
    covers_gpus: bool  # of a node channel: whether the GPUs are in it
    dc: bool  # measured behind the power supply


@dataclass(frozen=True, slots=True)
class JobMeter:
    """Nodes that are metered alike."""

    nodes: str  # a hostlist
    node_count: int
    channels: tuple[MeterChannel, ...]  # empty: no meter
    since: datetime | None  # None: for as long as the job was there
    has_gpus: bool


def meters_of(nodes: Mapping[int, str], start_ms: int, end_ms: int | None) -> tuple[JobMeter, ...]:
    """The meters in force in [start, end) on some nodes (id → name), nodes that are metered alike together."""
    periods: dict[int, list[MeterPeriod]] = {pk: [] for pk in nodes}
    rows = MeterPeriod.objects.filter(node__in=nodes).order_by("valid_from_ms").prefetch_related("channels")
    for period in rows:
        periods[period.node_id].append(period)
    declared = _declared(nodes)
    gpus = _gpus(nodes, start_ms)
    alike: dict[tuple[int | None, tuple[MeterChannel, ...], bool], list[str]] = {}
    for pk, name in nodes.items():
        for since, row in _in_force(periods[pk], start_ms, _FOREVER_MS if end_ms is None else end_ms):
            channels = _channels(row, declared, max(start_ms, since or 0)) if row else ()
            alike.setdefault((since, channels, gpus.get(pk, False)), []).append(name)
    return tuple(
        JobMeter(compress(names), len(names), channels, datetime_from_ms(since) if since else None, has_gpus)
        for (since, channels, has_gpus), names in sorted(alike.items(), key=lambda item: (item[0][0] or 0, item[1]))
    )


def meters_at(instants: Mapping[tuple[int, int], int]) -> dict[tuple[int, int], tuple[MeterChannel, ...]]:
    """The meter of nodes in force at instants [ms]: by any key whose first part is the node; three queries."""
    nodes = dict.fromkeys((node for node, _ in instants), "")
    periods: dict[int, list[MeterPeriod]] = {pk: [] for pk in nodes}
    for period in MeterPeriod.objects.filter(node__in=nodes).order_by("valid_from_ms").prefetch_related("channels"):
        periods[period.node_id].append(period)
    declared = _declared(nodes)
    found: dict[tuple[int, int], tuple[MeterChannel, ...]] = {}
    for key, at_ms in instants.items():
        row = _in_force(periods[key[0]], at_ms, at_ms)[0][1]
        found[key] = _channels(row, declared, at_ms) if row else ()
    return found


def _in_force(rows: list[MeterPeriod], start_ms: int, end_ms: int) -> list[tuple[int | None, MeterPeriod | None]]:
    """From when inside [start, end) (None: all along), and which meter; one of None where there is none."""
    earlier = [row for row in rows if row.valid_from_ms <= start_ms]
    found: list[tuple[int | None, MeterPeriod | None]] = [(None, earlier[-1] if earlier else None)]
    found += [(row.valid_from_ms, row) for row in rows if start_ms < row.valid_from_ms < end_ms]
    return found


def _declared(nodes: Mapping[int, str]) -> dict[int, list[ChannelPeriod]]:
    rows = ChannelPeriod.objects.filter(channel__node__in=nodes).order_by("valid_from")
    found: dict[int, list[ChannelPeriod]] = {}
    for row in rows:
        found.setdefault(row.channel_id, []).append(row)
    return found


def _channels(meter: MeterPeriod, declared: dict[int, list[ChannelPeriod]], at_ms: int) -> tuple[MeterChannel, ...]:
    day = day_from_ms(at_ms)
    found = []
    for channel in meter.channels.all():
        periods = [row for row in declared.get(channel.pk, []) if row.valid_from <= day]
        row = periods[-1] if periods else ChannelPeriod()
        found.append(MeterChannel(channel.name, channel.kind, row.source, row.covers_gpus is not False, row.dc))
    return tuple(sorted(found))


def _gpus(nodes: Mapping[int, str], start_ms: int) -> dict[int, bool]:
    """Whether a node has GPUs, by its description in force when the job began, or by its first one."""
    rows = NodeConfig.objects.filter(node__in=nodes).order_by("node_id", "valid_from")
    found: dict[int, bool] = {}
    for node, since, gpus in rows.values_list("node_id", "valid_from", "gpus"):
        if node not in found or since <= day_from_ms(start_ms):
            found[node] = bool(gpus)
    return found
