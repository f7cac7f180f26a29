"""SPEC PTDaemon logs: month first, the first Watts only, node and zone from the operator."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from measurements.domain.units import ms_from_datetime
from measurements.parsers.detect import detect_power
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.source import Source
from tests.measurements.parsers.reading import ms, read_log, source_of

OPTIONS = ParseOptions(node="sut", time_zone=UTC)
LINE = (
    "Time,03-01-2025 12:00:0{}.250,Watts,{},Volts,-1.000000,Amps,-1.0,PF,-1.0,Mark,run,Ch1,Watts,1.0,Ch2,Watts,2.0\r\n"
)
T0 = ms("2025-03-01T12:00:00.250Z")


def test_the_first_watts_counts_and_its_channels_are_not_added(tmp_path: Path) -> None:
    log = read_log(source_of(tmp_path, LINE.format(0, "658.600000") + LINE.format(1, "-1.000000")), OPTIONS)
    assert log.rows == [("sut", "node", T0, 658_600, 1), ("sut", "node", T0 + 1000, -1000, 2)]
    assert log.kinds == {"node": "gauge"}


def test_every_trap_a_line(tmp_path: Path) -> None:
    text = (
        "PTDaemon 1.9.2 ready\n"
        + LINE.format(1, "1.5")
        + "\n"
        + LINE.format(3, "NaN")
        + LINE.format(4, "overrange")
        + "Time,13-01-2025 12:00:00.000,Watts,5.0,Volts,1\n"
        + "Time,03-01-2025 12:00:06.000,Watts,1e30,Volts,1\n"
        + "Time,03-01-2025 12:00:07.000,Volts,230.0,Watts,7.0\n"
        + "Time,03-01-2025 12:00:08.000,Watts,8.0"
    )
    log = read_log(source_of(tmp_path, text), OPTIONS)
    assert [(row[3], row[4]) for row in log.rows] == [(1500, 2), (8000, 9)]
    assert log.refused == [
        ("unreadable line", 1),
        ("not a number", 5),
        ("unreadable time", 6),
        ("out of range", 7),
        ("unreadable line", 8),
    ]
    assert log.refusals[1].text == LINE.format(4, "overrange").rstrip()


def test_node_and_zone_must_be_given(tmp_path: Path) -> None:
    source = source_of(tmp_path, LINE.format(0, "1.0") * 2)
    with pytest.raises(UnusableFile, match="--node"):
        read_log(source, ParseOptions(time_zone=UTC))
    log = read_log(source, ParseOptions(node="sut"))
    assert (log.rows, log.refused) == ([], [("time without zone", 1), ("time without zone", 2)])


def test_the_zone_and_the_channel_are_the_operators(tmp_path: Path) -> None:
    options = ParseOptions(node="sut", channel="pdu", time_zone=ZoneInfo("America/Los_Angeles"))
    log = read_log(source_of(tmp_path, LINE.format(0, "1.0")), options)
    assert log.rows == [("sut", "pdu", T0 + 8 * 3_600_000, 1000, 1)]


def test_published_results_are_met_from_the_published_logs(shared_data: Path) -> None:
    logs = sorted((shared_data / "mlperf_inference").glob("*/spl.txt"))
    assert len(logs) == 9
    for path in logs:
        expected = json.loads(path.with_name("expected.json").read_text())
        source = Source(path)
        assert detect_power(source).name == "ptdaemon"
        log = read_log(source, OPTIONS)
        assert len(log.rows) == expected["counts"]["lines_in_spl"]
        assert log.refusals == []
        begin, end = (
            ms_from_datetime(datetime.fromisoformat(expected["window"][key])) for key in ("begin_utc", "end_utc")
        )
        inside_mw = [row[3] for row in log.rows if begin < row[2] < end and row[3] > 0]
        assert len(inside_mw) == expected["counts"]["samples_in_window"]
        assert sum(inside_mw) / len(inside_mw) / 1000 == pytest.approx(expected["recomputed"]["mean_W"], rel=1e-9)
