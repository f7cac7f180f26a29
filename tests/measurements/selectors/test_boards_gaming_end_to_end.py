"""Gaming at the level of the whole system: an honest world and its twins, in each of which one person tries something.

From logs through attribution to the draft of an edition. Whatever is tried, no place of the person who tries it gets
better on any kind of board; what no board can see is said in docs/leaderboards.md.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from django.utils import timezone

from measurements.domain.comparison import BANDS
from measurements.models import Board, Cluster, Edition
from measurements.selectors.board_rows import compose
from tests.measurements.board_site import DAY, FIRST, Work, build

pytestmark = [pytest.mark.django_db]
DAYS = 7  # one more than jobs begin on
PEOPLE = [f"user{i}" for i in range(10)]
PLAYER = PEOPLE[4]
KINDS = ("energy_per_work", "failed_energy", "idle_accelerators")
Place = tuple[int, int, int]


def honest(seed: int = 7) -> list[Work]:
    """Two jobs a day of each person, some of which fail or hold GPUs idle for a while."""
    rng = np.random.default_rng(seed)
    jobs = []
    for i, user in enumerate(PEOPLE):
        thrift, waits, fails = 0.6 + 0.12 * i, 0.25 * (i % 5), 0.1 + 0.05 * (i % 4)
        for day in range(6):
            for half in range(2):
                busy = int(rng.integers(8, 12))
                length = busy + int(busy * waits)
                failed = rng.random() < fails or (day, half) == (i % 6, 0)
                job = Work(user, day * DAY + half * 48, busy, length, (f"g{i}",), float(rng.uniform(250, 350)))
                work = 0.0 if failed else job.beyond_idle_j / thrift / 1e4 * float(rng.uniform(0.95, 1.05))
                jobs.append(replace(job, work=work, state="FAILED" if failed else "COMPLETED"))
    return jobs


def lower_utilisation(mine: list[Work]) -> list[Work]:
    return [replace(job, busy=2 * job.busy, length=job.length + job.busy, watts=job.watts / 2) for job in mine]


def sleep_jobs(mine: list[Work]) -> list[Work]:
    spare = [replace(job, nodes=("g90",), watts=0.0, work=0.0, state="COMPLETED") for job in mine]
    return [*mine, *spare]


def sleep_jobs_of_work(mine: list[Work]) -> list[Work]:
    """They say that they did a little."""
    return [*mine, *(replace(job, nodes=("g90",), watts=0.0, work=1e-6, state="COMPLETED") for job in mine)]


def padding(mine: list[Work]) -> list[Work]:
    return [replace(job, length=job.length + 14) for job in mine]


def more_nodes(mine: list[Work]) -> list[Work]:
    """A second node beside, which does nothing."""
    return [*mine, *(replace(job, nodes=("c91",), watts=0.0, work=0.0) for job in mine)]


def idle_gpus(mine: list[Work]) -> list[Work]:
    return [*mine, *(replace(job, nodes=("g92",), watts=0.0, work=0.0, length=3 * job.length) for job in mine[::3])]


def split(mine: list[Work]) -> list[Work]:
    """In halves, all of the work said to be of the first one."""
    found = []
    for job in mine:
        busy = job.busy // 2
        found.append(replace(job, busy=busy, length=busy))
        found.append(replace(job, begin=job.begin + busy, busy=job.busy - busy, length=job.length - busy, work=0.0))
    return found


def other_days(mine: list[Work]) -> list[Work]:
    """Over midnight."""
    return [replace(job, begin=job.begin + DAY - 3 if job.begin % DAY == 0 else job.begin, nodes=(job.nodes[0] if
            job.begin % DAY else "g93",)) for job in mine]  # fmt: skip


def without_declared_work(mine: list[Work]) -> list[Work]:
    """Of the jobs that were worst."""
    worst = sorted((job for job in mine if job.work), key=lambda job: job.work / job.beyond_idle_j)[:4]
    return [replace(job, work=0.0) if job in worst else job for job in mine]


def failing_more(mine: list[Work]) -> list[Work]:
    return [*mine, *(replace(job, nodes=("g94",), work=0.0, state="FAILED") for job in mine[::2])]


STRATEGIES = (
    lower_utilisation, sleep_jobs, sleep_jobs_of_work, padding, more_nodes, idle_gpus, split, other_days,
    without_declared_work, failing_more,
)  # fmt: skip


def places(cluster: str, user: str = PLAYER) -> dict[str, Place | None]:
    """By kind: best and worst rank, band; None: not compared."""
    found: dict[str, Place | None] = {}
    machine = Cluster.objects.get(name=cluster)
    for kind in KINDS:
        tags = {"workload": "nnunet", "phase": "inference", "unit": "queries"} if kind == "energy_per_work" else {}
        slug = f"{kind}-{cluster}".replace("_", "-")
        board = Board.objects.create(slug=slug, title=kind, kind=kind, scope="user", cluster=machine, created_by="olga",
                                     created_at=timezone.now(), **tags)  # fmt: skip
        edition = Edition.objects.create(board=board, number=1, first=FIRST, last=FIRST + timedelta(days=DAYS - 1),
                                         drafted_by="olga", drafted_at=timezone.now())  # fmt: skip
        seats = compose(edition, timezone.now()).seats
        assert seats, (cluster, kind)
        [own] = seats[user].own
        found[kind] = None if own["reasons"] else (own["best"], own["worst"], BANDS.index(own["band"][0]))
    return found


def test_nothing_that_somebody_tries_improves_a_place(tmp_path: Path) -> None:
    jobs = honest()
    build(tmp_path, "honest", jobs, DAYS)
    before = places("honest")
    assert None not in before.values()
    mine = [job for job in jobs if job.user == PLAYER]
    others = [job for job in jobs if job.user != PLAYER]
    better = {}
    for strategy in STRATEGIES:
        name = strategy.__name__.replace("_", "-")
        build(tmp_path, name, [*others, *strategy(mine)], DAYS)
        for kind, now in places(name).items():
            then = before[kind]
            if now is not None and then is not None and any(a < b for a, b in zip(now, then, strict=True)):
                better[name, kind] = (then, now)
    assert not better, better


def test_the_simulation_can_tell_who_does_better(tmp_path: Path) -> None:
    """The same work for half of the energy, with nothing failed and no GPU idle: each place gets better."""
    jobs = honest()
    build(tmp_path, "honest", jobs, DAYS)
    good = [
        replace(job, watts=job.watts / 3, length=job.busy, work=job.work or 1.0, state="COMPLETED")
        if job.user == PLAYER else job
        for job in jobs
    ]  # fmt: skip
    build(tmp_path, "better", good, DAYS)
    before, after = places("honest"), places("better")
    for kind in KINDS:
        then, now = before[kind], after[kind]
        assert then is not None
        assert now is not None
        assert now[1] < then[1], (kind, then, now)
