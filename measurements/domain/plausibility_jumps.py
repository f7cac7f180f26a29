"""Counter jump: a step of an energy counter that no node can have drawn."""

from __future__ import annotations

import numpy as np

from measurements.domain.integrate import LARGEST_POWER_MW
from measurements.domain.plausibility import ChannelDay, Found, Rule
from measurements.domain.units import MW_PER_W, UJ_PER_J, Kind


def jumps(day: ChannelDay) -> list[Found]:
    r"""
    The steps of a counter whose implied power is above the ceiling: all of a day together.

    Parameters
    ----------
    day : ChannelDay
        A counter, with its node's ceiling.

    Returns
    -------
    list of Found
        None or one: from the first such step to the last, with their number and joules.

    Notes
    -----
    A step is one if it is short enough to be bridged and

    .. math:: \Delta E > P_{ceiling} \cdot \Delta t

    with 1 MW where no ceiling is declared. The integration treats it as a gap (docs/integration.md, rule 2): its
    joules are known and not placed. So there is nothing to refuse; it is shown, with these joules, and counted nowhere
    twice. A step across midnight is not looked at.

    What is true and may be found: what a counter caught up after it was read late among quick readings, and a meter of
    a whole facility above 1 MW that has no ceiling declared.

    Examples
    --------
    >>> joules = np.array([0, 500, 1000, 900_001_000, 900_001_500])
    >>> day = ChannelDay(1, 1, "node", Kind.COUNTER, np.arange(5) * 1000, joules * 1_000_000, 900_000, 2_000_000)
    >>> [(f.samples, f.detail["energy_j"]) for f in jumps(day)]
    [(1, 900000000.0)]
    """
    if day.kind is not Kind.COUNTER or len(day.value) < 2:
        return []
    limit_mw = day.ceiling_mw if day.ceiling_mw >= 0 else LARGEST_POWER_MW
    ms, rose = np.diff(day.t_ms), np.diff(day.value)
    steep = (ms <= day.gap_ms) & (rose > limit_mw * np.minimum(ms, day.gap_ms))
    at = np.flatnonzero(steep)
    if not len(at):
        return []
    energy_j = float(rose[at].sum()) / UJ_PER_J
    start, end = int(day.t_ms[at[0] + 1]), int(day.t_ms[at[-1] + 1]) + 1
    detail = {"energy_j": energy_j, "steps": len(at), "ceiling_w": limit_mw / MW_PER_W}
    return [Found(Rule.JUMP, day.channel, start, end, len(at), sure=False, detail=detail)]
