"""Energy and covered time of a channel between given instants.

Times in here are int64 half milliseconds since the day's start, because half a nominal
interval of whole milliseconds is whole in them. Energies are quarter microjoules: the
sum of two powers in mW times a length in half ms. On samples both are exact integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from measurements.domain.units import DAY_MS, MW_PER_W, BoolArray, FloatArray, IntArray, Kind

TICKS_PER_MS = 2
DAY_TICKS = DAY_MS * TICKS_PER_MS
US_PER_TICK = 500
QUARTER_UJ_PER_UJ = 4

MIN_DEFAULT_GAP_MS = 60_000
COUNTER_GAP_MS = 900_000
GAP_INTERVALS = 3.5
DEFAULT_NOMINAL_MS = 60_000
NOMINAL_WINDOW_MS = 900_000
# No node draws a megawatt: what implies more is an artefact, whatever the site declared.
LARGEST_POWER_MW = 1_000_000 * MW_PER_W
# Intel SDM vol. 3B, MSR_PKG_ENERGY_STATUS: "a wraparound time of around 60 secs when power consumption is high".
RAPL_WRAP_MS = 60_000
RAPL_WRAP_LEAST_MW = 1_000 * MW_PER_W  # of a small modulus nothing is concluded below this


def max_gap_ms(kind: Kind, nominal_ms: int, explicit_ms: int | None) -> int:
    """The longest distance between neighbours that is bridged [ms]."""
    if explicit_ms is not None:
        return max(explicit_ms, nominal_ms)
    if kind is Kind.COUNTER:
        return COUNTER_GAP_MS
    return max(int(GAP_INTERVALS * nominal_ms), MIN_DEFAULT_GAP_MS)


def wrap_limit_mw(source: str, wrap_uj: int) -> int:
    r"""
    The highest power with which a counter can go round, where its make says so.

    Parameters
    ----------
    source : str
        What measures; only of ``rapl`` it is known.
    wrap_uj : int
        The counter's modulus; 0: not known. [µJ]

    Returns
    -------
    int
        [mW]; -1: not known.

    Notes
    -----
    .. math:: P_{wrap} = \max(E_{wrap} / 60\,\mathrm{s},\ 1\,\mathrm{kW})

    RAPL counters are made so that they take about a minute to go round when power is high, and longer otherwise (Intel
    Software Developer's Manual, volume 3B, MSR_PKG_ENERGY_STATUS): a decrease that would need more than that is no
    wrap. For the moduli of today's processors that is 4.4 kW (Intel, 2^32 × 61 µJ) and 1.1 kW (AMD, 2^32 × 15.3 µJ) a
    package, several times what any of them draws. It is asked only where no ceiling of the node is declared: where one
    is, the implied power is held against that alone.

    Examples
    --------
    >>> wrap_limit_mw("rapl", 262_143_328_850), wrap_limit_mw("pdu", 262_143_328_850)
    (4369055, -1)
    """
    return max(wrap_uj // RAPL_WRAP_MS, RAPL_WRAP_LEAST_MW) if source == "rapl" and wrap_uj > 0 else -1


def nominal_interval_ms(t_ms: IntArray, day_ms: int) -> int:
    """The median spacing of a day's samples, whole ms, where no interval is declared.

    ``t_ms`` may reach beyond the day; with fewer than two samples inside it those
    within 15 minutes of it count as well, and with fewer than two still, 60 s.
    """
    for margin in (0, NOMINAL_WINDOW_MS):
        low, high = np.searchsorted(t_ms, (day_ms - margin, day_ms + DAY_MS + margin))
        if high - low >= 2:
            spacing = np.diff(t_ms[low:high])
            half = len(spacing) // 2
            if len(spacing) % 2:
                return int(np.partition(spacing, half)[half])
            pair = np.partition(spacing, (half - 1, half))
            return round((int(pair[half - 1]) + int(pair[half])) / 2)
    return DEFAULT_NOMINAL_MS


@dataclass(frozen=True, slots=True)
class Steps:
    """A channel as steps between neighbouring samples; n samples, n - 1 steps.

    A bridged step is covered, its power linear from ``left`` to ``right``; any other is a
    gap between two stretches, into which each end holds for ``hold`` ticks.
    """

    t: IntArray  # [n] ticks
    left: IntArray | FloatArray  # [n - 1] mW
    right: IntArray | FloatArray  # [n - 1] mW
    bridged: BoolArray  # [n - 1]
    energy: IntArray  # [n - 1] quarter µJ, both holds of a gap included
    covered: IntArray  # [n - 1] ticks, likewise
    hold: int  # ticks at both ends of a stretch
    first: float  # mW held before the first sample and
    last: float  # after the last
    lost_uj: IntArray | None = None  # [n - 1] of a counter: what rose in steps that are not bridged

    def unplaced_uj(self, start: int, end: int) -> int:
        """Energy of a counter that is known but not placed, of steps that end in [start, end)."""
        if self.lost_uj is None:
            return 0
        return int(self.lost_uj[(self.t[1:] >= start) & (self.t[1:] < end)].sum())


def gauge_steps(t: IntArray, value_mw: IntArray, nominal_ms: int, gap_ms: int, breaks: Sequence[int] = ()) -> Steps:
    """Steps of a power gauge: linear inside a stretch, held half an interval at its ends.

    At the ticks ``breaks`` a stretch ends however near the neighbours are, down to one interval, for which they stand.
    """
    hold = nominal_ms  # half the interval, in half ms
    spacing = t[1:] - t[:-1]
    bridged = spacing <= gap_ms * TICKS_PER_MS
    if breaks:
        bridged &= ~_across(t, breaks) | (spacing <= 2 * hold)
    covered = spacing if bridged.all() else np.where(bridged, spacing, 2 * hold)
    left, right = value_mw[:-1], value_mw[1:]
    energy = (left + right) * covered
    return Steps(t, left, right, bridged, energy, covered, hold, float(value_mw[0]), float(value_mw[-1]))


def counter_steps(
    t: IntArray,
    value_uj: IntArray,
    gap_ms: int,
    ceiling_mw: int,
    wrap_uj: int,
    begins: Sequence[int] = (),
    *,
    breaks: Sequence[int] = (),
    wrap_limit_mw: int = -1,
) -> Steps:
    """Steps of an energy counter: differences spread evenly, wraps undone, resets left out.

    ``ceiling_mw`` and ``wrap_limit_mw`` (asked where there is no ceiling) are -1, ``wrap_uj`` 0 where not known. At
    the ticks ``begins`` another device begins to count; across those of ``breaks`` joules are known, and not placed.
    """
    spacing = t[1:] - t[:-1]
    ms = np.minimum(spacing // TICKS_PER_MS, gap_ms)  # what is longer is not bridged anyway
    raw = value_uj[1:] - value_uj[:-1]
    fell = raw < 0
    gained = np.where(fell, raw + wrap_uj, raw)
    limit_mw = ceiling_mw if ceiling_mw >= 0 else LARGEST_POWER_MW
    bridged = (spacing <= gap_ms * TICKS_PER_MS) & (gained >= 0) & (gained <= limit_mw * ms)
    if ceiling_mw < 0 <= wrap_limit_mw:
        bridged &= ~fell | (gained <= wrap_limit_mw * ms)
    if wrap_uj and ceiling_mw >= 0:
        bridged &= ceiling_mw * ms < wrap_uj
    other = _across(t, begins)  # the difference between two devices is no energy
    bridged &= ~other & ~_across(t, breaks)
    covered = np.where(bridged, spacing, 0)
    energy = np.where(bridged, QUARTER_UJ_PER_UJ * gained, 0)
    power = np.where(bridged, TICKS_PER_MS * gained / spacing, 0.0)
    lost = np.where(bridged | fell | other, 0, raw)
    return Steps(t, power, power, bridged, energy, covered, 0, 0.0, 0.0, lost)


def _across(t: IntArray, ticks: Sequence[int]) -> BoolArray:
    """Which steps lead across some instants."""
    across = np.zeros(max(len(t) - 1, 0), bool)
    for tick in ticks:
        across |= (t[:-1] < tick) & (t[1:] >= tick)
    return across


def between_edges(steps: Steps, edges: IntArray) -> tuple[FloatArray, IntArray]:
    """Energy [quarter µJ] and covered time [ticks] between consecutive edges (ascending).

    Sums of whole steps are exact; what an edge cuts off is interpolated.
    """
    total = _up_to_sample(int(2 * steps.first * steps.hold), steps.energy)
    ticks = _up_to_sample(steps.hold, steps.covered)
    cut = _cut(steps, edges)
    energy = (total[cut.step[1:]] - total[cut.step[:-1]]) + (cut.energy[1:] - cut.energy[:-1])
    covered = (ticks[cut.step[1:]] - ticks[cut.step[:-1]]) + (cut.covered[1:] - cut.covered[:-1])
    # Two edges inside one bridged step: the trapezoid itself, instead of a difference of two.
    inside = cut.linear[1:] & (cut.step[1:] == cut.step[:-1])
    trapezoid = (cut.power[1:] + cut.power[:-1]) * (edges[1:] - edges[:-1])
    return np.where(inside, trapezoid, energy), covered


def _up_to_sample(first_hold: int, per_step: IntArray) -> IntArray:
    """Sums up to the k-th sample, k from 0 (before all) to n."""
    sums = np.empty(len(per_step) + 2, np.int64)
    sums[0] = 0
    sums[1] = first_hold
    np.cumsum(per_step, out=sums[2:])
    sums[2:] += first_hold
    return sums


@dataclass(frozen=True, slots=True)
class _Cut:
    step: IntArray  # number of samples at or before the edge
    energy: FloatArray  # since the last sample at or before it
    covered: IntArray
    power: FloatArray  # at the edge, where linear
    linear: BoolArray


def _cut(steps: Steps, edges: IntArray) -> _Cut:
    n = len(steps.t)
    step = np.searchsorted(steps.t, edges, side="right")
    before, after = step == 0, step == n
    k = np.minimum(np.maximum(step - 1, 0), max(n - 2, 0))  # the step the edge lies in, where there is one
    since = edges - steps.t[np.maximum(step - 1, 0)]
    until = steps.t[np.minimum(step, n - 1)] - edges
    if n > 1:
        left, right = steps.left[k].astype(np.float64), steps.right[k].astype(np.float64)
        linear = steps.bridged[k] & ~before & ~after
    else:
        left = right = np.zeros(len(edges))
        linear = np.zeros(len(edges), bool)
    left = np.where(after, steps.last, left)
    right = np.where(before, steps.first, right)
    held = np.where(before, 0, np.minimum(since, steps.hold))
    ahead = np.where(after, 0, np.maximum(steps.hold - until, 0))
    length = np.where(linear, since + until, 1)
    power = left + (right - left) * (since / length)
    energy = np.where(linear, since * (left + power), 2 * (left * held + right * ahead))
    covered = np.where(linear, since, held + ahead)
    return _Cut(step, energy, covered, power, linear)


def hold_edges(steps: Steps) -> IntArray:
    """The instants, besides the samples, where covered time begins or ends."""
    gaps = np.flatnonzero(~steps.bridged)
    ends = np.concatenate((steps.t[gaps], steps.t[-1:])) + steps.hold
    starts = np.concatenate((steps.t[:1], steps.t[gaps + 1])) - steps.hold
    return np.concatenate((starts, ends))


def on_grid(steps: Steps, grid: IntArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Power at both ends of each grid interval [mW] and whether it is covered.

    ``grid`` ascends and holds every sample and hold edge that lies inside it, so that an
    interval is wholly linear, wholly held or wholly a gap. Powers are 0 where not covered.
    """
    lower, upper = grid[:-1], grid[1:]
    n = len(steps.t)
    step = np.searchsorted(steps.t, lower, side="right")
    before, after = step == 0, step == n
    k = np.minimum(np.maximum(step - 1, 0), max(n - 2, 0))
    start = steps.t[np.maximum(step - 1, 0)]
    end = steps.t[np.minimum(step, n - 1)]
    if n > 1:
        left, right = steps.left[k].astype(np.float64), steps.right[k].astype(np.float64)
        linear = steps.bridged[k] & ~before & ~after
    else:
        left = right = np.zeros(len(lower))
        linear = np.zeros(len(lower), bool)
    left = np.where(after, steps.last, left)
    right = np.where(before, steps.first, right)
    slope = (right - left) / np.where(linear, end - start, 1)
    held = ~linear & ~before & (upper <= start + steps.hold)
    ahead = ~linear & ~after & (lower >= end - steps.hold) & ~held
    flat = np.where(held, left, np.where(ahead, right, 0.0))
    at_lower = np.where(linear, left + slope * (lower - start), flat)
    at_upper = np.where(linear, left + slope * (upper - start), flat)
    return at_lower, at_upper, linear | held | ahead
