"""What stands above the nodes, from meters: the share of infrastructure, and the PUE.

Energies of nodes are first raised to what all nodes drew that were on (÷ coverage), since meters above nodes do not
miss those that nobody measured. What the unmeasured nodes carry of the overhead is nobody's in the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from measurements.domain.carbon import HIGHEST_PUE, LOWEST_PUE
from measurements.domain.units import QUARTERS_PER_DAY, BoolArray, FloatArray

LEAST_COVERAGE = 0.95  # of the nodes in a quarter hour: below, meters above nodes can't be held against them
LEAST_QUARTERS = 8  # of a day, and half of those that are over, for a PUE of that day


@dataclass(frozen=True, slots=True)
class Measured:
    """Meters by quarter hour [n]; nan: not known."""

    nodes_j: FloatArray
    coverage: FloatArray  # covered ÷ time in which nodes were on, 0 to 1
    infrastructure_j: FloatArray
    facility_j: FloatArray
    over: FloatArray  # 1 where the quarter hour is over, else 0


def infrastructure_share(measured: Measured) -> FloatArray:
    """Energy of shared infrastructure ÷ that of all nodes that were on [n]; nan where either is not known."""
    nodes_j = _all_nodes_j(measured)
    share: FloatArray = np.full(len(nodes_j), np.nan)
    return np.divide(measured.infrastructure_j, nodes_j, out=share, where=nodes_j > 0)


def daily_pue(measured: Measured, share: FloatArray) -> tuple[FloatArray, BoolArray]:
    """
    PUE of each UTC day.

    Parameters
    ----------
    measured : Measured
        Whole UTC days.
    share : array of n
        Infrastructure ÷ nodes as it is priced; 0 where none is known.

    Returns
    -------
    (array of days, array of days)
        The PUE, nan where too little of the day is known or it is outside of 1 to 5; and on which days it is outside.

    Notes
    -----
    PUE = Σ facility ÷ Σ IT over the quarter hours of which both are known (ISO/IEC 30134-2, of a day instead of a
    year). IT are nodes and shared infrastructure.
    """
    it_j = _all_nodes_j(measured) * (1 + share)
    usable = (it_j > 0) & (measured.facility_j > 0)
    days = usable.reshape(-1, QUARTERS_PER_DAY).sum(axis=1)
    over = measured.over.reshape(-1, QUARTERS_PER_DAY).sum(axis=1)
    enough = (days >= LEAST_QUARTERS) & (days >= over / 2)
    sums = [np.where(usable, x, 0.0).reshape(-1, QUARTERS_PER_DAY).sum(axis=1) for x in (measured.facility_j, it_j)]
    raw = np.divide(sums[0], sums[1], out=np.full(len(days), np.nan), where=enough & (sums[1] > 0))
    possible = (raw >= LOWEST_PUE) & (raw <= HIGHEST_PUE)
    return np.where(possible, raw, np.nan), ~np.isnan(raw) & ~possible


def _all_nodes_j(measured: Measured) -> FloatArray:
    enough = measured.coverage >= LEAST_COVERAGE
    return np.divide(measured.nodes_j, measured.coverage, out=np.full(len(enough), np.nan), where=enough)
