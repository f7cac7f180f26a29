"""Slurm's programs fail in many ways: each ends in a sentence, none in rows that are not all."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from measurements.feeds import slurm_jobs
from measurements.feeds.about import FeedError, fault_of_address
from measurements.feeds.slurm_commands import Commands, run
from measurements.feeds.slurm_nodes import snapshot

MARK = b"<m>"


def program(folder: Path, name: str, script: str) -> Commands:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Commands(str(folder), longest_s=60.0, most_bytes=100_000)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("exit 0", "printed nothing, not even the names of its columns"),
        ("echo hello", "sacct's table breaks off"),
        ('echo "1<" >&2; exit 1', "sacct ended with 1: 1<"),
        ("exit 3", "sacct ended with 3: it did not say why"),
        ('echo "sacct: error: Problem talking to the database" >&2', "Problem talking to the database"),
        ("yes", "printed more than"),
    ],
)
def test_a_failing_sacct_is_told_and_gives_no_rows(script: str, sentence: str, tmp_path: Path) -> None:
    slurm = program(tmp_path, "sacct", script)
    with pytest.raises(FeedError, match=sentence):
        slurm_jobs.by_time(slurm, ["JobID", "State"], 0, 86_400_000, tmp_path, steps=True)


def test_a_program_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    slurm = Commands(program(tmp_path, "sinfo", "sleep 600 & wait").folder, longest_s=0.5)
    begun = time.monotonic()
    with pytest.raises(FeedError, match="within 0 s"):
        run(slurm, "sinfo", into=tmp_path / "out")
    assert time.monotonic() - begun < 60


def test_a_program_that_is_missing_is_named_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(
        FeedError, match=r"no program sacct in .*: install Slurm's commands, or set JOULEBOOK_SLURM_BIN"
    ):
        run(Commands(str(tmp_path)), "sacct", into=tmp_path / "out")


def test_options_of_the_surroundings_do_not_reach_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    monkeypatch.setenv("SACCT_FORMAT", "user")
    monkeypatch.setenv("TZ", "America/New_York")
    environment = Commands(conf="/etc/x.conf").environment()
    assert not {"SLURM_TIME_FORMAT", "SACCT_FORMAT"} & set(environment)
    assert (environment["TZ"], environment["SLURM_CONF"]) == ("UTC", "/etc/x.conf")


def test_a_name_that_holds_a_whole_row_stays_a_name() -> None:
    forged = b"x\n99|99|root|COMPLETED|\x1f"
    text = b"".join(field + MARK for field in (b"JobID", b"JobName", b"State")) + b"\n"
    text += b"".join(field + MARK for field in (b"1", forged, b"FAILED")) + b"\n"
    rows = list(slurm_jobs.rows(io.BytesIO(text), MARK, 3))
    assert rows == [[b"JobID", b"JobName", b"State"], [b"1", b"x 99|99|root|COMPLETED| ", b"FAILED"]]


def test_each_call_has_a_separator_of_its_own(tmp_path: Path) -> None:
    script = """for word; do case $word in --delimiter=*) echo "${word#*=}" >> "$0.marks";; esac; done; exit 1"""
    slurm = program(tmp_path, "sacct", script)
    for _ in range(3):
        with pytest.raises(FeedError):
            slurm_jobs.by_time(slurm, ["JobID"], 0, 1, tmp_path, steps=True)
    marks = (tmp_path / "sacct.marks").read_text().split()
    assert len(set(marks)) == 3
    assert all(len(mark) > 10 for mark in marks)


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_table_that_breaks_off_anywhere_is_refused_or_whole(cut: int) -> None:
    text = b"JobID<m>State<m>\n1<m>FAILED<m>\n2<m>FAILED<m>\n"
    whole = [[b"JobID", b"State"], [b"1", b"FAILED"], [b"2", b"FAILED"]]
    try:
        rows = list(slurm_jobs.rows(io.BytesIO(text[:cut]), MARK, 2))
    except FeedError:
        return
    assert rows == whole[: len(rows)]


@pytest.mark.parametrize(
    ("config", "kept"),
    [("AccountingStoreFlags    = job_comment,job_script", True), ("AccountingStoreFlags = (null)", False), ("", False)],
)
def test_whether_accounting_keeps_comments_is_seen(config: str, *, kept: bool) -> None:
    assert slurm_jobs.stores_comments(f"Configuration data\n{config}\n") is kept


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("http://slurm.example.org:6820", ""),
        ("unix:/run/slurmrestd.socket", ""),
        ("unix:run", "unix:/path"),
        ("http://elsewhere:6820", "JOULEBOOK_FEED_HOSTS"),
        ("http://169.254.169.254/latest", "JOULEBOOK_FEED_HOSTS"),
        ("http://slurm.example.org@evil/", "no name or password"),
        ("file:///etc/passwd", "is no address"),
        ("http://[::1", "is no address"),
    ],
)
def test_only_hosts_that_the_site_allows_are_asked(address: str, fault: str) -> None:
    told = fault_of_address(address, {"slurm.example.org"})
    assert fault in told
    assert bool(told) == bool(fault)


def test_what_is_off_begins_once_and_ends_when_it_is_over() -> None:
    begun = snapshot({"n1": "IDLE~"}, {}, 1_000, "look")
    assert [(one.node, one.start_ms, one.end_ms, one.is_off) for one in begun] == [("n1", 1_000, None, True)]
    known = {"n1": ("IDLE~", 1_000, "look"), "n2": ("DOWN~", 500, "an event of Slurm's")}
    assert snapshot({"n1": "IDLE~"}, known, 2_000, "look") == []
    ended = snapshot({}, known, 3_000, "look")
    assert [(one.node, one.start_ms, one.end_ms) for one in ended] == [("n1", 1_000, 3_000)]
