"""The arithmetic of a budget: what is available, used and left, which warnings are due, and when it runs out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from measurements.domain.units import FloatArray

WARNING_LEVELS = (0.8, 1.0)


class CarryOver(StrEnum):
    """What is taken over from the period before."""

    NONE = "none"
    UNUSED = "unused"
    BOTH = "both"  # what is left, or overdrawn


@dataclass(frozen=True, slots=True)
class Account:
    """A budget and what was used of it, all in one unit."""

    amount: float
    carried: float  # from the period before; negative: overdrawn
    metered: float  # used
    filled: float  # not metered: reported or estimated instead
    count_filled: bool = False

    @property
    def available(self) -> float:
        """Amount + carried."""
        return self.amount + self.carried

    @property
    def used(self) -> float:
        """What counts: metered, and what is not metered if the budget says so."""
        return self.metered + (self.filled if self.count_filled else 0.0)

    @property
    def used_with_filled(self) -> float:
        """Metered and not metered: a dead meter makes no job free."""
        return self.metered + self.filled

    @property
    def remaining(self) -> float:
        """Available − used; negative: overdrawn."""
        return self.available - self.used

    def share_of(self, value: float) -> float | None:
        """Value ÷ available; None: nothing is available (the period before was overdrawn by all of it)."""
        return value / self.available if self.available > 0 else None

    @property
    def share(self) -> float | None:
        """Used ÷ available, 0 up."""
        return self.share_of(self.used)

    @property
    def share_with_filled(self) -> float | None:
        """The same with what is not metered."""
        return self.share_of(self.used_with_filled)


def carried_over(rule: CarryOver, remaining: float) -> float:
    """
    Say what a period takes over from the one before.

    Parameters
    ----------
    rule : CarryOver
        Of the later period.
    remaining : float
        Of the period before, its own carried amount included.

    Returns
    -------
    float
        In the same unit; negative: the period before was overdrawn.

    Examples
    --------
    >>> [carried_over(rule, left) for rule in CarryOver for left in (20.0, -5.0)]
    [0.0, 0.0, 20.0, 0.0, 20.0, -5.0]
    """
    if rule is CarryOver.NONE:
        return 0.0
    return remaining if rule is CarryOver.BOTH else max(remaining, 0.0)


def levels_of(said: Iterable[float]) -> tuple[float, ...]:
    """
    Give the levels at which a budget warns, each once and rising.

    Parameters
    ----------
    said : shares of what is available
        As they were entered; empty, or nothing of it above 0: the usual ones.

    Examples
    --------
    >>> levels_of([1, 0.5, 0.5]), levels_of([])
    ((0.5, 1.0), (0.8, 1.0))
    """
    found = sorted({float(level) for level in said if level > 0})
    return tuple(found) or WARNING_LEVELS


def passed(share: float | None, levels: Iterable[float]) -> tuple[float, ...]:
    """
    Give the levels that a share has reached.

    Parameters
    ----------
    share : float or None
        Used ÷ available; None (nothing is available): all are reached.
    levels : shares

    Examples
    --------
    >>> passed(0.8, (0.5, 0.8, 1.0)), passed(None, (0.8, 1.0))
    ((0.5, 0.8), (0.8, 1.0))
    """
    return tuple(level for level in levels if share is None or share >= level)


def runs_out(cumulated: FloatArray, available: float) -> int | None:
    """
    Give the day on which a budget is used up.

    Parameters
    ----------
    cumulated : array of n
        Use from the first day to the end of each day; it never falls.
    available : float
        In the same unit.

    Returns
    -------
    int or None
        Place of the first day at whose end nothing is left; None: it lasts.

    Examples
    --------
    >>> runs_out(np.array([1.0, 4.0, 9.0]), 4.0), runs_out(np.array([1.0, 4.0]), 5.0)
    (1, None)
    """
    place = int(np.searchsorted(cumulated, available, side="left"))
    return place if place < len(cumulated) else None
