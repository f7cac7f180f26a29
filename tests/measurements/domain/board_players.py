"""People who run jobs, and what somebody might do to look better: a small physics of nodes for the gaming simulation.

A job holds nodes for a busy time, then leaves them idle; what it draws follows from that. Nothing here knows how
boards are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from measurements.domain.board_waste import IdlePower
from measurements.domain.units import DAY_MS, HOUR_MS, US_PER_MS

FIRST = 20_000  # UTC day since 1970
DAYS = 30
IDLE = {1: IdlePower(100.0, float("nan"), 0.0), 2: IdlePower(200.0, 50.0, 4.0)}  # by node type
NODE_W = {1: 100.0, 2: 400.0}  # of a node that waits, with its GPUs
GPUS_W = {1: 0.0, 2: 200.0}  # of these its GPUs
WAITS = 1.04  # a node that merely waits draws up to so many times its idle power
AC = 1


@dataclass(frozen=True)
class Job:
    """What one job did; energies follow."""

    user: str
    account: str
    kind: int  # node type
    start_ms: int
    busy_ms: int
    idle_ms: int
    nodes: int
    dynamic_j: float  # above idle, in the busy time
    waits: float  # power of a waiting node ÷ its idle power
    work: float
    failed: bool
    size: str = ""

    @property
    def end_ms(self) -> int:
        """When it ended."""
        return self.start_ms + self.busy_ms + self.idle_ms

    @property
    def idle_w(self) -> float:
        """Of all its nodes with their GPUs, as they wait."""
        return self.nodes * NODE_W[self.kind] * self.waits

    @property
    def energy_j(self) -> float:
        """All that it drew."""
        return self.idle_w * (self.end_ms - self.start_ms) / 1000 + self.dynamic_j


Move = Callable[[np.random.Generator, list[Job]], list[Job]]


def world(rng: np.random.Generator, people: int, accounts: int = 1) -> list[Job]:
    """Jobs of some people, a few of whom fail more often, or need more energy for the same work."""
    jobs = []
    for person in range(people):
        thrift, fails = rng.lognormal(0, rng.choice([0.05, 0.4])), rng.choice([0.0, 0.1, 0.3])
        account = f"project{person % accounts}"
        for _ in range(int(rng.integers(12, 40))):
            jobs.append(job(rng, f"user{person}", account, thrift, failed=rng.random() < fails))
    return jobs


def job(rng: np.random.Generator, user: str, account: str, thrift: float, *, failed: bool) -> Job:
    """One that is like those of its owner."""
    kind, busy_h = int(rng.choice([1, 2])), float(rng.lognormal(1.0, 1.0))
    nodes = int(rng.integers(1, 4))
    dynamic_j = nodes * busy_h * 3600 * float(rng.uniform(100, 900))
    idle_h = busy_h * float(rng.choice([0.0, 0.0, 0.3, 1.5]))
    start = FIRST * DAY_MS + int(rng.integers(0, (DAYS - 1) * DAY_MS))
    made = Job(
        user, account, kind, start, int(busy_h * HOUR_MS), int(idle_h * HOUR_MS), nodes, dynamic_j,
        float(rng.uniform(1.0, WAITS)), 0.0, failed, size=str(rng.choice(["small", "large"])),
    )  # fmt: skip
    end = min(made.end_ms, (FIRST + DAYS) * DAY_MS - 1)
    made = replace(made, start_ms=made.start_ms - (made.end_ms - end))
    return replace(made, work=0.0 if failed else made.energy_j / thrift / 1e6 * float(rng.lognormal(0, 0.1)))


# --- What somebody might do -------------------------------------------------------------------------------------------


def lower_utilisation(rng: np.random.Generator, mine: list[Job]) -> list[Job]:
    """The same work, slower."""
    return _some(rng, mine, lambda one: replace(one, busy_ms=int(one.busy_ms * rng.uniform(1.0, 5.0))))


def sleep_jobs(rng: np.random.Generator, mine: list[Job]) -> list[Job]:
    """Jobs that do nothing and end well."""
    like = [mine[i] for i in rng.integers(0, len(mine), 1 + int(rng.integers(0, 20)))]
    return mine + [
        replace(one, start_ms=_when(rng), idle_ms=int(rng.uniform(0.1, 60) * HOUR_MS), busy_ms=0, dynamic_j=0.0,
                work=0.0, failed=False, waits=float(rng.uniform(1.0, WAITS)))
        for one in like
    ]  # fmt: skip


def pad(rng: np.random.Generator, mine: list[Job]) -> list[Job]:
    """Wait at the end, maybe over midnight."""
    return _some(rng, mine, lambda one: replace(one, idle_ms=one.idle_ms + int(rng.uniform(0, 40) * HOUR_MS)))


def hold_more(rng: np.random.Generator, mine: list[Job]) -> list[Job]:
    """More nodes, and GPUs with them, that wait beside: a job of their own says what they draw."""
    found = []
    for one in mine:
        found.append(one)
        if rng.random() < 0.5:
            extra = replace(one, nodes=int(rng.integers(1, 6)), dynamic_j=0.0, work=0.0, busy_ms=0)
            found.append(replace(extra, idle_ms=one.end_ms - one.start_ms))
    return found


def add_failed(rng: np.random.Generator, mine: list[Job]) -> list[Job]:
    """More that fail."""
    like = [mine[i] for i in rng.integers(0, len(mine), 1 + int(rng.integers(0, 10)))]
    return mine + [replace(one, start_ms=_when(rng), work=0.0, failed=True) for one in like]


def split(rng: np.random.Generator, mine: list[Job]) -> list[Job]:
    """Some jobs in parts, one after the other or on other days; work and energy as unequal as they like."""
    found = []
    for one in mine:
        found += _parts(rng, one) if rng.random() < 0.6 else [one]
    return found


def merge(rng: np.random.Generator, mine: list[Job]) -> list[Job]:
    """Two jobs that ended alike as one."""
    found = list(mine)
    for _ in range(int(rng.integers(1, 6))):
        i, j = rng.integers(0, len(found), 2).tolist()
        a, b = found[i], found[j]
        if i == j or len(found) <= 12 or _alike(a) != _alike(b):
            continue
        both = replace(
            a, busy_ms=a.busy_ms + b.busy_ms, idle_ms=a.idle_ms + b.idle_ms, dynamic_j=a.dynamic_j + b.dynamic_j,
            work=a.work + b.work, waits=_mean_waits(a, b),
        )  # fmt: skip
        found = [one for place, one in enumerate(found) if place not in (i, j)] + [both]
    return found


MOVES: dict[str, Move] = {
    "lower utilisation": lower_utilisation,
    "sleep": sleep_jobs,
    "padding": pad,
    "holding more": hold_more,
    "failing": add_failed,
    "splitting": split,
    "merging": merge,
}


def _some(rng: np.random.Generator, mine: list[Job], change: Callable[[Job], Job]) -> list[Job]:
    return [change(one) if rng.random() < 0.7 else one for one in mine]


def _when(rng: np.random.Generator) -> int:
    return FIRST * DAY_MS + int(rng.integers(0, DAYS * DAY_MS))


def _alike(one: Job) -> tuple[object, ...]:
    return one.user, one.kind, one.nodes, one.failed, one.size


def _mean_waits(a: Job, b: Job) -> float:
    """So that both together draw what each of them did."""
    times = [one.end_ms - one.start_ms for one in (a, b)]
    return float(np.average([a.waits, b.waits], weights=times)) if sum(times) else a.waits


def _parts(rng: np.random.Generator, one: Job) -> list[Job]:
    count = int(rng.integers(2, 7))
    busy, idle = (_cut(rng, most, count) for most in (one.busy_ms, one.idle_ms))
    dynamic_j, work = one.dynamic_j * rng.dirichlet(np.full(count, 0.5)), one.work * rng.dirichlet(np.full(count, 0.3))
    found, at = [], one.start_ms
    for i in range(count):
        start = at if rng.random() < 0.5 else _when(rng)
        made = replace(one, start_ms=start, busy_ms=busy[i], idle_ms=idle[i])
        found.append(replace(made, dynamic_j=float(dynamic_j[i]), work=float(work[i])))
        at = found[-1].end_ms
    return found


def _cut(rng: np.random.Generator, most: int, count: int) -> list[int]:
    edges = sorted([0, *rng.integers(0, most + 1, count - 1).tolist(), most])
    return [high - low for low, high in pairwise(edges)]


# --- As the site's tables show it -------------------------------------------------------------------------------------


def job_rows(jobs: Sequence[Job], entity: str) -> pd.DataFrame:
    """Rows of a workload, as `board_jobs` takes them."""
    return pd.DataFrame(
        {
            "entity": [str(getattr(one, entity)) for one in jobs],
            "username": [one.user for one in jobs],
            "start_ms": [one.start_ms for one in jobs],
            "end_ms": [one.end_ms for one in jobs],
            "energy_j": [one.energy_j for one in jobs],
            "held_s": [one.nodes * (one.end_ms - one.start_ms) / 1000 for one in jobs],
            "coverage": 1.0,
            "scope": AC,
            "excused": False,
            "done": [0.0 if one.failed else one.work for one in jobs],
            "phase": "",
            "size": [one.size for one in jobs],
            "target": "",
        }
    )


def usage_rows(jobs: Sequence[Job]) -> pd.DataFrame:
    """Rows of the roll-up, as `board_waste` takes them: a row a job, day and whether it was busy."""
    rows = []
    for one in jobs:
        power, busy_end = IDLE[one.kind], one.start_ms + one.busy_ms
        gpu_idle_w, node_w = one.nodes * GPUS_W[one.kind] * one.waits, one.idle_w
        for busy, start, end in ((True, one.start_ms, busy_end), (False, busy_end, one.end_ms)):
            for day in range(start // DAY_MS, (max(end, start + 1) - 1) // DAY_MS + 1):
                ms = min(end, (day + 1) * DAY_MS) - max(start, day * DAY_MS)
                if ms <= 0:
                    continue
                dynamic_j = one.dynamic_j * ms / one.busy_ms if busy else 0.0
                us, seconds = ms * US_PER_MS * one.nodes, ms / 1000
                gpu_j = gpu_idle_w * seconds
                rows.append(
                    {
                        "username": one.user,
                        "account": one.account,
                        "day": day,
                        "node_type_id": one.kind,
                        "state": "FAILED" if one.failed else "COMPLETED",
                        "excused": False,
                        "energy_j": node_w * seconds + dynamic_j,
                        "gpu_energy_j": gpu_j + (dynamic_j * 0.8 if power.gpus else 0.0),
                        "gpu_idle_j": 0.0 if busy else gpu_j,
                        "gpu_held_us": us * power.gpus,
                        "gpu_idle_us": 0.0 if busy else us * power.gpus,
                        "reserved_us": us,
                        "covered_us": us,
                        "elapsed_us": us,
                    }
                )
    return pd.DataFrame(rows)
