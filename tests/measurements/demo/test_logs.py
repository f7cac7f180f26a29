"""The simulated site's files are what a site would have."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from measurements.demo import rhythm
from measurements.demo.cluster import FACILITY, MODEL_OF_NODE, NODES, SWITCHES
from measurements.demo.faults import dead_meter, late_log, outage
from measurements.demo.logs import (
    METERS,
    history_csv,
    late_csv,
    nodes_csv,
    power_csv,
    sacct_news,
    sacct_text,
    states_csv,
)
from measurements.demo.meters import coarse_day, fine_day
from measurements.demo.rhythm import DAY_S
from measurements.demo.schedule import plan_period

DAY = date(2025, 3, 10)  # a Monday
DAY_START_S = 1_741_564_800
SEED = 2212
FOREVER_S = 1 << 40


def rows(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(text.decode().splitlines()))


def instants(text: bytes) -> list[float]:
    return [datetime.fromisoformat(row["timestamp"]).timestamp() for row in rows(text)]


def test_the_power_log_has_a_line_a_node_in_order_of_time() -> None:
    text = power_csv(SEED, DAY, 0, FOREVER_S)
    assert text.startswith(b'"timestamp","node","node_w","gpu0_w","gpu1_w","gpu2_w","gpu3_w"\n2025-03-10 00:00:1')
    said = instants(text)
    assert all(left <= right for left, right in pairwise(said))
    assert said[0] >= DAY_START_S
    assert said[-1] < DAY_START_S + DAY_S
    assert {row["node"] for row in rows(text)} == set(METERS)
    for row in rows(text):
        model = MODEL_OF_NODE.get(row["node"])
        if model and row["node_w"]:
            assert model.idle_w * 0.99 < int(row["node_w"]) < model.ceiling_w
        assert sum(bool(row[f"gpu{index}_w"]) for index in range(4)) <= (model.gpus if model else 0)


def test_sensors_answer_in_whole_watts_with_jitter_and_a_few_silences() -> None:
    read = fine_day(SEED, DAY)
    steps = read.t_ms[3, 1:] - read.t_ms[3, :-1]
    assert 28_000 < steps.min() < steps.max() < 32_000
    assert len(set(steps.tolist())) > 100
    silent = (read.watts[NODES.index("hm01")] < 0).mean()
    assert 0 < silent < 0.01


def test_the_meter_of_a_gpu_node_includes_its_gpus() -> None:
    whole = [row for row in rows(power_csv(SEED, DAY, 0, FOREVER_S)) if row["node"] == "gpu01" and all(row.values())]
    rest_w = [int(row["node_w"]) - sum(int(row[f"gpu{index}_w"]) for index in range(4)) for row in whole]
    assert len(rest_w) > 2_000
    assert min(rest_w) > MODEL_OF_NODE["gpu01"].idle_w - 5  # each of five readings is rounded


def test_the_facility_meter_is_above_the_sum_of_what_is_below_it() -> None:
    for watts in (coarse_day(SEED, DAY).watts, fine_day(SEED, DAY).watts):
        known = (watts >= 0).all(axis=0)
        facility, switches = (watts[METERS.index(name)][known].mean() for name in (FACILITY, SWITCHES))
        nodes = watts[: len(NODES)][:, known].sum(axis=0).mean()
        assert 1.05 < facility / (nodes + switches) < 1.4


def test_fine_and_coarse_meters_say_the_same_on_average() -> None:
    fine, coarse = fine_day(SEED, DAY).watts, coarse_day(SEED, DAY).watts
    for row in range(len(METERS)):
        means = [series[row][series[row] >= 0].mean() for series in (fine, coarse)]
        assert abs(means[0] - means[1]) < 0.05 * means[0]  # dips shorter than its steps a sensor sees by chance


def test_a_day_cut_in_two_is_the_same_day() -> None:
    noon_s = DAY_START_S + 12 * 3_600
    whole = rows(power_csv(SEED, DAY, DAY_START_S, DAY_START_S + DAY_S))
    morning = rows(power_csv(SEED, DAY, DAY_START_S, noon_s))
    afternoon = rows(power_csv(SEED, DAY, noon_s, DAY_START_S + DAY_S))
    assert whole == morning + afternoon
    assert 0 < len(morning) < len(whole)


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not() -> None:
    first = power_csv(SEED, DAY, 0, FOREVER_S), b"".join(history_csv(SEED, [DAY]))
    fine_day.cache_clear()
    assert (power_csv(SEED, DAY, 0, FOREVER_S), b"".join(history_csv(SEED, [DAY]))) == first
    assert power_csv(SEED + 1, DAY, 0, FOREVER_S) != first[0]


def test_the_history_is_a_table_with_a_column_a_meter() -> None:
    days = [DAY, DAY + timedelta(days=1)]
    table = rows(b"".join(history_csv(SEED, days)))
    assert list(table[0]) == ["timestamp", *METERS]
    assert len(table) == 2 * 1_440
    assert 0 < sum(row["hm01"] == "" for row in table) < 40


def test_one_bmc_is_silent_for_an_hour_and_a_half_in_every_fortnight() -> None:
    days = [DAY + timedelta(days=offset) for offset in range(28)]
    silent = {day: found for day in days if (found := outage(SEED, day))}
    assert 1 <= len(silent) <= 3
    day, silence = next(iter(silent.items()))
    row = METERS.index(silence.node)
    for t_ms, watts in ((fine_day(SEED, day).t_ms[row], fine_day(SEED, day).watts[row]),):
        inside = (t_ms >= silence.start_s * 1_000) & (t_ms < silence.end_s * 1_000)
        assert set(watts[inside]) == {-1}
        assert (watts[~inside] > 0).mean() > 0.98


def test_a_dead_bmc_says_nothing_for_three_days_and_the_facility_still_feels_the_node() -> None:
    begins = next(day for offset in range(14) if dead_meter(day := DAY + timedelta(days=offset)))
    middle = begins + timedelta(days=1)
    read = fine_day(SEED, middle)
    assert set(read.watts[METERS.index("cpu01")]) == {-1}
    below = read.watts[: len(METERS) - 1].clip(min=0).sum(axis=0).mean()
    assert read.watts[-1].mean() > below + 400


def test_a_late_log_is_left_out_of_its_day_and_comes_as_a_file_of_its_own() -> None:
    day = DAY + timedelta(days=1)
    log = late_log(SEED, day)
    assert log is not None
    assert log.node not in {row["node"] for row in rows(power_csv(SEED, day, 0, FOREVER_S))}
    late = rows(late_csv(SEED, log))
    assert {row["node"] for row in late} == {log.node}
    assert len(late) > 2_800
    assert log.due_s > DAY_START_S + 5 * DAY_S
    whole = rows(power_csv(SEED, day, 0, FOREVER_S, late=False))
    assert [row for row in whole if row["node"] == log.node] == late


def test_nodes_that_are_off_say_nothing_and_the_state_file_says_so() -> None:
    christmas = date(2025, 12, 25)
    start_s = (christmas - date(1970, 1, 1)).days * DAY_S
    sleeps = rhythm.sleeps(SEED, christmas)
    before_dawn = start_s + DAY_S + 3 * 3_600
    states = list(csv.DictReader(states_csv(SEED, start_s + 12 * 3_600, before_dawn).splitlines()))
    assert {(row["node"], row["end"]) for row in states} == {(sleep.node, "") for sleep in sleeps}
    assert {row["state"] for row in states} == {"POWERED_DOWN"}
    table = coarse_day(SEED, christmas)
    off = table.t_ms >= sleeps[0].start_s * 1_000
    for sleep in sleeps:
        assert set(table.watts[METERS.index(sleep.node)][off]) == {-1}


def test_accounting_shows_ended_running_and_pending_jobs() -> None:
    now_s = DAY_START_S + 14 * 3_600
    header, *lines = sacct_text(SEED, DAY_START_S - DAY_S, now_s).splitlines()
    records = [dict(zip(header.split("|"), line.split("|"), strict=True)) for line in lines]
    assert len(records) == len(plan_period(SEED, DAY_START_S - DAY_S, now_s))
    running = [record for record in records if record["State"] == "RUNNING"]
    pending = [record for record in records if record["State"] == "PENDING"]
    assert running
    assert all(record["End"] == "Unknown" and record["NodeList"] != "None assigned" for record in running)
    assert pending
    assert all(record["Start"] == "Unknown" and record["NodeList"] == "None assigned" for record in pending)
    for record in records:
        if record["End"] != "Unknown":
            start, end = (datetime.fromisoformat(record[field]) for field in ("Start", "End"))
            assert (end - start).total_seconds() == int(record["ElapsedRaw"])
            assert end <= datetime.fromtimestamp(now_s, UTC)


def test_news_of_every_minute_put_together_are_all_that_accounting_shows() -> None:
    start_s, end_s = DAY_START_S + 5 * 3_600, DAY_START_S + 9 * 3_600
    last: dict[str, str] = {}
    for at_s in range(start_s, end_s, 600):
        for line in sacct_news(SEED, at_s, at_s + 600).splitlines()[1:]:
            last[line.split("|")[0]] = line
    whole = {line.split("|")[0]: line for line in sacct_text(SEED, start_s, end_s).splitlines()[1:]}
    assert len(last) > 10
    ended = {job: line for job, line in last.items() if "RUNNING" not in line}
    assert {job: whole[job] for job in ended} == ended
    running = [job for job, line in last.items() if "RUNNING" in line]
    assert all("RUNNING" in whole[job] for job in running)


def test_what_happens_at_the_very_instant_between_two_news_is_in_one_of_them() -> None:
    run = next(run for run in plan_period(SEED, DAY_START_S, DAY_START_S + DAY_S) if "_" not in run.job_id)

    def states(at_s: int) -> list[str]:
        both = (sacct_news(SEED, at_s - 60, at_s), sacct_news(SEED, at_s, at_s + 60))
        rows = [[line.split("|") for line in text.splitlines()] for text in both]
        return ["".join(row[15] for row in told if row[0] == run.job_id) for told in rows]

    assert states(run.start_s) == ["", "RUNNING"]
    assert states(run.end_s) == [run.state, ""]


def test_a_pair_of_nodes_is_a_hostlist_and_its_gpus_are_counted() -> None:
    text = sacct_text(SEED, DAY_START_S + DAY_S, DAY_START_S + 2 * DAY_S)
    assert "|2|128|billing=128,cpu=128,mem=512G,node=2|cpu[03-04]|" in text
    assert "|1|64|billing=64,cpu=64,gres/gpu=4,mem=512G,node=1|gpu01|" in text


def test_nodes_are_described_in_the_plain_form_with_the_meters_above_them() -> None:
    described = list(csv.DictReader(nodes_csv().splitlines()))
    assert {row["node"] for row in described} == set(METERS)
    by_name = {row["node"]: row for row in described}
    assert (by_name[FACILITY]["level"], by_name[FACILITY]["parent"]) == ("facility", "")
    assert (by_name[SWITCHES]["level"], by_name[SWITCHES]["parent"]) == ("infrastructure", FACILITY)
    assert {by_name[node]["parent"] for node in NODES} == {FACILITY}
    assert by_name["gpu03"]["gpu_idle_w"] == "52"
    assert by_name["cpu03"]["gpu_idle_w"] == ""
