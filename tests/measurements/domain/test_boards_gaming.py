"""Gaming: whatever somebody does but drawing less for the same work, no place on any kind of board gets better."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import count

import numpy as np
import pandas as pd
import pytest

from measurements.domain.board_jobs import improvement, per_work
from measurements.domain.board_scores import Span
from measurements.domain.board_waste import counting, shares, with_parts
from measurements.domain.boards import Scored, band_groups, standing
from measurements.domain.comparison import BANDS
from measurements.domain.units import DAY_MS
from tests.measurements.domain.board_players import DAYS, FIRST, IDLE, MOVES, Job, job_rows, usage_rows, world

SPAN = Span(FIRST, DAYS)
CASES = 160  # of each of the seven kinds
TRIES = 12  # in each world
K = 5
Seen = tuple[int, int, int]  # best, worst, band


@dataclass(frozen=True)
class Kind:
    """A kind of board: whose place it shows, the rows it is made of, and how."""

    entity: str
    rows: Callable[[list[Job]], pd.DataFrame]
    score: Callable[[pd.DataFrame, pd.DataFrame, list[Job]], Scored]


def _of_work(entity: str) -> Kind:
    return Kind(entity, lambda jobs: job_rows(jobs, entity), lambda now, _before, _jobs: per_work(now, SPAN)[0])


def _of_past() -> Kind:
    spans = SPAN, Span(FIRST - DAYS, DAYS)
    return Kind("user", lambda jobs: job_rows(jobs, "user"), lambda now, past, _: improvement(now, past, spans)[0])


def _of_waste(entity: str, *, of_gpus: bool) -> Kind:
    def score(now: pd.DataFrame, _: pd.DataFrame, jobs: list[Job]) -> Scored:
        table = with_parts(counting(now), IDLE, gpus_only=of_gpus)
        persons: Counter[tuple[str, ...]] = Counter(
            (one.user,) if entity == "user" else (one.account, one.user) for one in jobs
        )
        by = "username" if entity == "user" else "account"
        return shares(table, by, SPAN, persons, of_gpus=of_gpus)

    return Kind(entity, usage_rows, score)


KINDS = {
    "energy per work, persons": _of_work("user"),
    "energy per work, projects": _of_work("account"),
    "energy per work, node types": _of_work("kind"),
    "improvement": _of_past(),
    "failed energy, persons": _of_waste("user", of_gpus=False),
    "failed energy, projects": _of_waste("account", of_gpus=False),
    "idle accelerators": _of_waste("user", of_gpus=True),
}


def _seen(scored: Scored, name: str) -> Seen | None:
    stand = standing(scored, {})
    place = scored.names.index(name)
    if place not in stand.kept:
        return None
    i = int(np.flatnonzero(stand.kept == place)[0])
    band = int(stand.places.bands()[i])
    label = next((one.label for one in band_groups(stand, K) if i in one.members), "A–E")
    assert BANDS.index(label[0]) <= band <= BANDS.index(label[-1])  # what others see of it
    return int(stand.places.best[i]), int(stand.places.worst[i]), band


@cache
def _world(number: int) -> tuple[list[Job], list[Job]]:
    """People and their jobs, and those of the period before: the same worlds for every kind of board."""
    rng = np.random.default_rng([2026, number])
    jobs = world(rng, int(rng.integers(10, 26)), accounts=4)
    past = [replace(one, start_ms=one.start_ms - DAYS * DAY_MS) for one in world(rng, 26, accounts=4)]
    return jobs, past


@pytest.mark.parametrize("name", KINDS)
def test_nobody_gains_by_anything_but_drawing_less_for_the_same_work(name: str) -> None:
    kind = KINDS[name]
    rng = np.random.default_rng([2026, list(KINDS).index(name)])
    compared, changed = 0, 0
    for number in count():
        if compared >= CASES:
            break
        jobs, past = _world(number)
        before = kind.rows(past)
        parts = {user: kind.rows([one for one in jobs if one.user == user]) for user in {one.user for one in jobs}}
        first = kind.score(pd.concat(parts[user] for user in sorted(parts)), before, jobs)
        for _ in range(TRIES):
            player, place, moves, mine = _try(rng, kind, jobs)
            others = [parts[user] for user in sorted(parts) if user != player]
            everybody = [one for one in jobs if one.user != player] + mine
            second = kind.score(pd.concat([*others, kind.rows(mine)]), before, everybody)
            then, now = _seen(first, place), _seen(second, place)
            if then is not None and now is not None:
                compared += 1
                changed += now != then
                assert all(b >= a for a, b in zip(then, now, strict=True)), (name, moves, then, now)
    assert changed > CASES // 20  # the moves do something


def _try(rng: np.random.Generator, kind: Kind, jobs: list[Job]) -> tuple[str, str, list[str], list[Job]]:
    """Somebody, the place that is looked at, and what their jobs are after a few moves (on it: of a node type)."""
    player = f"user{int(rng.integers(0, 10))}"
    mine = [one for one in jobs if one.user == player]
    place = str(getattr(mine[0], kind.entity))
    moved = [one for one in mine if str(getattr(one, kind.entity)) == place]
    moves = rng.choice(list(MOVES), int(rng.integers(1, 4)), replace=False).tolist()
    for move in moves:
        moved = MOVES[move](rng, moved)
    return player, place, moves, moved + [one for one in mine if str(getattr(one, kind.entity)) != place]
