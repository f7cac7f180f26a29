"""What the simulated jobs say of their work in their comments, as their owners would write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DIGITS = 3  # of an amount


@dataclass(frozen=True, slots=True)
class Work:
    """Workload, phase and size of a kind of job; its amount is fixed, or follows from how long it is planned."""

    workload: str
    phase: str
    unit: str = ""
    amount: float | None = None
    rates: Mapping[str, float] = field(default_factory=dict)  # units an hour on a whole node, by its type
    size: str = ""

    def comment(self, node_type: str, share: float, hours: float) -> str:
        """The comment of a job that is planned to hold a share of a node for some hours, at the usual pace."""
        said = f"workload={self.workload} phase={self.phase}"
        amount = self.amount or self.rates.get(node_type, 0.0) * share * hours
        if amount > 0:
            said += f" work={float(f'{amount:.{DIGITS}g}'):g} {self.unit}"
        return f"{said} size={self.size}" if self.size else said
