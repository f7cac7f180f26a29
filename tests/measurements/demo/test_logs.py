"""The simulated site's files are what a site would have."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise

from measurements.demo.cluster import MODEL_OF_NODE
from measurements.demo.logs import nodes_csv, outage, power_csv, sacct_text
from measurements.demo.schedule import DAY_S, plan_period

DAY = date(2025, 3, 10)
DAY_START_S = 1_741_564_800
SEED = 2212


def rows(text: str) -> list[list[str]]:
    return [line.split(",") for line in text.splitlines()[1:]]


def test_the_power_log_is_the_plain_form_in_order_of_time() -> None:
    text = power_csv(SEED, DAY, DAY_START_S, DAY_START_S + DAY_S)
    assert text.startswith("timestamp,node,watts,channel\n2025-03-10T00:00:0")
    stamps = [row[0] for row in rows(text)]
    assert all(left <= right for left, right in pairwise(stamps))
    assert {row[1] for row in rows(text)} == set(MODEL_OF_NODE)
    assert {row[3] for row in rows(text)} == {"node", "gpu0", "gpu1", "gpu2", "gpu3"}
    assert all(0 < int(row[2]) < MODEL_OF_NODE[row[1]].ceiling_w for row in rows(text))


def test_the_meter_of_a_gpu_node_includes_its_gpus() -> None:
    watts: dict[tuple[str, str], list[int]] = {}
    for _, node, value, channel in rows(power_csv(SEED, DAY, DAY_START_S, DAY_START_S + DAY_S)):
        watts.setdefault((node, channel), []).append(int(value))
    mean_w = {key: sum(values) / len(values) for key, values in watts.items()}
    gpus_w = sum(mean_w["gpu01", f"gpu{index}"] for index in range(4))
    assert mean_w["gpu01", "node"] - gpus_w > MODEL_OF_NODE["gpu01"].idle_w


def test_a_day_cut_in_two_is_the_same_day() -> None:
    noon_s = DAY_START_S + 12 * 3_600
    whole = rows(power_csv(SEED, DAY, DAY_START_S, DAY_START_S + DAY_S))
    morning = rows(power_csv(SEED, DAY, DAY_START_S, noon_s))
    afternoon = rows(power_csv(SEED, DAY, noon_s, DAY_START_S + DAY_S))
    assert whole == morning + afternoon
    assert 0 < len(morning) < len(whole)


def test_one_bmc_is_silent_for_an_hour_and_a_half_in_every_fortnight() -> None:
    days = [date.fromordinal(DAY.toordinal() + offset) for offset in range(28)]
    silent = {day: found for day in days if (found := outage(SEED, day))}
    assert 1 <= len(silent) <= 3
    day, (node, start_s, end_s) = next(iter(silent.items()))
    midnight_s = start_s // DAY_S * DAY_S
    of_node = [row for row in rows(power_csv(SEED, day, midnight_s, midnight_s + DAY_S)) if row[1] == node]
    instants = [datetime.fromisoformat(row[0]).timestamp() for row in of_node if row[3] == "node"]
    assert instants
    assert not [instant for instant in instants if start_s <= instant < end_s]
    assert max(later - earlier for earlier, later in pairwise(instants)) >= 5_700


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


def test_a_pair_of_nodes_is_a_hostlist_and_its_gpus_are_counted() -> None:
    text = sacct_text(SEED, DAY_START_S, DAY_START_S + DAY_S)
    assert "|2|128|billing=128,cpu=128,mem=512G,node=2|cpu[02-03]|" in text
    assert "|1|64|billing=64,cpu=64,gres/gpu=4,mem=512G,node=1|gpu01|" in text


def test_nodes_are_described_in_the_plain_form() -> None:
    header, *lines = nodes_csv().splitlines()
    assert header == "node,node_type,cpus,gpus,cpu_model,gpu_model,memory_gib,idle_w,rated_w,ceiling_w"
    assert [line.split(",")[0] for line in lines] == list(MODEL_OF_NODE)
    assert {len(line.split(",")) for line in lines} == {10}
