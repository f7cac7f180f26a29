r"""From what runs on a node to what its power sensors say.

Power follows use at once in part, the rest (fans, leakage of warm silicon) lags behind:

.. math:: P(t) = P_0 + (1 - a) u(t) + a \int_0^\infty u(t - s) e^{-s/\tau} \, ds / \tau

with u the dynamic power asked for. It is computed on a grid of `GRID_S` seconds and read
by sensors between the grid's points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.demo.cluster import NodeModel
from measurements.domain.units import MS_PER_S, FloatArray, IntArray

GRID_S = 10
LAG_S = 90.0  # time constant of the slow part
LAGGING_SHARE = 0.18  # of dynamic power
WARM_UP_S = 3_600  # 40 time constants: what ran before is forgotten
NOISE_SHARE = 0.012  # of dynamic power, standard deviation
JITTER_S = 0.25  # standard deviation of a time stamp
MISSING_SHARE = 0.004  # of samples


@dataclass(frozen=True, slots=True)
class Profile:
    """How hard a code works: share of its cores and GPUs in use, 0 to 1, with a dip every so often."""

    cpu: float
    gpu: float = 0.0
    dip: float = 0.0  # share of its use that a dip takes away
    period_s: float = 600.0
    dip_share: float = 0.1  # of the period

    def mean(self, level: float) -> float:
        """Mean use over whole periods, 0 to 1."""
        return level * (1.0 - self.dip * self.dip_share)


@dataclass(frozen=True, slots=True)
class Load:
    """What one job asks of one node, from `start_s` to `end_s` (seconds since the epoch)."""

    start_s: float
    end_s: float
    cores: int
    gpu_indices: tuple[int, ...]
    profile: Profile


@dataclass(frozen=True, slots=True)
class NodePower:
    """True power on the grid [W]: the node without its GPUs, and each GPU (gpus x instants)."""

    t_s: FloatArray
    rest_w: FloatArray
    gpu_w: FloatArray

    @property
    def node_w(self) -> FloatArray:
        """The whole node, GPUs included."""
        return np.asarray(self.rest_w + self.gpu_w.sum(axis=0), dtype=np.float64)


def node_power(
    model: NodeModel, loads: Sequence[Load], start_s: int, end_s: int, rng: np.random.Generator
) -> NodePower:
    """A node's true power from `start_s` to `end_s` inclusive, warmed up for `WARM_UP_S` before."""
    t_s = np.arange(start_s - WARM_UP_S, end_s + GRID_S, GRID_S, dtype=np.float64)
    cores_w = np.zeros(t_s.size)
    gpus_w = np.zeros((model.gpus, t_s.size))
    for load in loads:
        inside = slice(*np.searchsorted(t_s, [load.start_s, load.end_s]))
        swing = _swing(load.profile, t_s[inside] - load.start_s)
        cores_w[inside] += load.cores * model.core_w * load.profile.cpu * swing
        for index in load.gpu_indices:
            gpus_w[index, inside] += model.gpu_dynamic_w * load.profile.gpu * swing
    kept = t_s >= start_s
    rest_w = model.idle_w + _lagging(_noisy(cores_w, rng))
    gpu_w = np.array([model.gpu_idle_w + _lagging(_noisy(w, rng)) for w in gpus_w]).reshape(model.gpus, t_s.size)
    return NodePower(t_s[kept], rest_w[kept], gpu_w[:, kept])


def _swing(profile: Profile, since_s: FloatArray) -> FloatArray:
    """Use relative to the profile's level: 1, and 1 - dip at the end of each period."""
    dipping = (since_s % profile.period_s) >= profile.period_s * (1.0 - profile.dip_share)
    return np.where(dipping, 1.0 - profile.dip, 1.0)


def _noisy(dynamic_w: FloatArray, rng: np.random.Generator) -> FloatArray:
    """With the flicker of a busy machine; an idle one is steady."""
    return np.asarray(dynamic_w * (1.0 + NOISE_SHARE * rng.standard_normal(dynamic_w.size)), dtype=np.float64)


def _lagging(dynamic_w: FloatArray) -> FloatArray:
    """First-order lag of a share of the power; the kernel is cut where it is below 1e-4."""
    steps = np.arange(int(LAG_S * 9.3 / GRID_S) + 1)
    kernel = np.exp(-steps * GRID_S / LAG_S)
    slow_w = np.convolve(dynamic_w, kernel / kernel.sum())[: dynamic_w.size]
    return np.asarray((1.0 - LAGGING_SHARE) * dynamic_w + LAGGING_SHARE * slow_w, dtype=np.float64)


def read_sensor(
    power: NodePower, watts: FloatArray, interval_s: int, rng: np.random.Generator
) -> tuple[IntArray, NDArray[np.int64]]:
    """What a sensor asked every `interval_s` answers: instants [ms] and whole watts, a few missing."""
    due_s = np.arange(power.t_s[0], power.t_s[-1], interval_s)
    phase_s = rng.uniform(1.0, min(interval_s, 20) - 1.0)  # pollers do not ask every node in the same second
    asked_s = due_s + phase_s + np.clip(rng.normal(0.0, JITTER_S, due_s.size), -0.9, 0.9)
    answered = rng.random(due_s.size) >= MISSING_SHARE
    t_ms = np.rint(asked_s * MS_PER_S).astype(np.int64)[answered]
    return t_ms, np.rint(np.interp(t_ms / MS_PER_S, power.t_s, watts)).astype(np.int64)
