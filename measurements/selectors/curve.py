"""The power curve of a job: what the meters of its nodes showed while it held them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from measurements.domain.curves import Curve, Window, bucket_edges, curve_of, total_of
from measurements.domain.integrate import NOMINAL_WINDOW_MS, max_gap_ms, nominal_interval_ms
from measurements.domain.nodeday import Series
from measurements.domain.samples import Samples
from measurements.domain.units import DAY_MS, MW_PER_W, IntArray, Kind, day_from_ms
from measurements.models import Allocation, Channel, ChannelPeriod, Job, MeterPeriod, NodeConfig
from measurements.store import SampleStore

NODES_ONE_BY_ONE = 8  # up to here each node has a curve of its own
MOST_SAMPLES = 4_000_000  # what a page may read; a job of more is not drawn


@dataclass(frozen=True, slots=True)
class NodeCurve:
    """One node's meter while the job held the node."""

    node: str
    curve: Curve


@dataclass(frozen=True, slots=True)
class JobCurve:
    """The sum over the nodes that have samples, and each of them if they are few."""

    total: Curve
    nodes: tuple[NodeCurve, ...]  # empty if there are many
    drawn_nodes: int
    held_nodes: int


@dataclass(frozen=True, slots=True)
class _Held:
    node: str
    start_ms: int
    end_ms: int | None  # None: it runs


def job_curve(job: Job, samples: int) -> JobCurve | None:
    """The curve of a job of so many ledger samples; None if it has none, or more than a page may read."""
    held = _held(job)
    if not held or not 0 < samples <= MOST_SAMPLES:
        return None
    nodes = _Nodes(list(held))
    start = min(part.start_ms for parts in held.values() for part in parts)
    ends = [part.end_ms if part.end_ms is not None else nodes.last_sample_ms[pk] for pk in held for part in held[pk]]
    nodes.read(start, max(ends))
    times = {pk: [(part.start_ms, nodes.end_ms(pk, part.end_ms)) for part in parts] for pk, parts in held.items()}
    edges = bucket_edges(start, max(end for parts in times.values() for _, end in parts), nodes.nominal_ms(start))
    curves = {pk: curve_of(nodes.windows(pk, parts), edges) for pk, parts in times.items()}
    drawn = [pk for pk, curve in curves.items() if curve.covered_ms.any()]
    if not drawn:
        return None
    total = total_of([curves[pk] for pk in drawn])
    few = drawn if len(drawn) <= NODES_ONE_BY_ONE else []
    names = sorted((held[pk][0].node, pk) for pk in few)
    return JobCurve(total, tuple(NodeCurve(name, curves[pk]) for name, pk in names), len(drawn), len(held))


def _held(job: Job) -> dict[int, list[_Held]]:
    """Per known node the times the job was on it."""
    rows = Allocation.objects.filter(run__job=job, node__isnull=False).order_by("start_ms", "node_name")
    found: dict[int, list[_Held]] = {}
    for node, name, start, end in rows.values_list("node_id", "node_name", "start_ms", "end_ms"):
        if end is None or end > start:
            found.setdefault(node, []).append(_Held(name, start, end))
    return found


class _Nodes:
    """Meters, channels and samples of some nodes."""

    def __init__(self, nodes: Sequence[int]) -> None:
        rows = MeterPeriod.objects.filter(node__in=nodes).order_by("valid_from_ms").prefetch_related("channels")
        self.meters: dict[int, list[tuple[int, list[Channel]]]] = {pk: [] for pk in nodes}
        for row in rows:
            self.meters[row.node_id].append((row.valid_from_ms, list(row.channels.all())))
        self.channels = {c.pk: c for meter in self.meters.values() for _, group in meter for c in group}
        self.declared: dict[int, list[ChannelPeriod]] = {}
        for period in ChannelPeriod.objects.filter(channel__in=self.channels).order_by("valid_from"):
            self.declared.setdefault(period.channel_id, []).append(period)
        configs = NodeConfig.objects.filter(node__in=nodes).order_by("valid_from").select_related("node")
        self.ceiling_mw = {c.node_id: round(c.ceiling_w * MW_PER_W) for c in configs if c.ceiling_w is not None}
        self.last_sample_ms = {c.node_id: c.node.last_sample_ms or 0 for c in configs}
        self.samples: dict[int, tuple[IntArray, IntArray]] = {}

    def read(self, start_ms: int, end_ms: int) -> None:
        """Read all samples that matter to [start, end): whole days, because intervals are medians of days."""
        first, after = start_ms // DAY_MS * DAY_MS, -(-end_ms // DAY_MS) * DAY_MS
        margin = NOMINAL_WINDOW_MS
        while True:
            self._keep(SampleStore().read(list(self.channels), first - margin, after + margin))
            reach = max((_reach_ms(s) for day in (first, after - DAY_MS) for s in self._all_series(day)), default=0)
            if reach <= margin:
                return
            margin = reach  # a slow channel: its neighbours lie further off

    def _keep(self, found: Samples) -> None:
        cuts = np.flatnonzero(found.channel[1:] != found.channel[:-1]) + 1
        for low, high in pairwise([0, *cuts.tolist(), len(found)]):
            if low < high:
                self.samples[int(found.channel[low])] = (found.t_ms[low:high], found.value[low:high])

    def _all_series(self, day_ms: int) -> list[Series]:
        return [s for s in (self._series(pk, day_ms) for pk in self.channels) if s is not None]

    def _in_force(self, channel: int, day_ms: int) -> ChannelPeriod | None:
        rows = [row for row in self.declared.get(channel, []) if row.valid_from <= day_from_ms(day_ms)]
        return rows[-1] if rows else None

    def _series(self, channel: int, day_ms: int) -> Series | None:
        """A channel's samples around a UTC day, with the interval and the gap in force on it."""
        if channel not in self.samples:
            return None
        t, value = self.samples[channel]
        row, kind = self._in_force(channel, day_ms), Kind(self.channels[channel].kind)
        nominal = row.nominal_ms if row and row.nominal_ms else nominal_interval_ms(t, day_ms)
        gap = max_gap_ms(kind, nominal, row.max_gap_ms if row else None)
        whole = Series(self.channels[channel].name, kind, t, value, nominal, gap, row.wrap_uj or 0 if row else 0)
        reach = _reach_ms(whole)
        low, high = np.searchsorted(t, (day_ms - reach, day_ms + DAY_MS + reach))
        return replace(whole, t_ms=t[low:high], value=value[low:high]) if low < high else None

    def nominal_ms(self, at_ms: int) -> int:
        """The shortest interval of any channel on the day of an instant."""
        return min((s.nominal_ms for s in self._all_series(at_ms // DAY_MS * DAY_MS)), default=1)

    def end_ms(self, node: int, end_ms: int | None) -> int:
        """When a job left a node; one that runs is there up to the last sample and half an interval."""
        if end_ms is not None:
            return end_ms
        last = self.last_sample_ms[node]
        channels = {c.pk for _, group in self.meters[node] for c in group}
        series = [self._series(pk, last // DAY_MS * DAY_MS) for pk in channels]
        return last + max((s.nominal_ms // 2 for s in series if s), default=0)

    def windows(self, node: int, times: Iterable[tuple[int, int]]) -> list[Window]:
        """The times the node was held, cut at midnights and where its meter changes."""
        meter = self.meters[node]
        begins = [since for since, _ in meter]
        found = []
        for start, end in times:
            midnights = range((start // DAY_MS + 1) * DAY_MS, max(end, start), DAY_MS)
            cuts = sorted({start, max(end, start), *midnights, *(b for b in begins if start < b < end)})
            found += [self._window(node, low, high) for low, high in pairwise(cuts)]
        return found

    def _window(self, node: int, start_ms: int, end_ms: int) -> Window:
        channels = next((group for since, group in reversed(self.meters[node]) if since <= start_ms), [])
        series = [self._series(c.pk, start_ms // DAY_MS * DAY_MS) for c in channels]
        known = [s for s in series if s is not None]
        return Window(start_ms, end_ms, known, len(channels), self.ceiling_mw.get(node, -1))


def _reach_ms(series: Series) -> int:
    """How far off a sample matters: as a neighbour that is bridged to, or by the half interval it stands for."""
    return series.max_gap_ms + series.nominal_ms // 2 + 1
