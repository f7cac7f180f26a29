"""What a source of carbon intensity gives: slots as columns, and what of it was not taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from measurements.domain.units import BoolArray, FloatArray, IntArray
from measurements.parsers.records import Refusal


@dataclass(frozen=True, slots=True)
class IntensitySlots:
    """Slots [start, end) of one zone, as columns of equal length, in any order; missing values are left out or nan."""

    start_ms: IntArray
    end_ms: IntArray
    g_per_kwh: FloatArray
    estimated: BoolArray  # or forecast
    zone: str = ""  # as the source says; empty: it does not
    basis: str = ""  # direct, lifecycle; likewise
    updated_ms: IntArray | None = None  # when the publisher last changed each
    read: int = 0  # rows, of whatever zone
    missing: int = 0  # rows without a value
    refusals: Sequence[Refusal] = field(default=())
