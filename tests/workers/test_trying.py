"""A real worker is killed while it tries a large file, and while it takes it: whoever comes next does it whole."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.house import ROOT, clean_environment

MINUTES, NODES = 1_440, 200
SECONDS = 120.0
GIVE = """
from datetime import UTC, datetime
from pathlib import Path
from measurements.models import Cluster
from measurements.services.giving import Upload
upload = Upload("large.csv")
upload.write(Path({log!r}).read_bytes())
upload.close()
print(upload.give(Cluster.objects.get(), "", {{}}, "olga", datetime.now(UTC)).pk)
"""
TAKE = """
from datetime import UTC, datetime
from measurements.models import Intake
from measurements.services.trying import accept
row = Intake.objects.get()
assert accept(row.pk, row.preview["version"], datetime.now(UTC))
"""


class Site:
    """A site on SQLite with one file given."""

    def __init__(self, folder: Path) -> None:
        self.var = folder / "site"
        self.environment = clean_environment(JOULEBOOK_VAR=str(self.var), JOULEBOOK_SWEEP_S="0.5")
        self.manage("migrate", "--verbosity", "0")
        nodes = folder / "nodes.csv"
        nodes.write_text("node,node_type\n" + "".join(f"n{n},a\n" for n in range(NODES)))
        self.manage("load_nodes", str(nodes), "--cluster", "c")
        log = folder / "large.csv"
        lines = (f"{1_772_366_400 + 60 * at},n{n},{100 + at % 50}\n" for at in range(MINUTES) for n in range(NODES))
        log.write_text("timestamp,node,watts\n" + "".join(lines))
        self.manage("shell", "-c", GIVE.format(log=str(log)))

    def manage(self, *words: str) -> None:
        subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=self.environment, check=True)

    def worker(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "manage.py", "work"], cwd=ROOT, env=self.environment)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.var / 'joulebook.sqlite3'}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()

    def intake(self) -> tuple[Any, ...]:
        return self.ask("SELECT state, claimed_by, attempts, preview FROM measurements_intake")[0]


def until(true: Callable[[], bool]) -> None:
    patience = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < patience, "it never came to that"
        time.sleep(0.01)


def kill_while_it_is_at_it(site: Site, state: str) -> None:
    worker = site.worker()
    try:
        until(lambda: site.intake()[0] == state and bool(site.intake()[1]))
        time.sleep(0.15)  # it has begun to read
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert site.intake()[0] == state, "it was quicker than its killer"


def test_a_worker_killed_while_trying_or_taking_leaves_nothing_half_done(tmp_path: Path) -> None:
    site = Site(tmp_path)
    kill_while_it_is_at_it(site, "trying")
    assert site.ask("SELECT count(*) FROM measurements_segment") == [(0,)]
    worker = site.worker()
    try:
        until(lambda: site.intake()[0] == "tried")
    finally:
        worker.terminate()
        worker.wait()
    found = json.loads(site.intake()[3])
    assert (found["stored"], found["refused_count"], site.intake()[2]) == (MINUTES * NODES, 0, 0)
    assert site.ask("SELECT count(*) FROM measurements_segment") == [(0,)]
    site.manage("shell", "-c", TAKE)
    kill_while_it_is_at_it(site, "queued")
    worker = site.worker()
    try:
        until(lambda: site.intake()[0] == "done")
    finally:
        worker.terminate()
        worker.wait()
    assert site.ask("SELECT stored FROM measurements_batch") == [(found["stored"],)]
    assert site.ask("SELECT sum(rows) FROM measurements_segment") == [(found["stored"],)]
