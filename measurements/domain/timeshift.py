"""When energy was drawn against when the grid was green, and what another time would have meant.

Only quarter hours count of which the intensity itself is known (measured or estimated): the mean of a month or a year
says nothing of hours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from measurements.domain.carbon import Part, PriceList, Rung
from measurements.domain.units import J_PER_KWH, BoolArray, FloatArray

GREENEST_PART = 1 / 3
RESOLVED = (Rung.MEASURED, Rung.ESTIMATED)


@dataclass(frozen=True, slots=True)
class Timing:
    """How a load lay in a grid's hours."""

    drawn_g_per_kwh: float  # mean weighted by the energy
    grid_g_per_kwh: float  # mean over time: what a flat load would have
    greenest_share: float  # of the energy, drawn in the greenest part of the time
    greenest_part: float  # of the time
    known_share: float  # of the energy, in quarter hours of which the intensity itself is known

    @property
    def greener(self) -> float:
        """By how much the load is greener than a flat one; negative: less green."""
        return 1 - self.drawn_g_per_kwh / self.grid_g_per_kwh if self.grid_g_per_kwh else 0.0


@dataclass(frozen=True, slots=True)
class Shift:
    """What if: the same energy at the greenest quarter hours near to when it was drawn."""

    reach_h: float
    drawn_g: float
    shifted_g: float

    @property
    def saved_share(self) -> float:
        """Less by so much, 0 to 1."""
        return 1 - self.shifted_g / self.drawn_g if self.drawn_g else 0.0


def time_resolved(prices: PriceList) -> BoolArray:
    """The quarter hours [n] of which the location-based intensity itself is known, not a mean of a longer time."""
    of_hour = np.array([origin.rung in RESOLVED for origin in prices.origins] + [False])
    found: BoolArray = of_hour[prices.origin[Part.LOCATION]]
    return found


def greenest_share(energy_j: FloatArray, g_per_kwh: FloatArray, part: float = GREENEST_PART) -> float:
    """
    Give the share of energy that was drawn in the greenest part of the time.

    Parameters
    ----------
    energy_j : array of n
        Energy by slot, all slots equally long [J]; not all 0.
    g_per_kwh : array of n
        Carbon intensity of each slot [g CO2e/kWh].
    part : float
        Of the slots, 0 to 1.

    Returns
    -------
    float
        0 to 1; ``part`` for a flat load.

    Notes
    -----
    Slots are taken by rising intensity until they are ``part · n``. Of the last ones, all of one intensity, the same
    part of each is taken: the order of equal slots decides nothing.

    Examples
    --------
    All of it in one of three hours, the greenest; then the intensity is the same all the time:

    >>> greenest_share(np.array([1.0, 0.0, 0.0]), np.array([100.0, 300.0, 200.0]))
    1.0
    >>> round(greenest_share(np.array([1.0, 0.0, 0.0]), np.array([100.0, 100.0, 100.0])), 3)
    0.333
    """
    levels, place, count = np.unique(g_per_kwh, return_inverse=True, return_counts=True)
    energy = np.bincount(place, energy_j, len(levels))
    before = np.cumsum(count) - count
    taken = np.clip((part * len(g_per_kwh) - before) / count, 0.0, 1.0)
    return float((energy * taken).sum() / energy_j.sum())


def timing(energy_j: FloatArray, g_per_kwh: FloatArray, known: BoolArray) -> Timing | None:
    """
    Compare a load with a flat one.

    Parameters
    ----------
    energy_j : array of n
        Energy by quarter hour [J].
    g_per_kwh : array of n
        Carbon intensity of the grid [g CO2e/kWh].
    known : mask of n
        Which quarter hours count.

    Returns
    -------
    Timing or None
        None where nothing was drawn in quarter hours that count, or the intensity never changes.

    Notes
    -----
    Load: Σ E · CI / Σ E; grid: Σ CI / n, both over the quarter hours that count.
    """
    energy, intensity = energy_j[known], g_per_kwh[known]
    if not energy.sum() > 0 or np.ptp(intensity) == 0:
        return None
    return Timing(
        drawn_g_per_kwh=float((energy * intensity).sum() / energy.sum()),
        grid_g_per_kwh=float(intensity.mean()),
        greenest_share=greenest_share(energy, intensity),
        greenest_part=GREENEST_PART,
        known_share=float(energy.sum() / energy_j.sum()),
    )


def shifted(
    energy_j: FloatArray, g_per_kwh: FloatArray, known: BoolArray, reach: int, slots_per_h: int = 4
) -> Shift | None:
    """
    Say what a load would have emitted at the greenest slot near to when it was drawn.

    Parameters
    ----------
    energy_j : array of n
        Energy of the facility by consecutive slot [J].
    g_per_kwh : array of n
        Carbon intensity of each [g CO2e/kWh].
    known : mask of n
        Slots that count; energy in others stays out of both figures, and nothing is shifted into them.
    reach : int
        How many slots earlier or later.
    slots_per_h : int
        Slots of an hour.

    Returns
    -------
    Shift or None
        None where nothing was drawn in slots that count.

    Notes
    -----
    what-if[g] = Σ E_slot · (CI_slot − CI_slot'), slot' the greenest with abs(slot' − slot) ≤ reach. A bound: each
    slot's energy is moved on its own, and there is no limit to what a slot can take. At the ends of the period only
    the slots inside of it are known.

    Examples
    --------
    1 kWh at 400 g/kWh, and 100 g/kWh two slots later:

    >>> at = np.array([3.6e6, 0.0, 0.0]), np.array([400.0, 200.0, 100.0]), np.full(3, True)
    >>> shifted(*at, reach=1).shifted_g, shifted(*at, reach=2).shifted_g
    (200.0, 100.0)
    """
    kwh = np.where(known, energy_j, 0.0) / J_PER_KWH
    if not kwh.sum() > 0:
        return None
    padded = np.pad(np.where(known, g_per_kwh, np.inf), reach, constant_values=np.inf)
    lowest = _lowest(padded, 2 * reach + 1)
    drawn = kwh > 0
    return Shift(
        reach_h=reach / slots_per_h,
        drawn_g=float((kwh[drawn] * g_per_kwh[drawn]).sum()),
        shifted_g=float((kwh[drawn] * lowest[drawn]).sum()),
    )


def _lowest(values: FloatArray, width: int) -> FloatArray:
    """Of each run of ``width`` values: of twice as many from two runs, and so on."""
    have = 1
    while have < width:
        step = min(have, width - have)
        values = np.minimum(values[:-step], values[step:])
        have += step
    return values
