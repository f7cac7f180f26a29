"""Whether a node's meter includes its GPUs, told from a day of both: the slope of its power over theirs.

A meter that includes them rises by 1 W and the losses of its power supply for each watt of the GPUs, one that leaves
them out by next to nothing. But processors work while GPUs work: what they add bends the slope. How much it can bend
it is bounded, by what the rest of the node can rise and fall at all, and the slope's interval is widened by that. So a
meter is judged only where the GPUs' power varies far more than the rest of the node can.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from measurements.domain.units import BoolArray, FloatArray, IntArray

BUCKET_MS = 300_000  # means of so long are compared: meters average differently, and ask at different seconds
LEAST_PAIRS = 72  # a quarter of a day
BLOCK = 12  # values in a row that are drawn together, an hour: neighbours are alike
DRAWS = 1_000
SEED = 20_221_212
LEVEL = 0.99
OUTSIDE_MOST = 0.25  # slope that fans and the supply may give a meter without the GPUs
INSIDE_LEAST = 0.75  # slope that errors of both meters may leave one with them
INSIDE_MOST = 1.5
CORE_SWING_W = 8.0  # of a core between idle and busy, where the node's power is not declared
PARTS_FACTOR = 1.35  # of what processors and memory vary: all but the GPUs, with losses and fans
UNSEEN_SHARE = 0.2  # of that: what moves with them unseen, where they are taken out
LEAST_SLOPE, MOST_SLOPE, SLOPE_STEP = -1.0, 3.0, 0.01  # that are tried
SWING_SLACK = 1.1  # a declared swing is no measurement
EDGE_SHARE = 0.05  # of the values at either end that a swing leaves out: there one meter is ahead of the other
MOST_SKEW = 24  # values: a clock that is off by two hours looks like a meter without GPUs
LEAST_SPREAD_W = 1e-3  # less is the rounding of a mean
MOST_ERROR = 0.1  # of the variance of the GPUs' power: error of reading it at instants


class Verdict(StrEnum):
    """What the meter seems to hold."""

    INCLUDES = "includes"
    EXCLUDES = "excludes"
    UNCLEAR = "unclear"


class Reason(StrEnum):
    """Why it cannot be told."""

    FEW = "few"  # too little of the day is measured of both
    CONSTANT = "constant"  # the GPUs' power varies less than the rest of the node can
    NO_BOUND = "no_bound"  # not known how much the rest of the node can vary
    NEITHER = "neither"  # the slope fits neither
    SKEWED = "skewed"  # it fits once one of them is shifted in time


@dataclass(frozen=True, slots=True)
class Pairs:
    """Mean power in consecutive buckets of equal length; nan where not wholly measured."""

    node_w: FloatArray  # [n]
    gpu_w: FloatArray  # [n] sum of all GPUs
    rest_swing_w: float | None  # what the node without its GPUs can vary at most; None: not known
    parts_w: FloatArray | None = None  # [n] processors and memory, where they have channels of their own
    gpu_error_w: float = 0.0  # standard error of a bucket's mean, of readings in which the power goes up and down


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict, and the interval in which the true slope [W/W] lies whatever the processors did."""

    verdict: Verdict
    reason: Reason | None  # of an unclear one
    pairs: int
    slope: float | None
    low: float | None
    high: float | None


def judge(pairs: Pairs) -> Finding:
    r"""
    Whether the meter includes the GPUs.

    Parameters
    ----------
    pairs : Pairs
        A node's day; see there. All in W.

    Notes
    -----
    With M the meter, G the GPUs and C the rest of the node, M = s G + C: least squares gives [1]_

    .. math:: b = s + cov(C, G) / var(G), \quad |cov(C, G) / var(G)| \le (K / 2) / sd(G)

    with K the most that C can vary (a value between two bounds has a standard deviation of half their distance at
    most). Where processors and memory are metered they are a second regressor, and K is a share of what they vary.
    The interval of b is the percentile bootstrap's over hours; both bounds are widened by the bias. "Includes" is
    said if a meter without GPUs can be ruled out and one with them cannot, and the other way round.

    References
    ----------
    .. [1] Wooldridge, Introductory Econometrics, 5th ed., ch. 3 (omitted variables), ch. 9 (errors in variables).

    Examples
    --------
    >>> gpu_w = np.tile(np.repeat([200.0, 1400.0], 12), 12)
    >>> judge(Pairs(300.0 + 1.1 * gpu_w, gpu_w, rest_swing_w=400.0)).verdict.value
    'includes'
    >>> judge(Pairs(np.full(288, 300.0), gpu_w, rest_swing_w=400.0)).verdict.value
    'excludes'
    """
    known = np.isfinite(pairs.node_w) & np.isfinite(pairs.gpu_w)
    if pairs.parts_w is not None:
        known &= np.isfinite(pairs.parts_w)
    count = int(known.sum())
    if count < LEAST_PAIRS:
        return _unclear(Reason.FEW, count)
    gpu_w, node_w, block = pairs.gpu_w[known], pairs.node_w[known], np.flatnonzero(known) // BLOCK
    own_w = gpu_w - gpu_w.mean()
    swing_w = _swing_w(pairs, known)
    spread_w = float(own_w.std())
    if spread_w <= LEAST_SPREAD_W or pairs.gpu_error_w**2 > MOST_ERROR * spread_w**2:
        return _unclear(Reason.CONSTANT, count)
    found = [_bounds(node_w, own_w, block, swing_w), _possible(node_w, gpu_w, swing_w)]
    if pairs.parts_w is not None:
        parts_w = pairs.parts_w[known] - pairs.parts_w[known].mean()
        unseen_w = UNSEEN_SHARE * float(np.ptp(parts_w))
        found.append(_bounds(node_w, _without(own_w, parts_w), block, unseen_w))
    low, high = (limit(pair) for limit, pair in zip((max, min), zip(*found, strict=True), strict=True))
    if np.isinf(high - low) and low <= high:
        return _unclear(Reason.NO_BOUND, count)
    if low > high:
        return _unclear(Reason.NEITHER, count)
    verdict, reason = _verdict(low, high)
    if verdict is Verdict.EXCLUDES and _fits_shifted(pairs, (swing_w or 0.0) / 2 / spread_w):
        verdict, reason = Verdict.UNCLEAR, Reason.SKEWED
    return Finding(verdict, reason, count, float(own_w @ node_w) / float(own_w @ own_w), low, high)


def _unclear(reason: Reason, count: int) -> Finding:
    return Finding(Verdict.UNCLEAR, reason, count, None, None, None)


def _verdict(low: float, high: float) -> tuple[Verdict, Reason | None]:
    """Of the interval of the true slope: which of the two it leaves possible."""
    may_exclude = low <= OUTSIDE_MOST
    may_include = high >= INSIDE_LEAST and low <= INSIDE_MOST
    if may_include and not may_exclude:
        return Verdict.INCLUDES, None
    if may_exclude and not may_include:
        return Verdict.EXCLUDES, None
    return Verdict.UNCLEAR, Reason.CONSTANT if may_include else Reason.NEITHER


def _swing_w(pairs: Pairs, known: BoolArray) -> float | None:
    """How much of the node's power can vary besides the GPUs [W]: as declared, or as its parts did; the less."""
    if pairs.parts_w is None:
        return pairs.rest_swing_w
    of_parts = PARTS_FACTOR * float(np.ptp(pairs.parts_w[known]))
    return of_parts if pairs.rest_swing_w is None else min(of_parts, pairs.rest_swing_w)


def _without(gpu_w: FloatArray, parts_w: FloatArray) -> FloatArray:
    """The GPUs' power about its mean, without what goes along with processors and memory."""
    varied = float(parts_w @ parts_w)
    return gpu_w - parts_w * (float(parts_w @ gpu_w) / varied) if varied > 0 else gpu_w


def _bounds(node_w: FloatArray, own_w: FloatArray, block: IntArray, swing_w: float | None) -> tuple[float, float]:
    """Between which slopes the true one lies, by least squares over the GPUs' own variation; infinite: not known."""
    spread_w = float(own_w.std())
    if swing_w is None or spread_w <= LEAST_SPREAD_W:
        return -np.inf, np.inf
    low, high = _drawn(node_w - node_w.mean(), own_w, block)
    bias = swing_w / 2 / spread_w
    return low - bias, high + bias


def _drawn(node_w: FloatArray, own_w: FloatArray, block: IntArray) -> tuple[float, float]:
    """The slope's interval over blocks drawn anew."""
    _, place = np.unique(block, return_inverse=True)
    blocks = int(place.max()) + 1
    parts = (np.ones(len(own_w)), own_w, node_w, own_w * node_w, own_w**2)
    sums = np.stack([np.bincount(place, each, blocks) for each in parts])
    count = np.random.default_rng([SEED, blocks]).multinomial(blocks, np.full(blocks, 1 / blocks), DRAWS)
    n, gpu, node, product, square = sums @ count.T
    varied = square - gpu**2 / n
    fair = varied > float(own_w @ own_w) * 1e-9  # a draw in which the GPUs' power never changes says nothing
    tail = (1 - LEVEL) / 2
    low, high = np.quantile((product - gpu * node / n)[fair] / varied[fair], [tail, 1 - tail]).tolist()
    return low, high


def _possible(node_w: FloatArray, gpu_w: FloatArray, swing_w: float | None) -> tuple[float, float]:
    """The least and most slope that leave for the rest of the node no more variation than it is capable of."""
    if swing_w is None:
        return -np.inf, np.inf
    slopes = np.arange(LEAST_SLOPE, MOST_SLOPE + SLOPE_STEP / 2, SLOPE_STEP)
    rest_w = node_w - slopes[:, None] * gpu_w
    low, high = np.quantile(rest_w, [EDGE_SHARE, 1 - EDGE_SHARE], axis=1)
    left = slopes[high - low <= SWING_SLACK * swing_w]
    return (float(left[0]), float(left[-1])) if left.size else (np.inf, -np.inf)


def _fits_shifted(pairs: Pairs, bias: float) -> bool:
    """Whether a meter that seems to exclude the GPUs follows them after all, some time earlier or later."""
    for lag in range(1, MOST_SKEW + 1):
        for node_w, gpu_w in (
            (pairs.node_w[lag:], pairs.gpu_w[:-lag]),
            (pairs.node_w[:-lag], pairs.gpu_w[lag:]),
        ):
            known = np.isfinite(node_w) & np.isfinite(gpu_w)
            gpu = gpu_w[known] - gpu_w[known].mean() if known.any() else gpu_w[known]
            varied = float(gpu @ gpu)
            if varied > 0 and float(gpu @ node_w[known]) / varied - bias > OUTSIDE_MOST:
                return True
    return False
