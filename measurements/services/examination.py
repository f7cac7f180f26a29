"""Reads a stored UTC day of a cluster once, and asks all rules about it. Writes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby, pairwise

import numpy as np

from measurements.domain.channel_names import gpu_index
from measurements.domain.integrate import COUNTER_GAP_MS
from measurements.domain.plausibility import WHOLE, ChannelDay, Found
from measurements.domain.plausibility_chassis import HourSums, equal_hours, groups_of, hour_sums, repeated
from measurements.domain.plausibility_frozen import Around, constant_runs, frozen
from measurements.domain.plausibility_jumps import jumps
from measurements.domain.plausibility_skew import Lag, lag_of, lags_of_windows, quarter_means, skewed, sum_of
from measurements.domain.plausibility_spikes import spikes
from measurements.domain.samples import Samples
from measurements.domain.units import DAY_MS, MW_PER_W, BoolArray, FloatArray, Kind, day_start_ms
from measurements.models import Allocation, Channel, ChannelPeriod, Cluster, Node, NodeConfig
from measurements.store import SampleStore, Selection

NODES_AT_ONCE = 50
BREATH_S = 0.002  # after each block: in the web process pages come first


def examine(cluster: Cluster, day: date, breathe: Callable[[], None] = lambda: None) -> list[Found]:
    """What the rules find in a day, whatever the cluster does with it; the same for the same samples and jobs.

    ``breathe`` is called now and then.
    """
    examination = _Examination(cluster, day)
    nodes = sorted({node for node, _, _ in examination.channels.values()})
    for low in range(0, len(nodes), NODES_AT_ONCE):
        examination.look_at(nodes[low : low + NODES_AT_ONCE])
        time.sleep(BREATH_S)
        breathe()
    examination.compare()
    return sorted(examination.found, key=lambda one: (one.channel, one.rule, one.start_ms))


@dataclass(slots=True)
class _Examination:
    """One day of a cluster under examination: what is found, and what little is kept of each node to compare it."""

    cluster: Cluster
    day: date
    start_ms: int = 0
    channels: dict[int, tuple[int, str, Kind]] = field(default_factory=dict)  # id → node, name, kind
    nodes: dict[int, tuple[str, str, int | None]] = field(default_factory=dict)  # id → name, level, parent
    ceilings_mw: dict[int, int] = field(default_factory=dict)
    gaps_ms: dict[int, int] = field(default_factory=dict)  # that are declared
    covers_gpus: dict[int, bool | None] = field(default_factory=dict)  # of channels
    found: list[Found] = field(default_factory=list)
    sums: list[HourSums] = field(default_factory=list)
    windows: dict[int, tuple[int, int]] = field(default_factory=dict)
    means: dict[int, tuple[int, FloatArray]] = field(default_factory=dict)  # node → its whole channel, quarter hours
    lags: dict[int, Lag] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the description of the machine."""
        self.start_ms = day_start_ms(self.day)
        rows = Channel.objects.filter(node__cluster=self.cluster).values_list("pk", "node_id", "name", "kind")
        self.channels = {pk: (node, name, Kind(kind)) for pk, node, name, kind in rows}
        named = Node.objects.filter(cluster=self.cluster).values_list("pk", "name", "level", "parent_id")
        self.nodes = {pk: (name, level, parent) for pk, name, level, parent in named}
        configs = NodeConfig.objects.filter(
            node__cluster=self.cluster, valid_from__lte=self.day, ceiling_w__isnull=False
        )
        for node, ceiling_w in configs.order_by("valid_from").values_list("node_id", "ceiling_w"):
            self.ceilings_mw[node] = round((ceiling_w or 0.0) * MW_PER_W)
        periods = ChannelPeriod.objects.filter(channel__node__cluster=self.cluster, valid_from__lte=self.day)
        said = periods.order_by("valid_from").values_list("channel_id", "max_gap_ms", "covers_gpus")
        for channel, gap_ms, covers in said:
            self.covers_gpus[channel] = covers
            self.gaps_ms.pop(channel, None)
            if gap_ms is not None:
                self.gaps_ms[channel] = gap_ms

    # --- node by node -------------------------------------------------------------------------

    def look_at(self, nodes: Sequence[int]) -> None:
        """Ask the rules that need one node."""
        still: list[tuple[ChannelDay, list[tuple[int, int]], list[ChannelDay]]] = []
        for node, group in groupby(self._read(nodes), key=lambda day: day.node):
            days = sorted(group, key=lambda day: (day.name, day.kind))  # sums of floats know no ids
            parts = [day for day in days if day.name != WHOLE]
            for day in days:
                self.found += jumps(day)
                if day.name == WHOLE:
                    self.found += spikes(day)
                    self._keep(day)
                    if runs := constant_runs(day):
                        still.append((day, runs, parts))
            self._compare_parts(node, [day for day in days if day.is_whole_gauge], parts)
        busy = self._busy([day.node for day, _, _ in still])
        for day, runs, parts in still:
            around = Around(parts, self.covers_gpus.get(day.channel), busy.get(day.node, ()))
            self.found += frozen(day, runs, around)

    def _read(self, nodes: Sequence[int], channels: Sequence[int] | None = None) -> Iterator[ChannelDay]:
        """The day's samples of some nodes, channel by channel."""
        wanted = None if channels is None else np.array(sorted(channels), np.int32)
        selection = Selection(np.array(nodes, np.int32), self.start_ms, self.start_ms + DAY_MS, wanted)
        samples: Samples = SampleStore().scan(self.cluster.pk, selection)
        cuts = np.flatnonzero(samples.channel[1:] != samples.channel[:-1]) + 1
        for low, high in pairwise([0, *cuts.tolist(), len(samples)]):
            if low < high:
                yield self._day(int(samples.channel[low]), samples, low, high)

    def _day(self, channel: int, samples: Samples, low: int, high: int) -> ChannelDay:
        node, name, kind = self.channels.get(channel) or self._late(channel)
        gap_ms = self.gaps_ms.get(channel, COUNTER_GAP_MS if kind is Kind.COUNTER else -1)
        t_ms, value = samples.t_ms[low:high], samples.value[low:high]
        return ChannelDay(channel, node, name, kind, t_ms, value, gap_ms, self.ceilings_mw.get(node, -1))

    def _late(self, channel: int) -> tuple[int, str, Kind]:
        """A channel that came into being since the examination began; its samples have marked the day anew."""
        row = Channel.objects.get(pk=channel)
        self.channels[channel] = (row.node_id, row.name, Kind(row.kind))
        return self.channels[channel]

    def _keep(self, day: ChannelDay) -> None:
        """What is compared with other nodes."""
        _, level, parent = self.nodes.get(day.node, ("", "", None))
        if level == Node.Level.NODE:
            self.sums.append(hour_sums(day, self.start_ms))
        self.windows[day.channel] = (int(day.t_ms[0]), int(day.t_ms[-1]))
        if (parent is not None or level != Node.Level.NODE) and (day.is_whole_gauge or day.node not in self.means):
            self.means[day.node] = (day.channel, quarter_means(day, self.start_ms))

    def _compare_parts(self, node: int, whole: Sequence[ChannelDay], parts: Sequence[ChannelDay]) -> None:
        """A node's own meter against its GPUs."""
        gpus = {day.name: day for day in parts if gpu_index(day.name) is not None}
        for day in whole:
            if not gpus or self.covers_gpus.get(day.channel) is False:
                continue
            own = self.means[node][1] if node in self.means else quarter_means(day, self.start_ms)
            lag = lag_of(own, sum_of([quarter_means(gpu, self.start_ms) for gpu in gpus.values()]), "parts")
            if lag is not None:
                self.lags[day.channel] = lag

    def _busy(self, nodes: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
        """When jobs held some nodes."""
        if not nodes:
            return {}
        start, end = self.start_ms, self.start_ms + DAY_MS
        rows = Allocation.objects.filter(
            node__in=nodes, start_ms__lt=end, start_ms__gt=start - self.cluster.longest_run_ms - 1
        ).exclude(end_ms__lte=start)
        running = Allocation.objects.filter(node__in=nodes, start_ms__lt=end, end_ms__isnull=True)
        found: dict[int, set[tuple[int, int]]] = {}
        for query in (rows, running):
            for node, begin, finish in query.values_list("node_id", "start_ms", "end_ms"):
                found.setdefault(node, set()).add((begin, end if finish is None else finish))
        return {node: sorted(times) for node, times in found.items()}

    # --- node against node --------------------------------------------------------------------

    def compare(self) -> None:
        """Ask the rules that need several nodes."""
        self._compare_with_below()
        self.lags |= lags_of_windows(self.windows)
        if self.lags:
            nodes = sorted({self.channels[channel][0] for channel in self.lags})
            self.found += [skewed(day, self.lags[day.channel]) for day in self._read(nodes, list(self.lags))]
        self._compare_readings()

    def _compare_readings(self) -> None:
        """One meter's readings under the names of several nodes."""
        read = len({one.node for one in self.sums})
        alike: dict[int, tuple[BoolArray, list[str]]] = {}  # channel → the hours, and the nodes that share them
        for group in groups_of(self.sums):
            names = sorted({self.nodes[one.node][0] for one in group})
            for one, hours in zip(group, equal_hours(group), strict=True):
                alike[one.channel] = (hours, names)
        nodes = sorted({self.channels[channel][0] for channel in alike})
        for low in range(0, len(nodes), NODES_AT_ONCE):
            for day in self._read(nodes[low : low + NODES_AT_ONCE], list(alike)):
                hours, names = alike[day.channel]
                self.found += repeated(day, self.start_ms, hours, names, read - len(names))

    def _compare_with_below(self) -> None:
        """A meter above nodes against all that is right below it."""
        below: dict[int, list[FloatArray | None]] = {}
        for node, (_, _, parent) in sorted(self.nodes.items(), key=lambda item: item[1][0]):
            if parent is not None:
                below.setdefault(parent, []).append(self.means[node][1] if node in self.means else None)
        for parent, parts in below.items():
            known = [part for part in parts if part is not None]
            if parent in self.means and len(known) == len(parts):
                channel, own = self.means[parent]
                lag = lag_of(own, sum_of(known), "below")
                if lag is not None:
                    self.lags[channel] = lag
