"""Power over time in a few hundred buckets, with gaps left open: what a chart of it needs.

A bucket's mean is its energy over its covered time, by the same steps as the ledger's
joules; its extremes are those of the linear pieces in it. Nothing is drawn through a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from measurements.domain.integrate import (
    TICKS_PER_MS,
    hold_edges,
    on_grid,
)
from measurements.domain.metering import steps_of
from measurements.domain.nodeday import Series
from measurements.domain.units import MS_PER_S, MW_PER_W, BoolArray, FloatArray, IntArray

MOST_BUCKETS = 500
FEWEST_BUCKETS = 20  # a job of a few samples still shows where its power rose
SHORTEST_SAMPLES = 5  # intervals of a part that is looked at alone: of fewer there is nothing finer to see
SHORTEST_MS = 5_000


@dataclass(frozen=True, slots=True)
class Window:
    """A time [start, end) in which one meter counts: its channels, each with samples around it."""

    start_ms: int
    end_ms: int
    series: Sequence[Series]  # those of the meter's channels that have samples
    channels: int  # how many the meter names; with fewer series than that nothing is covered
    ceiling_mw: int = -1  # -1: not known


@dataclass(frozen=True, slots=True)
class Curve:
    """Power between consecutive edges [W], nan where nothing is covered; times in ms."""

    edges_ms: IntArray  # [n + 1]
    mean_w: FloatArray  # [n]
    min_w: FloatArray  # [n]
    max_w: FloatArray  # [n]
    covered_ms: FloatArray  # [n]
    held_ms: FloatArray  # [n] how much of the bucket lies in a window


class Refusal(StrEnum):
    """Why a part of a curve is not shown."""

    NO_TIMES = "no_times"  # not two instants in whole ms
    NO_LENGTH = "no_length"  # it ends before it begins
    OUTSIDE = "outside"  # nothing of it belongs to the curve
    TOO_SHORT = "too_short"
    TOO_MUCH = "too_much"  # more samples than may be read at once


class PartRefused(ValueError):
    """A part of a curve that can't be shown; ``shortest_ms`` is what it would need to be long."""

    def __init__(self, reason: Refusal, shortest_ms: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.shortest_ms = reason, shortest_ms


@dataclass(frozen=True, slots=True)
class Span:
    """A time [start, end) in ms since 1970."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.end_ms - self.start_ms

    def within(self, whole: Span) -> Span:
        """What of it lies in another; refused if that is nothing."""
        if self.length_ms <= 0:
            raise PartRefused(Refusal.NO_LENGTH)
        start, end = max(self.start_ms, whole.start_ms), min(self.end_ms, whole.end_ms)
        if start >= end:
            raise PartRefused(Refusal.OUTSIDE)
        return Span(start, end)

    def cut(self, times: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """What of some times [start, end) lies in it."""
        cut = ((max(start, self.start_ms), min(end, self.end_ms)) for start, end in times)
        return [(start, end) for start, end in cut if start < end]


def moves(shown: Span, whole: Span, shortest_ms: int) -> dict[str, Span]:
    """Where one can go from a part of a curve; static/js/curve_window.js goes the same way.

    ``in`` is the middle half, ``out`` twice as much about the same middle, ``left`` and ``right`` lie half a
    length [ms] away. None is shorter than ``shortest_ms``, none reaches beyond the whole.
    """
    length = shown.length_ms
    middle = (shown.start_ms + shown.end_ms) // 2
    return {
        "in": _about(middle, length // 2, whole, shortest_ms),
        "out": _about(middle, length * 2, whole, shortest_ms),
        "left": _about(middle - length // 2, length, whole, shortest_ms),
        "right": _about(middle + length // 2, length, whole, shortest_ms),
        "whole": whole,
    }


def _about(middle_ms: int, length_ms: int, whole: Span, shortest_ms: int) -> Span:
    length = min(max(length_ms, shortest_ms), whole.length_ms)
    start = min(max(middle_ms - length // 2, whole.start_ms), whole.end_ms - length)
    return Span(start, start + length)


def shortest_ms(nominal_ms: int, whole: Span) -> int:
    """How long a part of a curve is at least [ms]: some nominal intervals, and never longer than the whole."""
    return min(max(SHORTEST_SAMPLES * nominal_ms, SHORTEST_MS), whole.length_ms)


def bucket_edges(start_ms: int, end_ms: int, nominal_ms: int) -> IntArray:
    """Edges of buckets of equal length (to the ms): one a nominal interval, between the fewest and the most."""
    length = end_ms - start_ms
    count = min(max(-(-length // max(nominal_ms, 1)), FEWEST_BUCKETS), MOST_BUCKETS, max(length, 1))
    return np.unique(np.linspace(start_ms, end_ms, count + 1).round().astype(np.int64))


def curve_of(windows: Sequence[Window], edges_ms: IntArray) -> Curve:
    """A node's power in the buckets between ``edges_ms``, in disjoint windows."""
    count = len(edges_ms) - 1
    edges = (edges_ms - edges_ms[0]) * TICKS_PER_MS
    energy, covered, held = np.zeros(count), np.zeros(count), np.zeros(count)
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    for window in windows:
        grid, lower, upper, present = _pieces(window, edges, int(edges_ms[0]))
        bucket = np.searchsorted(edges, grid[:-1], side="right") - 1
        length = np.diff(grid)
        held += np.bincount(bucket, length, count)
        covered += np.bincount(bucket, np.where(present, length, 0), count)
        energy += np.bincount(bucket, (lower + upper) / 2 * length, count)
        np.minimum.at(low, bucket[present], np.minimum(lower, upper)[present])
        np.maximum.at(high, bucket[present], np.maximum(lower, upper)[present])
    some = covered > 0
    mean = np.divide(energy, covered, out=np.full(count, np.nan), where=some)
    low, high = np.where(some, low, np.nan), np.where(some, high, np.nan)
    return Curve(
        edges_ms, mean / MW_PER_W, low / MW_PER_W, high / MW_PER_W, covered / TICKS_PER_MS, held / TICKS_PER_MS
    )


def energy_j(curve: Curve) -> float:
    """The energy of a node's curve [J], where it is measured: Σ mean × covered time; of any buckets the same."""
    return float(np.nansum(curve.mean_w * curve.covered_ms)) / MS_PER_S


def uncovered(windows: Sequence[Window]) -> list[tuple[int, int]]:
    """The times [start, end) in disjoint windows, ascending, in which nothing is covered [ms]."""
    found: list[tuple[int, int]] = []
    for window in sorted(windows, key=lambda w: w.start_ms):
        grid, _, _, present = _pieces(window, np.zeros(0, np.int64), window.start_ms)
        edges = np.flatnonzero(np.diff(np.concatenate(([False], ~present, [False]))))
        instants = (grid[edges] / TICKS_PER_MS).round().astype(np.int64) + window.start_ms
        for start, end in instants.reshape(-1, 2).tolist():
            if found and found[-1][1] == start:
                found[-1] = (found[-1][0], end)
            elif start < end:
                found.append((start, end))
    return found


def _pieces(window: Window, edges: IntArray, origin_ms: int) -> tuple[IntArray, FloatArray, FloatArray, BoolArray]:
    """A grid on which the window's power is linear or absent, the power [mW] at both ends of each interval."""
    start, end = ((ms - origin_ms) * TICKS_PER_MS for ms in (window.start_ms, window.end_ms))
    steps = [steps_of(s, window.ceiling_mw, origin_ms) for s in window.series if len(s.t_ms)]
    points = np.concatenate([edges, *(part for s in steps for part in (s.t, hold_edges(s)))])
    inside = points[(points > start) & (points < end)]
    grid = np.unique(np.concatenate((inside, np.array([start, end], np.int64))))
    lower, upper = np.zeros(len(grid) - 1), np.zeros(len(grid) - 1)
    present = np.full(len(grid) - 1, bool(steps) and len(steps) == window.channels)
    for one in steps:
        at_lower, at_upper, covered = on_grid(one, grid)
        lower, upper, present = lower + at_lower, upper + at_upper, present & covered
    return grid, np.where(present, lower, 0.0), np.where(present, upper, 0.0), present


def total_of(curves: Sequence[Curve]) -> Curve:
    """The sum of some nodes' curves over the same edges.

    Where one of the nodes held has a gap the sum is not known, and is nan. Its extremes
    are the sums of the nodes' extremes: the sum was never outside of them.
    """
    held = np.stack([c.held_ms for c in curves])
    covered = np.stack([c.covered_ms for c in curves])
    unknown = ((held > 0) & (covered == 0)).any(axis=0) | ~(held > 0).any(axis=0)
    mean, low, high = (
        np.where(unknown, np.nan, np.nansum(np.stack([getattr(c, name) for c in curves]), axis=0))
        for name in ("mean_w", "min_w", "max_w")
    )
    return Curve(curves[0].edges_ms, mean, low, high, covered.sum(axis=0), held.sum(axis=0))
