"""Spike: a single reading far above its neighbours and above all else that the node showed that day."""

from __future__ import annotations

import numpy as np

from measurements.domain.plausibility import ChannelDay, Found, Rule, found_span
from measurements.domain.units import MW_PER_W

SPIKE_FACTOR = 4  # times every other reading of the day
SPIKE_SURE = 10  # times: beyond the range between idle and full load of published machines
SPIKES_MOST = 5  # of a day: what comes more often is how the node works
SPIKE_LEAST_OTHERS = 20  # readings by which the node is known


def spikes(day: ChannelDay) -> list[Found]:
    r"""
    Single readings that stand far above all others of the day.

    Parameters
    ----------
    day : ChannelDay
        The whole-node gauge of a node, or of a meter above nodes.

    Returns
    -------
    list of Found
        A span of one sample each; sure from `SPIKE_SURE` on.

    Notes
    -----
    Reading i is a candidate if both neighbours of the day are at most 1 / `SPIKE_FACTOR` of it. It is found if, with C
    the candidates,

    .. math:: P_i \ge SPIKE\_FACTOR \cdot \max_{j \notin C} P_j

    and there are no more than `SPIKES_MOST` of them. Metered spikes are of this kind: 300 kW among readings of 300 W
    (Kepler, issue 1851), 3.7 TW in one sample of 30 s (xpumanager, issue 130); a declared ceiling refuses those above
    it before they are stored. At full load servers draw a few times their idle power [1]_.

    What is true and may be found: a node that stood idle all day and worked once, for less than two intervals, with
    more than `SPIKE_FACTOR` times its idle power: it is only reported. Single channels of GPUs are not looked at: at
    1 Hz they do jump like this.

    References
    ----------
    .. [1] SPECpower_ssj2008 results, active idle against 100 % load (spec.org/power_ssj2008).

    Examples
    --------
    >>> from measurements.domain.units import Kind
    >>> watts = np.full(100, 300); watts[40] = 300_000
    >>> day = ChannelDay(1, 1, "node", Kind.GAUGE, np.arange(100) * 10_000, watts * 1000)
    >>> [(f.start_ms, f.samples, f.sure) for f in spikes(day)]
    [(400000, 1, True)]
    """
    value = day.value
    if not day.is_whole_gauge or len(value) <= SPIKE_LEAST_OTHERS:
        return []
    highest = int(value.max())
    if highest * (1 / SPIKE_FACTOR + SPIKES_MOST / len(value)) < float(value.mean()):
        return []  # so high a mean leaves no reading above the others by so much
    apart = value[1:] >= SPIKE_FACTOR * value[:-1], value[:-1] >= SPIKE_FACTOR * value[1:]  # up to it, down from it
    candidate = np.append(True, apart[0]) & np.append(apart[1], True)
    count = int(candidate.sum())
    if count == 0 or len(value) - count < SPIKE_LEAST_OTHERS:
        return []
    usual = int(value[~candidate].max())
    at = np.flatnonzero(candidate & (value >= SPIKE_FACTOR * usual))
    if len(at) > SPIKES_MOST:
        return []
    return [
        found_span(
            Rule.SPIKE, day, i, i + 1,
            sure=bool(value[i] >= SPIKE_SURE * usual), power_w=int(value[i]) / MW_PER_W, usual_w=usual / MW_PER_W,
        )
        for i in at.tolist()
    ]  # fmt: skip
