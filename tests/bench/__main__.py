"""Measure what was promised: `python -m tests.bench [--quick] [--only NAME] [--write]`.

Every row is a ratio or a rate within this one run, the median of three; the exit code is 1
if a bound is missed.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "performance.md"
GROUPS = (
    "ingest",
    "attribution",
    "pages",
    "workloads",
    "pricing",
    "serving",
    "open_day",
    "push",
    "bmcs",
    "browser",
    "agent",
    "large",
)
SITE_VARIABLES = ("DATABASE_URL", "REDIS_URL", "JOULEBOOK_")


def main() -> int:
    """Run the groups asked for in a scratch site; 0 if all bounds hold."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(prefix="joulebook-bench-") as folder:
        _scratch_site(Path(folder))
        from tests.bench import harness
        from tests.bench.world import World

        scale = {"full": harness.FULL, "quick": harness.QUICK, "tiny": harness.TINY}[asked.scale]
        world, found, began = World(scale, Path(folder)), [], time.perf_counter()
        for group in [asked.only] if asked.only else GROUPS:
            for row in import_module(f"tests.bench.rows_{group}").rows(world):
                found.append(row)
                _say(f"{'ok  ' if row.holds else 'MISS'} {row.what}: {row.measured}  [{row.demanded}]")
    missed = [row for row in found if not row.holds]
    _say(f"{len(found)} rows in {time.perf_counter() - began:.0f} s, {len(missed)} bounds missed")
    if asked.write:
        harness.rewrite_table(PAGE, f"{_conditions(scale.name)}\n\n{harness.table(found)}")
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure what was promised.")
    parser.add_argument("--quick", dest="scale", action="store_const", const="quick", default="full")
    parser.add_argument("--scale", choices=("full", "quick", "tiny"), help="tiny: does it run at all")
    parser.add_argument("--only", choices=GROUPS)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(ROOT)}")
    asked = parser.parse_args()
    if asked.write and (asked.only or asked.scale != "full"):
        parser.error("--write wants the whole benchmark")
    return asked


def _scratch_site(folder: Path) -> None:
    """A site of its own with an empty SQLite database, whatever the environment says."""
    for name in list(os.environ):
        if name.startswith(SITE_VARIABLES):
            del os.environ[name]
    os.environ["JOULEBOOK_VAR"] = str(folder / "var")
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    django.setup()
    from tests.services.tables import sqlite_tables

    sqlite_tables(folder / "var" / "joulebook.sqlite3")


def _conditions(scale: str) -> str:
    """When and on what, in a line."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, scale {scale}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"SQLite, {platform.system()} {platform.machine()}."
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
