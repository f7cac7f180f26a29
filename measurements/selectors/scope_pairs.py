"""A node's power and that of its GPUs side by side, for telling whether the one includes the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TypeVar

import numpy as np
from django.db.models import QuerySet

from measurements.domain.channel_names import gpu_index
from measurements.domain.integrate import (
    QUARTER_UJ_PER_UJ,
    TICKS_PER_MS,
    US_PER_TICK,
    between_edges,
    max_gap_ms,
    nominal_interval_ms,
    wrap_limit_mw,
)
from measurements.domain.metering import steps_of
from measurements.domain.nodeday import Series
from measurements.domain.samples import Samples
from measurements.domain.scope_check import BUCKET_MS, CORE_SWING_W, Pairs
from measurements.domain.units import DAY_MS, MW_PER_W, QUARTER_MS, US_PER_S, FloatArray, IntArray, Kind, day_start_ms
from measurements.models import Channel, ChannelPeriod, NodeConfig, NodeHour
from measurements.selectors.doubts import Breaks, refused_spans, without
from measurements.selectors.frames import frame_of
from measurements.store import SampleStore

DAYS_BACK = 7  # of them the one on which the node's power varied most is looked at
LEAST_HOURS = 6  # measured, for a day to be looked at
MOSTLY = 0.9  # of a bucket that has to be covered
PART_NAMES = ("cpu", "dram")
_HOUR_COLUMNS = ("node", "day", "energy_j", "covered_us")


@dataclass(slots=True)
class Meter:
    """A node with a channel of its own and some of its GPUs, as declared on a day."""

    node: int
    channels: dict[str, Channel] = field(default_factory=dict)  # by name; of a gauge and a counter the counter
    declared: dict[int, ChannelPeriod] = field(default_factory=dict)  # by channel
    config: NodeConfig | None = None

    @property
    def gpus(self) -> list[Channel]:
        """The channels of its GPUs; none unless every GPU that it is described with has one."""
        found = [row for name, row in self.channels.items() if gpu_index(name) is not None]
        described = (self.config.gpus or 0) if self.config else 0
        return found if len(found) >= described else []

    @property
    def parts(self) -> list[Channel]:
        """Those of processors and memory."""
        return [row for name, row in self.channels.items() if name.rstrip("0123456789") in PART_NAMES]

    @property
    def includes(self) -> bool:
        """Whether its own channel is declared to hold the GPUs."""
        row = self.declared.get(self.channels["node"].pk)
        return row is None or row.covers_gpus is not False

    @property
    def rest_swing_w(self) -> float | None:
        """The most that it can vary without its GPUs [W]; None: not described."""
        config = self.config
        if config is None:
            return None
        if config.rated_w is not None and config.idle_w is not None and config.rated_w > config.idle_w:
            return config.rated_w - config.idle_w
        return CORE_SWING_W * config.cpus if config.cpus else None


def meters_to_check(nodes: Sequence[int], day: date) -> list[Meter]:
    """Of some nodes with such channels; three queries."""
    found = {pk: Meter(pk) for pk in nodes}
    rows = Channel.objects.filter(node__in=nodes).order_by("name", "pk")
    for channel in sorted(rows, key=lambda row: row.kind == Kind.COUNTER):
        found[channel.node_id].channels[channel.name] = channel
    for period in _in_force(ChannelPeriod.objects.filter(channel__node__in=nodes).select_related("channel"), day):
        found[period.channel.node_id].declared[period.channel_id] = period
    for config in _in_force(NodeConfig.objects.filter(node__in=nodes), day):
        found[config.node_id].config = config
    return [meter for meter in found.values() if "node" in meter.channels]


Dated = TypeVar("Dated", ChannelPeriod, NodeConfig)


def _in_force(rows: QuerySet[Dated], day: date) -> QuerySet[Dated]:
    """Those up to a day, the newest last."""
    return rows.filter(valid_from__lte=day).order_by("valid_from")


def liveliest_days(nodes: Sequence[int], today: date) -> dict[int, date]:
    """By node the UTC day before today on which its power by the hour went furthest up and down; one query."""
    rows = NodeHour.objects.filter(
        node__in=nodes, day__gte=today - timedelta(days=DAYS_BACK), day__lt=today, covered_us__gt=0
    )
    frame = frame_of(rows.order_by("node", "day", "hour").values_list(*_HOUR_COLUMNS), _HOUR_COLUMNS)
    if frame.empty:
        return {}
    power_w = frame["energy_j"] / (frame["covered_us"] / US_PER_S)
    by_day = power_w.groupby([frame["node"], frame["day"]])
    swing = (by_day.max() - by_day.min())[by_day.size() >= LEAST_HOURS]
    return {int(node): day for node, day in swing.groupby("node").idxmax().tolist()}


def pairs_of(meter: Meter, day: date) -> Pairs | None:
    """Means of a UTC day, bucket by bucket; None where a GPU has no channel."""
    gpus, parts = meter.gpus, meter.parts
    if not gpus:
        return None
    start_ms = day_start_ms(day)
    channels = [meter.channels["node"], *gpus, *parts]
    first_ms, end_ms = start_ms - QUARTER_MS, start_ms + DAY_MS + QUARTER_MS
    read = SampleStore().read([row.pk for row in channels], first_ms, end_ms)
    samples, breaks = without(read, refused_spans([meter.node], first_ms, end_ms))  # as the ledger does
    means = {row.pk: _means_w(row, samples, breaks, meter.declared.get(row.pk), start_ms) for row in channels}
    return Pairs(
        node_w=means[channels[0].pk],
        gpu_w=np.sum([means[row.pk] for row in gpus], axis=0),
        rest_swing_w=meter.rest_swing_w,
        parts_w=np.sum([means[row.pk] for row in parts], axis=0) if parts else None,
        gpu_error_w=sum(_error_w(row, samples, start_ms) for row in gpus),
    )


def _means_w(
    channel: Channel, samples: Samples, breaks: Breaks, declared: ChannelPeriod | None, start_ms: int
) -> FloatArray:
    """Mean power of each bucket [W]; nan where it is not covered."""
    edges = np.arange(0, DAY_MS + 1, BUCKET_MS, dtype=np.int64) * TICKS_PER_MS
    t_ms, value = _of(channel, samples)
    if not len(t_ms):
        return np.full(len(edges) - 1, np.nan)
    kind = Kind(channel.kind)
    nominal = (declared and declared.nominal_ms) or nominal_interval_ms(t_ms, start_ms)
    gap = max_gap_ms(kind, nominal, declared.max_gap_ms if declared else None)
    wrap, source = (declared.wrap_uj or 0, declared.source) if declared else (0, "")
    breaks_ms, limit_mw = breaks.get(channel.pk, ()), wrap_limit_mw(source, wrap)
    series = Series(channel.name, kind, t_ms, value, nominal, gap, wrap, breaks_ms=breaks_ms, wrap_limit_mw=limit_mw)
    energy, covered = between_edges(steps_of(series, -1, start_ms), edges)
    known = covered >= MOSTLY * BUCKET_MS * TICKS_PER_MS
    mean_w = energy / QUARTER_UJ_PER_UJ / np.where(known, covered * US_PER_TICK, 1)
    return np.where(known, mean_w, np.nan)


def _of(channel: Channel, samples: Samples) -> tuple[IntArray, IntArray]:
    mine = samples.channel == channel.pk
    return samples.t_ms[mine], samples.value[mine]


def _error_w(channel: Channel, samples: Samples, start_ms: int) -> float:
    """Standard error of a bucket's mean of a gauge that is read at instants [W]; a counter has none."""
    t_ms, value = _of(channel, samples)
    inside = (t_ms >= start_ms) & (t_ms < start_ms + DAY_MS)
    if channel.kind == Kind.COUNTER or inside.sum() < 2:
        return 0.0
    _, place = np.unique((t_ms[inside] - start_ms) // BUCKET_MS, return_inverse=True)
    watts, count = value[inside] / MW_PER_W, np.bincount(place)
    means = np.bincount(place, watts) / count
    within = np.bincount(place, (watts - means[place]) ** 2) / np.maximum(count - 1, 1)
    return float(np.sqrt((within / count).mean()))
