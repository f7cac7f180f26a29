"""Rows of the benchmark: a value, its bound, and whether it holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the measured cluster is; the bounds of a smaller one are scaled where they are absolute."""

    name: str
    nodes: int  # of the busy day
    large_nodes: int  # of the scaling rows
    small_nodes: int
    row_samples: int  # for the row-per-sample baseline
    many_jobs: int  # of the year that pages are measured on
    users: int
    repeats: int = 3
    requests: int = 20  # of each page
    drawn_users: int = 100  # whose pages are asked for, of all users


FULL = Scale(
    "full", nodes=1_000, large_nodes=10_000, small_nodes=100, row_samples=200_000, many_jobs=1_000_000, users=2_000
)
QUICK = Scale("quick", nodes=100, large_nodes=500, small_nodes=50, row_samples=50_000, many_jobs=100_000, users=200)
TINY = Scale(
    "tiny",
    nodes=8,
    large_nodes=16,
    small_nodes=8,
    row_samples=500,
    many_jobs=2_000,
    users=20,
    repeats=1,
    requests=2,
    drawn_users=5,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure; `bound` None: told, not judged."""

    what: str
    value: float
    unit: str
    bound: float | None = None
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the bound is met."""
        if self.bound is None:
            return True
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def demanded(self) -> str:
        """The bound in words."""
        if self.bound is None:
            return "–"
        return f"{'≥' if self.at_least else '≤'} {self.bound:,.4g} {self.unit}"

    @property
    def measured(self) -> str:
        """The value in words."""
        return f"{self.value:,.4g} {self.unit}" if self.value < 10_000 else f"{self.value:,.0f} {self.unit}"


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall time one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median_s(work: Callable[[], object], repeats: int) -> float:
    """The median duration of some calls [s]."""
    return median(timed(work) for _ in range(repeats))


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| measured | value | demanded | |", "|---|---|---|---|"]
    for row in rows:
        verdict = "" if row.bound is None else "holds" if row.holds else "**missed**"
        lines.append(f"| {row.what} | {row.measured} | {row.demanded} | {verdict} |")
    return "\n".join(lines)


def rewrite_table(page: Path, text: str) -> None:
    """Put a new table between the page's two marks."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
