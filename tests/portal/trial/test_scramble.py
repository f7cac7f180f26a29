"""Names are replaced consistently, differently at each run, and nowhere left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from measurements.parsers.records import JobChunk, JobRecord, ParseOptions, Refusal
from measurements.parsers.source import Source
from measurements.services.batches import IngestReport
from measurements.services.quarantine import RefusedCount
from portal.trial.scramble import Pseudonyms, Scrambling

SECRET = "wilhelmina"


def record(job_id: str = "12_3") -> JobRecord:
    return JobRecord(
        1, job_id, 12, "COMPLETED", username=SECRET, account=f"{SECRET}lab", name=f"for {SECRET}",
        comment=SECRET, admin_comment=SECRET, wckey=SECRET,
    )  # fmt: skip


def parser(source: Source, options: ParseOptions, now_ms: int) -> Iterator[JobChunk]:
    yield JobChunk([record(), record(f"{SECRET}.7")], [Refusal("bad", 4, SECRET, SECRET)], [f"of {SECRET}"], read=3)


def scrambled(names: Pseudonyms, tmp_path: Path) -> JobChunk:
    path = tmp_path / "jobs"
    path.write_text("x")
    return next(names.jobs(parser)(Source(path), ParseOptions(), 0))


def test_no_name_is_left_in_what_a_parser_gives(tmp_path: Path) -> None:
    chunk = scrambled(Pseudonyms(Scrambling()), tmp_path)
    assert SECRET not in repr(chunk)
    assert chunk.records[0].job_id == "12_3"
    assert chunk.records[0].username == chunk.records[1].username
    assert chunk.records[0].username.startswith("user ")
    assert chunk.records[0].account.startswith("project ")
    assert (chunk.refusals[0].reason, chunk.refusals[0].line, chunk.read) == ("bad", 4, 3)


def test_names_stay_if_they_are_wanted(tmp_path: Path) -> None:
    chunk = scrambled(Pseudonyms(Scrambling(people=False)), tmp_path)
    assert chunk.records[0].username == SECRET
    assert chunk.refusals[0].text == SECRET


def test_a_name_is_one_number_and_no_two_names_share_one() -> None:
    names = Pseudonyms(Scrambling())
    first = [names.of("user", f"u{i}") for i in range(500)]
    assert first == [names.of("user", f"u{i}") for i in range(500)]
    assert len(set(first)) == 500
    assert names.of("user", "") == ""


def test_numbers_are_drawn_anew_at_each_run() -> None:
    runs = {tuple(Pseudonyms(Scrambling()).of("user", name) for name in "abcd") for _ in range(5)}
    rows = [[Pseudonyms(Scrambling()).of("user", "a") for _ in range(20)]]
    assert len(runs) > 1
    assert len(set(rows[0])) > 1


def test_reports_quote_nothing_and_files_have_no_names() -> None:
    report = IngestReport(f"/home/{SECRET}/x", 1, 1, 0, 0, [RefusedCount("bad", 1, 4, SECRET)], warnings=[SECRET])
    names = Pseudonyms(Scrambling())
    label = names.file("jobs", 2, 3, f"/home/{SECRET}/{SECRET}.txt")
    assert label == "jobs 2/3"
    assert SECRET not in repr(names.report(label, report))
    assert Pseudonyms(Scrambling(people=False)).file("jobs", 2, 3, "/home/x/y.txt") == "y.txt"


def test_nodes_are_scrambled_only_if_asked_for() -> None:
    assert Pseudonyms(Scrambling()).hosts(["n1", "n2"]) == "n[1-2]"
    assert Pseudonyms(Scrambling(nodes=True)).hosts(["n1", "n2"]) == ""
