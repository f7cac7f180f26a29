"""What a meter above nodes shows beside those below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date

from measurements.domain.quality import ratio


@dataclass(frozen=True, slots=True)
class Comparison:
    """A meter against those right below it, in the hours in which that says something."""

    read_j: float  # all that the meter shows, compared or not
    read_s: float
    meter_j: float  # in the hours compared
    below_j: float
    meter_unplaced_j: float  # known of its counter in these hours, not placed in time
    below_unplaced_j: float
    unplaced_elsewhere_j: float  # known of either, perhaps of other hours: not compared
    compared_s: float  # of the meter's known time
    left_out_s: float  # of the meter's known time in hours that are not compared
    unmeasured_s: float  # node-seconds below without measurement in the hours compared
    unmeasured_j: float  # about what was drawn in them, at the mean power of what is measured

    @property
    def difference_j(self) -> float:
        """What the meter shows above the sum of those below it."""
        return (self.meter_j + self.meter_unplaced_j) - (self.below_j + self.below_unplaced_j)

    @property
    def share(self) -> float | None:
        """The difference as a part of what the meter shows."""
        return ratio(self.difference_j, abs(self.meter_j + self.meter_unplaced_j))

    @property
    def other_j(self) -> float:
        """What no meter below explains, not even roughly."""
        return self.difference_j - self.unmeasured_j


@dataclass(frozen=True, slots=True)
class MeterDay:
    """A comparison on a UTC day."""

    day: date
    figures: Comparison


@dataclass(frozen=True, slots=True)
class MeterReport:
    """A meter above nodes over a period; days on which it was not read are left out."""

    pk: int
    name: str
    level: str
    parent: str
    below: int  # meters right below it that ever had a sample
    unmetered: tuple[str, ...]  # right below it, without any
    total: Comparison
    days: tuple[MeterDay, ...]


def together(parts: Sequence[Comparison]) -> Comparison:
    """Several comparisons as one."""
    return Comparison(*(float(sum(getattr(part, field.name) for part in parts)) for field in fields(Comparison)))
