"""Idle GPUs and off-times against a slow count, second by second, that shares no code with what it checks."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from measurements.domain.attribution import Holdings, MeterPeriod, NodeDay, Series, attribute_node
from measurements.domain.units import DAY_MS, MS_PER_S, UJ_PER_J, US_PER_S, Kind

DAY_START_MS = 20_000 * DAY_MS
SPAN_S = 600  # all of it happens in the first ten minutes of the day
NOMINAL_S, MAX_GAP_S = 10, 30
IDLE_W = 50
GPUS = 2


@dataclass(frozen=True)
class Job:
    """What holds the node, or some of its GPUs, in [start, end) seconds."""

    start: int
    end: int
    exclusive: bool
    indices: tuple[int, ...]
    count: int = 0  # GPUs stated without index


Points = list[tuple[int, int]]  # second, watts


@st.composite
def points(draw: st.DrawFn, watts: st.SearchStrategy[int]) -> Points:
    """Samples on even seconds, so that half an interval and every edge fall on whole seconds."""
    seconds = draw(st.lists(st.integers(10, SPAN_S - 10), min_size=1, max_size=25, unique=True))
    return [(second, draw(watts)) for second in sorted(seconds)]


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    start = draw(st.integers(0, SPAN_S - 2))
    end = draw(st.integers(start + 1, SPAN_S))
    if draw(st.booleans()):
        return Job(start, end, exclusive=True, indices=())
    indices = tuple(sorted(draw(st.sets(st.integers(0, GPUS - 1)))))
    return Job(start, end, exclusive=False, indices=indices, count=draw(st.integers(0, 1)))


def stretch(series: Points, second: int) -> tuple[float, float] | None:
    """Power at both ends of [second, second + 1); None: a gap."""
    before = [p for p in series if p[0] <= second]
    after = [p for p in series if p[0] >= second + 1]
    if before and after and after[0][0] - before[-1][0] <= MAX_GAP_S:
        (t0, w0), (t1, w1) = before[-1], after[0]
        slope = (w1 - w0) / (t1 - t0)
        return w0 + slope * (second - t0), w0 + slope * (second + 1 - t0)
    for candidates, near in ((before, -1), (after, 0)):
        if candidates:
            t, w = candidates[near]
            distance = second + 1 - t if near == -1 else t - second
            if distance <= NOMINAL_S // 2:
                return w, w
    return None


def idle_part(first: float, last: float) -> tuple[float, float]:
    """Of one second of linear power: how long it is idle [s], and what it draws then [J]."""
    limit = 1.2 * IDLE_W
    if (first <= limit) == (last <= limit):
        return (1.0, (first + last) / 2) if first <= limit else (0.0, 0.0)
    crossing = (limit - first) / (last - first)
    idle_s, least = (crossing, first) if first <= limit else (1 - crossing, last)
    return idle_s, idle_s * (least + limit) / 2


def expected(node: Points, gpus: list[Points], holders: list[Job]) -> list[tuple[float, float, float]]:
    """Per job: GPU-seconds held and known, idle GPU-seconds, idle joules."""
    found = [[0.0, 0.0, 0.0] for _ in holders]
    for second in range(SPAN_S):
        if stretch(node, second) is None:
            continue
        here = [i for i, job in enumerate(holders) if job.start <= second < job.end]
        counted = any(holders[i].count and not holders[i].indices and not holders[i].exclusive for i in here)
        for index, gpu in enumerate(gpus):
            power = stretch(gpu, second)
            if power is None:
                continue
            named = [i for i in here if not holders[i].exclusive and index in holders[i].indices]
            whole = [] if named or counted else [i for i in here if holders[i].exclusive]
            for i in named or whole:
                found[i][0] += 1
                idle_s, idle_j = idle_part(*power)
                found[i][1] += idle_s
                found[i][2] += idle_j / len(named or whole)
    return [(held, idle, energy) for held, idle, energy in found]


def node_day(node: Points, gpus: list[Points], holders: list[Job], off: list[tuple[int, int]]) -> NodeDay:
    named = {"node": node} | {f"gpu{i}": gpu for i, gpu in enumerate(gpus)}
    at = [DAY_START_MS + np.array([[job.start, job.end] for job in holders], np.int64).reshape(-1, 2) * MS_PER_S]
    return NodeDay(
        series=[
            Series(
                name,
                Kind.GAUGE,
                DAY_START_MS + np.array([t for t, _ in series], np.int64) * MS_PER_S,
                np.array([w for _, w in series], np.int64) * 1_000,
                NOMINAL_S * MS_PER_S,
                MAX_GAP_S * MS_PER_S,
            )
            for name, series in named.items()
        ],
        meter=[MeterPeriod(0, ("node",), tuple(name for name in named if name != "node"))],
        holdings=Holdings(
            start_ms=at[0][:, 0],
            end_ms=at[0][:, 1],
            cpus=np.full(len(holders), 4, np.int64),
            gpus=np.array([job.count for job in holders], np.int64),
            gpu_mask=np.array([sum(1 << i for i in job.indices) for job in holders], np.uint64),
            exclusive=np.array([int(job.exclusive) for job in holders], np.int8),
            cpu_rate=np.full(len(holders), np.nan),
        ),
        cpus=64,
        gpus=GPUS,
        gpu_idle_mw=IDLE_W * 1_000,
        off_ms=[(DAY_START_MS + start * MS_PER_S, DAY_START_MS + end * MS_PER_S) for start, end in off],
    )


ANY_POWER = st.integers(20, 100)


STEADY = [(100, 30), (110, 30), (120, 30)]


# Beside one that would hold the node, one that states a number: of neither is it known which GPUs it held.
@example(
    [(100, 500), (110, 500)],
    [STEADY, STEADY],
    [Job(90, 200, exclusive=True, indices=()), Job(90, 200, exclusive=False, indices=(), count=1)],
)
@given(
    points(st.integers(500, 900)),
    st.lists(points(ANY_POWER), min_size=GPUS, max_size=GPUS),
    st.lists(jobs(), max_size=4),
)
def test_idle_gpus_are_those_counted_second_by_second(node: Points, gpus: list[Points], holders: list[Job]) -> None:
    booked = attribute_node(node_day(node, gpus, holders, []), DAY_START_MS).allocations
    wanted = expected(node, gpus, holders)
    assert (booked.gpu_held_us / US_PER_S).tolist() == [held for held, _, _ in wanted]
    assert (booked.gpu_idle_us / US_PER_S).tolist() == pytest.approx([idle for _, idle, _ in wanted], abs=1e-6)
    assert (booked.gpu_idle_uj / UJ_PER_J).tolist() == pytest.approx(
        [energy for *_, energy in wanted], rel=1e-9, abs=1e-6
    )
    assert (booked.gpu_idle_uj <= booked.gpu_uj * (1 + 1e-12) + 1).all()


@given(
    points(st.integers(100, 900)),
    st.lists(st.tuples(st.integers(0, SPAN_S), st.integers(0, SPAN_S)).map(sorted).map(tuple), max_size=4),
)
def test_off_is_what_is_not_covered_while_the_node_was_off(node: Points, off: list[tuple[int, int]]) -> None:
    ledger = attribute_node(node_day(node, [], [], off), DAY_START_MS)
    inside = [s for s in range(SPAN_S) if any(start <= s < end for start, end in off)]
    assert ledger.off_us == sum(stretch(node, s) is None for s in inside) * US_PER_S
    assert ledger.metered_uj.sum() == pytest.approx(
        attribute_node(node_day(node, [], [], []), DAY_START_MS).metered_uj.sum(), rel=1e-12
    )
    assert ledger.covered_us + ledger.off_us <= DAY_MS * 1_000


def test_a_gpu_that_is_read_on_other_days_only_changes_no_bit_of_a_day() -> None:
    rng = np.random.default_rng(7)
    seconds = np.unique(rng.integers(10, SPAN_S - 10, 80)).tolist()
    node = [
        (int(second), int(watts)) for second, watts in zip(seconds, rng.integers(99, 999, len(seconds)), strict=True)
    ]
    holders = [Job(13, 401, exclusive=False, indices=()), Job(77, 555, exclusive=True, indices=())]
    alone = node_day(node, [], holders, [])
    named = replace(alone, meter=[MeterPeriod(0, ("node",), ("gpu0", "gpu1"))])
    assert as_bytes(attribute_node(named, DAY_START_MS)) == as_bytes(attribute_node(alone, DAY_START_MS))


def as_bytes(value: object) -> object:
    """All of a ledger, bit for bit."""
    if is_dataclass(value):
        return [(field.name, as_bytes(getattr(value, field.name))) for field in fields(value)]
    return value.tobytes() if isinstance(value, np.ndarray) else value
