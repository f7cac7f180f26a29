"""Whether a GPU is idle, from its power alone.

A power log knows nothing of utilisation. What it shows is that a GPU draws no more than one without work
does: a GPU is idle while its power, linear between samples, is at most `IDLE_FACTOR` × its idle power.
"""

from __future__ import annotations

from dataclasses import dataclass

from measurements.domain.units import FloatArray, IntArray

IDLE_FACTOR = 1.2  # sensors read some watts apart; a GPU at work draws several times its idle power


@dataclass(frozen=True, slots=True)
class GpuIdleness:
    """One GPU, one value a span."""

    known: IntArray  # ticks in which its power and the meter that covers it are
    idle: FloatArray  # ticks, part of them; a line crosses the limit anywhere
    energy: FloatArray  # drawn in `idle`, quarter µJ
