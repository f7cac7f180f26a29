"""Late samples and corrected jobs rebuild the node-days they touch, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.site import Farm, Site
from tests.pipeline.small import C, jobs, power, record, small_site, steady

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04")
LATER = "2026-03-06"
Key = tuple[int, str]


@pytest.fixture(scope="module")
def booked(sqlite_farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Two nodes, four days of readings every half hour, a job over three of them; all booked."""
    folder = tmp_path_factory.mktemp("booked")
    site = small_site(sqlite_farm, folder)
    readings = [line for day in DAYS for node in ("n1", "n2") for line in steady(day, node, every_minutes=30)]
    site.do(*power(folder / "power.csv", readings, "1800"))
    site.do(*jobs(folder / "jobs.csv", record("1", f"{DAYS[0]}T12:00:00Z", f"{DAYS[2]}T12:00:00Z", "n[1-2]", cpus="4")))
    site.do("attribute")
    return site


@pytest.fixture
def site(booked: Site) -> Site:
    """A copy that a test may change."""
    return booked.copy()


def node_days(site: Site) -> dict[Key, dict[str, Any]]:
    """The ledger's node-days, with their ids."""
    return {(row["node_id"], row["day"]): row for row in site.rows("NodeDay")}


def rebuilt(site: Site, command: list[str | Path]) -> set[Key]:
    """The node-days that a correction rebuilds; every other row stays the very same row."""
    before, bookings = node_days(site), site.rows("AllocationEnergy")
    site.do(*command)
    count = site.json("attribute")["node_days"]
    after = node_days(site)
    changed = {key for key in after if after[key] != before.get(key)}
    kept = [row for row in bookings if (row["node_id"], row["day"]) not in changed]
    assert [row for row in site.rows("AllocationEnergy") if (row["node_id"], row["day"]) not in changed] == kept
    assert count == len(changed)
    return changed


def on(site: Site, *pairs: tuple[str, str]) -> set[Key]:
    """Node-days by the names of their nodes."""
    ids = {row["name"]: row["id"] for row in site.rows("Node")}
    return {(ids[node], day) for node, day in pairs}


def test_a_late_sample_rebuilds_its_own_node_and_day(site: Site, tmp_path: Path) -> None:
    late = power(tmp_path / "late.csv", [f"{DAYS[1]}T12:10:00Z,n1,500"], "1800")
    assert rebuilt(site, late) == on(site, ("n1", DAYS[1]))


def test_a_late_sample_near_midnight_rebuilds_the_day_it_reaches_into(site: Site, tmp_path: Path) -> None:
    late = power(tmp_path / "late.csv", [f"{DAYS[1]}T23:50:00Z,n2,500"], "1800")
    assert rebuilt(site, late) == on(site, ("n2", DAYS[1]), ("n2", DAYS[2]))


def test_a_sample_that_says_nothing_new_rebuilds_nothing(site: Site, tmp_path: Path) -> None:
    known = power(tmp_path / "known.csv", [f"{DAYS[1]}T12:00:00Z,n1,100"], "1800")
    assert rebuilt(site, known) == set()


def test_a_corrected_end_rebuilds_the_days_between_old_and_new(site: Site, tmp_path: Path) -> None:
    ended = jobs(tmp_path / "end.csv", record("1", f"{DAYS[0]}T12:00:00Z", f"{DAYS[1]}T18:00:00Z", "n[1-2]", cpus="4"))
    assert rebuilt(site, ended) == on(site, *((node, day) for node in ("n1", "n2") for day in DAYS[1:3]))
    assert site.json("energy", "job", "c", "1")["energy_j"] == pytest.approx(2 * 50 * 30 * 3600, rel=1e-12)


def test_a_corrected_start_rebuilds_the_days_between_old_and_new(site: Site, tmp_path: Path) -> None:
    begun = jobs(
        tmp_path / "start.csv", record("1", f"{DAYS[0]}T13:00:00Z", f"{DAYS[2]}T12:00:00Z", "n[1-2]", cpus="4")
    )
    assert rebuilt(site, begun) == on(site, ("n1", DAYS[0]), ("n2", DAYS[0]))


def test_a_job_that_did_not_hold_a_node_gives_its_days_back(site: Site, tmp_path: Path) -> None:
    lost = jobs(tmp_path / "lost.csv", record("1", f"{DAYS[0]}T12:00:00Z", f"{DAYS[2]}T12:00:00Z", "n2", cpus="4"))
    assert rebuilt(site, lost) == on(site, *(("n1", day) for day in DAYS[:3]))
    assert site.json("energy", "job", "c", "1")["node_hours"] == 48


def test_a_new_job_rebuilds_its_days_only(site: Site, tmp_path: Path) -> None:
    new = jobs(tmp_path / "new.csv", record("2", f"{DAYS[3]}T01:00:00Z", f"{DAYS[3]}T02:00:00Z", "n1", cpus="4"))
    assert rebuilt(site, new) == on(site, ("n1", DAYS[3]))


def test_a_job_of_another_project_moves_between_roll_ups_without_a_rebuild(site: Site, tmp_path: Path) -> None:
    total = site.json("energy", "project", "physics")["energy_j"]
    moved = record(
        "1", f"{DAYS[0]}T12:00:00Z", f"{DAYS[2]}T12:00:00Z", "n[1-2]", cpus="4", account="biology", user="bob"
    )
    assert rebuilt(site, jobs(tmp_path / "moved.csv", moved)) == set()
    assert site.json("energy", "project", "biology")["energy_j"] == total
    owners = {(row["account"], row["username"], row["day"]) for row in site.rows("UsageDay")}
    assert owners == {("biology", "bob", day) for day in DAYS[:3]}


def test_a_running_job_follows_its_node_and_then_ends(site: Site, tmp_path: Path) -> None:
    site.do(*jobs(tmp_path / "run.csv", record("9", f"{DAYS[3]}T20:00:00Z", "", "n2", cpus="8")))
    site.do("attribute")
    assert site.json("energy", "job", "c", "9")["elapsed_s"] == 3.75 * 3600  # to 23:30 and half an interval
    more = power(tmp_path / "more.csv", steady(LATER, "n2", every_minutes=30)[24:28], "1800")
    assert rebuilt(site, more) == on(site, *(("n2", day) for day in (DAYS[3], "2026-03-05", LATER)))
    assert site.json("energy", "job", "c", "9")["elapsed_s"] == (4 + 24 + 13.75) * 3600
    ended = jobs(tmp_path / "ended.csv", record("9", f"{DAYS[3]}T20:00:00Z", "2026-03-05T01:00:00Z", "n2", cpus="8"))
    assert rebuilt(site, ended) == on(site, ("n2", "2026-03-05"), ("n2", LATER))
    assert site.json("energy", "job", "c", "9")["elapsed_s"] == 5 * 3600


@pytest.mark.parametrize("name", ["n3", "n3.example.org"])
def test_a_node_described_late_heals_its_jobs(site: Site, tmp_path: Path, name: str) -> None:
    site.do(*jobs(tmp_path / "late.csv", record("3", f"{DAYS[0]}T01:00:00Z", f"{DAYS[0]}T02:00:00Z", name, cpus="4")))
    site.do("attribute")
    assert site.json("energy", "job", "c", "3")["nodes"][0]["known"] is False
    (tmp_path / "more.csv").write_text("node,node_type,cpus\nn3,a,8\n")
    site.do("load_nodes", tmp_path / "more.csv", *C)
    site.do(*power(tmp_path / "n3.csv", steady(DAYS[0], "n3", every_minutes=30), "1800"))
    site.do("attribute")
    healed = site.json("energy", "job", "c", "3")
    assert healed["nodes"][0]["known"] is True
    assert healed["energy_j"] == 50 * 3600
