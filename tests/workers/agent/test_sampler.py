"""The table of readings: whose channel it is, clocks that are set, and the steady beat."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.agent.test_spool import MIB
from workers.agent import rhythm
from workers.agent.readings import Channel, Reading
from workers.agent.rhythm import ClockWatch, Rhythm
from workers.agent.sampler import LONGEST_HOLD_MS, Sampler, Table
from workers.agent.sources import Source
from workers.agent.spool import Spool
from workers.agent.trouble import Trouble

GPU = Channel("gpu0", "nvml", counter=True, uuid="GPU-a")
NODE_CRAY = Channel("node", "pm_counters", counter=True)
NODE_BMC = Channel("node", "ipmi_dcmi", counter=False)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    spool = Spool(tmp_path / "state", MIB, Trouble())
    yield Table("n1", spool)
    spool.close()


def lines(table: Table) -> list[str]:
    table.spool.rotate()
    out = []
    while found := table.spool.oldest(MIB):
        out += [line for _, one in found for line in [one.header, *one.lines]]
        table.spool.sent([number for number, _ in found])
    return out


def test_of_two_sources_of_a_channel_only_the_first_is_written(table: Table) -> None:
    table.declare("pm_counters", [NODE_CRAY])
    table.declare("ipmi_dcmi", [NODE_BMC])
    table.take("pm_counters", [Reading(1_000, "node_j", 5_000_000)])
    table.take("ipmi_dcmi", [Reading(1_500, "node_w", 5_000)])
    assert lines(table) == ["timestamp,node,node_j", "1.000,n1,5.000000"]


def test_readings_of_one_instant_share_a_line_and_others_do_not(table: Table) -> None:
    table.declare("nvml", [GPU])
    table.declare("pm_counters", [NODE_CRAY])
    table.take("pm_counters", [Reading(1_000, "node_j", 5)])
    table.take("nvml", [Reading(1_003, "gpu0_j", 7)])
    assert lines(table) == ["timestamp,node,gpu0_j,node_j", "1.000,n1,,0.000005", "1.003,n1,0.000007,"]


def test_a_channel_that_comes_later_begins_a_table_of_its_own(table: Table) -> None:
    table.declare("nvml", [GPU])
    table.take("nvml", [Reading(1_000, "gpu0_j", 5)])
    table.declare("pm_counters", [NODE_CRAY])
    table.take("nvml", [Reading(2_000, "gpu0_j", 6)])
    heads = [line for line in lines(table) if line.startswith("timestamp")]
    assert heads == ["timestamp,node,gpu0_j", "timestamp,node,gpu0_j,node_j"]


def test_while_the_clock_is_behind_no_reading_goes_back_in_time(table: Table) -> None:
    table.declare("nvml", [GPU])
    for t_ms in (10_000, 11_000, 4_000, 5_000, 11_000, 12_000):
        table.take("nvml", [Reading(t_ms, "gpu0_j", t_ms)])
    assert [line.split(",")[0] for line in lines(table)[1:]] == ["10.000", "11.000", "12.000"]
    assert table.held_back == 2


def test_a_clock_that_was_far_ahead_does_not_silence_the_node(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    table.declare("nvml", [GPU])
    for t_ms in (10_000_000, 10_000_000 - LONGEST_HOLD_MS - 1):
        table.take("nvml", [Reading(t_ms, "gpu0_j", 5)])
    assert len(lines(table)) == 3
    assert "the clock was set back" in caplog.text


def test_a_step_of_the_clock_is_noticed_and_a_drift_is_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Clock:
        wall, steady = 1_000_000_000_000_000_000, 5_000_000_000

        def time_ns(self) -> int:
            return self.wall

        def monotonic_ns(self) -> int:
            return self.steady

    clock = Clock()
    monkeypatch.setattr(rhythm, "time", clock)
    watch = ClockWatch()
    clock.wall, clock.steady = clock.wall + 1_000_100_000, clock.steady + 1_000_000_000
    assert watch.look() == 0.0
    clock.wall -= 3_600_000_000_000
    assert watch.look() == pytest.approx(-3_600.0)
    assert watch.look() == 0.0
    assert "set by -3600.0 s" in caplog.text
    assert watch.steps == 1


def test_beats_that_fall_into_the_work_are_skipped_and_not_caught_up() -> None:
    beat, stop = Rhythm(0.1), threading.Event()
    assert beat.wait(stop)
    time.sleep(0.35)
    began = time.monotonic()
    assert beat.wait(stop)
    assert beat.wait(stop)
    assert time.monotonic() - began > 0.1  # a burst would take no time
    assert beat.skipped >= 3


def test_beats_lie_on_whole_intervals_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(threading.Event):
        """It goes on by what is waited for, and by nothing else."""

        passed_s = 0.0

        def time(self) -> float:
            return 1_000_000_000.1 + self.passed_s

        def monotonic(self) -> float:
            return 50.0 + self.passed_s

        def wait(self, seconds: float | None = None) -> bool:
            self.passed_s += seconds or 0.0
            return False

    clock = Clock()
    monkeypatch.setattr(rhythm, "time", clock)
    beat = Rhythm(0.25)
    for at in (0.25, 0.5, 0.75):
        assert beat.wait(clock)
        assert clock.time() == pytest.approx(1_000_000_000 + at, abs=1e-6)


def test_a_source_with_an_error_of_its_own_is_tried_again(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    stop = threading.Event()

    class Broken(Source):
        name = "nvml"
        turns = 0

        def look(self) -> None:
            self.channels = (GPU,)

        def read(self) -> list[Reading]:
            self.turns += 1
            if self.turns == 1:
                raise ZeroDivisionError
            stop.set()
            return [Reading(5_000, "gpu0_j", 5)]

    sampler = Sampler(Broken(Trouble()), 0.05, table)
    sampler.look()
    sampler.run(stop)
    assert lines(table)[1:] == ["5.000,n1,0.000005"]
    assert "ZeroDivisionError" in caplog.text


def test_the_interval_is_a_fact_of_the_channel(table: Table) -> None:
    class One(Source):
        name = "nvml"

        def look(self) -> None:
            self.channels = (GPU,)

        def read(self) -> list[Reading]:
            return [Reading(5_000, "gpu0_j", 5)]

    sampler = Sampler(One(Trouble()), 2.5, table)
    sampler.look()
    sampler.turn()
    table.spool.rotate()
    assert '"interval_ms": 2500' in table.spool.oldest(1)[0][1].facts
