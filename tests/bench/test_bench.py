"""The benchmark runs from end to end at the smallest size; no time is judged here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench.generate import CORES, PowerDay, jobs_of_day
from tests.bench.harness import BEGIN, END, Row, rewrite_table, table
from tests.bench.inputs import holdings_by_node

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {
    "ingest": "CSV to committed segments",
    "attribution": "booking over decoding",
    "pages": "job list, deep",
    "workloads": "board drafted",
    "pricing": "priced anew",
    "serving": "commands ingest and book",
    "open_day": "curve",
    "push": "pushed: rate",
    "bmcs": "a turn after it",
    "browser": "first view",
    "agent": "node agent",
    "large": "peak memory",
}


def test_every_group_gives_its_rows() -> None:
    arguments = [sys.executable, "-m", "tests.bench", "--scale", "tiny"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    for words in GROUPS.values():
        assert words in done.stdout, done.stdout + done.stderr
    assert "rows in" in done.stdout


def test_a_missed_bound_is_seen() -> None:
    assert not Row("slow", 2.0, "s", 1.0).holds
    assert not Row("slow", 1.0, "M/s", 2.0, at_least=True).holds
    assert Row("told", 1.0, "s").holds
    assert "**missed**" in table([Row("slow", 2.0, "s", 1.0)])


def test_only_the_marked_table_is_rewritten(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    rewrite_table(page, "new")
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert BEGIN in (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


def test_the_busy_day_is_as_described() -> None:
    power, jobs = PowerDay(4), jobs_of_day(1_000)
    assert 117_000 < jobs.allocations < 120_000
    assert abs(len(power) / (4 * 8_640) - 0.88) < 0.01
    assert len(power.slots(0, 8_640)) == len(power.window(0, 8_640)) == len(power)
    held = holdings_by_node(jobs, 1_000)
    assert sum(len(one.start_ms) for one in held) == jobs.allocations
    assert set(held[0].cpus.tolist()) == {4}
    assert set(held[999].cpus.tolist()) == {CORES}
    assert ((jobs.end_ms - jobs.start_ms) > 0).all()
