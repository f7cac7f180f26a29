"""The simulated time is cut into lots that leave nothing out and say nothing twice."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from measurements.demo.lots import LEAST_DAYS, PAST, Lot, newest_from_s, plan_lots, plan_past, write_lot
from measurements.demo.note import Simulated
from measurements.demo.rhythm import DAY_S
from measurements.demo.schedule import plan_period

SEED = 2212
NOW_S = 1_741_701_600  # 2025-03-11T14:00Z
TODAY_S = NOW_S // DAY_S * DAY_S
FINE_FROM_S = TODAY_S - 14 * DAY_S


def first_start(days: int) -> list[Lot]:
    since_s = TODAY_S - days * DAY_S
    return plan_lots(Simulated(SEED, since_s, max(since_s, FINE_FROM_S), since_s), NOW_S)


def jobs_of(paths: list[Path]) -> list[str]:
    (path,) = [path for path in paths if path.name.startswith("jobs")]
    content = path.read_bytes()
    if path.suffix == ".zst":
        with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
            content = stream.read()
    return content.decode().splitlines()[1:]


def test_lots_follow_each_other_up_to_now() -> None:
    lots = first_start(400)
    assert lots[0].start_s == TODAY_S - 400 * DAY_S
    assert lots[-1].end_s == NOW_S
    assert all(left.end_s == right.start_s for left, right in pairwise(lots))
    assert [lot.first for lot in lots] == [True] + [False] * (len(lots) - 1)
    assert {lot.fine for lot in lots if lot.start_s < FINE_FROM_S} == {False}
    assert {lot.fine for lot in lots if lot.start_s >= FINE_FROM_S} == {True}
    begins = {date.fromordinal(719_163 + lot.start_s // DAY_S).day for lot in lots[1:] if not lot.fine}
    assert begins == {1}


def test_nothing_is_left_to_do_when_all_is_done() -> None:
    assert plan_lots(Simulated(SEED, 0, 0, NOW_S), NOW_S) == []


def test_every_run_is_in_one_lot(tmp_path: Path) -> None:
    lots = plan_lots(Simulated(SEED, TODAY_S - 12 * DAY_S, TODAY_S, TODAY_S - 12 * DAY_S), NOW_S)
    assert len(lots) > 2
    told = [line for lot in lots for line in jobs_of(write_lot(tmp_path, lot))]
    named = [(line.split("|")[1], line.split("|")[8]) for line in told]
    runs = plan_period(SEED, TODAY_S - 12 * DAY_S, NOW_S)
    assert len(named) == len(set(named)) == len(runs)
    assert any("|PENDING|" in line for line in told)


def test_the_same_seed_and_instant_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        for lot in plan_lots(Simulated(SEED, TODAY_S - 3 * DAY_S, TODAY_S, TODAY_S - 3 * DAY_S), NOW_S):
            write_lot(tmp_path / name, lot)
    files = {path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*")}
    assert {path.parts[0] for path in files} >= {PAST, "power-2025-03-11.csv", "jobs-2025-03-11.txt"}
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()


def test_a_late_log_is_a_file_of_the_lot_in_which_it_comes(tmp_path: Path) -> None:
    sunday_s = (date(2025, 3, 9) - date(1970, 1, 1)).days * DAY_S
    lot = Lot(SEED, sunday_s, sunday_s + DAY_S // 2, NOW_S, FINE_FROM_S, first=False)
    assert [path.name[:21] for path in write_lot(tmp_path, lot)][-1] == "power-late-2025-03-04"
    before = Lot(SEED, sunday_s, sunday_s + 3_600, NOW_S, FINE_FROM_S, first=False)
    assert not [path for path in write_lot(tmp_path, before) if "late" in path.name]


def test_the_newest_part_holds_this_month_and_the_one_before_and_all_stories() -> None:
    month_s = (date(2025, 2, 1) - date(1970, 1, 1)).days * DAY_S
    assert newest_from_s(NOW_S) == TODAY_S - LEAST_DAYS * DAY_S < month_s
    late_in_the_month_s = NOW_S + 19 * DAY_S
    assert newest_from_s(late_in_the_month_s) == month_s - 2 * DAY_S < late_in_the_month_s - LEAST_DAYS * DAY_S
    for at_s in range(NOW_S, NOW_S + 400 * DAY_S, DAY_S):
        assert LEAST_DAYS * DAY_S <= at_s // DAY_S * DAY_S - newest_from_s(at_s) <= 64 * DAY_S


def test_the_past_is_added_backwards_and_with_the_newest_part_leaves_no_run_out(tmp_path: Path) -> None:
    done = Simulated(SEED, TODAY_S - 30 * DAY_S, FINE_FROM_S, FINE_FROM_S)
    past = plan_past(done, FINE_FROM_S, NOW_S)
    assert past[0].end_s == FINE_FROM_S
    assert past[-1].start_s == done.since_s
    assert [lot.first for lot in past] == [False] * (len(past) - 1) + [True]
    assert all(later.start_s == earlier.end_s for later, earlier in pairwise(past))
    told = [line for lot in (*past, *plan_lots(done, NOW_S)) for line in jobs_of(write_lot(tmp_path, lot))]
    runs = plan_period(SEED, done.since_s, NOW_S)
    assert len({tuple(line.split("|")[1:9:7]) for line in told}) == len(runs)
    across = sum(run.start_s < FINE_FROM_S < run.end_s for run in runs)
    assert len(told) == len(runs) + across > len(runs)  # those come with both parts
    assert len(set(told)) == len(runs), "and both say the same of them"
    assert plan_past(done, done.since_s, NOW_S) == []
