"""A clock that is off is told with about its lag, or not at all; an honest one is never accused."""

from __future__ import annotations

import numpy as np
import pytest

from measurements.domain.plausibility import ChannelDay
from measurements.domain.plausibility_skew import Lag, lag_of, quarter_means, sum_of
from measurements.domain.units import DAY_MS, QUARTER_MS, FloatArray, IntArray, Kind

DAY = 1_741_564_800_000  # 2025-03-10
MINUTE_MS = 60_000
AROUND = np.arange(DAY - DAY_MS, DAY + 2 * DAY_MS, MINUTE_MS)  # a clock that is off shows a part of another day
HONEST_DAYS = 1_000
OFFSETS_MIN = [
    1,
    2,
    5,
    10,
    14,
    15,
    16,
    22,
    30,
    37,
    45,
    60,
    61,
    75,
    90,
    120,
    121,
    180,
    240,
    301,
    360,
    480,
    600,
    719,
    720,
]


def loads(draw: np.random.Generator) -> FloatArray:
    """Three days of a node [W], minute by minute: idle, one job, a timetable, many jobs, or hardly anything."""
    count = len(AROUND)
    match int(draw.integers(5)):
        case 0:
            levels = np.full(count, 300.0)
        case 1:
            levels = np.where((np.arange(count) // int(draw.integers(200, 900))) % 7 == 3, 1_500.0, 300.0)
        case 2:  # the same every few hours
            period = int(draw.integers(60, 480))
            levels = np.where(np.arange(count) % period < period * draw.uniform(0.2, 0.8), 1_200.0, 300.0)
        case 3:
            lengths = draw.integers(5, 240, count)
            levels = np.repeat(draw.uniform(200, 2_000, count), lengths)[:count]
        case _:
            levels = 400 + 60 * np.sin(np.arange(count) / draw.uniform(100, 900))
    return levels + draw.normal(0, draw.uniform(1, 40), count)


def seen(watts: FloatArray, offset_min: int = 0, name: str = "node") -> ChannelDay:
    """What of it a clock that is so much ahead dates into the day."""
    t_ms: IntArray = AROUND + offset_min * MINUTE_MS
    mine = (t_ms >= DAY) & (t_ms < DAY + DAY_MS)
    value = np.rint(np.maximum(watts[mine], 1) * 1_000).astype(np.int64)
    return ChannelDay(1, 1, name, Kind.GAUGE, t_ms[mine], value)


def judged(node: ChannelDay, gpus: list[ChannelDay]) -> Lag | None:
    return lag_of(quarter_means(node, DAY), sum_of([quarter_means(gpu, DAY) for gpu in gpus]), "parts")


def machine(draw: np.random.Generator) -> tuple[FloatArray, list[FloatArray]]:
    """A node and its GPUs, each with a load of its own and some noise; the meter may miss some of it."""
    gpus = [loads(draw) for _ in range(int(draw.integers(1, 5)))]
    rest = loads(draw) * draw.uniform(0, 0.6) + 200
    node = np.sum(gpus, axis=0) * draw.uniform(1.0, 1.15) + rest + draw.normal(0, draw.uniform(0, 30), len(AROUND))
    return node, gpus


def test_no_honest_clock_is_accused_in_a_thousand_days() -> None:
    draw = np.random.default_rng(20250310)
    accused = []
    for day in range(HONEST_DAYS):
        node, gpus = machine(draw)
        lag = judged(seen(node), [seen(gpu, name=f"gpu{i}") for i, gpu in enumerate(gpus)])
        accused += [(day, lag)] if lag is not None else []
    assert accused == []


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("offset_min", OFFSETS_MIN)
def test_a_clock_that_is_off_is_told_to_the_quarter_or_not_at_all(offset_min: int, sign: int) -> None:
    draw = np.random.default_rng([offset_min, sign + 1])
    found = 0
    for _ in range(40):
        node, gpus = machine(draw)
        lag = judged(seen(node, sign * offset_min), [seen(gpu, name=f"gpu{i}") for i, gpu in enumerate(gpus)])
        if lag is not None:
            assert abs(lag.lag_ms + sign * offset_min * MINUTE_MS) <= QUARTER_MS
            found += 1
    assert found == 0 or offset_min >= 15
    assert found >= 3 or offset_min < 60 or offset_min % 15  # whole quarter hours are found where loads tell them


def test_power_that_only_the_node_sees_makes_no_lag() -> None:
    """The node's own load is another timetable than its GPUs', hours apart: two loads, no clock."""
    draw = np.random.default_rng(5)
    for _ in range(200):
        node, other = loads(draw), loads(draw)
        assert judged(seen(node), [seen(other, name="gpu0")]) is None
