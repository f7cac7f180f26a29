"""Random node-days for hypothesis: small, and crooked in every way real ones are.

Instants are milliseconds; the day under test begins at `DAY`. Series and holdings reach into
the days before and after, as the real margin does.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from hypothesis import strategies as st

from measurements.domain.attribution import Holdings, MeterPeriod, NodeDay, Policy, Series
from measurements.domain.units import DAY_MS, QUARTER_MS, Kind

DAY = 20_000 * DAY_MS  # 2024-10-04
NOMINALS_MS = (1_000, 7_001, 10_000, 30_000, 60_000, 600_000, 1_800_000, 3_600_000)
WRAPS_UJ = (65_532_610_987, 262_143_328_850)  # 32-bit RAPL at 2^-16 and 2^-14 J
MAX_SAMPLES, MAX_HOLDINGS = 40, 8


@dataclass(frozen=True)
class Frame:
    """What the channels of one node have in common, so that their stretches overlap."""

    first_ms: int
    nominal_ms: int


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """Where the node's samples begin, often just before midnight or at it, and how often they come."""
    nominal = draw(st.sampled_from(NOMINALS_MS))
    lead = draw(st.sampled_from((-3, -1, 0, 2, 20)))
    anchor = draw(st.sampled_from((0, QUARTER_MS, DAY_MS // 2, DAY_MS - 5 * nominal, DAY_MS - 20 * nominal)))
    return Frame(DAY + anchor + lead * nominal + draw(st.sampled_from((0, 0, 1, 499))), nominal)


@st.composite
def instants(draw: st.DrawFn, frame: Frame, max_gap_ms: int) -> list[int]:
    """Ascending sample times: regular, jittered, just bridged, just not bridged, far apart."""
    nominal = frame.nominal_ms
    steps = st.one_of(
        st.just(nominal),
        st.just(nominal),
        st.integers(max(1, nominal * 9 // 10), nominal * 11 // 10),
        st.integers(1, nominal),
        st.sampled_from((max_gap_ms, max_gap_ms + 1, 2 * nominal, 3 * max_gap_ms, 40 * nominal)),
    )
    spacings = draw(st.lists(steps, min_size=draw(st.sampled_from((0, 6, 20))), max_size=MAX_SAMPLES - 1))
    return list(accumulate(spacings, initial=frame.first_ms + draw(st.integers(0, nominal))))


def gauge_values(length: int) -> st.SearchStrategy[list[int]]:
    """Powers in mW: steady, wandering, zero, a spike of 1 MW."""
    value = st.one_of(
        st.integers(100_000, 900_000), st.integers(0, 2_000_000), st.just(350_000), st.just(0), st.just(1_000_000_000)
    )
    return st.lists(value, min_size=length, max_size=length)


@st.composite
def counter_values(draw: st.DrawFn, t_ms: list[int], wrap_uj: int) -> list[int]:
    """Readings in µJ that rise, stand still, leap, wrap and start anew."""
    value = draw(st.integers(0, wrap_uj - 1 if wrap_uj else 10**12))
    values = [value]
    for left, right in pairwise(t_ms):
        step_mw = draw(st.one_of(st.integers(0, 2_000_000), st.just(0), st.just(1_000_000_001), st.just(-1)))
        value = draw(st.integers(0, 10**6)) if step_mw < 0 else value + step_mw * (right - left)
        value = value % wrap_uj if wrap_uj else value
        values.append(value)
    return values


@st.composite
def series(draw: st.DrawFn, name: str, frame: Frame) -> Series:
    """One channel, gauge or counter."""
    kind = draw(st.sampled_from((Kind.GAUGE, Kind.GAUGE, Kind.COUNTER)))
    gaps = (frame.nominal_ms, 7 * frame.nominal_ms // 2, max(60_000, frame.nominal_ms), 900_000)
    max_gap = max(draw(st.sampled_from(gaps)), frame.nominal_ms)
    t_ms = draw(instants(frame, max_gap))
    wrap = draw(st.sampled_from((0, *WRAPS_UJ))) if kind is Kind.COUNTER else 0
    values = draw(counter_values(t_ms, wrap) if kind is Kind.COUNTER else gauge_values(len(t_ms)))
    at = st.lists(st.sampled_from([*t_ms, *(t + 1 for t in t_ms)]), max_size=2) if t_ms else st.just([])
    begins, breaks = draw(at), draw(at)
    limit_mw = draw(st.sampled_from((-1, -1, 500_000, 4_000_000))) if wrap else -1
    return Series(
        name, kind, np.array(t_ms, dtype=np.int64), np.array(values, dtype=np.int64), frame.nominal_ms, max_gap, wrap,
        begins, breaks, limit_mw,
    )  # fmt: skip


def meters(gpus: int) -> st.SearchStrategy[MeterPeriod]:
    """Sets of channels that can be a node's meter, with and without its GPUs."""
    names = tuple(f"gpu{i}" for i in range(gpus))
    sets = [
        (("node",), names),
        (("node",), names[:1]),
        (("node",), ()),
        (("cpu0", "dram0"), ()),
        (("cpu0", *names), names),
        (("cpu0", "psu9"), ()),  # psu9 has no samples: nothing is covered
    ]
    return st.sampled_from(sets).map(lambda pair: MeterPeriod(0, *pair))


@st.composite
def meter_periods(draw: st.DrawFn, gpus: int, times: list[int]) -> list[MeterPeriod]:
    """One to three dated sets; the first is often older than the day, but not always."""
    starts = draw(st.lists(st.sampled_from([DAY, DAY + QUARTER_MS, *times]), max_size=2, unique=True))
    begin = [0] if draw(st.integers(0, 5)) else []
    periods = []
    for start in sorted({*begin, *starts}) or [0]:
        chosen = draw(meters(gpus))
        periods.append(MeterPeriod(start, chosen.channels, chosen.gpus))
    return periods


@st.composite
def holdings(draw: st.DrawFn, cpus: int, gpus: int, times: list[int]) -> Holdings:
    """Jobs that begin and end at samples, at quarters, in between, the day before and the day after."""
    moment = st.one_of(
        st.sampled_from(times),
        st.integers(min(times), max(times)),
        st.integers(min(times), max(times)),
        st.sampled_from([DAY, DAY + DAY_MS, DAY - 1, DAY - 7_200_000]),
        st.integers(DAY - 3_600_000, DAY + DAY_MS + 3_600_000),
    )
    rows = draw(st.lists(st.tuples(moment, moment), max_size=MAX_HOLDINGS))
    n = len(rows)

    def column(values: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(values, min_size=n, max_size=n))

    stated = column(st.sampled_from((-1, -1, 0, 0, 0, 1)))
    return Holdings(
        start_ms=np.array([min(row) for row in rows], dtype=np.int64),
        end_ms=np.array([max(row) for row in rows], dtype=np.int64),
        cpus=np.array(column(st.sampled_from((-1, 0, 1, 3, 8, max(cpus, 1)))), dtype=np.int64),
        gpus=np.array(column(st.integers(0, max(gpus, 1))), dtype=np.int64),
        gpu_mask=np.array(column(st.sampled_from((0, 0, *range(1 << gpus)))), dtype=np.uint64),
        exclusive=np.array(stated, dtype=np.int8),
        cpu_rate=np.array(column(st.sampled_from((0.0, 0.01, 1.0, 7.3, 32.0, float("nan")))), dtype=np.float64),
    )


@st.composite
def node_days(draw: st.DrawFn) -> NodeDay:
    """One node with up to four GPUs and everything attribution needs to know about it."""
    frame, gpus = draw(frames()), draw(st.integers(0, 4))
    names = ["node", "cpu0", "dram0", *(f"gpu{i}" for i in range(gpus))]
    channels = [draw(series(name, frame)) for name in names]
    times = sorted({int(t) for channel in channels for t in channel.t_ms})
    cpus = draw(st.sampled_from((0, 8, 64)))
    return NodeDay(
        series=channels,
        meter=draw(meter_periods(gpus, times)),
        holdings=draw(holdings(cpus, gpus, times)),
        cpus=cpus,
        gpus=draw(st.sampled_from((gpus, gpus, 0, gpus + 1))),
        idle_mw=draw(st.sampled_from((-1, 0, 200_000, 350_000))),
        ceiling_mw=draw(st.sampled_from((-1, 2_000_000, 500_000))),
        policy=draw(st.sampled_from(Policy)),
    )
