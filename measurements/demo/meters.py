"""What the simulated sensors say of the true power: whole watts, a little early or late, some missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from measurements.demo import rhythm
from measurements.demo.cluster import GPUS, NODES
from measurements.demo.faults import freeze, silences
from measurements.demo.physics import Grid, Load, cluster_power, day_number, facility_power, switches_power
from measurements.demo.rhythm import DAY_S
from measurements.demo.schedule import plan_period
from measurements.domain.units import MS_PER_S, BoolArray, FloatArray, IntArray, day_start_ms

FINE_S, COARSE_S = 30, 60  # how often the meters are asked: lately, and in the older part
FINE_GRID_S, COARSE_GRID_S = 10, 60
FINE_PHASE_S, COARSE_PHASE_S = (16.0, 29.0), 31.0  # after the full interval; a sample stands for half of one before it
JITTER_S = 0.25  # standard deviation of a time stamp
MISSING_SHARE = 0.004  # of samples
_FINE, _COARSE = 2, 7  # parts of a seed


@dataclass(frozen=True, slots=True)
class Readings:
    """A UTC day of all meters, each asked at its own instants [ms]; -1 W where nothing was answered."""

    t_ms: IntArray  # (nodes, switches, facility) x times
    watts: IntArray  # likewise
    gpu_watts: IntArray  # gpus x times: at the instants of its node


@dataclass(frozen=True, slots=True)
class Table:
    """A UTC day of all whole-node meters, asked together; -1 W where nothing was answered."""

    t_ms: IntArray  # times
    watts: IntArray  # (nodes, switches, facility) x times


@lru_cache(maxsize=2)  # the running site asks for the same day every minute
def fine_day(seed: int, day: date) -> Readings:
    """Every meter asked every 30 s, GPUs included."""
    rng = np.random.default_rng((seed, _FINE, day_number(day)))
    grid = _power(seed, day, FINE_GRID_S, rng)
    due_s = np.arange(_start_s(day), _start_s(day) + DAY_S, FINE_S)
    phase_s = rng.uniform(*FINE_PHASE_S, (len(NODES) + 2, 1))  # pollers do not ask every node in the same second
    asked_s = due_s + phase_s + _jitter(rng, (len(NODES) + 2, due_s.size))
    t_ms = np.rint(asked_s * MS_PER_S).astype(np.int64)
    true_w = _with_meters_above(grid, seed)
    watts = _read(grid, true_w, t_ms)
    _freeze(watts, day, t_ms)
    answered = rng.random(watts.shape) >= MISSING_SHARE
    watts[~(answered & _heard(seed, day, t_ms))] = -1
    gpu_watts = _read(grid, grid.gpu_w, t_ms[[NODES.index(node) for node, _ in GPUS]])
    gpu_watts[rng.random(gpu_watts.shape) < MISSING_SHARE] = -1
    return Readings(t_ms, watts, gpu_watts)


def coarse_day(seed: int, day: date) -> Table:
    """The whole nodes and the meters above them asked every 60 s, all at once."""
    rng = np.random.default_rng((seed, _COARSE, day_number(day)))
    grid = _power(seed, day, COARSE_GRID_S, rng)
    due_s = np.arange(_start_s(day), _start_s(day) + DAY_S, COARSE_S)
    t_ms = np.rint((due_s + COARSE_PHASE_S + _jitter(rng, due_s.shape)) * MS_PER_S).astype(np.int64)
    true_w = _with_meters_above(grid, seed)
    every = np.broadcast_to(t_ms, (true_w.shape[0], t_ms.size))
    watts = _read(grid, true_w, every)
    answered = rng.random(watts.shape, dtype=np.float32) >= MISSING_SHARE
    watts[~(answered & _heard(seed, day, every))] = -1
    return Table(t_ms, watts)


def _power(seed: int, day: date, grid_s: int, rng: np.random.Generator) -> Grid:
    start_s = _start_s(day)
    loads: dict[str, list[Load]] = {}
    for run in plan_period(seed, start_s - DAY_S // 24, start_s + DAY_S):
        for node in run.lane.nodes:
            loads.setdefault(node, []).append(run.load())
    return cluster_power(loads, _off(seed, day), start_s, start_s + DAY_S, grid_s, rng)


def _off(seed: int, day: date) -> Iterable[tuple[str, int, int]]:
    """Nodes that are switched off at some time of a UTC day."""
    for begun in (day - timedelta(days=1), day):
        yield from ((sleep.node, sleep.start_s, sleep.end_s) for sleep in rhythm.sleeps(seed, begun))


def _with_meters_above(grid: Grid, seed: int) -> FloatArray:
    """Nodes, then the switches, then the facility."""
    node_w = grid.node_w
    nodes_w = node_w.sum(axis=0)
    switches_w = switches_power(nodes_w)
    return np.vstack([node_w, switches_w, facility_power(nodes_w, switches_w, grid.t_s, seed)])


def _heard(seed: int, day: date, t_ms: IntArray) -> BoolArray:
    """Where a node's meter neither is silent nor the node switched off."""
    heard = np.ones(t_ms.shape, bool)
    quiet = [(silence.node, silence.start_s, silence.end_s) for silence in silences(seed, day)]
    for node, start_s, end_s in (*quiet, *_off(seed, day)):
        row = NODES.index(node)
        heard[row] &= (t_ms[row] < start_s * MS_PER_S) | (t_ms[row] >= end_s * MS_PER_S)
    return heard


def _freeze(watts: IntArray, day: date, t_ms: IntArray) -> None:
    """Have the meter that hangs repeat its last reading; the GPUs are read by another way."""
    hung = freeze(day)
    if hung:
        row = NODES.index(hung.node)
        within = (t_ms[row] >= hung.start_s * MS_PER_S) & (t_ms[row] < hung.end_s * MS_PER_S)
        watts[row, within] = watts[row, within][0]


def _read(grid: Grid, true_w: FloatArray, t_ms: IntArray) -> IntArray:
    """True power at the instants of each series, linear between the grid's points, in whole watts."""
    step_s = float(grid.t_s[1] - grid.t_s[0])
    place = (t_ms / MS_PER_S - grid.t_s[0]) / step_s
    left = np.minimum(place.astype(np.int64), grid.t_s.size - 2)
    share = place - left
    low = np.take_along_axis(true_w, left, axis=1)
    high = np.take_along_axis(true_w, left + 1, axis=1)
    return np.asarray(np.rint(low + (high - low) * share), dtype=np.int64)


def _jitter(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    return np.asarray(np.clip(rng.normal(0.0, JITTER_S, shape), -0.9, 0.9), dtype=np.float64)


def _start_s(day: date) -> int:
    return day_start_ms(day) // MS_PER_S
