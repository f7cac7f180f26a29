"""Several processes at once, and input that arrives during a rebuild: the ledger is the undisturbed one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.pipeline.conftest import Bases
from tests.pipeline.ledger_dump import differences
from tests.pipeline.rich_input import JOBS_HEADER, job, write
from tests.pipeline.site import Farm, Site

COMPUTE = "measurements.services.attribution.attribute_node"
COMMIT = "measurements.services.ingest_power._commit"
ADDING_UP = "measurements.services.rollups.type_days"
MARK_DAYS = "measurements.services.reach.mark_rolled_up_days"
SMALL_BLOCKS = {"measurements.services.attribution.BLOCK_NODES": 2, "measurements.services.rollups.JOBS_AT_ONCE": 5}
FIRST_DAY = "2026-03-01"
LONG_S = 600  # a lease that outlasts what any machine needs for the history
FOREIGN_CLAIM = """
from datetime import UTC, datetime, timedelta
until = datetime.now(UTC) + timedelta(seconds={seconds})
for model in (models.DirtyNodeDay, models.DirtyDay, models.DirtyJob):
    model.objects.update(claimed_by="elsewhere/1/1/abc", claimed_until=until)
"""
EXPIRE = """
from datetime import UTC, datetime
models.DirtyNodeDay.objects.exclude(claimed_by="").update(claimed_until=datetime(2020, 1, 1, tzinfo=UTC))
"""


def finished_as(bases: Bases, site: Site, *leave_out: str) -> list[str]:
    """What differs from the undisturbed ledger once all is booked."""
    site.do("attribute")
    return differences(site.dump(), bases.dump, leave_out)


def small_site(farm: Farm, folder: Path) -> Site:
    """One node."""
    (folder / "nodes.csv").write_text("node,node_type,cpus\nn1,a,8\n")
    site = farm.new()
    site.do("load_nodes", folder / "nodes.csv", "--cluster", "c")
    return site


def readings(path: Path, **watts: int) -> list[str | Path]:
    """The command that takes some readings of n1, minute by minute."""
    body = [f"2026-03-01T12:{minute[1:]}:00Z,n1,{value}" for minute, value in watts.items()]
    return ["ingest_power", write(path, "timestamp,node,watts", body), "--cluster", "c", "--interval", "60"]


# --- two ingests ------------------------------------------------------------------------------------------------------


def test_the_same_file_at_once_is_stored_once(any_farm: Farm, tmp_path: Path) -> None:
    site = small_site(any_farm, tmp_path)
    command = readings(tmp_path / "a.csv", m01=100, m02=110)
    slow = site.start("manage", *command, "--json", pause=[COMMIT])
    slow.until_reached()
    assert site.json(*command)["stored"] == 2
    slow.go_on()
    late = slow.wait().done().json()
    assert (late["read"], late["stored"], late["duplicates"], late["refused"]) == (2, 0, 2, [])
    site.do("attribute")
    assert [row["stored"] for row in site.rows("Batch")] == [2]
    assert site.json("energy", "node", "n1")["metered_j"] == 100 * 30 + 105 * 60 + 110 * 30


def test_files_that_disagree_at_once_end_as_if_one_came_after_the_other(any_farm: Farm, tmp_path: Path) -> None:
    site = small_site(any_farm, tmp_path)
    site.do(*readings(tmp_path / "first.csv", m01=500))
    slow = site.start("manage", *readings(tmp_path / "slow.csv", m01=500, m02=500), pause=[COMMIT])
    slow.until_reached()
    site.do(*readings(tmp_path / "quick.csv", m01=600, m02=600))
    slow.go_on()
    slow.wait().done()
    site.do("attribute")
    assert site.json("energy", "node", "n1")["metered_j"] == 120 * 500  # slow.csv was committed last: all of it counts


def test_all_files_at_once(bases: Bases) -> None:
    site = bases.described.copy()
    power = [command for command in bases.commands if command[0] == "ingest_power"]
    alike = [command for command in power if Path(command[1]).name not in ("p1.csv", "p2.csv")]  # these two disagree
    for command in power:
        if command not in alike:
            site.do(*command)
    jobs = [command for command in bases.commands if command[0] == "ingest_jobs"]
    running = [site.start("manage", *command) for command in [*alike, *alike[:2], jobs[0]]]
    running.append(site.start("manage", "attribute", set=SMALL_BLOCKS))
    for each in running:
        each.wait().done()
    site.do(*jobs[1])
    assert finished_as(bases, site, "batches") == []


def test_a_day_sealed_while_a_file_is_read_takes_none_of_it(any_farm: Farm, tmp_path: Path) -> None:
    site = small_site(any_farm, tmp_path)
    site.do(*readings(tmp_path / "first.csv", m01=500))
    site.do("attribute")
    late = site.start("manage", *readings(tmp_path / "late.csv", m02=900), "--json", pause=[COMMIT])
    late.until_reached()
    assert site.json("seal", "--cluster", "c", "--before", "2026-03-02")["sealed"] == [FIRST_DAY]
    late.go_on()
    said = late.wait().done().json()
    assert (said["read"], said["stored"], said["pending"]) == (1, 0, 1)
    assert [(row["day"], row["rows"]) for row in site.rows("PendingCorrection")] == [(FIRST_DAY, 1)]
    site.do("attribute", "--since", "2026-01-01")
    assert site.json("energy", "node", "n1")["metered_j"] == 60 * 500
    assert [row["rows"] for row in site.rows("Segment")] == [1]


# --- attribution ------------------------------------------------------------------------------------------------------


def test_two_attributions_at_once(bases: Bases) -> None:
    site = bases.ingested.copy()
    running = [site.start("manage", "attribute", "--json", set=SMALL_BLOCKS) for _ in range(3)]
    booked = [each.wait().done().json()["node_days"] for each in running]
    total = len({(row["node_id"], row["day"]) for row in site.rows("NodeDay")})
    assert total <= sum(booked) <= total + 2  # a day without anything in it has no row
    assert differences(site.dump(), bases.dump) == []


@pytest.mark.parametrize(
    "place",
    [
        COMPUTE,
        "measurements.services.ledger_rows.replace",
        "measurements.services.rollups.held_by",
        "measurements.services.rollups.day_usage",
    ],
)
def test_input_that_arrives_during_a_rebuild_is_not_lost(bases: Bases, place: str) -> None:
    site = bases.described.copy()
    first, later = bases.commands[:6], bases.commands[6:]
    for command in first:
        site.do(*command)
    rebuild = site.start("manage", "attribute", pause=[place], set=SMALL_BLOCKS)
    rebuild.until_reached()
    arriving = [site.start("manage", *command) for command in later]  # inside a transaction they have to wait
    if "ledger_rows" not in place:
        for each in arriving:
            each.wait().done()
    rebuild.go_on()
    if "ledger_rows" in place:
        for each in arriving:
            each.wait().done()
    rebuild.wait().done()
    assert finished_as(bases, site) == []


def test_a_job_that_loses_a_node_during_a_rebuild(any_farm: Farm, tmp_path: Path) -> None:
    site = small_site(any_farm, tmp_path)
    (tmp_path / "more.csv").write_text("node,node_type,cpus\nn2,a,8\n")
    site.do("load_nodes", tmp_path / "more.csv", "--cluster", "c")
    site.do(*readings(tmp_path / "power.csv", m00=100, m01=100))
    wrong = write(tmp_path / "wrong.csv", JOBS_HEADER, [job("1", "alice", -43200, -43140, "n[1-2]")])
    right = write(tmp_path / "right.csv", JOBS_HEADER, [job("1", "alice", -43200, -43140, "n2")])
    site.do("ingest_jobs", wrong, "--cluster", "c")
    rebuild = site.start("manage", "attribute", pause=[COMPUTE])
    rebuild.until_reached()
    site.do("ingest_jobs", right, "--cluster", "c")
    rebuild.go_on()
    rebuild.wait().done()
    assert site.json("energy", "job", "c", "1")["energy_j"] == 0
    assert site.json("attribute") | {"node_days": 0} == site.json("attribute", "--since", "2026-01-01") | {
        "node_days": 0
    }


# --- leases -----------------------------------------------------------------------------------------------------------


def test_the_leases_of_a_killed_process_end_at_once(bases: Bases) -> None:
    site = bases.ingested.copy()
    rebuild = site.start("manage", "attribute", pause=[COMPUTE], set={"measurements.services.marks.LEASE_S": LONG_S})
    rebuild.until_reached()
    assert rebuild.wait(kill_after_s=0).killed
    assert any(row["claimed_by"] for row in site.rows("DirtyNodeDay"))
    began = time.monotonic()
    assert finished_as(bases, site) == []
    assert time.monotonic() - began < LONG_S / 2


def test_the_lease_of_another_machine_is_respected_until_it_expires(bases: Bases) -> None:
    site = bases.ingested.copy()
    site.evaluate(FOREIGN_CLAIM.format(seconds=600))
    assert site.run("book_only").done()
    assert site.rows("NodeDay") == []
    began = time.monotonic()
    site.evaluate(FOREIGN_CLAIM.format(seconds=1))
    assert finished_as(bases, site) == []
    assert time.monotonic() - began >= 1


def test_who_outlives_its_lease_commits_nothing(bases: Bases) -> None:
    site = bases.described.copy()
    for command in bases.commands[:6]:
        site.do(*command)
    slow = site.start("book_only", pause=[COMPUTE])
    slow.until_reached()
    site.evaluate(EXPIRE)
    for command in bases.commands[6:-1]:
        site.do(*command)
    quick = site.start("book_only", pause=[COMPUTE])  # takes over what the slow one is at
    quick.until_reached()
    slow.go_on()
    slow.wait().done()
    assert FIRST_DAY not in {row["day"] for row in site.rows("NodeDay")}
    assert all(row["claimed_by"] for row in site.rows("DirtyNodeDay") if row["day"] == FIRST_DAY)
    quick.go_on()
    quick.wait().done()
    site.do(*bases.commands[-1])
    assert finished_as(bases, site) == []


# --- roll-ups, which price, beside ingest, which marks ----------------------------------------------------------------


def test_a_roll_up_that_waits_for_the_cluster_holds_nothing_that_ingest_wants(any_farm: Farm, tmp_path: Path) -> None:
    """Ingest holds the cluster and marks days; a roll-up prices its day: the cluster comes first for both."""
    site = small_site(any_farm, tmp_path)
    site.do(*readings(tmp_path / "first.csv", m01=100, m02=100))
    site.do("attribute")
    site.do(*readings(tmp_path / "more.csv", m03=100))
    booking = site.start("manage", "attribute", pause=[ADDING_UP])
    booking.until_reached()
    earlier = write(tmp_path / "earlier.csv", "timestamp,node,watts", ["2026-02-28T12:00:00Z,n1,100"])
    slow = site.start("manage", "ingest_power", earlier, "--cluster", "c", "--interval", "60", pause=[MARK_DAYS])
    slow.until_reached()  # the day before moves the node's first sample: days that are rolled up are marked
    booking.go_on()
    time.sleep(3)  # it writes its roll-up by then, or waits to
    slow.go_on()
    slow.wait().done()
    booking.wait().done()
    site.do("attribute")
    assert site.json("energy", "node", "n1")["metered_j"] == 100 * (3 + 1) * 60
    assert site.rows("DirtyDay") == []
