"""The order, form and number of times in which input comes do not matter: the ledger is the same, bit for bit."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tests.pipeline.conftest import Bases
from tests.pipeline.ledger_dump import differences
from tests.pipeline.rich_input import (
    COUNTER_HEADER,
    COUNTER_OPTIONS,
    JOBS_HEADER,
    LATE_NODE,
    POWER_HEADER,
    Input,
    Row,
    lines,
    rich_input,
    split,
    write,
    write_nodes,
)
from tests.pipeline.site import Farm, Site

Command = list[str | Path]
EVERYTHING = ("--since", "2026-02-01", "--until", "2026-04-01")


def power(path: Path, header: str, body: list[str]) -> Command:
    """A file of samples and the command that takes it."""
    options = COUNTER_OPTIONS if header == COUNTER_HEADER else ()
    return ["ingest_power", write(path, header, body), "--cluster", "c", *options]


def jobs(path: Path, body: list[str]) -> Command:
    """A file of job records and the command that takes it."""
    return ["ingest_jobs", write(path, JOBS_HEADER, body), "--cluster", "c"]


def plain(folder: Path, whole: Input) -> list[Command]:
    """Everything once, each kind in a file of its own."""
    return [
        power(folder / "gauges.csv", POWER_HEADER, lines(whole.gauges)),
        power(folder / "counters.csv", COUNTER_HEADER, lines(whole.counters)),
        jobs(folder / "jobs.csv", whole.jobs),
    ]


def twice(folder: Path, whole: Input) -> list[Command]:
    """Every file two times, and once more at the end."""
    commands = plain(folder, whole)
    return [command for command in commands for _ in (1, 2)] + commands


def shuffled(folder: Path, whole: Input) -> list[Command]:
    """Lines in any order."""
    draw = random.Random(1)

    def mixed(body: list[str]) -> list[str]:
        return draw.sample(body, len(body))

    return [
        power(folder / "gauges.csv", POWER_HEADER, mixed(lines(whole.gauges))),
        power(folder / "counters.csv", COUNTER_HEADER, mixed(lines(whole.counters))),
        jobs(folder / "jobs.csv", mixed(whole.jobs)),
    ]


def _parts(folder: Path, whole: Input, count: int, key: Callable[[Row], int]) -> list[Command]:
    kinds = ((POWER_HEADER, whole.gauges), (COUNTER_HEADER, whole.counters))
    return [
        power(folder / f"{header[15:21]}-{i}.csv", header, lines(part))
        for header, rows in kinds
        for i, part in enumerate(split(rows, count, key))
        if part
    ]


def newest_part_first(folder: Path, whole: Input) -> list[Command]:
    """An hour and a half a file, the newest first; jobs two by two, the last first."""
    parts = _parts(folder, whole, 6, lambda row: row[0] // 5400)
    some = [jobs(folder / f"jobs-{i}.csv", whole.jobs[i : i + 14]) for i in range(0, len(whole.jobs), 14)]
    by_time = sorted(parts, key=lambda command: Path(command[1]).read_text().splitlines()[1], reverse=True)
    return by_time + some[::-1]


def dealt_out(folder: Path, whole: Input) -> list[Command]:
    """Lines dealt out like cards, the files in any order, jobs between them."""
    cards = iter(range(10**9))
    commands = _parts(folder, whole, 4, lambda row: next(cards))
    return [*random.Random(3).sample(commands, len(commands)), jobs(folder / "jobs.csv", whole.jobs)]


def compressed(folder: Path, whole: Input) -> list[Command]:
    """gzip and zstd."""
    commands = plain(folder, whole)
    for command, suffix in zip(commands, (".gz", ".zst", ".gz"), strict=True):
        content = Path(command[1]).read_bytes()
        packed = gzip.compress(content) if suffix == ".gz" else pa.compress(content, "zstd", asbytes=True)
        command[1] = Path(f"{command[1]}{suffix}")
        Path(command[1]).write_bytes(packed)
    return commands


def jobs_first(folder: Path, whole: Input) -> list[Command]:
    """Job records before any sample."""
    return plain(folder, whole)[::-1]


def with_smaller_doubles(folder: Path, whole: Input) -> list[Command]:
    """Within a file the larger of two values stays, wherever it stands."""
    commands = plain(folder, whole)
    doubles = [(t, node, f"{float(value) / 2:.3f}", channel) for t, node, value, channel in whole.gauges[::7]]
    body = random.Random(5).sample(lines(whole.gauges + doubles), len(whole.gauges) + len(doubles))
    return [power(folder / "doubled.csv", POWER_HEADER, body), *commands[1:]]


def booked_in_between(folder: Path, whole: Input) -> list[Command]:
    """Attribution after each file."""
    attribute: Command = ["attribute"]
    return [step for command in newest_part_first(folder, whole) for step in (command, attribute)]


def tended_in_between(folder: Path, whole: Input) -> list[Command]:
    """Compaction after each file, and attribution after every other."""
    commands = newest_part_first(folder, whole)
    steps: list[list[Command]] = [[["tend"]], [["tend"], ["attribute"]]]
    return [step for i, command in enumerate(commands) for step in (command, *steps[i % 2])]


def nodes_last(folder: Path, whole: Input) -> list[Command]:
    """All is refused or kept by name; then the nodes are described, and the same files come again."""
    commands = plain(folder, whole)
    return [*commands, ["attribute"], *_nodes(folder), *commands]


def described_in_between(folder: Path, whole: Input) -> list[Command]:
    """A node of which samples and jobs were known before it was; all is booked before and after."""
    commands = plain(folder, whole)
    first, late = _nodes(folder)
    return [first, *commands, ["attribute"], late, ["attribute"], commands[0], commands[2]]


def _nodes(folder: Path) -> list[Command]:
    files = [folder.parent / name for name in ("nodes.csv", "late.csv")]
    return [["load_nodes", path, "--cluster", "c"] for path in files]


UNDESCRIBED = (nodes_last, described_in_between)
HISTORIES = (
    plain,
    twice,
    shuffled,
    newest_part_first,
    dealt_out,
    compressed,
    jobs_first,
    with_smaller_doubles,
    booked_in_between,
    tended_in_between,
    *UNDESCRIBED,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a history's files are; beside them the description of the nodes."""
    write_nodes(tmp_path)
    (tmp_path / "input").mkdir()
    return tmp_path / "input"


def run_all(site: Site, commands: list[Command]) -> str:
    """The ledger after some commands and attribution."""
    for command in commands:
        answer = site.manage(*command)
        assert answer.code in (0, 1), answer.err  # 1: nothing in it is usable yet
        assert "Traceback" not in answer.err, answer.err
    site.do("attribute")
    return site.dump()


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.__name__)
def test_any_history_gives_the_same_ledger(
    history: Callable[[Path, Input], list[Command]], sqlite_bases: Bases, sqlite_farm: Farm, folder: Path
) -> None:
    site = sqlite_farm.new() if history in UNDESCRIBED else sqlite_bases.described.copy()
    if history is nodes_last:
        site.evaluate("models.Cluster.objects.create(name='c')")
    ledger = run_all(site, history(folder, rich_input()))
    assert differences(ledger, sqlite_bases.dump, ["batches"]) == []


def test_both_databases_hold_the_same_bits(sqlite_bases: Bases, postgres_bases: Bases) -> None:
    assert differences(postgres_bases.dump, sqlite_bases.dump) == []


@pytest.mark.parametrize("nodes_at_once", [1, 3])
def test_how_nodes_are_grouped_does_not_matter(sqlite_bases: Bases, nodes_at_once: int) -> None:
    site = sqlite_bases.ingested.copy()
    site.run("book_only", set={"measurements.services.attribution.BLOCK_NODES": nodes_at_once}).done()
    site.run("roll_up_only", set={"measurements.services.rollups.JOBS_AT_ONCE": 7}).done()
    assert differences(site.dump(), sqlite_bases.dump) == []


@pytest.mark.parametrize("form", ["as ingested", "compacted"])
def test_the_ledger_can_be_rebuilt_from_samples_and_jobs_alone(bases: Bases, form: str) -> None:
    site = bases.finished.copy()
    if form == "compacted":
        site.do("tend")
    site.run("forget_ledger").done()
    assert "node_day " not in site.dump()
    site.do("attribute", *EVERYTHING)
    assert differences(site.dump(), bases.dump) == []


def test_the_same_file_again_is_known_and_no_error(sqlite_bases: Bases) -> None:
    site = sqlite_bases.finished.copy()
    for command in sqlite_bases.commands:
        again = site.json(*command)
        assert again["stored"] == 0
        assert again["read"] == again["duplicates"] + sum(row["count"] for row in again["refused"])
    assert site.json("attribute")["node_days"] == 0
    assert differences(site.dump(), sqlite_bases.dump) == []


def test_only_what_was_refused_is_tried_anew_and_later_files_stay_in_force(site: Site, tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text("node,node_type\nn1,a\n")
    (tmp_path / "late.csv").write_text(LATE_NODE)
    site.do("load_nodes", tmp_path / "nodes.csv", "--cluster", "c")
    first = write(
        tmp_path / "first.csv",
        "timestamp,node,watts",
        [f"2026-03-01T12:0{i}:00Z,{n},100" for n in ("n1", "n7") for i in (0, 1)],
    )
    second = write(tmp_path / "second.csv", "timestamp,node,watts", ["2026-03-01T12:00:00Z,n1,300"])
    said = site.json("ingest_power", first, "--cluster", "c", "--interval", "60")
    assert (said["stored"], said["refused"]) == (2, [{"reason": "unknown node", "count": 2, "first_line": 4}])
    assert site.json("ingest_power", second, "--cluster", "c", "--interval", "60")["stored"] == 0
    site.do("load_nodes", tmp_path / "late.csv", "--cluster", "c")
    again = site.json("ingest_power", first, "--cluster", "c", "--interval", "60")
    assert (again["stored"], again["duplicates"], again["refused"]) == (2, 2, [])
    for command in (["attribute"], ["tend"], ["attribute", *EVERYTHING]):
        site.do(*command)
        assert site.json("energy", "node", "n1")["metered_j"] == 30 * 300 + 60 * 200 + 30 * 100
        assert site.json("energy", "node", "n7")["metered_j"] == 120 * 100


def test_a_retried_value_does_not_beat_a_later_file_when_segments_are_merged(site: Site, tmp_path: Path) -> None:
    nodes = tmp_path / "nodes.csv"
    nodes.write_text("node,node_type,ceiling_w\nn1,a,2000\n")
    site.do("load_nodes", nodes, "--cluster", "c")
    files = {
        name: write(tmp_path / f"{name}.csv", "timestamp,node,watts", [f"2026-03-01T12:{minute}:00Z,n1,{watts}"])
        for name, minute, watts in (("first", "00", 3000), ("second", "00", 300), ("third", "30", 100))
    }
    take = {name: ("ingest_power", path, "--cluster", "c", "--interval", "60") for name, path in files.items()}
    refused = site.manage(*take["first"], "--json").json()["refused"]
    assert [row["reason"] for row in refused] == ["above ceiling"]
    site.do(*take["second"])
    site.run("compact_all").done()
    nodes.write_text("node,node_type,ceiling_w\nn1,a,5000\n")
    site.do("load_nodes", nodes, "--cluster", "c")
    site.do(*take["first"])
    site.do(*take["third"])
    for task in ("fold_all", "compact_all"):
        site.run(task).done()
        site.do("attribute", *EVERYTHING)
        assert site.json("energy", "node", "n1")["metered_j"] == 60 * 300 + 60 * 100
