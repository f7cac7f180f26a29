"""Which of a day's samples are not plausible: what all rules share. Each rule is a module of its own.

Rules look at the samples of one UTC day and at nothing beyond it, so that neither the order in which input came nor how
it was cut can show. They never change a value: they name spans of samples, which the ledger leaves out or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from measurements.domain.integrate import max_gap_ms, nominal_interval_ms
from measurements.domain.units import DAY_MS, UJ_PER_J, IntArray, Kind

CLOCK_SLACK_MS = 300_000  # by which a reading may be dated later than it was received
WHOLE = "node"  # the channel that measures all of a node, or a meter above nodes


class Rule(StrEnum):
    """The rules that need a stretch of samples, or other nodes."""

    SPIKE = "spike"
    FROZEN = "frozen"
    JUMP = "counter-jump"
    SKEW = "clock-skew"
    CHASSIS = "shared-chassis"


class Setting(StrEnum):
    """What a cluster does with what a rule finds."""

    DEFAULT = "default"  # leave out what is beyond doubt, report the rest
    REFUSE = "refuse"
    REPORT = "report"
    OFF = "off"


ONLY_REPORTED = frozenset({Rule.JUMP})  # what the integration leaves out anyway: there is nothing to refuse


@dataclass(frozen=True, slots=True)
class ChannelDay:
    """One channel's samples of one UTC day, ascending and unique."""

    channel: int
    node: int
    name: str
    kind: Kind
    t_ms: IntArray
    value: IntArray  # mW of a gauge, µJ of a counter
    gap_ms: int = -1  # the longest distance between neighbours that is bridged; -1: as their spacing says
    ceiling_mw: int = -1  # of the node; -1: not declared

    @property
    def is_whole_gauge(self) -> bool:
        """Whether these are powers of all of a node."""
        return self.name == WHOLE and self.kind is Kind.GAUGE


@dataclass(frozen=True, slots=True)
class Found:
    """Samples of one channel that a rule found: those in [start, end)."""

    rule: Rule
    channel: int
    start_ms: int
    end_ms: int
    samples: int
    sure: bool  # no true reading looks like this
    detail: dict[str, Any] = field(default_factory=dict)


def found_span(rule: Rule, day: ChannelDay, low: int, high: int, *, sure: bool, **detail: Any) -> Found:
    """A finding about the samples [low, high) of a channel, with the energy that they would count."""
    t_ms = day.t_ms[low:high]
    detail.setdefault("energy_j", concerned_j(day, low, high))
    return Found(rule, day.channel, int(t_ms[0]), int(t_ms[-1]) + 1, high - low, sure, detail)


def concerned_j(day: ChannelDay, low: int, high: int) -> float:
    """
    Energy that the samples [low, high) of a channel stand for, if they are taken.

    Parameters
    ----------
    day : ChannelDay
        Its samples.
    low, high : int
        Which of them.

    Returns
    -------
    float
        [J]. Of a gauge each value times half the time to both neighbours, as far as these are bridged; of a counter
        what it rose by. An estimate: what the ledger books besides depends on the jobs and on the neighbours' values.

    Examples
    --------
    >>> t_ms = np.arange(5) * 10_000
    >>> day = ChannelDay(1, 1, "node", Kind.GAUGE, t_ms, np.array([100, 100, 900, 100, 100]) * 1000)
    >>> concerned_j(day, 2, 3)
    9000.0
    """
    if day.kind is Kind.COUNTER:
        rose = np.diff(day.value[max(low - 1, 0) : high])
        return float(rose[rose > 0].sum()) / UJ_PER_J
    gap_ms = day.gap_ms
    if gap_ms < 0:
        gap_ms = max_gap_ms(day.kind, nominal_interval_ms(day.t_ms, int(day.t_ms[0]) // DAY_MS * DAY_MS), None)
    spacing = np.diff(day.t_ms[max(low - 1, 0) : high + 1])
    spacing = np.where(spacing <= gap_ms, spacing, 0)
    before = spacing if low > 0 else np.append(0, spacing)
    after = before[1:] if high < len(day.t_ms) else np.append(before[1:], 0)
    held_ms = (before[: high - low] + after[: high - low]) / 2
    return float(held_ms @ day.value[low:high]) / UJ_PER_J
