"""How sure a figure is: coverage, density and the one word for both."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from measurements.domain.units import BoolArray, FloatArray, IntArray

FULL_COVERAGE = 0.95
FULL_DENSITY = 0.5
FINE_SAMPLES = 10


class Grade(IntEnum):
    """Qualities, worst first."""

    NONE = 0
    ESTIMATED = 1
    REPORTED = 2
    PARTIAL = 3
    APPORTIONED = 4
    COARSE = 5
    METERED = 6

    @property
    def word(self) -> str:
        """As it is stored and shown."""
        return self.name.lower()


def grades(
    covered_us: IntArray,
    elapsed_us: IntArray,
    samples: IntArray,
    expected: FloatArray,
    apportioned: BoolArray,
    reported: BoolArray,
    estimated: BoolArray,
) -> IntArray:
    """The quality of each allocation: the first that applies, as `Grade` values.

    ``reported`` and ``estimated`` say whether there is such a figure for what was not metered.
    """
    unmetered = np.where(reported, Grade.REPORTED, np.where(estimated, Grade.ESTIMATED, Grade.NONE))
    partial = (covered_us < FULL_COVERAGE * elapsed_us) | (samples < FULL_DENSITY * expected)
    metered = np.select(
        [partial, apportioned, samples < FINE_SAMPLES],
        [Grade.PARTIAL, Grade.APPORTIONED, Grade.COARSE],
        Grade.METERED,
    )
    return np.where(covered_us > 0, metered, unmetered).astype(np.int64)


def ratio(part: float, whole: float) -> float | None:
    """part ÷ whole; None where there is no whole."""
    return part / whole if whole else None
