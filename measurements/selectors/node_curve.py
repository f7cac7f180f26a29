"""A node's power in a window of whole UTC hours: from its samples, or in a long window from the ledger's hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from django.db.models import QuerySet

from measurements.domain.curves import Curve, curve_of, uncovered
from measurements.domain.units import (
    DAY_MS,
    HOUR_MS,
    MS_PER_S,
    US_PER_MS,
    US_PER_S,
    IntArray,
    day_from_ms,
    day_start_ms,
)
from measurements.models import Channel, ChannelPeriod, Node, NodeHour
from measurements.selectors.frames import frame_of
from measurements.selectors.metered import MeteredNodes

LONGEST_OF_SAMPLES_MS = 7 * DAY_MS
MOST_SAMPLES = 2_000_000  # of all channels, that a page may read
MOST_BUCKETS = 500
MINUTE_MS = 60_000
BUCKETS_MS = [n * MINUTE_MS for n in (1, 2, 3, 5, 10, 15, 20, 30, 60)]
_HOURS = ("day", "hour", "energy_j", "unallocated_j", "covered_us", "samples", "min_w", "max_w")


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """One channel of a node in a window."""

    name: str
    kind: str
    source: str  # empty: not declared
    nominal_ms: int | None  # None: no sample from which to tell, and not declared
    covers_gpus: bool
    dc: bool
    in_meter: bool  # else it is a part of what the meter covers, or a cross-check: never added
    energy_j: float | None  # None: not added up for this window
    covered_s: float | None

    @property
    def nominal_s(self) -> float | None:
        """The interval [s]."""
        return None if self.nominal_ms is None else self.nominal_ms / MS_PER_S


@dataclass(frozen=True, slots=True)
class Hole:
    """A time in service in which nothing was measured: exactly, or hours of which a part is missing."""

    start_ms: int
    end_ms: int
    missing_s: float


@dataclass(frozen=True, slots=True)
class NodeCurve:
    """Power over a window, what is missing in it, and every channel by itself."""

    curve: Curve
    holes: tuple[Hole, ...]  # oldest first
    channels: tuple[ChannelFigures, ...]
    by_hour: bool = False  # from the ledger's hours, not from samples


def node_hours(node: Node, start_ms: int, end_ms: int) -> pd.DataFrame:
    """The ledger's hours of a node in [start, end), with ``at_ms``, when each begins."""
    rows = hours_between(start_ms, end_ms).filter(node=node)
    frame = frame_of(rows.order_by("day", "hour").values_list(*_HOURS), _HOURS)
    days = np.array([day_start_ms(day) for day in frame["day"]], np.int64)
    frame["at_ms"] = days + frame["hour"].to_numpy(np.int64) * HOUR_MS
    return frame


def hours_between(start_ms: int, end_ms: int) -> QuerySet[NodeHour]:
    """The ledger's hours in [start, end), both whole UTC hours."""
    first, last = day_from_ms(start_ms), day_from_ms(end_ms - 1)
    return (
        NodeHour.objects.filter(day__gte=first, day__lte=last)
        .exclude(day=first, hour__lt=start_ms % DAY_MS // HOUR_MS)
        .exclude(day=last, hour__gt=(end_ms - 1) % DAY_MS // HOUR_MS)
    )


def node_curve(node: Node, hours: pd.DataFrame, window: tuple[int, int], service: tuple[int, int]) -> NodeCurve:
    """The curve of a window of whole hours; ``service`` is the part of it in which the node counts."""
    channels = list(Channel.objects.filter(node=node).order_by("name", "kind"))
    reading = int(hours["samples"].sum()) * max(len(channels), 1)
    start, end = window
    if end - start > LONGEST_OF_SAMPLES_MS or reading > MOST_SAMPLES:
        return _of_hours(node, channels, hours, window, service)
    return _of_samples(node, channels, window, service)


# --- From samples -------------------------------------------------------------------------------


def _of_samples(
    node: Node, channels: Sequence[Channel], window: tuple[int, int], service: tuple[int, int]
) -> NodeCurve:
    start, end = window
    metered = MeteredNodes([node.pk], channels)
    metered.read(start, end)
    windows = metered.windows(node.pk, [service])
    nominal = min((s.nominal_ms for w in windows for s in w.series), default=0)
    holes = [Hole(low, high, (high - low) / MS_PER_S) for low, high in uncovered(windows)]
    figures = [_channel(metered, node, channel, service) for channel in channels]
    return NodeCurve(curve_of(windows, _edges(start, end, nominal)), holes=tuple(holes), channels=tuple(figures))


def _edges(start_ms: int, end_ms: int, nominal_ms: int) -> IntArray:
    """Round buckets: as short as the samples allow, and no more than a chart can show."""
    shortest = max((end_ms - start_ms) / MOST_BUCKETS, nominal_ms)
    step = next((step for step in BUCKETS_MS if step >= shortest), HOUR_MS)
    return np.arange(start_ms, end_ms + 1, step)


def _channel(metered: MeteredNodes, node: Node, channel: Channel, service: tuple[int, int]) -> ChannelFigures:
    windows = metered.channel_windows(node.pk, [service], [channel])
    whole = curve_of(windows, np.array(service, np.int64)) if service[0] < service[1] else None
    covered_s = float(whole.covered_ms[0]) / MS_PER_S if whole else 0.0
    nominal = [series.nominal_ms for one in windows for series in one.series]
    declared = metered.declared.get(channel.pk, [])
    return _figures(
        channel,
        declared,
        nominal_ms=nominal[-1] if nominal else None,
        in_meter=any(channel.pk == c.pk for c in meter_at(metered, node.pk, service[1])),
        energy_j=float(whole.mean_w[0]) * covered_s if whole and covered_s else None,
        covered_s=covered_s,
    )


def meter_at(metered: MeteredNodes, node: int, at_ms: int) -> list[Channel]:
    """The channels of the meter in force just before an instant."""
    return next((group for since, group in reversed(metered.meters[node]) if since < at_ms), [])


def _figures(
    channel: Channel,
    declared: Sequence[ChannelPeriod],
    *,
    nominal_ms: int | None,
    in_meter: bool,
    energy_j: float | None,
    covered_s: float | None,
) -> ChannelFigures:
    row = declared[-1] if declared else ChannelPeriod()
    return ChannelFigures(
        name=channel.name,
        kind=channel.kind,
        source=row.source,
        nominal_ms=nominal_ms or row.nominal_ms,
        covers_gpus=row.covers_gpus is not False,
        dc=row.dc,
        in_meter=in_meter,
        energy_j=energy_j,
        covered_s=covered_s,
    )


# --- From the ledger's hours --------------------------------------------------------------------


def _of_hours(
    node: Node, channels: Sequence[Channel], hours: pd.DataFrame, window: tuple[int, int], service: tuple[int, int]
) -> NodeCurve:
    start, end = window
    edges = np.arange(start, end + 1, HOUR_MS)
    place = ((hours["at_ms"].to_numpy(np.int64) - start) // HOUR_MS).astype(np.int64)
    count = len(edges) - 1
    mean, low, high, covered = (np.full(count, np.nan) for _ in range(4))
    covered_s = hours["covered_us"].to_numpy(np.float64) / US_PER_S
    some = covered_s > 0
    mean[place[some]] = hours["energy_j"].to_numpy(np.float64)[some] / covered_s[some]
    low[place] = pd.to_numeric(hours["min_w"]).to_numpy(np.float64)
    high[place] = pd.to_numeric(hours["max_w"]).to_numpy(np.float64)
    covered[place] = hours["covered_us"].to_numpy(np.float64) / US_PER_MS
    covered = np.nan_to_num(covered)
    held = (np.clip(edges[1:], *service) - np.clip(edges[:-1], *service)).astype(np.float64)
    curve = Curve(edges, mean, low, high, covered, held)
    metered = MeteredNodes([node.pk], channels)
    meter = {c.pk for c in meter_at(metered, node.pk, service[1])}
    figures = [
        _figures(
            channel,
            metered.declared.get(channel.pk, []),
            nominal_ms=None,
            in_meter=channel.pk in meter,
            energy_j=None,
            covered_s=None,
        )
        for channel in channels
    ]
    return NodeCurve(curve, holes=_missing(curve), channels=tuple(figures), by_hour=True)


def _missing(curve: Curve) -> tuple[Hole, ...]:
    """Hours of which a part was not measured, those that follow each other together."""
    missing = curve.held_ms - curve.covered_ms
    found: list[Hole] = []
    for at in np.flatnonzero(missing >= 1).tolist():
        start, end = int(curve.edges_ms[at]), int(curve.edges_ms[at + 1])
        lacking_s = float(missing[at]) / MS_PER_S
        if found and found[-1].end_ms == start:
            found[-1] = Hole(found[-1].start_ms, end, found[-1].missing_s + lacking_s)
        else:
            found.append(Hole(start, end, lacking_s))
    return tuple(found)
