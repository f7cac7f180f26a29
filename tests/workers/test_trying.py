"""A real worker is killed while it tries a large file, and while it takes it: whoever comes next does it whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.site import Farm, Site

MINUTES, NODES = 1_440, 200
READING = "measurements.services.ingest_power.judge"  # when a first piece of the file was read
GIVE = """
from datetime import UTC, datetime
from pathlib import Path
from measurements.services.giving import Upload
upload = Upload("large.csv")
upload.write(Path({log!r}).read_bytes())
upload.close()
upload.give(models.Cluster.objects.get(), "", {{}}, "olga", datetime.now(UTC))
"""
TAKE = """
from datetime import UTC, datetime
from measurements.services.trying import accept
row = models.Intake.objects.get()
assert accept(row.pk, row.preview["version"], datetime.now(UTC))
"""


@pytest.fixture
def site(sqlite_farm: Farm, tmp_path: Path) -> Site:
    """A site with one file given."""
    found = sqlite_farm.new()
    nodes = tmp_path / "nodes.csv"
    nodes.write_text("node,node_type\n" + "".join(f"n{n},a\n" for n in range(NODES)))
    found.do("load_nodes", nodes, "--cluster", "c")
    log = tmp_path / "large.csv"
    lines = (f"{1_772_366_400 + 60 * at},n{n},{100 + at % 50}\n" for at in range(MINUTES) for n in range(NODES))
    log.write_text("timestamp,node,watts\n" + "".join(lines))
    found.evaluate(GIVE.format(log=str(log)))
    return found


def intake(site: Site) -> dict[str, Any]:
    (row,) = site.rows("Intake")
    return row


def kill_while_it_is_at_it(site: Site, state: str) -> None:
    worker = site.start("manage", "work", pause=[READING])
    worker.until_reached()
    assert worker.wait(kill_after_s=0).killed
    found = intake(site)
    assert found["state"] == state
    assert found["claimed_by"] != ""
    assert site.rows("Segment") == []


def test_a_worker_killed_while_trying_or_taking_leaves_nothing_half_done(site: Site) -> None:
    kill_while_it_is_at_it(site, "trying")
    site.manage("work", "--once")
    tried = intake(site)
    found = tried["preview"]
    assert (tried["state"], tried["attempts"]) == ("tried", 0)
    assert (found["stored"], found["refused_count"]) == (MINUTES * NODES, 0)
    assert site.rows("Segment") == []
    site.evaluate(TAKE)
    kill_while_it_is_at_it(site, "queued")
    site.do("work", "--once")
    assert intake(site)["state"] == "done"
    assert [row["stored"] for row in site.rows("Batch")] == [found["stored"]]
    assert sum(row["rows"] for row in site.rows("Segment")) == found["stored"]
