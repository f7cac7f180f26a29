"""What booking needs of some nodes and a UTC day: the machine as it is described, who held what, the samples.

It only reads; it stands here because it is read as the writers of the ledger need it, and by nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
from django.db.models import Q

from measurements.domain.attribution import Holdings, MeterPeriod, NodeDay, Series
from measurements.domain.channel_names import gpu_index
from measurements.domain.integrate import NOMINAL_WINDOW_MS, max_gap_ms, nominal_interval_ms, wrap_limit_mw
from measurements.domain.samples import Samples
from measurements.domain.units import DAY_MS, MW_PER_W, Kind, day_start_ms
from measurements.models import Allocation, Channel, ChannelPeriod, Cluster, Node, NodeConfig
from measurements.models import MeterPeriod as MeterPeriodRow
from measurements.selectors.devices import device_changes
from measurements.selectors.doubts import Breaks, refused_spans, without
from measurements.selectors.frames import plain
from measurements.selectors.states import off_times
from measurements.services.policies import policy_on
from measurements.store import SampleStore, Selection


@dataclass(slots=True)
class Block:
    """Some nodes of one cluster and UTC day, with all that booking them needs."""

    cluster: Cluster
    day: date
    nodes: list[int]
    node_days: list[NodeDay]
    allocations: list[list[tuple[int, int]]]  # per node, per holding: allocation id, job id
    margins_ms: list[int]


def read_block(cluster: Cluster, day: date, nodes: Sequence[int]) -> Block:
    """Read description, allocations and samples of some nodes (ascending ids) on a day."""
    start = day_start_ms(day)
    machine = _Machine(cluster, day, nodes)
    margin = machine.margin_ms
    while True:
        samples, machine.breaks_ms = _scan(cluster, machine, start - margin, start + DAY_MS + margin)
        series, needed = machine.series(samples, start)
        reach = max(needed, default=0)
        if reach <= margin:
            break
        margin = reach  # a slow channel: its neighbours lie further off
    allocations = _allocations(cluster, day, nodes)
    last_samples = dict(Node.objects.filter(pk__in=nodes).values_list("pk", "last_sample_ms"))
    node_days, keys = [], []
    for i, node in enumerate(nodes):
        holdings, ids = _holdings(allocations.get(node, []), series[i], last_samples[node])
        node_days.append(machine.node_day(node, series[i], holdings))
        keys.append(ids)
    return Block(cluster, day, list(nodes), node_days, keys, [max(n, NOMINAL_WINDOW_MS) for n in needed])


def _scan(cluster: Cluster, machine: _Machine, start_ms: int, end_ms: int) -> tuple[Samples, Breaks]:
    channels = np.array(sorted(machine.channels), np.int32)
    wanted = Selection(np.array(machine.nodes, np.int32), start_ms, end_ms, channels)
    spans = refused_spans(machine.nodes, start_ms, end_ms)  # before the samples: whoever changes them marks the day
    return without(SampleStore().scan(cluster.pk, wanted), spans)


class _Machine:
    """The description of some nodes as it is in force on a UTC day."""

    def __init__(self, cluster: Cluster, day: date, nodes: Sequence[int]) -> None:
        self.nodes = list(nodes)
        self.policy = policy_on(cluster, day)
        configs = NodeConfig.objects.filter(node__in=nodes, valid_from__lte=day).order_by("valid_from")
        self.configs = {row.node_id: row for row in configs}
        every = {row.pk: row for row in Channel.objects.filter(node__in=nodes)}
        self.off = off_times(nodes, day_start_ms(day), day_start_ms(day) + DAY_MS)
        periods = ChannelPeriod.objects.filter(channel__node__in=nodes, valid_from__lte=day).order_by("valid_from")
        self.declared = {row.channel_id: row for row in periods}
        self.meters = self._meters(nodes, every)
        named = {pk for meter in self.meters.values() for _, *groups in meter for group in groups for pk in group}
        self.channels = {pk: row for pk, row in every.items() if pk in named}
        self.begins_ms = device_changes(self.channels.values())
        self.breaks_ms: Breaks = {}  # of the samples that were read last
        self.margin_ms = max([NOMINAL_WINDOW_MS, *map(self._declared_reach, self.channels)])

    def _meters(
        self, nodes: Sequence[int], channels: dict[int, Channel]
    ) -> dict[int, list[tuple[int, list[int], list[int]]]]:
        """Per node its meter periods: from when, which channels, which GPU channels they cover."""
        gpus: dict[int, dict[str, int]] = {}
        for pk, row in sorted(channels.items(), key=lambda item: item[1].kind == Kind.COUNTER):
            if gpu_index(row.name) is not None:  # of a gauge and a counter the counter
                gpus.setdefault(row.node_id, {})[row.name] = pk
        meters: dict[int, list[tuple[int, list[int], list[int]]]] = {}
        periods = MeterPeriodRow.objects.filter(node__in=nodes).order_by("valid_from_ms")
        for period in periods.prefetch_related("channels"):
            chosen = sorted(period.channels.all(), key=lambda c: c.name)
            covered = [c.pk for c in chosen if gpu_index(c.name) is not None]
            if any(c.name == "node" and self._covers_gpus(c.pk) for c in chosen):
                covered = sorted(gpus.get(period.node_id, {}).values())
            meters.setdefault(period.node_id, []).append((period.valid_from_ms, [c.pk for c in chosen], covered))
        return meters

    def _covers_gpus(self, channel_id: int) -> bool:
        declared = self.declared.get(channel_id)
        return declared is None or declared.covers_gpus is not False

    def _declared_reach(self, channel_id: int) -> int:
        row = self.declared.get(channel_id)
        if row is None or row.nominal_ms is None:
            return row.max_gap_ms or 0 if row is not None else 0
        gap = max_gap_ms(Kind(self.channels[channel_id].kind), row.nominal_ms, row.max_gap_ms)
        return gap + row.nominal_ms // 2 + 1

    def series(self, samples: Samples, day_ms: int) -> tuple[list[list[Series]], list[int]]:
        """Per node its series, and how far beyond the day its samples matter [ms]."""
        found: dict[int, list[Series]] = {node: [] for node in self.nodes}
        cuts = np.flatnonzero(samples.channel[1:] != samples.channel[:-1]) + 1
        bounds = [0, *cuts.tolist(), len(samples)]
        for low, high in pairwise(bounds):
            if low < high:
                channel = self.channels[int(samples.channel[low])]
                found[channel.node_id].append(
                    self._one(channel, samples.t_ms[low:high], samples.value[low:high], day_ms)
                )
        series = [found[node] for node in self.nodes]
        reach = [max((s.max_gap_ms + s.nominal_ms // 2 + 1 for s in group), default=0) for group in series]
        return series, reach

    def _one(self, channel: Channel, t_ms: np.ndarray, value: np.ndarray, day_ms: int) -> Series:
        declared = self.declared.get(channel.pk)
        kind = Kind(channel.kind)
        nominal = declared.nominal_ms if declared is not None else None
        if nominal is None:
            nominal = nominal_interval_ms(t_ms, day_ms)
        gap = max_gap_ms(kind, nominal, declared.max_gap_ms if declared is not None else None)
        wrap, source = (declared.wrap_uj or 0, declared.source) if declared is not None else (0, "")
        begins_ms = self.begins_ms.get((channel.node_id, channel.name), ())
        breaks_ms, limit_mw = self.breaks_ms.get(channel.pk, ()), wrap_limit_mw(source, wrap)
        return Series(channel.name, kind, t_ms, value, nominal, gap, wrap, begins_ms, breaks_ms, limit_mw)

    def node_day(self, node: int, series: Sequence[Series], holdings: Holdings) -> NodeDay:
        """All of it together."""
        config = self.configs.get(node)
        names = {pk: row.name for pk, row in self.channels.items()}
        meter = tuple(
            MeterPeriod(since, tuple(names[c] for c in channels), tuple(names[c] for c in gpus))
            for since, channels, gpus in self.meters.get(node, [])
        )
        return NodeDay(
            series=series,
            meter=meter,
            holdings=holdings,
            cpus=config.cpus or 0 if config else 0,
            gpus=config.gpus or 0 if config else 0,
            idle_mw=_mw(config.idle_w) if config else -1,
            gpu_idle_mw=_mw(config.gpu_idle_w) if config else -1,
            off_ms=self.off.get(node, ()),
            ceiling_mw=_mw(config.ceiling_w) if config else -1,
            policy=self.policy,
        )


def _mw(watts: float | None) -> int:
    return -1 if watts is None else round(watts * MW_PER_W)


_HOLDING = ("pk", "run__job_id", "start_ms", "end_ms", "cpus", "gpus", "gpu_mask", plain("exclusive"), "cpu_rate")
_AllocationRow = tuple[Any, ...]  # the same as values


def _allocations(cluster: Cluster, day: date, nodes: Sequence[int]) -> dict[int, list[_AllocationRow]]:
    """Per node the allocations that overlap a UTC day."""
    start = day_start_ms(day)
    ended = Q(start_ms__gt=start - cluster.longest_run_ms - 1, end_ms__gt=start)
    rows = (
        Allocation.objects.filter(node__in=nodes, start_ms__lt=start + DAY_MS)
        .filter(ended | Q(end_ms__isnull=True))
        .order_by("start_ms", "pk")
        .values_list("node_id", *_HOLDING)
    )
    found: dict[int, list[_AllocationRow]] = {}
    for node, *rest in rows.iterator(chunk_size=10_000):
        found.setdefault(node, []).append(tuple(rest))
    return found


def _holdings(
    rows: list[_AllocationRow], series: Sequence[Series], last_sample_ms: int | None
) -> tuple[Holdings, list[tuple[int, int]]]:
    """As columns; a running allocation ends with its node's last sample and half an interval."""
    half = max((s.nominal_ms // 2 for s in series), default=0)
    open_end = last_sample_ms + half if last_sample_ms is not None else 0
    ids, jobs, start, end, cpus, gpus, mask, exclusive, rate = zip(*rows, strict=True) if rows else [()] * 9
    begin = np.array(start, np.int64)
    finish = np.array([open_end if e is None else e for e in end], np.int64)
    last = np.maximum(finish, begin)
    cores = np.array([-1 if c is None else c for c in cpus], np.int64)
    count = np.array([g or 0 for g in gpus], np.int64)
    indices = np.array(mask, np.uint64)
    whole = np.array([-1 if e is None else int(e) for e in exclusive], np.int8)
    rates = np.array([np.nan if r is None else r for r in rate], np.float64)
    # Sums of floats depend on the order: one that ids have no part in gives the same bits in any history.
    order = np.lexsort((rates, whole, indices, count, cores, last, begin))
    keys = list(zip(ids, jobs, strict=True))
    holdings = Holdings(
        start_ms=begin[order],
        end_ms=last[order],
        cpus=cores[order],
        gpus=count[order],
        gpu_mask=indices[order],
        exclusive=whole[order],
        cpu_rate=rates[order],
    )
    return holdings, [keys[i] for i in order.tolist()]
