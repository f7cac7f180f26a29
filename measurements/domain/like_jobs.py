"""What a job would draw elsewhere: a prediction with its interval from jobs of like work that ran there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from measurements.domain.units import FloatArray

LEVEL = 0.80  # of the next job the interval is to hold
FEWEST_JOBS = 3
FEWEST_RANKED = 9  # jobs, from which on two of them bound 80 % of what comes
# Student's t, 0.90 quantile, by degrees of freedom
_T90 = {2: 1.886, 3: 1.638, 4: 1.533, 5: 1.476, 6: 1.440, 7: 1.415}


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the next one comes to: the middle, and the interval that holds it eight times in ten."""

    n: int
    low: float
    median: float
    high: float


def prediction(values: FloatArray) -> Prediction | None:
    """
    For one more value of those [n], all positive; None of fewer than three.

    Notes
    -----
    From nine values on between order statistics: of n + 1 values in any order the next one lies below the k-th of the
    others with probability k / (n + 1), whatever their distribution [1]_; between two of them linearly. Of fewer,
    their logarithms are taken to be normal, and the interval is Student's for one more value:
    m ± t s √(1 + 1/n).

    References
    ----------
    .. [1] Wilks, Determination of sample sizes for setting tolerance limits, Ann. Math. Statist. 12, 1941.

    Examples
    --------
    >>> prediction(np.arange(1.0, 10.0))
    Prediction(n=9, low=1.0, median=5.0, high=9.0)
    """
    size = len(values)
    if size < FEWEST_JOBS:
        return None
    tail = (1 - LEVEL) / 2
    if size >= FEWEST_RANKED:
        low, high = np.quantile(values, [tail, 1 - tail], method="weibull").tolist()
        return Prediction(size, low, float(np.median(values)), high)
    logs = np.log(values)
    reach = _T90[size - 1] * float(logs.std(ddof=1)) * np.sqrt(1 + 1 / size)
    middle = float(logs.mean())
    return Prediction(size, float(np.exp(middle - reach)), float(np.median(values)), float(np.exp(middle + reach)))
