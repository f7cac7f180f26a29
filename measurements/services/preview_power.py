"""What a dry run sees of a power log while it is read: nodes, channels, span, interval, a curve; of bounded size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from measurements.domain.integrate import LARGEST_POWER_MW
from measurements.domain.units import DAY_MS, MS_PER_S, MW_PER_W, UJ_PER_J, FloatArray, IntArray, Kind
from measurements.parsers.records import PowerChunk

CHANNELS_SHOWN = 40
CURVES = 8  # channels of which a curve is kept, until it is known which is shown
MOST_BINS = 2_000  # then two become one
POINTS = 160  # of the curve that is shown
INTERVAL_ROWS = 200_000  # of the beginning, to know the interval by
RISES = 20  # steps upwards without one downwards: no power does that
WHOLE_NODE = "node"


@dataclass(slots=True)
class _Channel:
    kind: Kind
    count: int = 0
    low: int | None = None
    high: int | None = None
    total: float = 0.0
    source: str = ""  # what measured it, where the format says it
    only_rises: bool = True  # as a counter of energy does
    rose: bool = False


@dataclass(slots=True)
class _Curve:
    """Mean readings in bins that grow with the span."""

    step_ms: int = MS_PER_S
    bins: dict[int, tuple[float, int]] = field(default_factory=dict)

    def add(self, t_ms: IntArray, mw: FloatArray) -> None:
        """Take readings in."""
        if not len(t_ms):
            return
        while (int(t_ms.max()) - int(t_ms.min())) // self.step_ms > MOST_BINS:
            self._widen()
        at, place = np.unique(t_ms // self.step_ms, return_inverse=True)
        sums, counts = np.bincount(place, mw), np.bincount(place)
        for key, total, count in zip(at.tolist(), sums.tolist(), counts.tolist(), strict=True):
            before = self.bins.get(key, (0.0, 0))
            self.bins[key] = (before[0] + total, before[1] + count)
        while len(self.bins) > MOST_BINS:
            self._widen()

    def _widen(self) -> None:
        wider: dict[int, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
        for key, (total, count) in self.bins.items():
            before = wider[key // 2]
            wider[key // 2] = (before[0] + total, before[1] + count)
        self.step_ms, self.bins = 2 * self.step_ms, dict(wider)

    def points(self) -> tuple[int, list[tuple[int, float]]]:
        """The step [ms] and per bin its beginning [ms] and mean [W], at most `POINTS`."""
        while self.bins and max(self.bins) - min(self.bins) >= POINTS:
            self._widen()
        return self.step_ms, [
            (key * self.step_ms, round(total / count / MW_PER_W, 3))
            for key, (total, count) in sorted(self.bins.items())
        ]


class PowerLook:
    """What passes by of a power log."""

    def __init__(self) -> None:
        self.nodes: dict[str, int] = {}  # name → how many samples
        self.first_ms: int | None = None
        self.last_ms: int | None = None
        self.days: set[int] = set()  # numbers of UTC days
        self.interval_s: float | None = None
        self._channels: dict[tuple[str, Kind], _Channel] = {}
        self._curves: dict[str, _Curve] = {}

    def watch(self, chunks: Iterator[PowerChunk]) -> Iterator[PowerChunk]:
        """The same chunks, looked at."""
        for chunk in chunks:
            if len(chunk.t_ms):
                self._look(chunk)
            yield chunk

    def _look(self, chunk: PowerChunk) -> None:
        low, high = int(chunk.t_ms.min()), int(chunk.t_ms.max())
        self.first_ms = low if self.first_ms is None else min(low, self.first_ms)
        self.last_ms = high if self.last_ms is None else max(high, self.last_ms)
        self.days.update(np.unique(chunk.t_ms // DAY_MS).tolist())
        counts = np.bincount(chunk.node, minlength=len(chunk.nodes))
        for code in np.flatnonzero(counts).tolist():
            name = chunk.nodes[code]
            self.nodes[name] = self.nodes.get(name, 0) + int(counts[code])
        if self.interval_s is None:
            self.interval_s = _interval_s(chunk)
        order = np.argsort(chunk.channel, kind="stable")
        codes, starts = np.unique(chunk.channel[order], return_index=True)
        for code, rows in zip(codes.tolist(), np.split(order, starts[1:]), strict=True):
            self._look_at_channel(chunk, code, rows)

    def _look_at_channel(self, chunk: PowerChunk, code: int, rows: IntArray) -> None:
        name, kind = chunk.channels[code], chunk.kinds[code]
        values = chunk.value[rows]
        seen = self._channels.setdefault((name, kind), _Channel(kind))
        seen.count += len(rows)
        low, high = int(values.min()), int(values.max())
        seen.low = low if seen.low is None else min(low, seen.low)
        seen.high = high if seen.high is None else max(high, seen.high)
        seen.total += float(values.sum(dtype=np.float64))
        seen.source = seen.source or (chunk.facts[code].source if chunk.facts else "")
        if kind != Kind.COUNTER and seen.only_rises:
            steps = _steps(chunk, rows)
            seen.only_rises = not bool((steps < 0).any())
            seen.rose |= int((steps > 0).sum()) >= RISES
        if name in self._curves or len(self._curves) < CURVES or name == WHOLE_NODE:
            self._curves.setdefault(name, _Curve()).add(*_powers(chunk, kind, rows))

    def channels(self) -> list[dict[str, Any]]:
        """Each with its kind and range in W or J, the most frequent first."""
        found = [
            {
                "name": name,
                "kind": str(kind.name).lower(),
                "count": seen.count,
                "low": (seen.low or 0) / _size(kind),
                "high": (seen.high or 0) / _size(kind),
                "mean": None if kind == Kind.COUNTER else seen.total / seen.count / _size(kind),
                "source": seen.source,
                "only_rises": kind != Kind.COUNTER and seen.only_rises and seen.rose,
            }
            for (name, kind), seen in self._channels.items()
        ]
        return sorted(found, key=lambda row: (-row["count"], row["name"]))

    def curve(self) -> dict[str, Any] | None:
        """Means over time of the whole node's channel, else of the one with most readings."""
        by_count = [row["name"] for row in self.channels() if row["name"] in self._curves]
        name = WHOLE_NODE if WHOLE_NODE in self._curves else next(iter(by_count), None)
        if name is None:
            return None
        step_ms, points = self._curves[name].points()
        return {"channel": name, "step_ms": step_ms, "points": points} if len(points) > 1 else None


def _steps(chunk: PowerChunk, rows: IntArray) -> IntArray:
    """By what each node's readings of a channel differ from the ones before."""
    node, t_ms, value = chunk.node[rows], chunk.t_ms[rows], chunk.value[rows]
    order = np.lexsort((t_ms, node))
    steps: IntArray = np.diff(value[order])[np.diff(node[order]) == 0]
    return steps


def _size(kind: Kind) -> int:
    return UJ_PER_J if kind == Kind.COUNTER else MW_PER_W


def _powers(chunk: PowerChunk, kind: Kind, rows: IntArray) -> tuple[IntArray, FloatArray]:
    """Instants and mW: a gauge's readings that can be, a counter's slopes (µJ per ms are mW) where it rose."""
    t_ms, value = chunk.t_ms[rows], chunk.value[rows]
    if kind != Kind.COUNTER:
        good = value >= 0
        if np.median(value) <= LARGEST_POWER_MW:  # else it is a meter of more than that, and declared as one
            good &= value <= LARGEST_POWER_MW
        return t_ms[good], value[good].astype(np.float64)
    node = chunk.node[rows]
    order = np.lexsort((t_ms, node))
    t_ms, value, node = t_ms[order], value[order], node[order]
    length, rise = np.diff(t_ms), np.diff(value)
    good = (np.diff(node) == 0) & (length > 0) & (rise >= 0)
    return t_ms[1:][good], rise[good] / length[good]


def _interval_s(chunk: PowerChunk) -> float | None:
    """The median time between readings of one channel of one node."""
    if chunk.interval_ms:
        return chunk.interval_ms / MS_PER_S
    rows = slice(0, INTERVAL_ROWS)
    node, channel, t_ms = chunk.node[rows], chunk.channel[rows], chunk.t_ms[rows]
    order = np.lexsort((t_ms, channel, node))
    same = (np.diff(node[order]) == 0) & (np.diff(channel[order]) == 0)
    steps = np.diff(t_ms[order])[same]
    steps = steps[steps > 0]
    return float(np.median(steps)) / MS_PER_S if len(steps) else None
