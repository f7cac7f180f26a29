"""Frozen sensor: the very same reading for so long, and with such evidence, that no live sensor shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from measurements.domain.channel_names import gpu_index
from measurements.domain.plausibility import ChannelDay, Found, Rule, found_span
from measurements.domain.units import MW_PER_W, FloatArray, IntArray, Kind

FROZEN_MS = 3_600_000  # of the same reading
FROZEN_SAMPLES = 30
FROZEN_GAP_MS = 900_000  # between two of them
FINE_MW = 100  # two readings of a sensor that tells so little apart
FINE_DISTINCT = 10  # readings from which its resolution is told
MOVED_SHARE = 0.1  # of the frozen reading: how far the node's own parts moved meanwhile
MOVED_LEAST_MW = 20_000
MOVED_TAIL = 5  # per cent of the parts' readings at either end that do not count
TURNS_LEAST = 4  # times that the node went from idle to busy or back
TURN_MS = 600_000  # shorter work, or idleness, is no turn


@dataclass(frozen=True, slots=True)
class Around:
    """What else is known of a node on the day."""

    parts: Sequence[ChannelDay] = ()  # its processors, memory, GPUs
    covers_gpus: bool | None = None  # whether its meter holds the GPUs; None: nobody said
    busy_ms: Sequence[tuple[int, int]] = field(default=())  # [start, end) of whatever ran on it


def constant_runs(day: ChannelDay) -> list[tuple[int, int]]:
    """The samples [low, high) of the same value that are long and dense enough to be looked at."""
    t_ms, value = day.t_ms, day.value
    if not day.is_whole_gauge or len(value) < FROZEN_SAMPLES:
        return []
    ends = np.flatnonzero((value[1:] != value[:-1]) | (t_ms[1:] - t_ms[:-1] > FROZEN_GAP_MS))
    low = np.append(0, ends + 1)
    high = np.append(ends + 1, len(value))
    long = (t_ms[high - 1] - t_ms[low] >= FROZEN_MS) & (high - low >= FROZEN_SAMPLES)
    return list(zip(low[long].tolist(), high[long].tolist(), strict=True))


def frozen(day: ChannelDay, runs: Sequence[tuple[int, int]], around: Around) -> list[Found]:
    """
    Those runs of the same reading that the sensor of a live node does not show.

    Parameters
    ----------
    day : ChannelDay
        The whole-node gauge.
    runs : sequence of (int, int)
        Of `constant_runs`.
    around : Around
        What speaks against it.

    Returns
    -------
    list of Found
        Each without its first sample, which may have been true.

    Notes
    -----
    The same reading for `FROZEN_MS` proves nothing by itself: an idle node read in whole watts shows it. One of these
    has to speak against it, and is named:

    - *parts*: the node's own parts, between the 5th and the 95th per cent of their readings in that time, moved by more
      than `MOVED_SHARE` of the reading and `MOVED_LEAST_MW`. Sure; of GPUs only where it is declared that the meter
      covers them.
    - *resolution*: the sensor tells `FINE_MW` apart on the same day (at least `FINE_DISTINCT` different readings, the
      smallest distance between two of them). Noise of fans and supplies alone is ten times that. Only reported: what
      stands for an idle node may be a rated value. Sure together with the next.
    - *jobs*: the node turned from idle to busy or back `TURNS_LEAST` times, each for `TURN_MS` at least. Only reported:
      jobs that sleep are jobs, and some sensors tell 16 W apart and no less.

    What is true and may be found: the rated value that an outlet reports of a device of constant load, if it is
    reported in steps of less than 0.1 W.
    """
    found = []
    for low, high in runs:
        evidence = _evidence(day, low, high, around)
        if evidence:
            sure = bool(evidence.pop("sure"))
            power_w = int(day.value[low]) / MW_PER_W
            found.append(found_span(Rule.FROZEN, day, low + 1, high, sure=sure, power_w=power_w, **evidence))
    return found


def _evidence(day: ChannelDay, low: int, high: int, around: Around) -> dict[str, Any]:
    """What speaks against a run; empty: nothing does."""
    start_ms, end_ms = int(day.t_ms[low]), int(day.t_ms[high - 1])
    for gpus in (False, True):  # processors and memory first: that these are in it nobody has to declare
        parts = [part for part in around.parts if (gpu_index(part.name) is not None) == gpus]
        if gpus and around.covers_gpus is False:
            continue
        moved_mw = sum(_moved_mw(part, start_ms, end_ms) for part in parts)
        if moved_mw >= max(MOVED_LEAST_MW, MOVED_SHARE * int(day.value[low])):
            sure = not gpus or bool(around.covers_gpus)
            return {"evidence": "parts", "moved_w": moved_mw / MW_PER_W, "sure": sure}
    finest = _resolution_mw(day.value)
    turns = turns_between(around.busy_ms, start_ms, end_ms)
    if finest is not None and finest <= FINE_MW:
        resolution_w = finest / MW_PER_W
        return {"evidence": "resolution", "resolution_w": resolution_w, "turns": turns, "sure": turns >= TURNS_LEAST}
    return {"evidence": "jobs", "turns": turns, "sure": False} if turns >= TURNS_LEAST else {}


def _moved_mw(part: ChannelDay, start_ms: int, end_ms: int) -> float:
    """How far a part's power moved in [start, end], without the ends of its readings."""
    low, high = np.searchsorted(part.t_ms, (start_ms, end_ms + 1))
    power = _powers_mw(part.t_ms[low:high], part.value[low:high], part.kind)
    if len(power) < FINE_DISTINCT:
        return 0.0
    first, last = np.percentile(power, (MOVED_TAIL, 100 - MOVED_TAIL)).tolist()
    return float(last - first)


def _powers_mw(t_ms: IntArray, value: IntArray, kind: Kind) -> FloatArray:
    if kind is Kind.GAUGE:
        return value.astype(np.float64)
    rose, ms = np.diff(value), np.diff(t_ms)
    return rose[rose >= 0] / ms[rose >= 0]


def _resolution_mw(value: IntArray) -> int | None:
    """The smallest distance between two different readings [mW]; None where too few are known."""
    distinct = np.unique(value)
    return int(np.diff(distinct).min()) if len(distinct) >= FINE_DISTINCT else None


def turns_between(busy_ms: Sequence[tuple[int, int]], start_ms: int, end_ms: int) -> int:
    """How often a node turned from idle to busy or back in [start, end]; what lasted less than `TURN_MS` is no turn."""
    merged: list[list[int]] = []
    for begin, end in sorted(busy_ms):
        if merged and begin - merged[-1][1] < TURN_MS:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    edges = [at for begin, end in merged if end - begin >= TURN_MS for at in (begin, end)]
    return sum(start_ms + TURN_MS <= at <= end_ms - TURN_MS for at in edges)
