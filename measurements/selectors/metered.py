"""Meters of some nodes with their samples, ready to be drawn or integrated: the ledger's steps, for pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from measurements.domain.curves import Window
from measurements.domain.integrate import NOMINAL_WINDOW_MS, max_gap_ms, nominal_interval_ms, wrap_limit_mw
from measurements.domain.nodeday import Series
from measurements.domain.samples import Samples
from measurements.domain.units import DAY_MS, MW_PER_W, IntArray, Kind, day_from_ms
from measurements.models import Channel, ChannelPeriod, MeterPeriod, NodeConfig
from measurements.selectors.devices import device_changes
from measurements.selectors.doubts import Breaks, refused_spans, without
from measurements.store import SampleStore


class MeteredNodes:
    """Meters, channels and samples of some nodes; ``more`` channels of theirs are read as well."""

    def __init__(self, nodes: Sequence[int], more: Iterable[Channel] = ()) -> None:
        rows = MeterPeriod.objects.filter(node__in=nodes).order_by("valid_from_ms").prefetch_related("channels")
        self.meters: dict[int, list[tuple[int, list[Channel]]]] = {pk: [] for pk in nodes}
        for row in rows:
            self.meters[row.node_id].append((row.valid_from_ms, list(row.channels.all())))
        self.channels = {c.pk: c for meter in self.meters.values() for _, group in meter for c in group}
        self.channels |= {c.pk: c for c in more}
        self.declared: dict[int, list[ChannelPeriod]] = {}
        for period in ChannelPeriod.objects.filter(channel__in=self.channels).order_by("valid_from"):
            self.declared.setdefault(period.channel_id, []).append(period)
        self.begins_ms = device_changes(self.channels.values())
        configs = NodeConfig.objects.filter(node__in=nodes).order_by("valid_from").select_related("node")
        self.ceiling_mw = {c.node_id: round(c.ceiling_w * MW_PER_W) for c in configs if c.ceiling_w is not None}
        self.last_sample_ms = {c.node_id: c.node.last_sample_ms or 0 for c in configs}
        self.samples: dict[int, tuple[IntArray, IntArray]] = {}
        self.breaks_ms: Breaks = {}

    def read(self, start_ms: int, end_ms: int) -> None:
        """Read all samples that matter to [start, end): whole days, because intervals are medians of days."""
        first, after = start_ms // DAY_MS * DAY_MS, -(-end_ms // DAY_MS) * DAY_MS
        margin = NOMINAL_WINDOW_MS
        while True:
            found = SampleStore().read(list(self.channels), first - margin, after + margin)
            kept, self.breaks_ms = without(found, refused_spans(self.meters, first - margin, after + margin))
            self._keep(kept)
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
        name = self.channels[channel].name
        begins_ms = self.begins_ms.get((self.channels[channel].node_id, name), ())
        wrap, source = (row.wrap_uj or 0, row.source) if row else (0, "")
        breaks_ms, limit_mw = self.breaks_ms.get(channel, ()), wrap_limit_mw(source, wrap)
        whole = Series(name, kind, t, value, nominal, gap, wrap, begins_ms, breaks_ms, limit_mw)
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
        begins = [since for since, _ in self.meters[node]]
        return [self._window(node, low, high) for low, high in _cut(times, begins)]

    def channel_windows(self, node: int, times: Iterable[tuple[int, int]], channels: Sequence[Channel]) -> list[Window]:
        """The same of some channels of a node together, whatever its meter is."""
        return [self._window_of(node, low, high, channels) for low, high in _cut(times, [])]

    def _window(self, node: int, start_ms: int, end_ms: int) -> Window:
        channels = next((group for since, group in reversed(self.meters[node]) if since <= start_ms), [])
        return self._window_of(node, start_ms, end_ms, channels)

    def _window_of(self, node: int, start_ms: int, end_ms: int, channels: Sequence[Channel]) -> Window:
        series = [self._series(c.pk, start_ms // DAY_MS * DAY_MS) for c in channels]
        known = [s for s in series if s is not None]
        return Window(start_ms, end_ms, known, len(channels), self.ceiling_mw.get(node, -1))


def _cut(times: Iterable[tuple[int, int]], begins: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Times cut at midnights and at some more instants."""
    for start, end in times:
        midnights = range((start // DAY_MS + 1) * DAY_MS, max(end, start), DAY_MS)
        cuts = sorted({start, max(end, start), *midnights, *(b for b in begins if start < b < end)})
        yield from pairwise(cuts)


def _reach_ms(series: Series) -> int:
    """How far off a sample matters: as a neighbour that is bridged to, or by the half interval it stands for."""
    return series.max_gap_ms + series.nominal_ms // 2 + 1
