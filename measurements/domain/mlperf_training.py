"""How MLPerf Training itself counts the energy of a run: for comparison, never for the ledger.

Source: mlcommons/logging, ``result_summarizer`` (``_compute_power_node``), June 2024. It is the mean power of the whole
log times the run time, not an integral over the run: a log that began two minutes early, with the node idle, lowers it
by 3 %. The ledger integrates the readings between the run's start and its end (docs/methodology.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from measurements.domain.units import MS_PER_S, FloatArray, IntArray

FEWEST_RUNS = 3  # the fastest and the slowest are dropped


@dataclass(frozen=True, slots=True)
class PowerLog:
    """The log of one node: readings in the order of the file [ms since the epoch, W]."""

    started_ms: int  # power_measurement_start
    stopped_ms: int  # power_measurement_stop
    t_ms: IntArray
    watts: FloatArray
    conversion_eff: float = 1.0


def node_energy_j(log: PowerLog, run_s: float) -> float:
    """E = η · T · Σ Pᵢ (tᵢ − tᵢ₋₁) / (t_end − t₀) [J], from the log's start t₀ to its stop or last reading t_end.

    ``run_s`` is T, the run time [s]; η is the conversion from behind the power supplies to the wall. A log without
    duration has no mean power: 0 J.
    """
    if not len(log.t_ms):
        return 0.0
    steps_s = np.diff(log.t_ms, prepend=log.started_ms) / MS_PER_S
    whole_s = (max(log.stopped_ms, int(log.t_ms[-1])) - log.started_ms) / MS_PER_S
    return float(log.conversion_eff * run_s * (log.watts * steps_s).sum() / whole_s) if whole_s > 0 else 0.0


def run_energy_j(logs: Sequence[PowerLog], switches_w: float, run_s: float) -> float:
    """The energy of a run [J]: its nodes', and the estimated power of the switches [W] over the run time [s]."""
    return sum(node_energy_j(log, run_s) for log in logs) + switches_w * run_s


def score_j(runs: Sequence[tuple[float, float]], scaling: float) -> float:
    """The published energy [J] of runs (time [s], energy [J]): the mean without the fastest and the slowest, scaled.

    ``scaling`` is the benchmark's factor for how many more epochs the reference needs to converge.
    """
    if len(runs) < FEWEST_RUNS:
        raise ValueError(
            f"{len(runs)} runs: at least {FEWEST_RUNS} are needed, for the fastest and slowest are dropped"
        )
    kept = sorted(runs)[1:-1]
    return scaling * sum(energy for _, energy in kept) / len(kept)
