"""What runtime alone would say a job drew: rated power × time × share of cores.

It is shown beside the metered figure, never instead of it: energy can't be derived
from runtime, for the node's composition decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from measurements.domain.figures import estimated_j
from measurements.domain.units import US_PER_S


@dataclass(frozen=True, slots=True)
class RuntimeEstimate:
    """The estimate of some allocations, and how the metered figure compares with it."""

    energy_j: float | None  # over the whole runtime; None if any node's rated power is not known
    covered_j: float | None  # over the covered time only, which is what the metered figure is of
    nodes_without_rating: tuple[str, ...]

    def ratio(self, metered_j: float) -> float | None:
        """Metered ÷ estimated, both over the covered time; None where there is nothing to compare."""
        return metered_j / self.covered_j if self.covered_j else None


def runtime_estimate(totals: pd.DataFrame) -> RuntimeEstimate:
    """Of allocations as `measurements.domain.figures.by_allocation` gives them; the node's GPUs are not in it."""
    lasting = totals[totals["elapsed_us"] > 0]
    estimate = pd.Series(estimated_j(lasting, lasting["elapsed_us"].to_numpy(np.float64) / US_PER_S), lasting.index)
    unrated = sorted(set(lasting.loc[estimate.isna(), "node_name"]))
    if unrated or lasting.empty:
        return RuntimeEstimate(None, None, tuple(unrated))
    covered = lasting["covered_us"].to_numpy(np.float64) / lasting["elapsed_us"].to_numpy(np.float64)
    values = estimate.to_numpy(np.float64)
    return RuntimeEstimate(float(values.sum()), float((values * covered).sum()), ())
