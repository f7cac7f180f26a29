"""Whether two clocks agree: do power and jobs of a node rise and fall together, or do they only after a shift?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from measurements.domain.units import HOUR_MS, FloatArray, IntArray

SHIFTS_H = tuple(range(-14, 15))  # no two time zones are further apart on one day, one in UTC
LEAST_HOURS = 48  # node-hours with power below which nothing is said
GOOD = 0.4  # a correlation that says something
BETTER = 0.15  # by how much another shift has to be better


@dataclass(frozen=True, slots=True)
class NodeHours:
    """One node: mean power of whole hours, ascending, and what was held on it from when to when."""

    hour: IntArray  # hours since 1970, UTC
    mean_w: FloatArray
    start_ms: IntArray
    end_ms: IntArray
    weight: FloatArray  # cores held


@dataclass(frozen=True, slots=True)
class ClockFit:
    """How well power follows the jobs as they are dated, and if they are moved by ``shift_h``: -1 to 1."""

    shift_h: int
    fit: float
    fit_as_dated: float

    @property
    def suspicious(self) -> bool:
        """Whether the jobs belong elsewhere."""
        return self.shift_h != 0 and self.fit >= GOOD and self.fit - self.fit_as_dated >= BETTER


def clock_fit(nodes: Sequence[NodeHours]) -> ClockFit | None:
    """The shift of the jobs by whole hours at which power follows them best; None if there is too little to say.

    Each node's power is taken relative to its own mean and spread, so that a large node says no more than a small one.
    """
    known = [node for node in nodes if len(node.hour) > 1 and np.ptp(node.mean_w) > 0 and len(node.start_ms)]
    if sum(len(node.hour) for node in known) < LEAST_HOURS:
        return None
    power = np.concatenate([_standard(node.mean_w) for node in known])
    fits = np.array([_correlation(power, [_held(node, shift) for node in known]) for shift in SHIFTS_H])
    zero, best = SHIFTS_H.index(0), int(np.argmax(fits))
    return ClockFit(SHIFTS_H[best], float(fits[best]), float(fits[zero]))


def _held(node: NodeHours, shift_h: int) -> FloatArray:
    """Mean weight held in each of a node's hours, if all of it is moved by some hours; less its mean."""
    edges = np.concatenate([node.hour, node.hour + 1]) * HOUR_MS - shift_h * HOUR_MS
    grown = _ramp(edges, node.start_ms, node.weight) - _ramp(edges, node.end_ms, node.weight)
    held = (grown[len(node.hour) :] - grown[: len(node.hour)]) / HOUR_MS
    return held - held.mean()


def _ramp(at: IntArray, since: IntArray, weight: FloatArray) -> FloatArray:
    """Σ weight × (at − since) over all ``since`` before ``at``."""
    order = np.argsort(since, kind="stable")
    begin, w = since[order].astype(np.float64), weight[order]
    sums, moments = np.append(0.0, np.cumsum(w)), np.append(0.0, np.cumsum(w * (begin - begin[0])))
    place = np.searchsorted(begin, at)
    return sums[place] * (at - begin[0]) - moments[place]


def _standard(values: FloatArray) -> FloatArray:
    return (values - values.mean()) / values.std()


def _correlation(power: FloatArray, held: Sequence[FloatArray]) -> float:
    spread = [np.sqrt(np.mean(part**2)) for part in held]
    scaled = np.concatenate(
        [part / s if s > 1e-9 else np.zeros_like(part) for part, s in zip(held, spread, strict=True)]
    )
    return float(np.mean(power * scaled))
