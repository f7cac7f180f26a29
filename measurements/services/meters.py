"""Writes which channels count as a node's energy, where nobody says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from measurements.domain.units import Kind
from measurements.models import Channel, MeterPeriod

_PACKAGES = re.compile(r"cpu(\d*)")
_DRAM = re.compile(r"dram(\d*)")
_GPUS = re.compile(r"gpu(\d*)")
_PLATFORMS = re.compile(r"psys(\d*)")


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
