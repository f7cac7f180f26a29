"""What goes wrong with the simulated cluster's meters: silences, a dead BMC, two that freeze, a log that comes late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from measurements.demo import rhythm
from measurements.demo.cluster import CPU, HIGH_MEMORY, MIXED, NODES
from measurements.domain.units import EPOCH_DAY, MS_PER_S, day_start_ms

OUTAGE_EVERY_DAYS = 14
OUTAGE_S = 5_700  # one BMC silent for 95 minutes
DEAD_FROM_S, DEAD_S = 9 * 3_600, 3 * rhythm.DAY_S  # from 09:00 UTC of every other Sunday
FROZEN_NODES = MIXED.nodes[1:3]  # no story is on them, and their GPUs tell
_FROZEN_AT = ((rhythm.THURSDAY, 9 * 3_600, 6 * 3_600), (rhythm.FRIDAY, 11 * 3_600, 4 * 3_600))  # of every other week
LATE_NODES = HIGH_MEMORY.nodes[2:]  # those that run nnU-Net every day
LATE_BY = timedelta(days=5)  # a Tuesday's log comes on Sunday
LATE_AT_S = 8 * 3_600
LATE = "power-late-"  # how their files' names begin


@dataclass(frozen=True, slots=True)
class Silence:
    """A node whose meter says nothing in [start, end) seconds since the epoch."""

    node: str
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Freeze:
    """A node whose BMC repeats one reading in [start, end) seconds since the epoch."""

    node: str
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class LateLog:
    """A node's power log of a UTC day that is delivered only at `due_s`, as a file of its own."""

    node: str
    day: date
    due_s: int

    @property
    def file_name(self) -> str:
        return f"{LATE}{self.day}-{self.node}.csv"


def outage(seed: int, day: date) -> Silence | None:
    """The short silence of a UTC day, if it has one; one such day in a fortnight."""
    number = (day - EPOCH_DAY).days
    rng = np.random.default_rng((seed, 3, number // OUTAGE_EVERY_DAYS))
    if number % OUTAGE_EVERY_DAYS != rng.integers(OUTAGE_EVERY_DAYS):
        return None
    node = str(rng.choice(list(NODES)))
    start_s = _start_s(day) + int(rng.integers(3_600, rhythm.DAY_S - OUTAGE_S))
    return Silence(node, start_s, start_s + OUTAGE_S)


def dead_meter(day: date) -> Silence | None:
    """The BMC that dies on a UTC day, if one does: of the node whose forecast runs every day, for three days."""
    if rhythm.weekday(day) != rhythm.SUNDAY or rhythm.week(day) % 2 == 0:
        return None
    start_s = _start_s(day) + DEAD_FROM_S
    return Silence(CPU.nodes[0], start_s, start_s + DEAD_S)


def freeze(day: date) -> Freeze | None:
    """The BMC that hangs on a UTC day, if one does: on a Thursday and the Friday after it, in every other week."""
    for node, (weekday, from_s, length_s) in zip(FROZEN_NODES, _FROZEN_AT, strict=True):
        if rhythm.weekday(day) == weekday and rhythm.week(day) % 2 == 1:
            start_s = _start_s(day) + from_s
            return Freeze(node, start_s, start_s + length_s)
    return None


def silences(seed: int, day: date) -> list[Silence]:
    """All silences that touch a UTC day."""
    dead = [dead_meter(day - timedelta(days=back)) for back in range(DEAD_S // rhythm.DAY_S + 1)]
    return [silence for silence in (outage(seed, day), *dead) if silence is not None]


def late_log(seed: int, day: date) -> LateLog | None:
    """The log of a UTC day that comes late, if one does: a Tuesday's, of one node."""
    if rhythm.weekday(day) != rhythm.TUESDAY:
        return None
    rng = np.random.default_rng((seed, 6, (day - EPOCH_DAY).days))
    return LateLog(str(rng.choice(LATE_NODES)), day, _start_s(day + LATE_BY) + LATE_AT_S)


def _start_s(day: date) -> int:
    return day_start_ms(day) // MS_PER_S
