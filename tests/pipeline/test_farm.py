"""What the farm of sites starts ends with it."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from tests.pipeline.site import farm
from tests.services.tables import sqlite_tables

PATIENCE_S = 60.0


def runs(pid: int) -> bool:
    """Whether there is such a process, and it is not dead."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_command_that_pauses_ends_with_its_farm(tmp_path: Path) -> None:
    """As when a test fails before it lets the command go on."""
    with farm(f"sqlite:///{sqlite_tables(tmp_path / 'template.sqlite3')}", tmp_path) as found:
        paused = found.new().start("print_dump", pause=["tests.pipeline.ledger_dump.dump"])
        paused.until_reached()
        assert runs(paused.pid)
        worker = found.process.pid
        assert _parent(paused.pid) == worker
    limit = time.monotonic() + PATIENCE_S
    while runs(paused.pid) and time.monotonic() < limit:
        time.sleep(0.01)
    assert not runs(paused.pid)
    assert not runs(worker)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
