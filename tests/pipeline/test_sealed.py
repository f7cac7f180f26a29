"""A sealed day never changes: input for it is kept, names the day, and is not applied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.site import Farm, Site
from tests.pipeline.small import C, Command, jobs, power, record, small_site, steady

BEFORE, FIRST, SECOND, THIRD = "2026-02-28", "2026-03-01", "2026-03-02", "2026-03-03"
LEDGER = ("AllocationEnergy", "NodeDay", "NodeHour", "UsageDay")
OVER_MIDNIGHT = record("1", "2026-03-01T20:00:00Z", "2026-03-02T04:00:00Z", "n[1-2]", cpus="4")
RUNNING = record("2", "2026-03-01T10:00:00Z", "", "n2", cpus="2")


@pytest.fixture(scope="module")
def sealed_once(sqlite_farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Two days of readings of two nodes every hour, booked; the first day is sealed."""
    folder = tmp_path_factory.mktemp("sealed")
    site = small_site(sqlite_farm, folder)
    readings = [line for day in (FIRST, SECOND) for node in ("n1", "n2") for line in steady(day, node)]
    site.do(*power(folder / "power.csv", readings, "3600"))
    site.do(*jobs(folder / "jobs.csv", OVER_MIDNIGHT, RUNNING))
    site.do("attribute")
    assert site.json("seal", *C, "--before", SECOND)["sealed"] == [BEFORE, FIRST]  # its first reading holds into BEFORE
    return site


@pytest.fixture
def sealed(sealed_once: Site) -> Site:
    """A copy that a test may change."""
    return sealed_once.copy()


def rows_of(site: Site, day: str) -> dict[str, list[dict[str, Any]]]:
    """Everything the ledger says of a day, ids included."""
    return {model: [row for row in rows if row["day"] == day] for model, rows in site.tables(*LEDGER).items()}


def metered(site: Site) -> dict[str, Any]:
    """What the sealed day's energy is said to be."""
    found = site.json("energy", "cluster", "c", "--since", FIRST, "--until", SECOND)
    return {name: found[name] for name in ("metered_j", "unallocated_j", "booked_j", "gpu_energy_j", "covered_s")}


def pending(site: Site) -> list[tuple[str, str, int]]:
    """What waits: day, content, rows."""
    return [(row["day"], row["content"], row["rows"]) for row in site.rows("PendingCorrection")]


def late_samples(folder: Path) -> Command:
    return power(folder / "late.csv", [f"{FIRST}T12:30:00Z,n1,900", f"{FIRST}T23:59:00Z,n1,900"], "3600")


def longer_job(folder: Path) -> Command:
    return jobs(folder / "longer.csv", record("1", "2026-03-01T18:00:00Z", "2026-03-02T05:00:00Z", "n[1-2]", cpus="4"))


def lost_node(folder: Path) -> Command:
    return jobs(folder / "lost.csv", record("1", "2026-03-01T20:00:00Z", "2026-03-02T04:00:00Z", "n2", cpus="4"))


def other_cores(folder: Path) -> Command:
    return jobs(folder / "cores.csv", record("1", "2026-03-01T20:00:00Z", "2026-03-02T04:00:00Z", "n[1-2]", cpus="8"))


def other_account(folder: Path) -> Command:
    moved = record("1", "2026-03-01T20:00:00Z", "2026-03-02T04:00:00Z", "n[1-2]", cpus="4", account="chemistry")
    return jobs(folder / "account.csv", moved)


def forgotten_job(folder: Path) -> Command:
    return jobs(folder / "forgotten.csv", record("3", "2026-03-01T08:00:00Z", "2026-03-01T09:00:00Z", "n1", cpus="8"))


LATE = (late_samples, longer_job, lost_node, other_cores, other_account, forgotten_job)


@pytest.mark.parametrize("late", LATE, ids=lambda late: late.__name__)
def test_late_input_leaves_a_sealed_day_as_it_is_and_waits(
    sealed: Site, late: Callable[[Path], Command], tmp_path: Path
) -> None:
    before, energy = rows_of(sealed, FIRST), metered(sealed)
    assert all(before.values())
    sealed.do(*late(tmp_path))
    for again in (["attribute"], ["attribute", "--since", "2026-02-01", "--until", "2026-04-01"], ["tend"]):
        sealed.do(*again)
    assert rows_of(sealed, FIRST) == before
    assert metered(sealed) == energy
    content = "power" if late is late_samples else "jobs"
    waiting = pending(sealed)
    assert waiting
    assert {(day, kind) for day, kind, _ in waiting} == {(FIRST, content)}


def test_samples_for_a_sealed_day_are_counted_as_pending_and_kept_whole(sealed: Site, tmp_path: Path) -> None:
    said = sealed.json(*late_samples(tmp_path))
    assert (said["read"], said["stored"], said["duplicates"], said["refused"]) == (2, 0, 0, [])
    assert said["pending"] == 2
    kept = sealed.evaluate(
        "import io, pyarrow.parquet as pq\n"
        "row = models.PendingCorrection.objects.get()\n"
        "print(row.day, pq.read_table(io.BytesIO(bytes(row.payload))).column('value').to_pylist())"
    )
    assert kept == f"{FIRST} [900000, 900000]\n"


def test_a_day_that_is_not_sealed_takes_the_same_correction(sealed: Site, tmp_path: Path) -> None:
    before = rows_of(sealed, SECOND)
    sealed.do(*longer_job(tmp_path))
    assert sealed.json("attribute")["node_days"] == 2
    assert rows_of(sealed, SECOND) != before
    assert sealed.json("energy", "job", "c", "1", "--since", SECOND)["elapsed_s"] == 2 * 5 * 3600


def test_a_job_that_goes_on_corrects_nothing_behind_it(sealed: Site, tmp_path: Path) -> None:
    sealed.do(*power(tmp_path / "third.csv", steady(THIRD, "n2"), "3600"))
    sealed.do(
        *jobs(tmp_path / "ended.csv", record("2", "2026-03-01T10:00:00Z", "2026-03-03T10:00:00Z", "n2", cpus="2"))
    )
    sealed.do("attribute")
    assert pending(sealed) == []
    assert sealed.json("energy", "job", "c", "2")["elapsed_s"] == 48 * 3600


def test_a_day_with_input_that_is_not_booked_cannot_be_sealed(sealed: Site, tmp_path: Path) -> None:
    sealed.do(*power(tmp_path / "more.csv", [f"{SECOND}T00:30:00Z,n1,300"], "3600"))
    answer = sealed.manage("seal", *C, "--before", THIRD, "--json")
    assert (answer.code, answer.out) == (1, "")
    assert "attribute" in answer.err
    sealed.do("attribute")
    assert sealed.json("seal", *C, "--before", THIRD)["sealed"] == [SECOND]


def test_samples_go_only_where_no_open_day_reads_them(sealed: Site, tmp_path: Path) -> None:
    sealed.do(*power(tmp_path / "third.csv", steady(THIRD, "n1"), "3600"))
    sealed.do("attribute")
    sealed.do("seal", *C, "--before", THIRD)
    before = {day: rows_of(sealed, day) for day in (FIRST, SECOND, THIRD)}
    assert sealed.json("seal", *C, "--before", THIRD, "--delete-samples")["deleted_samples"] == 48
    sealed.do("attribute", "--since", "2026-02-01", "--until", "2026-04-01")
    assert {row["day"] for row in sealed.rows("Segment")} == {SECOND, THIRD}
    assert {day: rows_of(sealed, day) for day in (FIRST, SECOND)} == {day: before[day] for day in (FIRST, SECOND)}
    figures = [[row["metered_j"] for row in found["NodeDay"]] for found in (rows_of(sealed, THIRD), before[THIRD])]
    assert figures[0] == figures[1]
