"""Refused lines replayed, killed at random points, by two at once: the ledger is that of a site that never refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.pipeline.ledger_dump import differences
from tests.pipeline.site import Farm, Site
from tests.pipeline.small import C, power, steady
from tests.pipeline.test_kills import KEEPS_ITS_STORE

KILLS = 12
DAYS = ("2026-03-01", "2026-03-02")
GHOSTS = "node,node_type,cpus,ceiling_w\nn1,a,8,5000\nn2,a,8,5000\nghost,a,8,5000\n"
COUNTS = """
for batch in models.Batch.objects.order_by("pk"):
    kept = sum(row.count for row in batch.quarantine.all())
    went_in = sum(row.replayed for row in batch.quarantine.all())
    print(batch.pk, batch.read, batch.stored, batch.duplicates, batch.refused, kept, went_in)
"""


def history(site: Site, folder: Path) -> None:
    """Two files, the second of which corrects some of what the first one said and was refused of it."""
    rows = [line for day in DAYS for node in ("n1", "ghost") for line in steady(day, node, 150, 10)]
    rows += [line for day in DAYS for line in steady(day, "n2", 3_000, 30)]
    site.do(*power(folder / "first.csv", rows))
    site.do(*power(folder / "second.csv", steady(DAYS[0], "n2", 700, 60)))


def other_than(site: Site, well: Site) -> list[str]:
    """In what a site's ledger and samples differ; that something was refused once is known of one of them."""
    return [line for line in differences(site.dump(), well.dump()) if not line[2:].startswith("batches")]


@pytest.fixture
def refused(any_farm: Farm, tmp_path: Path) -> tuple[Site, Site]:
    """A site of which much is refused, mended but not replayed; and one that was described well from the start."""
    nodes = "node,node_type,cpus,ceiling_w\nn1,a,8,2000\nn2,a,8,2000\n"
    (tmp_path / "mended.csv").write_text(GHOSTS)
    (tmp_path / "nodes.csv").write_text(nodes)
    site, well = any_farm.new(), any_farm.new()
    site.do("load_nodes", tmp_path / "nodes.csv", *C)
    well.do("load_nodes", tmp_path / "nodes.csv", *C)
    well.do("load_nodes", tmp_path / "mended.csv", *C)
    history(site, tmp_path)
    site.do("load_nodes", tmp_path / "mended.csv", *C)
    history(well, tmp_path)
    well.do("attribute")
    return site, well


def test_a_replay_gives_the_ledger_of_a_site_that_never_refused(refused: tuple[Site, Site]) -> None:
    site, well = refused
    tried = site.json("replay", *C, "--dry-run")
    assert tried["went_in"] == tried["settled"] == 2 * 144 + 2 * 48
    done = site.json("replay", *C)
    assert {name: done[name] for name in ("tried", "went_in", "moved", "untried")} == {
        "tried": tried["tried"], "went_in": tried["went_in"], "moved": 0, "untried": 0,
    }  # fmt: skip
    again = site.json("replay", *C)
    assert again["tried"] == 0
    site.do("attribute")
    assert other_than(site, well) == []
    assert [line.split()[4:6] for line in site.evaluate(COUNTS).splitlines()] == [["0", "0"], ["0", "0"]]


def test_a_replay_killed_again_and_again_loses_and_doubles_nothing(refused: tuple[Site, Site]) -> None:
    base, well = refused
    task = ("manage", "replay", *C)
    undisturbed = base.copy()
    events = undisturbed.run(*task, watch=True).done().events
    counts = undisturbed.evaluate(COUNTS)
    draw, kills = random.Random("replay"), 0
    while kills < KILLS:
        site = base.copy()
        for _ in range(4):
            if not site.run(*task, watch=True, kill_at=draw.randint(1, events)).killed:
                break
            kills += 1
        site.run(*task).done()
        assert site.evaluate(COUNTS) == counts
        site.do("attribute")
        assert other_than(site, well) == []
        site.evaluate(KEEPS_ITS_STORE)


def test_two_replays_and_the_same_file_at_once_store_it_once(refused: tuple[Site, Site], tmp_path: Path) -> None:
    site, well = refused
    first = site.start("manage", "replay", *C, pause=["measurements.services.replay._commit"])
    first.until_reached()
    site.do("replay", *C)
    history(site, tmp_path)
    first.go_on()
    first.wait().done()
    site.do("attribute")
    assert other_than(site, well) == []
    assert all(line.split()[4:6] == ["0", "0"] for line in site.evaluate(COUNTS).splitlines())
