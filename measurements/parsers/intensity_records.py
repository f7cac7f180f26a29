"""What a source of carbon intensity gives: slots or published means as columns, and what of it was not taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, tzinfo

from measurements.domain.units import BoolArray, FloatArray, IntArray
from measurements.parsers.records import Refusal


@dataclass(frozen=True, slots=True)
class IntensityOptions:
    """What the operator said, and what the series is; empty or None where nothing was said."""

    zone: str = ""  # as the file names it
    basis: str = ""  # direct, lifecycle
    unit: str = ""
    column: str = ""  # of the values
    time_zone: tzinfo | None = None
    step_ms: int | None = None
    year: int | None = None  # of a table that names none
    estimated: bool = False  # all of it is estimated or forecast
    fuels: Mapping[str, float] = field(default_factory=dict)  # emission factors of the basis [g CO2e/kWh]


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
    line: IntArray | None = None  # where each stands in the file
    elsewhere: int = 0  # rows of other zones
    notes: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """Means of one zone over years or months, as a table gives them."""

    resolution: str  # year, month
    start: Sequence[date]
    g_per_kwh: FloatArray
    line: IntArray
    read: int = 0  # rows, of whatever zone
    missing: int = 0
    refusals: Sequence[Refusal] = field(default=())
    elsewhere: int = 0
    notes: Sequence[str] = field(default=())
