"""Whether a figure over several people may be shown to others: enough of them, and none who makes most of it."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from measurements.domain.units import FloatArray

FEWEST_EVER = 3
LARGEST_ONE = 0.8  # of a group's energy
LARGEST_TWO = 0.9


class Withheld(StrEnum):
    """Why a figure of others is not shown."""

    FEW_PEOPLE = "few_people"
    DOMINATED = "dominated"


def may_show(energy_by_person: FloatArray, k: int) -> Withheld | None:
    """
    None if a figure over these people may be shown to whoever is none of them; else why not.

    Parameters
    ----------
    energy_by_person : array [people]
        What each of them drew [J].
    k : int
        The fewest people behind a figure, never below 3.

    Notes
    -----
    The dominance rule of statistical offices: none of more than 80 %, no two of more than 90 % of the sum.

    Examples
    --------
    >>> may_show(np.array([1.0, 1.0, 1.0, 1.0]), 5).value
    'few_people'
    >>> may_show(np.array([9.0, 0.1, 0.1, 0.1, 0.1]), 5).value
    'dominated'
    >>> may_show(np.full(5, 2.0), 5) is None
    True
    """
    parts = np.sort(energy_by_person[energy_by_person > 0])[::-1]
    if len(parts) < max(k, FEWEST_EVER):
        return Withheld.FEW_PEOPLE
    whole = parts.sum()
    return Withheld.DOMINATED if parts[0] > LARGEST_ONE * whole or parts[:2].sum() > LARGEST_TWO * whole else None
