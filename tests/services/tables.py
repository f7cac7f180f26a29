"""The site's empty tables, migrated once a run: as a file of SQLite to be copied, and as a script for PostgreSQL."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.house import ROOT, clean_environment
from tests.services.once import made_once


def sqlite_tables(place: Path) -> Path:
    """A migrated database of one's own at this path."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made_once("tables.sqlite3", _migrate_file), place)
    return place


def _migrate_file(place: Path) -> None:
    migrate(f"sqlite:///{place}")
    with closing(sqlite3.connect(place)) as database:  # all of it in one file
        busy, *_ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert not busy


def migrate(url: str) -> None:
    """Make the tables in an empty database, as a site does."""
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    with tempfile.TemporaryDirectory(prefix="joulebook-migrate-") as var:
        environment = clean_environment(DATABASE_URL=url, JOULEBOOK_VAR=var)
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"migrate failed:\n{done.stderr[-2_000:]}")


def postgres_script(dump: Path, url: str) -> str:
    """Statements that make the migrated tables in an empty database; the first who asks migrates that of ``url``."""

    def write(place: Path) -> None:
        migrate(url)
        done = subprocess.run([dump, "--inserts", "--no-owner", url], capture_output=True, text=True, check=True)
        lines = done.stdout.splitlines(keepends=True)
        place.write_text("".join(line for line in lines if not line.startswith("\\")), encoding="utf-8")

    return made_once("tables.sql", write).read_text(encoding="utf-8")
