"""Each rule finds the fault that it is for, and none of what looks like it; plain loops find the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measurements.domain.integrate import DAY_TICKS, gauge_steps, max_gap_ms, nominal_interval_ms
from measurements.domain.plausibility import ChannelDay, Found, Rule, concerned_j
from measurements.domain.plausibility_chassis import (
    CHASSIS_DISTINCT,
    equal_hours,
    groups_of,
    hour_sums,
    repeated,
)
from measurements.domain.plausibility_frozen import FROZEN_MS, FROZEN_SAMPLES, Around, constant_runs, frozen
from measurements.domain.plausibility_jumps import jumps
from measurements.domain.plausibility_skew import lag_of, lags_of_windows, quarter_means
from measurements.domain.plausibility_spikes import SPIKE_FACTOR, SPIKE_LEAST_OTHERS, SPIKES_MOST, spikes
from measurements.domain.units import DAY_MS, HOUR_MS, QUARTER_MS, Kind

DAY = 1_741_564_800_000  # 2025-03-10
MINUTES = np.arange(DAY, DAY + DAY_MS, 60_000)


def of(watts: np.ndarray, t_ms: np.ndarray = MINUTES, name: str = "node", channel: int = 1) -> ChannelDay:
    """A gauge of a node of the same number."""
    value = np.rint(np.asarray(watts, np.float64) * 1000).astype(np.int64)
    return ChannelDay(channel, channel, name, Kind.GAUGE, t_ms[: len(value)], value)


def noisy(seed: int = 1, low: float = 200, high: float = 900, count: int = 1440) -> np.ndarray:
    """Whole watts: a level an hour, and some noise."""
    draw = np.random.default_rng(seed)
    levels = np.repeat(draw.integers(int(low), int(high), 24), count // 24)
    return np.rint(levels + draw.normal(0, 4, count))


def rules_of_one(day: ChannelDay, around: Around = Around()) -> list[Found]:  # noqa: B008 - it is frozen
    return spikes(day) + frozen(day, constant_runs(day), around) + jumps(day)


# --- spike ----------------------------------------------------------------------------------------


def test_a_single_reading_far_above_all_others_is_a_spike() -> None:
    watts = noisy()
    watts[700] = 300_000
    (found,) = spikes(of(watts))
    assert (found.start_ms, found.end_ms, found.samples, found.sure) == (DAY + 42_000_000, DAY + 42_000_001, 1, True)
    assert found.detail["power_w"] == 300_000
    assert found.detail["energy_j"] == pytest.approx(300_000 * 60)
    watts[700] = 5 * watts.max(initial=0, where=np.arange(1440) != 700)
    (found,) = spikes(of(watts))
    assert not found.sure


@pytest.mark.parametrize("at", [0, 1439])
def test_a_spike_at_an_end_of_the_day_is_one(at: int) -> None:
    watts = noisy()
    watts[at] = 300_000
    assert [f.start_ms for f in spikes(of(watts))] == [MINUTES[at]]


def test_what_only_looks_like_a_spike_is_none() -> None:
    burst = np.full(1440, 150.0)  # an idle node that works for two readings, or that does so again and again
    burst[600:602] = 3_000
    assert spikes(of(burst)) == []
    burst[:] = 150
    burst[100 :: 1440 // (SPIKES_MOST + 2)] = 3_000
    assert spikes(of(burst)) == []
    run = np.array([2597, 2600, 6054, 2619] * 8)  # of a real log (MLPerf Training 4.0)
    assert spikes(of(run)) == []
    few = np.full(SPIKE_LEAST_OTHERS, 100.0)
    few[3] = 90_000
    assert spikes(of(few)) == []
    work = np.full(1440, 150.0)
    work[300:330], work[900] = 3_000, 3_100  # it draws as much at other times
    assert spikes(of(work)) == []
    gpu = np.where(np.arange(1440) == 77, 700, 40)
    assert spikes(of(gpu, name="gpu0")) == []


def plain_spikes(values: list[int]) -> list[int]:
    """As it is written in the documentation, reading by reading."""
    candidates = []
    for i, value in enumerate(values):
        beside = [values[j] for j in (i - 1, i + 1) if 0 <= j < len(values)]
        if all(value >= SPIKE_FACTOR * other for other in beside):
            candidates.append(i)
    others = [value for i, value in enumerate(values) if i not in candidates]
    if len(others) < SPIKE_LEAST_OTHERS or len(values) <= SPIKE_LEAST_OTHERS:
        return []
    found = [i for i in candidates if values[i] >= SPIKE_FACTOR * max(others)]
    return found if len(found) <= SPIKES_MOST else []


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.integers(90, 130), min_size=15, max_size=80),
    st.lists(st.tuples(st.integers(0, 79), st.integers(100, 5_000)), max_size=8),
)
def test_plain_loops_find_the_same_spikes(values: list[int], planted: list[tuple[int, int]]) -> None:
    for place, value in planted:
        values[place % len(values)] = value
    found = [int((f.start_ms - DAY) // 60_000) for f in spikes(of(np.array(values)))]
    assert found == plain_spikes(values)


# --- frozen ---------------------------------------------------------------------------------------


def stuck(hours: float = 3, watts: np.ndarray | None = None) -> ChannelDay:
    """A sensor that shows the same from 10:00 on."""
    shown = noisy() if watts is None else watts.copy()
    shown[600 : 600 + int(60 * hours)] = shown[600]
    return of(shown)


def test_a_sensor_that_stands_still_while_the_parts_move_is_frozen() -> None:
    day = stuck()
    cpu = of(noisy(2, 50, 400), name="cpu0", channel=2)
    (found,) = frozen(day, constant_runs(day), Around([cpu]))
    assert (found.start_ms, found.end_ms) == (MINUTES[601], MINUTES[779] + 1)  # its first reading may be true
    assert found.sure
    assert found.detail["evidence"] == "parts"
    idle = of(np.full(1440, 60.0), name="cpu0", channel=2)
    assert frozen(day, constant_runs(day), Around([idle])) == []


def test_gpus_speak_against_a_meter_for_certain_only_where_it_is_known_to_hold_them() -> None:
    day = stuck()
    gpu = of(noisy(2, 50, 400), name="gpu0", channel=2)
    told = {covers: frozen(day, constant_runs(day), Around([gpu], covers)) for covers in (True, None, False)}
    assert [found.sure for found in told[True]] == [True]
    assert [found.sure for found in told[None]] == [False]
    assert told[False] == []


def test_a_sensor_that_tells_tenths_of_a_watt_apart_never_stands_still_while_jobs_come_and_go() -> None:
    fine = noisy() + np.random.default_rng(3).integers(0, 10, 1440) / 10
    day = stuck(4, watts=fine)
    (found,) = frozen(day, constant_runs(day), Around())
    assert (found.detail["evidence"], found.sure) == ("resolution", False), "it may be the rated value of an idle node"
    busy = [(MINUTES[600] + n * HOUR_MS, MINUTES[600] + n * HOUR_MS + HOUR_MS // 2) for n in range(4)]
    (found,) = frozen(day, constant_runs(day), Around(busy_ms=busy))
    assert (found.detail["evidence"], found.detail["turns"], found.sure) == ("resolution", 7, True)
    scaled = stuck(watts=noisy() * 0.95)  # whole watts times an efficiency are no finer
    assert frozen(scaled, constant_runs(scaled), Around()) == []


def test_jobs_that_come_and_go_speak_against_it_but_prove_nothing() -> None:
    day = stuck(4)
    at = MINUTES[600]
    busy = [(at + n * HOUR_MS, at + n * HOUR_MS + HOUR_MS // 2) for n in range(4)]
    (found,) = frozen(day, constant_runs(day), Around(busy_ms=busy))
    assert (found.detail["evidence"], found.detail["turns"], found.sure) == ("jobs", 7, False)
    one_after_the_other = [(at + n * HOUR_MS, at + (n + 1) * HOUR_MS - 60_000) for n in range(4)]
    assert frozen(day, constant_runs(day), Around(busy_ms=one_after_the_other)) == []


def test_an_idle_node_in_whole_watts_is_not_frozen() -> None:
    idle = of(np.full(1440, 84.0))
    assert constant_runs(idle) == [(0, 1440)]
    assert rules_of_one(idle) == []
    assert rules_of_one(idle, Around(busy_ms=[(DAY, DAY + DAY_MS)])) == []


def test_a_short_sparse_or_broken_run_is_none() -> None:
    assert constant_runs(stuck(0.9)) == []
    hourly = of(np.full(24, 100.0), np.arange(DAY, DAY + DAY_MS, HOUR_MS))
    assert constant_runs(hourly) == []
    gap = of(np.full(60, 100.0), np.append(MINUTES[:30], MINUTES[50:80]))  # 29 min, nothing for 20 min, 29 min
    assert constant_runs(gap) == []


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 90), st.integers(1, 20)), min_size=1, max_size=12))
def test_plain_loops_find_the_same_runs(parts: list[tuple[int, int, int]]) -> None:
    values, t_ms, now = [], [], DAY
    for watts, count, minutes in parts:
        for _ in range(count):
            now += minutes * 60_000
            values.append(watts * 100)
            t_ms.append(now)
    day = of(np.array(values), np.array(t_ms))
    wanted, low = [], 0
    for i in range(1, len(values) + 1):
        if i == len(values) or values[i] != values[i - 1] or t_ms[i] - t_ms[i - 1] > 900_000:
            if t_ms[i - 1] - t_ms[low] >= FROZEN_MS and i - low >= FROZEN_SAMPLES:
                wanted.append((low, i))
            low = i
    assert constant_runs(day) == wanted


# --- counter jump ---------------------------------------------------------------------------------


def counter(joules: list[float], ceiling_w: float = -0.001, step_s: int = 60) -> ChannelDay:
    t_ms = DAY + np.arange(len(joules)) * step_s * 1000
    value = (np.array(joules) * 1e6).astype(np.int64)
    return ChannelDay(1, 1, "node", Kind.COUNTER, t_ms, value, 900_000, round(ceiling_w * 1000))


def test_a_step_above_the_ceiling_is_a_jump_with_its_joules() -> None:
    (found,) = jumps(counter([0, 6_000, 12_000, 512_000, 518_000, 2_518_000], ceiling_w=2_000))
    assert (found.samples, found.sure, found.detail["energy_j"]) == (2, False, 2_500_000)
    assert (found.start_ms, found.end_ms) == (DAY + 180_000, DAY + 300_001)


def test_wraps_resets_long_gaps_and_steps_below_the_ceiling_are_no_jumps() -> None:
    assert jumps(counter([0, 6_000, 12_000, 0, 6_000], ceiling_w=2_000)) == []
    assert jumps(counter([0, 120_000, 240_000], ceiling_w=2_000)) == []  # just at it
    assert jumps(counter([0, 9_000_000], ceiling_w=2_000, step_s=1_000)) == []  # not bridged, for its length
    assert jumps(counter([0, 50_000_000])) == []  # 833 kW, and no ceiling is declared
    assert len(jumps(counter([0, 70_000_000]))) == 1


# --- clock skew -----------------------------------------------------------------------------------


def busy_day(seed: int = 5) -> np.ndarray:
    """Minutes of a node that works and idles, for different lengths of time."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(15, 140, 40)
    watts = np.where(np.arange(40) % 2, 1800, 400) + draw.integers(0, 200, 40)
    return np.repeat(watts, lengths)[:1440] + draw.normal(0, 5, 1440)


@pytest.mark.parametrize("hours", [5, -2, 1, 13])
def test_a_meter_whose_clock_is_off_by_whole_quarters_is_told_with_its_lag(hours: float) -> None:
    true = busy_day()
    shift = int(hours * 60)
    shown = MINUTES - shift * 60_000
    mine = (shown >= DAY) & (shown < DAY + DAY_MS)
    own = quarter_means(of(true[mine] + 300, shown[mine]), DAY)
    lag = lag_of(own, quarter_means(of(true, name="gpu0"), DAY), "parts")
    assert lag is not None
    assert lag.lag_ms == hours * HOUR_MS


def test_a_meter_that_fits_or_fits_nowhere_or_hardly_moves_has_no_lag() -> None:
    gpus = quarter_means(of(busy_day()), DAY)
    assert lag_of(gpus * 1.1 + 300_000, gpus, "parts") is None
    assert lag_of(quarter_means(of(busy_day(6)), DAY), gpus, "parts") is None
    assert lag_of(np.full(96, 300_000.0), gpus, "parts") is None
    step = np.where(np.arange(96) < 40, 300e3, 900e3)
    assert lag_of(np.roll(step, 12), step, "parts") is None  # one step fits anywhere
    block = np.where((np.arange(96) >= 40) & (np.arange(96) < 52), 900e3, 300e3)
    assert lag_of(np.roll(block, 20), block, "parts") is None  # and so does one job
    wave = np.where(np.arange(96) % 16 < 8, 300e3, 900e3)
    assert lag_of(np.roll(wave, 8), wave, "parts") is None  # it fits several ways


RUN = (DAY + 9 * HOUR_MS, DAY + 9 * HOUR_MS + 316_000)


def test_the_log_of_a_switch_five_hours_behind_its_nodes_is_found() -> None:
    nodes = {n: (RUN[0] + 700 * n, RUN[1] - 900 * n) for n in range(8)}
    switch = {9: (RUN[0] - 18_001_000, RUN[1] - 18_001_000)}
    found = lags_of_windows(nodes | switch)
    assert {channel: round(lag.lag_ms, -4) for channel, lag in found.items()} == {9: 18_000_000}


@pytest.mark.parametrize(
    "other",
    [
        (RUN[0] - 17_000_000, RUN[1] - 17_000_000),  # by no whole quarter hours
        (RUN[0] - 18_000_000, RUN[1] - 17_000_000),  # of another length
        (RUN[0] - 100_000, RUN[1] - 100_000),  # it overlaps them
        (RUN[0] - 60 * HOUR_MS // 4, RUN[1] - 60 * HOUR_MS // 4),  # no two zones are so far apart
    ],
)
def test_another_log_beside_them_is_not(other: tuple[int, int]) -> None:
    assert lags_of_windows({1: RUN, 2: RUN, 3: RUN, 4: other}) == {}


def test_logs_of_several_runs_one_after_the_other_have_no_lag() -> None:
    runs = {n: (RUN[0] + n * QUARTER_MS, RUN[1] + n * QUARTER_MS) for n in range(6)}
    assert lags_of_windows(runs) == {}
    assert lags_of_windows({1: RUN, 2: (RUN[0] - HOUR_MS, RUN[1] - HOUR_MS)}) == {}


# --- shared chassis -------------------------------------------------------------------------------


def chassis_of(days: list[ChannelDay]) -> list[tuple[int, Found]]:
    found = []
    for group in groups_of([hour_sums(day, DAY) for day in days]):
        hours = dict(zip([one.channel for one in group], equal_hours(group), strict=True))
        names = [f"n{one.channel}" for one in group]
        for day in days:
            if day.channel in hours:
                others = len({one.node for one in days}) - len(names)
                found += [(day.channel, one) for one in repeated(day, DAY, hours[day.channel], names, others)]
    return found


def test_one_reading_under_several_names_is_found_on_all_of_them() -> None:
    shared = noisy()
    days = [of(shared, channel=n) for n in (1, 2, 3, 4)] + [of(noisy(n), channel=n) for n in (5, 6, 7, 8)]
    found = chassis_of(days)
    assert [channel for channel, _ in found] == [1, 2, 3, 4]
    assert all((one.start_ms, one.end_ms, one.sure) == (DAY, MINUTES[-1] + 1, True) for _, one in found)
    assert found[0][1].detail["nodes"] == ["n1", "n2", "n3", "n4"]


def test_where_most_nodes_read_the_same_nothing_is_sure() -> None:
    """One curve for all nodes is what a simulation gives, and what a site has to be asked about."""
    shared = noisy()
    alike = [of(shared, channel=n) for n in (1, 2, 3, 4)]
    for others in ([], [of(noisy(n), channel=n) for n in (5, 6, 7)]):
        found = chassis_of(alike + others)
        assert [channel for channel, _ in found] == [1, 2, 3, 4]
        assert not any(one.sure for _, one in found)


def test_two_are_only_reported_and_a_node_that_lost_some_readings_is_one_of_them() -> None:
    shared = noisy()
    keep = np.ones(1440, bool)
    keep[[100, 800]] = False
    found = chassis_of([of(shared, channel=1), of(shared[keep], MINUTES[keep], channel=2)])
    assert {channel for channel, _ in found} == {1, 2}
    assert not any(one.sure for _, one in found)
    covered = [one for channel, one in found if channel == 1]
    assert [(one.start_ms - DAY) // HOUR_MS for one in covered] == [0, 2, 14]  # hours 1 and 13 are not equal


def test_nodes_that_are_alike_are_no_chassis() -> None:
    idle = [of(np.full(1440, 84.0), channel=n) for n in (1, 2, 3)]
    assert chassis_of(idle) == []
    cycle = np.tile(np.arange(CHASSIS_DISTINCT - 1), 1440)[:1440] + 80.0
    assert chassis_of([of(cycle, channel=n) for n in (1, 2, 3)]) == []
    shared = noisy()
    later = [of(shared, channel=1), of(shared, MINUTES + 1, channel=2)]  # equal, but not at equal times
    assert chassis_of(later) == []
    half = shared.copy()
    half[480:] += 1
    assert chassis_of([of(shared, channel=1), of(half, channel=2)]) == []
    two_channels = [of(shared, channel=1), replace(of(shared, channel=2), node=1)]  # of one node
    assert chassis_of(two_channels) == []


# --- what they have in common ---------------------------------------------------------------------


def energy_j(t_ms: np.ndarray, value: np.ndarray) -> float:
    """By the ledger's own steps."""
    if not len(t_ms):
        return 0.0
    nominal = nominal_interval_ms(t_ms, DAY)
    steps = gauge_steps((t_ms - DAY) * 2, value, nominal, max_gap_ms(Kind.GAUGE, nominal, None))
    assert steps.t[-1] < DAY_TICKS
    return (float(steps.energy.sum()) + 2 * steps.hold * (steps.first + steps.last)) / 4 / 1e6


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6),
    st.lists(st.tuples(st.integers(0, 1439), st.integers(1_000, 900_000)), max_size=4),
    st.tuples(st.integers(0, 1300), st.integers(30, 600)),
    st.sampled_from([1, 2]),
)
def test_leaving_out_what_was_found_never_adds_a_joule(
    seed: int, planted: list[tuple[int, int]], still: tuple[int, int], names: int
) -> None:
    watts = noisy(seed)
    watts[still[0] : sum(still)] = watts[still[0]]
    for place, value in planted:
        watts[place] = value
    day = of(watts)
    found = rules_of_one(day, Around([of(noisy(seed + 1, 50, 400), name="cpu0", channel=9)]))
    if names > 1:
        found += [one for channel, one in chassis_of([day, replace(day, channel=2, node=2)]) if channel == 1]
    keep = np.ones(len(day.t_ms), bool)
    for one in found:
        keep &= (day.t_ms < one.start_ms) | (day.t_ms >= one.end_ms)
    assert energy_j(day.t_ms[keep], day.value[keep]) <= energy_j(day.t_ms, day.value) * (1 + 1e-12)


def test_the_energy_concerned_is_what_the_samples_stand_for() -> None:
    day = of(noisy())
    parts = [concerned_j(day, low, low + 60) for low in range(0, 1440, 60)]
    held = (day.value[0] + day.value[-1]) / 2 * 60_000 / 1e6
    assert sum(parts) == pytest.approx(energy_j(day.t_ms, day.value) - held, rel=1e-9)


def test_a_rule_s_word_fits_its_column() -> None:
    assert max(map(len, Rule)) <= 32
