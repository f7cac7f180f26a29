r"""From what runs on the nodes to what they draw, and what the whole building draws for them.

Power follows use at once in part, the rest (fans, leakage of warm silicon) lags behind:

.. math:: P(t) = P_0 + (1 - a) u(t) + a \int_0^\infty u(t - s) e^{-s/\tau} \, ds / \tau

with u the dynamic power asked for. It is computed on a grid and read by sensors between the grid's points.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from measurements.demo.cluster import GPUS, IT_FULL_W, MODEL_OF_NODE, NODES
from measurements.domain.units import EPOCH_DAY, BoolArray, FloatArray

LAG_S = 90.0  # time constant of the slow part
LAGGING_SHARE = 0.18  # of dynamic power
WARM_UP_S = 900  # 10 time constants: what ran before is forgotten
NOISE_SHARE = 0.012  # of dynamic power, standard deviation

SWITCHES_IDLE_W, SWITCHES_TRAFFIC_W = 620.0, 240.0  # without traffic; added while all nodes work
LOSS_SHARE, LOSS_FIXED_W = 0.035, 240.0  # of transformers and the uninterruptible supply
FREE_COOLING_BELOW_C = 12.0
COOLING_SHARE, COOLING_PER_C = 0.055, 0.011  # of the heat: pumps and fans; chillers, for each degree above that

_IDLE_W = np.array([MODEL_OF_NODE[node].idle_w for node in NODES])
_CORE_W = np.array([MODEL_OF_NODE[node].core_w for node in NODES])
_GPU_IDLE_W = np.array([MODEL_OF_NODE[node].gpu_idle_w for node, _ in GPUS])
_GPU_DYNAMIC_W = np.array([MODEL_OF_NODE[node].gpu_dynamic_w for node, _ in GPUS])
_NODE_NUMBER = {node: number for number, node in enumerate(NODES)}
_GPU_NUMBER = {gpu: number for number, gpu in enumerate(GPUS)}
_NODE_OF_GPU = np.array([_NODE_NUMBER[node] for node, _ in GPUS])
_DAY_S = 86_400


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
class Grid:
    """True power at equal steps of time [W]: nodes without their GPUs (nodes x instants), GPUs (gpus x instants)."""

    t_s: FloatArray
    rest_w: FloatArray
    gpu_w: FloatArray

    @property
    def node_w(self) -> FloatArray:
        """Whole nodes, GPUs included."""
        whole = self.rest_w.copy()
        np.add.at(whole, _NODE_OF_GPU, self.gpu_w)
        return whole


def cluster_power(
    loads: Mapping[str, Sequence[Load]],
    off: Iterable[tuple[str, int, int]],
    start_s: int,
    end_s: int,
    grid_s: int,
    rng: np.random.Generator,
) -> Grid:
    """All nodes' true power from `start_s` to `end_s` inclusive, warmed up before; ``off``: node, from, until."""
    t_s = np.arange(start_s - WARM_UP_S, end_s + grid_s, grid_s, dtype=np.float64)
    cores_w = np.zeros((len(NODES), t_s.size))
    gpus_w = np.zeros((len(GPUS), t_s.size))
    for node, held in loads.items():
        number = _NODE_NUMBER[node]
        for load in held:
            inside = slice(*_first_at(t_s, grid_s, load.start_s, load.end_s))
            if inside.start == inside.stop:
                continue
            swing = _swing(load.profile, t_s[inside] - load.start_s)
            cores_w[number, inside] += load.cores * _CORE_W[number] * load.profile.cpu * swing
            for index in load.gpu_indices if load.profile.gpu else ():
                gpu = _GPU_NUMBER[node, index]
                gpus_w[gpu, inside] += _GPU_DYNAMIC_W[gpu] * load.profile.gpu * swing
    rest_w = _IDLE_W[:, None] + _lagging(_noisy(cores_w, rng), grid_s)
    gpu_w = _GPU_IDLE_W[:, None] + _lagging(_noisy(gpus_w, rng), grid_s)
    for node, from_s, until_s in off:
        inside = slice(*_first_at(t_s, grid_s, from_s + 1, until_s))  # at both ends it is on: no slope to nothing
        rest_w[_NODE_NUMBER[node], inside] = 0.0
        gpu_w[_NODE_NUMBER[node] == _NODE_OF_GPU, inside] = 0.0
    kept = t_s >= start_s
    return Grid(t_s[kept], rest_w[:, kept], gpu_w[:, kept])


def _first_at(t_s: FloatArray, grid_s: int, *instants_s: float) -> list[int]:
    """The first grid points at or after some instants."""
    first_s = float(t_s[0])
    return [min(max(int(-((first_s - instant) // grid_s)), 0), t_s.size) for instant in instants_s]


def _swing(profile: Profile, since_s: FloatArray) -> FloatArray:
    """Use relative to the profile's level: 1, and 1 - dip at the end of each period."""
    dipping: BoolArray = (since_s % profile.period_s) >= profile.period_s * (1.0 - profile.dip_share)
    return np.where(dipping, 1.0 - profile.dip, 1.0)


def _noisy(dynamic_w: FloatArray, rng: np.random.Generator) -> FloatArray:
    """With the flicker of a busy machine; an idle one is steady."""
    flicker = rng.standard_normal(dynamic_w.shape, dtype=np.float32)
    return np.asarray(dynamic_w * (1.0 + NOISE_SHARE * flicker), dtype=np.float64)


def _lagging(dynamic_w: FloatArray, grid_s: int) -> FloatArray:
    """First-order lag of a share of the power; the kernel is cut where it is below 1e-3."""
    kernel = np.exp(-np.arange(0.0, LAG_S * 7, grid_s) / LAG_S)
    kernel /= kernel.sum()
    slow_w = kernel[0] * dynamic_w
    for back, weight in enumerate(kernel[1:], start=1):
        slow_w[:, back:] += weight * dynamic_w[:, :-back]
    return np.asarray((1.0 - LAGGING_SHARE) * dynamic_w + LAGGING_SHARE * slow_w, dtype=np.float64)


def switches_power(nodes_w: FloatArray) -> FloatArray:
    """What the network draws while the nodes together draw so much [W]."""
    return SWITCHES_IDLE_W + SWITCHES_TRAFFIC_W * nodes_w / IT_FULL_W


def facility_power(nodes_w: FloatArray, switches_w: FloatArray, t_s: FloatArray, seed: int) -> FloatArray:
    """The meter above all [W]: nodes, switches, the losses of the supply, and the cooling of all that heat."""
    it_w = nodes_w + switches_w
    losses_w = LOSS_FIXED_W + LOSS_SHARE * it_w
    warm_c = np.maximum(outside_c(t_s, seed) - FREE_COOLING_BELOW_C, 0.0)
    return it_w + losses_w + (it_w + losses_w) * (COOLING_SHARE + COOLING_PER_C * warm_c)


def outside_c(t_s: FloatArray, seed: int) -> FloatArray:
    """Outdoor temperature [°C]: season, time of day, and weather that changes from day to day."""
    days = t_s / _DAY_S
    season = 9.5 - 9.0 * np.cos(2 * np.pi * (days - 19.0) / 365.2425)
    of_day = -4.0 * np.cos(2 * np.pi * (days - 2.0 / 24))
    numbers = np.arange(int(days[0]), int(days[-1]) + 2)
    weather = [3.0 * np.random.default_rng((seed, 4, int(number))).standard_normal() for number in numbers]
    return np.asarray(season + of_day + np.interp(days, numbers, weather), dtype=np.float64)


def day_number(day: date) -> int:
    """Days since 1970-01-01, the part of a seed that belongs to a day."""
    return (day - EPOCH_DAY).days
