"""Bad input through the real commands: the good part goes in, the rest is refused with line, reason and cure."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.site import Answer, Farm, Site
from tests.pipeline.small import C, jobs, record, small_site

HEADER = "timestamp,node,watts\n"
GOOD = [f"2026-03-01T12:{minute:02d}:00Z,n1,100" for minute in range(10)]
MEMORY_KIB = 400 * 1024
Refused = list[tuple[str, int, int]]


@pytest.fixture(scope="module")
def described(sqlite_farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Nodes n1 (with a ceiling) and n2."""
    folder = tmp_path_factory.mktemp("described")
    site = small_site(sqlite_farm, folder)
    (folder / "ceiling.csv").write_text("node,node_type,cpus,ceiling_w\nn1,a,8,2000\n")
    site.do("load_nodes", folder / "ceiling.csv", *C)
    return site


@pytest.fixture
def site(described: Site) -> Site:
    """A copy that a test may change."""
    return described.copy()


def ingest(site: Site, path: Path, *options: str) -> tuple[Answer, dict[str, Any]]:
    """How it ended and what it said; nothing was lost on the way."""
    answer = site.manage("ingest_power", path, *C, "--interval", "60", *options, "--json")
    assert "Traceback" not in answer.err, answer.err
    said = answer.json()
    assert said["read"] == said["stored"] + said["duplicates"] + said["pending"] + sum(
        row["count"] for row in said["refused"]
    )
    return answer, said


def refused(said: dict[str, Any]) -> Refused:
    """Reason, count and first line."""
    return [(row["reason"], row["count"], row["first_line"]) for row in said["refused"]]


def stored_samples(site: Site) -> int:
    """How many samples the store gives."""
    return sum(row["rows"] for row in site.rows("Segment"))


# --- files of which nothing can be had --------------------------------------------------------------------------------


def empty(path: Path) -> None:
    path.write_bytes(b"")


def blank(path: Path) -> None:
    path.write_bytes(b"\n\n   \n")


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 64)


def wrong_delimiter(path: Path) -> None:
    path.write_text("timestamp/node/watts\n" + "\n".join(line.replace(",", "/") for line in GOOD) + "\n")


def header_alone(path: Path) -> None:
    path.write_text(HEADER)


def prose(path: Path) -> None:
    path.write_text("Dear all,\nplease find the log attached.\n")


def not_gzip(path: Path) -> None:
    path.write_bytes(b"\x1f\x8b\x08\x00" + b"nonsense" * 20)


@pytest.mark.parametrize(
    ("make", "reason", "cure"),
    [
        (empty, "empty", "nothing to read"),
        (blank, "empty", "nothing to read"),
        (binary, "not a text file", "give text"),
        (wrong_delimiter, "line 1: no power log that is known", "--format"),
        (prose, "line 1: no power log that is known", "--format"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_useless_file_is_refused_with_reason_and_cure(
    site: Site, tmp_path: Path, make: Callable[[Path], None], reason: str, cure: str
) -> None:
    path = tmp_path / "bad.csv"
    make(path)
    answer, said = ingest(site, path)
    assert answer.code == 1
    assert (said["stored"], said["batch"]) == (0, None)
    assert refused(said) == [("unusable file", 1, 1)]
    assert "bad.csv" in answer.err
    assert reason in answer.err
    assert cure in answer.err
    assert stored_samples(site) == 0


@pytest.mark.parametrize("make", [header_alone, not_gzip], ids=lambda make: make.__name__)
def test_a_file_without_a_sample_is_nothing_usable(site: Site, tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "bad.csv")
    answer, said = ingest(site, tmp_path / "bad.csv")
    assert (answer.code, said["stored"]) == (1, 0)
    assert "nothing in it to take" in answer.err or said["refused"]


def test_a_file_that_is_not_there_is_named(site: Site, tmp_path: Path) -> None:
    answer = site.manage("ingest_power", tmp_path / "absent.csv", *C, "--json")
    assert answer.code == 1
    assert "absent.csv" in answer.err
    assert "Traceback" not in answer.err


def test_a_useless_file_among_others_does_not_stop_them(site: Site, tmp_path: Path) -> None:
    empty(tmp_path / "bad.csv")
    (tmp_path / "good.csv").write_text(HEADER + "\n".join(GOOD) + "\n")
    answer = site.do("ingest_power", tmp_path / "bad.csv", tmp_path / "good.csv", *C, "--json")
    assert answer.json()["stored"] == 10
    assert refused(answer.json()) == [("unusable file", 1, 1)]


# --- files with a good part -------------------------------------------------------------------------------------------


def test_a_truncated_gzip_gives_its_good_part(site: Site, tmp_path: Path) -> None:
    draw = random.Random(1)
    lines = [f"{1772366400 + 60 * i},n1,{draw.uniform(100, 900):.3f}" for i in range(1000)]
    whole = gzip.compress((HEADER + "\n".join(lines) + "\n").encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    answer, said = ingest(site, tmp_path / "cut.csv.gz")
    assert answer.code == 0
    assert 300 < said["stored"] < 700
    assert refused(said) == [("truncated gzip", 1, said["stored"] + 2)]
    assert f"first on line {said['stored'] + 2}" in answer.err
    assert "copy the file anew" in answer.err
    (tmp_path / "cut.csv.gz").write_bytes(whole)  # the file copied anew
    _, again = ingest(site, tmp_path / "cut.csv.gz")
    assert (again["stored"], again["duplicates"]) == (1000 - said["stored"], said["stored"])


def test_a_line_of_64_mib_is_refused_in_bounded_memory(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("w") as file:
        file.write(HEADER + "\n".join(GOOD[:5]) + "\n")
        for _ in range(64):
            file.write("x" * (1 << 20))
        file.write("\n" + "\n".join(GOOD[5:]) + "\n")
    answer, said = ingest(site, path)
    assert (answer.code, said["stored"]) == (0, 10)
    assert refused(said) == [("line too long", 1, 7)]
    assert "more than 1 MiB" in answer.err
    assert answer.peak_kib < MEMORY_KIB


def test_a_bomb_is_read_in_bounded_memory(site: Site, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "bomb.csv.gz", "wb", compresslevel=1) as file:
        file.write((HEADER + "\n".join(GOOD) + "\n").encode())
        for _ in range(512):
            file.write(b"0" * (1 << 20))
    answer, said = ingest(site, tmp_path / "bomb.csv.gz")
    assert (answer.code, said["stored"]) == (0, 10)
    assert answer.peak_kib < MEMORY_KIB


VALUES = [
    ("0", "zero watts", "sensor"),
    ("-3", "negative power", "check sign"),
    ("4294967294", "no value (sentinel)", "sensor's mark"),
    ("4294967295", "no value (sentinel)", "sensor's mark"),
    ("2001", "above ceiling", "ceiling_w"),
    ("1e20", "out of range", "no power or energy"),
    ("many", "", ""),
    ("inf", "", ""),
]


@pytest.mark.parametrize(("value", "reason", "cure"), VALUES, ids=[value for value, _, _ in VALUES])
def test_an_implausible_value_is_refused_and_its_neighbours_stay(
    site: Site, tmp_path: Path, value: str, reason: str, cure: str
) -> None:
    bad = f"2026-03-01T12:20:00Z,n1,{value}"
    (tmp_path / "power.csv").write_text(HEADER + "\n".join([*GOOD[:4], bad, *GOOD[4:]]) + "\n")
    answer, said = ingest(site, tmp_path / "power.csv")
    assert (answer.code, said["read"], said["stored"]) == (0, 11, 10)
    [(found, count, line)] = refused(said)
    assert (count, line) == (1, 6)
    assert reason in found
    assert f"1 × {found}, first on line 6: " in answer.err
    assert cure in answer.err
    [row] = site.rows("Quarantine")
    kept = gzip.decompress(bytes.fromhex(row["lines"])).decode()
    assert kept.splitlines()[-1].startswith("6\t2026-03-01T12:20:00")


def test_a_counter_of_1e20_joules_is_refused(site: Site, tmp_path: Path) -> None:
    readings = ["2026-03-01T12:00:00Z,n1,1000", "2026-03-01T12:01:00Z,n1,1e20", "2026-03-01T12:02:00Z,n1,4000"]
    (tmp_path / "joules.csv").write_text("timestamp,node,joules\n" + "\n".join(readings) + "\n")
    answer, said = ingest(site, tmp_path / "joules.csv")
    assert (answer.code, said["stored"], refused(said)) == (0, 2, [("out of range", 1, 3)])
    assert "1e+20 J" in answer.err


def test_an_unknown_node_is_refused_by_name_with_the_cure(site: Site, tmp_path: Path) -> None:
    lines = [*GOOD[:2], "2026-03-01T12:00:00Z,n9,100", "2026-03-01T12:01:00Z,n9,100"]
    (tmp_path / "power.csv").write_text(HEADER + "\n".join(lines) + "\n")
    answer, said = ingest(site, tmp_path / "power.csv")
    assert (answer.code, said["stored"], refused(said)) == (0, 2, [("unknown node", 2, 4)])
    assert "n9" in answer.err
    assert "load_nodes" in answer.err
    assert [row["name"] for row in site.rows("Node")] == ["n1", "n2"]


# --- times ------------------------------------------------------------------------------------------------------------


def test_a_naive_time_without_a_zone_is_refused_and_read_with_one(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "naive.csv"
    path.write_text(HEADER + "2026-03-01 12:00:00,n1,100\n2026-03-01 12:01:00,n1,100\n" + GOOD[5] + "\n")
    answer, said = ingest(site, path)
    assert (answer.code, said["stored"]) == (0, 1)
    [(_, count, line)] = refused(said)
    assert (count, line) == (2, 2)
    assert "--time-zone" in answer.err
    answer, said = ingest(site, path, "--time-zone", "Europe/Berlin")
    assert (answer.code, said["stored"], said["duplicates"], said["refused"]) == (0, 2, 1, [])


def test_a_naive_file_without_a_zone_is_nothing_usable(site: Site, tmp_path: Path) -> None:
    (tmp_path / "naive.csv").write_text(HEADER + "2026-03-01 12:00:00,n1,100\n")
    answer, said = ingest(site, tmp_path / "naive.csv")
    assert (answer.code, said["stored"]) == (1, 0)
    assert "--time-zone" in answer.err


def test_an_hour_that_comes_twice_is_refused_unless_order_decides(site: Site, tmp_path: Path) -> None:
    alone = tmp_path / "alone.csv"
    alone.write_text(HEADER + "2025-10-26 02:30:00,n1,100\n2025-10-26 12:00:00,n1,100\n")
    answer, said = ingest(site, alone, "--time-zone", "Europe/Berlin")
    assert (answer.code, said["stored"]) == (0, 1)
    [(reason, count, line)] = refused(said)
    assert (count, line) == (1, 2)
    assert reason
    ordered = tmp_path / "ordered.csv"
    times = ["02:00:00", "02:30:00", "02:00:00", "02:30:00", "03:00:00"]
    ordered.write_text(HEADER + "".join(f"2025-10-26 {time},n2,100\n" for time in times))
    answer, said = ingest(site, ordered, "--time-zone", "Europe/Berlin")
    assert (answer.code, said["stored"], said["refused"]) == (0, 5, [])


# --- jobs -------------------------------------------------------------------------------------------------------------


def take_jobs(site: Site, path: Path, *records: str) -> tuple[Answer, dict[str, Any]]:
    """How it ended and what it said."""
    answer = site.manage(*jobs(path, *records), "--json")
    assert "Traceback" not in answer.err, answer.err
    return answer, answer.json()


def test_an_end_before_its_start_is_refused_and_the_others_stay(site: Site, tmp_path: Path) -> None:
    answer, said = take_jobs(
        site,
        tmp_path / "jobs.csv",
        record("1", "2026-03-01T12:00:00Z", "2026-03-01T12:05:00Z"),
        record("2", "2026-03-01T12:05:00Z", "2026-03-01T12:00:00Z"),
        record("3", "2026-03-01T12:00:00Z", "2026-03-01T12:01:00Z"),
    )
    assert (answer.code, said["read"], said["stored"]) == (0, 3, 2)
    assert refused(said) == [("end before start", 1, 3)]
    assert "first on line 3: by 300 s: correct its times" in answer.err


def test_overcommitted_cores_are_scaled_and_not_refused(site: Site, tmp_path: Path) -> None:
    (tmp_path / "power.csv").write_text(HEADER + "\n".join(GOOD) + "\n")
    ingest(site, tmp_path / "power.csv")
    span = ("2026-03-01T12:00:00Z", "2026-03-01T12:05:00Z")
    answer, said = take_jobs(
        site, tmp_path / "jobs.csv", record("1", *span, cpus="6"), record("2", *span, cpus="6", user="bob")
    )
    assert (answer.code, said["stored"], said["refused"]) == (0, 2, [])
    closing = site.json("attribute")
    assert closing["jobs_j"] == pytest.approx(100 * 300, rel=1e-12)
    for job in ("1", "2"):
        assert site.json("energy", "job", "c", job)["energy_j"] == pytest.approx(50 * 300, rel=1e-12)
    assert {row["flags"] for row in site.rows("AllocationEnergy")} == {1}


def test_a_job_on_an_unknown_node_is_kept_as_a_gap(site: Site, tmp_path: Path) -> None:
    answer, said = take_jobs(
        site, tmp_path / "jobs.csv", record("1", "2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z", "n[8-9]", cpus="4")
    )
    assert (answer.code, said["stored"], said["refused"]) == (0, 1, [])
    site.do("attribute")
    energy = site.json("energy", "job", "c", "1")
    assert (energy["energy_j"], energy["coverage"], energy["quality"]) == (0, 0, "none")
    assert [(node["node"], node["known"]) for node in energy["nodes"]] == [("n8", False), ("n9", False)]


@pytest.mark.parametrize("make", [empty, binary, wrong_delimiter, prose], ids=lambda make: make.__name__)
def test_a_useless_file_of_jobs_is_refused(site: Site, tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "bad.csv")
    answer = site.manage("ingest_jobs", tmp_path / "bad.csv", *C, "--json")
    assert answer.code == 1
    assert refused(answer.json()) == [("unusable file", 1, 1)]
    assert "bad.csv" in answer.err
    assert "Traceback" not in answer.err


def test_a_folder_that_cannot_be_read_is_named(site: Site, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    answer = site.manage("ingest_power", tmp_path / "nothing", *C)
    assert answer.code == 1
    assert f"{tmp_path / 'nothing'}" in answer.err
    assert list((tmp_path / "nothing").iterdir()) == []
