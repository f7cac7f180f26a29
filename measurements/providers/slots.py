"""The slots of one answer, collected by their beginnings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from measurements.domain.units import QUARTER_MS, datetime_from_ms
from measurements.parsers.intensity_records import IntensitySlots
from measurements.providers.answers import Fields

LENGTHS_MS = (QUARTER_MS, 2 * QUARTER_MS, 4 * QUARTER_MS)


@dataclass(slots=True)
class Collected:
    """Slots that begin in [start, end); whatever else an answer holds is left out, and so is what is not known."""

    answer: Fields
    start_ms: int
    end_ms: int
    _rows: dict[int, tuple[int, float, bool, int]] = field(default_factory=dict)

    def add(self, begin_ms: int, length_ms: int, g_per_kwh: float, *, estimated: bool, version: int = 0) -> None:
        """Take a slot; of one slot told twice the later version stays, of equal ones what came last."""
        if not self.start_ms <= begin_ms < self.end_ms or math.isnan(g_per_kwh):
            return
        if begin_ms % QUARTER_MS or length_ms not in LENGTHS_MS:
            told = f"{length_ms / 60_000:g} minutes from {datetime_from_ms(begin_ms):%Y-%m-%d %H:%M:%S}"
            raise self.answer.wrong(f"a slot of {told}: slots are of 15, 30 or 60 minutes and begin at quarter hours")
        known = self._rows.get(begin_ms)
        if known is None or version >= known[3]:
            self._rows[begin_ms] = (begin_ms + length_ms, g_per_kwh, estimated, version)

    def slots(self, zone: str = "", basis: str = "", *, dated: bool = False) -> IntensitySlots:
        """In the order of time; what the answer says of zone and basis, and whether versions are times of changes."""
        begins = sorted(self._rows)
        rows = [self._rows[begin] for begin in begins]
        return IntensitySlots(
            start_ms=np.array(begins, np.int64),
            end_ms=np.array([row[0] for row in rows], np.int64),
            g_per_kwh=np.array([row[1] for row in rows], np.float64),
            estimated=np.array([row[2] for row in rows], np.bool_),
            zone=zone,
            basis=basis,
            updated_ms=np.array([row[3] for row in rows], np.int64) if dated else None,
        )
