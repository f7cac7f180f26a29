"""How busy the cluster is: weekdays and weekends, seasons, holidays, and slow growth.

A level of 0.9 means that nodes hold jobs for nine tenths of the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import numpy as np

from measurements.demo.cluster import CPU
from measurements.domain.units import EPOCH_DAY, MS_PER_S, day_start_ms

DAY_S = 86_400
WEEK = 7
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = range(WEEK)
_OF_WEEKDAY = (0.90, 0.94, 0.94, 0.94, 0.90, 0.66, 0.60)
_CHRISTMAS_LEVEL = 0.34
WHOLE_NODES, SHARED_NODES = CPU.nodes[:8], CPU.nodes[8:]
_MAY_SLEEP = CPU.nodes[6:]  # nodes that are switched off over night when there is little to do
_SLEEPY_LEVEL = 0.80
_SLEEP_AT_S, _SLEEP_S = 73_800, 32_400  # from 20:30 to 05:30 UTC, inside the operating day of the CPU nodes


def weekday(day: date) -> int:
    """0 is Monday."""
    return day.weekday()


def week(day: date) -> int:
    """Weeks since the year 1, begun on Mondays."""
    return (day.toordinal() - 1) // WEEK


def array_fails(day: date) -> bool:
    """Whether an array fails all night, on nodes that are up for it: a Thursday night in every other week."""
    return weekday(day) == THURSDAY and week(day) % 2 == 0


def level(day: date) -> float:
    """The share of time for which nodes are held, 0 to 1."""
    if (day.month, day.day) >= (12, 22) or (day.month, day.day) <= (1, 4):
        return _CHRISTMAS_LEVEL
    season = 0.94 + 0.06 * math.cos(2 * math.pi * (day.timetuple().tm_yday - 320) / 365.25)  # least in mid-May
    summer = 0.88 if day.month == 8 else 1.0
    grown = 1.0 + 0.04 * (day.toordinal() - date(2026, 1, 1).toordinal()) / 365.25
    return min(0.96, max(0.3, _OF_WEEKDAY[day.weekday()] * season * summer * min(1.05, max(0.85, grown))))


@dataclass(frozen=True, slots=True)
class Sleep:
    """A node that is switched off in [start, end) seconds since the epoch."""

    node: str
    start_s: int
    end_s: int


def sleeps(seed: int, day: date) -> tuple[Sleep, ...]:
    """Which nodes are switched off in the night that begins on a UTC day."""
    spare = (_SLEEPY_LEVEL - level(day)) / (_SLEEPY_LEVEL - _CHRISTMAS_LEVEL)
    count = min(len(_MAY_SLEEP) - 1, math.ceil(spare * (len(_MAY_SLEEP) - 1)))
    if count <= 0:
        return ()
    rng = np.random.default_rng((seed, 5, (day - EPOCH_DAY).days))
    chosen = [_MAY_SLEEP[index] for index in sorted(rng.choice(len(_MAY_SLEEP), count, replace=False).tolist())]
    start_s = day_start_ms(day) // MS_PER_S + _SLEEP_AT_S
    busy = SHARED_NODES if array_fails(day) else ()
    return tuple(Sleep(node, start_s, start_s + _SLEEP_S) for node in chosen if node not in busy)
