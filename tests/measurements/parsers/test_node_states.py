"""States of nodes: sacctmgr's events and the plain form; what is off, and what is refused."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from measurements.parsers.node_states import States, heads_states, read_states
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.times import parse_instant
from tests.measurements.parsers.reading import source_of

UTC = ParseOptions(time_zone=ZoneInfo("UTC"))
HEADER = "Cluster|NodeName|TimeStart|TimeEnd|State|Reason|User"


def read(folder: Path, text: str, options: ParseOptions = UTC, off: tuple[str, ...] = ()) -> States:
    return read_states(source_of(folder, text, "events.txt"), options, off)


@pytest.mark.parametrize("end", ["", "|"], ids=["parsable2", "parsable"])
def test_sacctmgr_events(tmp_path: Path, end: str) -> None:
    rows = [
        HEADER,
        "c|n[1-2]|2025-03-01T00:00:00|2025-03-01T06:00:00|IDLE+POWERED_DOWN|ran out of | work|slurm(64030)",
        "c||2025-03-01T00:00:00|Unknown||Cluster Registered TRES|",
        "c|n3|2025-03-02T00:00:00|Unknown|DOWN*|Not responding|slurm",
    ]
    records, refusals, warnings = read(tmp_path, "\n".join(row + end for row in rows) + "\n")
    assert (refusals, warnings) == ([], [])
    assert [(r.line, r.node, r.state, r.is_off, r.reason) for r in records] == [
        (2, "n1", "IDLE+POWERED_DOWN", True, "ran out of | work"),
        (2, "n2", "IDLE+POWERED_DOWN", True, "ran out of | work"),
        (4, "n3", "DOWN*", False, "Not responding"),
    ]
    assert records[0].start_ms == parse_instant("2025-03-01T00:00:00Z", None)
    assert records[0].end_ms == parse_instant("2025-03-01T06:00:00Z", None)
    assert records[2].end_ms is None


@pytest.mark.parametrize(
    ("state", "is_off"),
    [
        ("off", True), ("POWERED_DOWN", True), ("POWERING_DOWN", True), ("IDLE~", True), ("DOWN*~", True),
        ("IDLE%", True), ("IDLE#", False), ("DOWN", False), ("DOWN*", False), ("DRAIN", False), ("IDLE+DRAIN*", False),
        ("POWERING_UP", False), ("MIXED-", False),
    ],
)  # fmt: skip
def test_off_is_what_says_so(tmp_path: Path, state: str, is_off: bool) -> None:  # noqa: FBT001 - a column
    records, *_ = read(tmp_path, f"node,start,end,state\nn1,2025-03-01T00:00:00Z,,{state}\n")
    assert [r.is_off for r in records] == [is_off]


def test_a_site_adds_states_that_are_off(tmp_path: Path) -> None:
    records, *_ = read(tmp_path, "node,start,end,state\nn1,2025-03-01T00:00:00Z,,DOWN*+DRAIN\n", off=("down",))
    assert [r.is_off for r in records] == [True]


def test_bad_rows_are_refused_and_the_rest_goes_in(tmp_path: Path) -> None:
    rows = [
        "node,start,end,state,reason",
        "n1,2025-03-01T02:00:00Z,2025-03-01T01:00:00Z,off,",
        "n1,2025-03-01T02:00:00,,off,",
        "n1,,,off,",
        "n1,2025-03-01T02:00:00Z,,,",
        "n[2-1],2025-03-01T02:00:00Z,,off,",
        "n1,2025-03-01T02:00:00Z",
        "n1,2025-03-01T02:00:00Z,,off,spare",
    ]
    records, refusals, _ = read(tmp_path, "\n".join(rows) + "\n", ParseOptions())
    assert [(r.node, r.reason) for r in records] == [("n1", "spare")]
    assert [(r.reason, r.line) for r in refusals] == [
        ("end before start", 2), ("time without zone", 3), ("no start time", 4), ("no state", 5), ("bad hostlist", 6),
        ("too few fields", 7),
    ]  # fmt: skip


def test_an_hour_that_comes_twice_is_refused(tmp_path: Path) -> None:
    berlin = ParseOptions(time_zone=ZoneInfo("Europe/Berlin"))
    text = f"{HEADER}\nc|n1|2025-10-26T02:30:00|Unknown|POWERED_DOWN||\n"
    records, refusals, _ = read(tmp_path, text, berlin)
    assert (records, [r.reason for r in refusals]) == ([], ["ambiguous local time"])


def test_a_spreadsheets_separator(tmp_path: Path) -> None:
    text = "node;start;end;state\ncn[1,4];2025-03-01T00:00:00Z;;off\n"
    assert heads_states(text.splitlines()[0])
    records, refusals, _ = read(tmp_path, text)
    assert ([(record.node, record.is_off) for record in records], refusals) == ([("cn1", True), ("cn4", True)], [])


def test_a_table_cut_to_a_width_is_refused_with_the_cure(tmp_path: Path) -> None:
    text = "   Cluster        NodeName           TimeStart             TimeEnd  State\n---------- ---\n"
    with pytest.raises(UnusableFile, match="--parsable2 show event"):
        read(tmp_path, text)


def test_no_states_at_all(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match="no column start, end, state"):
        read(tmp_path, "timestamp,node,watts\n")
