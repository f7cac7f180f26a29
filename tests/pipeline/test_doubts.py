"""What plausibility rules leave out: visible, reversible bit for bit, in any order of input, after any kill."""

from __future__ import annotations

import json
import random
import shutil
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tests.pipeline.doubtful import DAY, SPIKE_MINUTE, STILL, C, brief, doubtful_site, found, readings, taken
from tests.pipeline.ledger_dump import differences
from tests.pipeline.rich_input import JOBS_HEADER, write
from tests.pipeline.site import Farm, Site

EXPECTED = [
    ("n1", "spike", "refused"),
    ("n2", "frozen", "refused"),
    ("n3", "shared-chassis", "refused"),
    ("n4", "shared-chassis", "refused"),
    ("n5", "shared-chassis", "refused"),
]
EXAMINE = "measurements.services.doubts.examine"
JOBS = [
    "1,alice,physics,COMPLETED,2026-03-01T02:00:00Z,2026-03-01T20:00:00Z,n1,2026-02-28T00:00:00Z,main,train,64,,,,",
    "2,bob,physics,COMPLETED,2026-03-01T02:00:00Z,2026-03-01T20:00:00Z,n[2-3],2026-02-28T00:00:00Z,main,train,64,,,,",
]


@pytest.fixture(scope="module")
def plain(sqlite_farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A day with faults, and two jobs, not booked."""
    folder = tmp_path_factory.mktemp("doubtful")
    site = doubtful_site(sqlite_farm, folder)
    taken(site, folder / "power.csv", readings())
    site.do("ingest_jobs", write(folder / "jobs.csv", JOBS_HEADER, JOBS), *C)
    return site


@pytest.fixture(scope="module")
def booked(plain: Site) -> Site:
    """The same, booked."""
    site = plain.copy()
    site.do("attribute")
    return site


def samples_of(site: Site) -> list[str]:
    return [line for line in site.dump().splitlines() if line.startswith("samples ")]


def covered_by_node(site: Site) -> dict[str, float]:
    names = {row["id"]: row["name"] for row in site.rows("Node")}
    return {names[row["node_id"]]: row["covered_us"] / 1e6 for row in site.rows("NodeDay") if row["day"] == DAY}


def test_attribute_says_what_it_leaves_out_and_where_to_look(booked: Site) -> None:
    said = booked.do("attribute").err
    assert "left out by shared-chassis: " in said
    assert "of 3 channels; see: manage.py doubts list" in said
    assert "left out by" not in booked.do("attribute", "--until", "2000-01-02").err


# --- what is left out -----------------------------------------------------------------------------


def test_each_fault_is_found_and_left_out_and_the_store_keeps_all(plain: Site, booked: Site) -> None:
    assert brief(booked) == EXPECTED
    spike, still, *chassis = found(booked)
    midnight_ms = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000)
    assert int(spike[6]) == midnight_ms + SPIKE_MINUTE * 60_000
    assert int(still[6]) == midnight_ms + (STILL.start + 1) * 60_000
    assert all(row[11]["nodes"] == ["n3", "n4", "n5"] for row in chassis)
    assert samples_of(booked) == samples_of(plain)
    assert booked.json("energy", "node", "n3")["metered_j"] == 0
    assert booked.json("energy", "node", "n1")["metered_j"] < 24 * 3600 * 510
    covered_s = covered_by_node(booked)
    assert covered_s["n1"] == 86_370  # all but the half minute before midnight: the neighbours lie near enough
    assert 86_400 - covered_s["n2"] == pytest.approx(len(STILL) * 60, abs=200)
    assert covered_s["n3"] == 0
    job = booked.json("energy", "job", "c", "2")
    assert (job["quality"], job["coverage"] < 0.5) == ("none", True)  # that of n3, of which nothing is left
    lone = booked.json("energy", "job", "c", "1")
    assert (lone["quality"], lone["coverage"]) == ("metered", 1)


def test_a_declared_gap_bridges_single_readings_and_never_a_span_that_is_left_out(
    booked: Site, sqlite_farm: Farm, tmp_path: Path
) -> None:
    """Three hours of a frozen sensor are no energy, though readings ten hours apart might be joined."""
    site = doubtful_site(sqlite_farm, tmp_path)
    taken(site, tmp_path / "power.csv", readings(), "--max-gap", "36000")
    site.do("attribute")
    assert brief(site) == EXPECTED
    assert covered_by_node(site).get("n3", 0) == 0
    for node in ("n1", "n2"):
        assert covered_by_node(site)[node] == covered_by_node(booked)[node]
        here, there = (one.json("energy", "node", node)["metered_j"] for one in (site, booked))
        assert here == there
    site.do("doubts", "lift", *C)
    site.do("attribute")
    assert covered_by_node(site)["n2"] == 86_370


def test_without_faults_nothing_is_found(sqlite_farm: Farm, tmp_path: Path) -> None:
    site = doubtful_site(sqlite_farm, tmp_path)
    taken(site, tmp_path / "power.csv", readings(faults=False))
    site.do("attribute")
    assert found(site) == []
    assert site.rows("DirtyDoubt") == []


def test_lifting_brings_everything_back_bit_for_bit_and_refusing_takes_it_out_again(
    plain: Site, booked: Site, tmp_path: Path
) -> None:
    untouched = plain.copy()
    for rule in ("spike", "frozen", "shared-chassis"):
        untouched.do("doubts", "rule", *C, rule, "off")
    untouched.do("attribute")
    assert found(untouched) == []
    site = booked.copy()
    refused = site.dump()
    answer = site.json("doubts", "lift", *C, "--note", "the sensor is right")
    assert len(answer["changed"]) == 5
    site.do("attribute")
    assert differences(site.dump(), untouched.dump()) == []
    assert {state for *_, state in brief(site)} == {"lifted"}
    site.do("doubts", "refuse", *C, "--rule", "spike", "--node", "n1")
    site.do("attribute", "--since", DAY)  # looked through anew, and what was said stays
    states = {row[5]: (row[9], row[10]) for row in found(site)}
    assert states == {
        "spike": ("refused", "manage.py doubts"),
        "frozen": ("lifted", "manage.py doubts"),
        "shared-chassis": ("lifted", "manage.py doubts"),
    }
    site.do("doubts", "refuse", *C)
    site.do("attribute")
    assert differences(site.dump(), refused) == []


def test_a_cluster_may_have_a_rule_refuse_report_or_keep_silent(booked: Site) -> None:
    site = booked.copy()
    site.do("doubts", "rule", *C, "spike", "report")
    site.do("doubts", "rule", *C, "frozen", "off")
    site.do("attribute")
    assert brief(site)[0] == ("n1", "spike", "reported")
    assert "frozen" not in {rule for _, rule, _ in brief(site)}
    site.do("doubts", "rule", *C, "spike", "default")
    said = site.json("doubts", "rule", *C, "frozen", "default")
    assert set(said["rules"].values()) == {"default"}
    site.do("attribute")
    assert differences(site.dump(), booked.dump()) == []
    refused = site.manage("doubts", "rule", *C, "counter-jump", "refuse")
    assert (refused.code, "not placed anyway" in refused.err) == (1, True)


def test_what_an_operator_said_stays_when_more_of_the_same_comes(sqlite_farm: Farm, tmp_path: Path) -> None:
    site = doubtful_site(sqlite_farm, tmp_path)
    lines = readings()
    taken(site, tmp_path / "a.csv", [line for line in lines if line[11:13] < "07"])
    site.do("attribute")
    assert ("n2", "frozen", "refused") in brief(site)
    site.do("doubts", "lift", *C, "--node", "n2")
    taken(site, tmp_path / "b.csv", lines)
    site.do("attribute")
    assert ("n2", "frozen", "lifted") in brief(site)
    (still,) = (row for row in found(site) if row[1] == "n2")
    assert int(still[8]) == len(STILL) - 1


# --- any order ------------------------------------------------------------------------------------


def test_neither_order_nor_cutting_of_the_input_shows(booked: Site, sqlite_farm: Farm, tmp_path: Path) -> None:
    draw = random.Random(7)
    site = doubtful_site(sqlite_farm, tmp_path)
    lines = readings()
    draw.shuffle(lines)
    jobs = write(tmp_path / "jobs.csv", JOBS_HEADER, JOBS)
    cuts = [0, 800, 2500, 2501, 6000, len(lines)]
    for number, (low, high) in enumerate(pairwise(cuts)):
        taken(site, tmp_path / f"{number}.csv", lines[low:high])
        if number == 2:
            site.do("ingest_jobs", jobs, *C)
        if number % 2:
            site.do("attribute")
    site.do("attribute")
    assert found(site) == found(booked)
    assert differences(site.dump(), booked.dump(), ["batches"]) == []


def test_what_was_found_goes_when_better_readings_come(booked: Site, tmp_path: Path) -> None:
    site = booked.copy()
    corrected = [line for line in readings(faults=False) if ",n1," in line]
    taken(site, tmp_path / "corrected.csv", corrected)
    site.do("attribute")
    assert brief(site) == EXPECTED[1:]
    assert site.json("energy", "node", "n1")["metered_j"] != booked.json("energy", "node", "n1")["metered_j"]


# --- beside others, and killed --------------------------------------------------------------------


def test_input_that_arrives_during_an_examination_is_examined_too(any_farm: Farm, tmp_path: Path) -> None:
    site = doubtful_site(any_farm, tmp_path)
    lines = readings()
    taken(site, tmp_path / "early.csv", [line for line in lines if ",n1," in line])
    slow = site.start("manage", "attribute", pause=[EXAMINE])
    slow.until_reached()
    taken(site, tmp_path / "late.csv", [line for line in lines if ",n1," not in line])
    slow.go_on()
    slow.wait().done()
    site.do("attribute")
    assert brief(site) == EXPECTED
    assert (site.rows("DirtyDoubt"), site.rows("DirtyNodeDay")) == ([], [])


def test_two_at_once_find_the_same(plain: Site, booked: Site) -> None:
    site = plain.copy()
    running = [site.start("manage", "attribute") for _ in range(3)]
    for each in running:
        each.wait().done()
    site.do("attribute")
    assert found(site) == found(booked)
    assert differences(site.dump(), booked.dump()) == []


def test_killed_again_and_again(plain: Site, booked: Site) -> None:
    events = plain.copy().run("book_only", watch=True).done().events
    draw, kills = random.Random("doubts"), 0
    while kills < 12:
        site = plain.copy()
        for _ in range(3):
            answer = site.run("book_only", watch=True, kill_at=draw.randint(1, events))
            if not answer.killed:
                break
            kills += 1
        site.do("attribute")
        assert found(site) == found(booked)
        assert differences(site.dump(), booked.dump()) == []


def test_a_sealed_day_is_not_examined_any_more(booked: Site) -> None:
    site = booked.copy()
    site.do("seal", *C, "--before", "2026-03-02")
    before = found(site)
    site.do("doubts", "rule", *C, "spike", "report")
    site.do("attribute", "--since", "2026-01-01")
    assert found(site) == before
    answer = site.manage("doubts", "lift", *C)
    assert (answer.code, "sealed" in answer.err) == (1, True)
    assert found(site) == before


# --- real logs ------------------------------------------------------------------------------------


def test_the_log_of_a_switch_behind_the_nodes_of_its_run_is_told_with_its_lag(
    sqlite_farm: Farm, shared_data: Path, tmp_path: Path
) -> None:
    """Real logs of eight nodes, and one of a switch with a clock as far behind as in the published archive."""
    run = next((shared_data / "mlperf_training" / "smc_8node_llama2_ac" / "power").iterdir())
    logs = tmp_path / "logs"
    logs.mkdir()
    for log in sorted(run.glob("node_*.txt")):
        shutil.copy(log, logs / log.name)
    source = (run / "node_1.txt").read_text().splitlines()
    behind = []
    for line in source:
        entry = json.loads(line.split(" ", 1)[1])
        entry["time_ms"] -= 18_001_000
        if entry["key"] == "power_reading":
            entry["value"] = 1500 + int(float(entry["value"])) % 7
        behind.append(":::MLLOG " + json.dumps(entry))
    (logs / "sw_0.txt").write_text("\n".join(behind) + "\n")
    site = sqlite_farm.new()
    nodes = [f"{log.stem},a," for log in sorted(logs.glob("node_*"))] + ["sw_0,switch,infrastructure"]
    site.do("load_nodes", write(tmp_path / "nodes.csv", "node,node_type,level", nodes), *C)
    site.do("ingest_power", logs, *C)
    site.do("attribute")
    (skew,) = (row for row in found(site) if row[5] == "clock-skew")
    assert (skew[1], skew[9], skew[11]["known_by"]) == ("sw_0", "reported", "window")
    assert skew[11]["lag_s"] == pytest.approx(18_001, abs=3)
    pairs = {row[1]: row[11]["nodes"] for row in found(site) if row[5] == "shared-chassis"}
    assert len(pairs) == 8  # byte-identical in pairs, and the sum of all eight is right: not left out
    assert {len(names) for names in pairs.values()} == {2}
    assert {state for _, _, state in brief(site)} == {"reported"}
