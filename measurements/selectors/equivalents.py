"""What an energy or its emissions compare with: at most two, each with its source, none of less than 1 kWh."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from time import time

from measurements.domain.units import J_PER_KWH
from measurements.models import ReferenceFactor

LEAST_J = J_PER_KWH
AT_MOST = 2
S_PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Equivalent:
    """So many of something; ``factor`` says of what, and from where."""

    amount: float  # days, km, months
    factor: ReferenceFactor
    of_energy: bool  # else of emissions


def equivalents(energy_j: float, grams: float | None) -> tuple[Equivalent, ...]:
    """Those of energy first, for they take no carbon intensity for granted; at most a query a minute."""
    if energy_j < LEAST_J:
        return ()
    found = [made for row in shown_rows(int(time() // S_PER_MINUTE)) if (made := _made(row, energy_j, grams))]
    found.sort(key=lambda each: (not each.of_energy, each.factor.pk))
    return tuple(found[:AT_MOST])


@lru_cache(maxsize=1)
def shown_rows(_minute: int) -> tuple[ReferenceFactor, ...]:
    """Of each equivalent that is shown the newest row, remembered for a minute: pages ask for them all the time."""
    rows = ReferenceFactor.objects.filter(kind=ReferenceFactor.Kind.EQUIVALENT, shown=True, value__gt=0)
    return tuple({row.key: row for row in rows.order_by("pk")}.values())


def _made(row: ReferenceFactor, energy_j: float, grams: float | None) -> Equivalent | None:
    """None for a unit that is neither of energy nor of emissions."""
    if row.unit.startswith("kWh/"):
        return Equivalent(energy_j / J_PER_KWH / row.value, row, of_energy=True)
    if row.unit.startswith("g/") and grams is not None:
        return Equivalent(grams / row.value, row, of_energy=False)
    return None
