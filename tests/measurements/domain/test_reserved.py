"""Reserved time against a slow count, second by second, that shares no code with what it checks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from measurements.domain.attribution import Holdings, MeterPeriod, NodeDay, Series, attribute_node
from measurements.domain.units import DAY_MS, MS_PER_S, US_PER_S, IntArray, Kind
from tests.measurements.domain.strategies import DAY, node_days

SPAN_S = 40  # all of it happens in the first seconds of the day
CPUS, GPUS = 12, 4


@dataclass(frozen=True)
class Job:
    """What holds a part of the node in [start, end) seconds."""

    start: int
    end: int
    cpus: int = 1
    gpus: int = 0
    indices: tuple[int, ...] = ()
    exclusive: bool = False


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    start = draw(st.integers(0, SPAN_S - 1))
    return Job(
        start,
        draw(st.integers(start, SPAN_S)),
        cpus=draw(st.sampled_from((0, 1, 5, 7, CPUS, 40))),
        gpus=draw(st.integers(0, GPUS + 1)),
        indices=tuple(sorted(draw(st.sets(st.integers(0, GPUS - 1))))),
        exclusive=draw(st.sampled_from((False, False, False, True))),
    )


def node_of(held: list[Job], cpus: int = CPUS, gpus: int = GPUS) -> NodeDay:
    """A node without a meter."""
    return NodeDay(
        series=[],
        meter=[],
        holdings=Holdings(
            start_ms=np.array([DAY + job.start * MS_PER_S for job in held], np.int64),
            end_ms=np.array([DAY + job.end * MS_PER_S for job in held], np.int64),
            cpus=np.array([job.cpus for job in held], np.int64),
            gpus=np.array([job.gpus for job in held], np.int64),
            gpu_mask=np.array([sum(1 << i for i in job.indices) for job in held], np.uint64),
            exclusive=np.array([int(job.exclusive) for job in held], np.int8),
            cpu_rate=np.full(len(held), np.nan),
        ),
        cpus=cpus,
        gpus=gpus,
    )


def reserved(node: NodeDay) -> IntArray:
    return attribute_node(node, DAY).allocations.reserved_us


def wanted(job: Job, cpus: int, gpus: int) -> Fraction:
    """The part of the node that a job asks for, 0 to 1."""
    if job.exclusive or (cpus and job.cpus == cpus):
        return Fraction(1)
    cards = len(job.indices) if job.indices else job.gpus
    parts = [Fraction(job.cpus, cpus) if cpus else Fraction(1 if job.cpus else 0)]
    parts += [Fraction(cards, gpus)] if gpus else []
    return min(max(parts), Fraction(1))


def second_by_second(held: list[Job], cpus: int, gpus: int) -> list[Fraction]:
    """Reserved seconds of each job."""
    total = [Fraction(0)] * len(held)
    for second in range(SPAN_S):
        there = [i for i, job in enumerate(held) if job.start <= second < job.end]
        parts = {i: wanted(held[i], cpus, gpus) for i in there}
        crowd = max(Fraction(1), sum(parts.values(), Fraction(0)))
        for i in there:
            total[i] += parts[i] / crowd
    return total


@given(st.lists(jobs(), max_size=7), st.sampled_from((0, CPUS)), st.sampled_from((0, GPUS)))
@example([Job(0, 40, cpus=5), Job(10, 30, cpus=7), Job(20, 40, exclusive=True)], CPUS, GPUS)
@example([Job(0, 40, cpus=1, gpus=3), Job(0, 40, cpus=11, gpus=1)], CPUS, GPUS)
def test_reserved_time_is_what_counting_seconds_gives(held: list[Job], cpus: int, gpus: int) -> None:
    exact = second_by_second(held, cpus, gpus)
    for got, seconds in zip(reserved(node_of(held, cpus, gpus)).tolist(), exact, strict=True):
        assert 0 <= seconds * US_PER_S - got < 1 + 2 * len(held), "rounded down, once for each change of the holders"


@given(st.lists(jobs(), max_size=12))
def test_all_together_never_exceed_the_time_in_which_anybody_was_there(held: list[Job]) -> None:
    occupied_s = sum(any(job.start <= second < job.end for job in held) for second in range(SPAN_S))
    assert reserved(node_of(held)).sum() <= occupied_s * US_PER_S


@given(node_days())
def test_a_node_gives_away_no_more_than_its_day(node: NodeDay) -> None:
    rows = attribute_node(node, DAY).allocations
    assert rows.reserved_us.dtype == np.int64
    assert (rows.reserved_us >= 0).all()
    assert (rows.reserved_us <= rows.elapsed_us).all()
    assert int(rows.reserved_us.sum()) <= DAY_MS * 1_000


@given(st.integers(0, SPAN_S - 1), st.integers(1, SPAN_S), st.sampled_from((0, CPUS)), st.integers(0, 3))
def test_who_has_the_node_alone_reserves_all_of_the_time(start: int, length: int, cpus: int, gpus: int) -> None:
    alone = node_of([Job(start, start + length, cpus=3, gpus=1, exclusive=True)], cpus, gpus)
    assert reserved(alone).tolist() == [length * US_PER_S]
    not_stated = replace(
        alone, holdings=replace(alone.holdings, cpus=np.array([-1]), exclusive=np.array([-1], np.int8))
    )
    assert reserved(not_stated).tolist() == [length * US_PER_S]


@given(st.lists(jobs(), min_size=2, max_size=4))
def test_the_order_of_the_allocations_shows_nowhere(held: list[Job]) -> None:
    straight = reserved(node_of(held)).tolist()
    for order in permutations(range(len(held))):
        assert reserved(node_of([held[i] for i in order])).tolist() == [straight[i] for i in order]


@given(st.lists(jobs(), max_size=5))
def test_no_meter_has_a_say_in_it(held: list[Job]) -> None:
    dark = node_of(held)
    t_ms = DAY + 1_000 * np.arange(0, 30, 7, dtype=np.int64)
    gauge = Series("node", Kind.GAUGE, t_ms, np.full(len(t_ms), 300_000), 1_000, 3_000)
    metered = replace(dark, series=[gauge], meter=[MeterPeriod(DAY + 5_000, ("node",))])
    assert reserved(metered).tolist() == reserved(dark).tolist()


@pytest.mark.parametrize(
    ("job", "cpus", "gpus", "share"),
    [
        (Job(0, 36, cpus=3), 12, 0, 0.25),
        (Job(0, 36, cpus=3, gpus=2), 12, 4, 0.5),
        (Job(0, 36, cpus=3, gpus=4, indices=(2,)), 12, 4, 0.25),
        (Job(0, 36, cpus=3, gpus=2), 12, 0, 0.25),
        (Job(0, 36, cpus=40), 12, 4, 1.0),
        (Job(0, 36, cpus=1), 0, 4, 1.0),
        (Job(0, 36, cpus=0), 0, 0, 0.0),
    ],
    ids=["cores", "GPUs", "GPUs by index", "GPUs unknown", "too many", "cores unknown", "nothing"],
)
def test_the_larger_part_counts(job: Job, cpus: int, gpus: int, share: float) -> None:
    assert reserved(node_of([job], cpus, gpus)).tolist() == [share * 36 * US_PER_S]


def test_absurd_descriptions_do_not_overflow() -> None:
    big = node_of([Job(0, 86_400, cpus=500_000), Job(0, 86_400, cpus=499_999)], cpus=1_000_003, gpus=999)
    assert int(reserved(big).sum()) == pytest.approx(999_999 / 1_000_003 * 86_400 * US_PER_S, abs=2)
