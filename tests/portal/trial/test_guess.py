"""Nodes that nobody described: whom names mean, what jobs show of them, and that no file is overwritten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from portal.trial.guess import _most, unknown_names, write_beside


@pytest.mark.parametrize(
    ("known", "jobs", "power", "found"),
    [
        ([], ["n1", "n2"], ["n2", "n3"], ["n1", "n2", "n3"]),
        (["n1"], ["n1"], ["n1.cluster.example"], []),
        ([], ["n1"], ["n1.cluster.example"], ["n1"]),
        ([], ["n1.cluster.example"], ["n1.cluster.example"], ["n1.cluster.example"]),
        ([], ["n1.cluster.example", "n1"], [], ["n1"]),
    ],
)
def test_a_long_name_is_that_of_its_short_one(
    known: list[str], jobs: list[str], power: list[str], found: list[str]
) -> None:
    assert unknown_names(known, jobs, power) == found


def parts(*rows: tuple[float, float | None, int | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["start_ms", "end_ms", "cpus"])
    return frame.assign(start_ms=frame["start_ms"].astype(np.int64))


@pytest.mark.parametrize(
    ("rows", "most"),
    [
        ([(0, 10, 4), (5, 20, 4)], 8),
        ([(0, 10, 4), (10, 20, 4)], 4),  # one ends as the other begins
        ([(0, None, 4), (50, 60, 2)], 6),  # one that runs
        ([(0, 10, None)], None),
        ([(5, 5, 64), (0, 10, 2)], 2),  # one that took no time
    ],
)
def test_the_most_that_jobs_held_at_once(rows: list[tuple[float, float | None, int | None]], most: int | None) -> None:
    assert _most(parts(*rows), "cpus") == most


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    page = tmp_path / "trial.html"
    first = write_beside(page, "a\n")
    assert first.name == "nodes.csv"
    assert write_beside(page, "a\n") == first  # the same again is no other file
    assert write_beside(page, "b\n").name == "nodes-2.csv"
    assert write_beside(page, "c\n").name == "nodes-3.csv"
    assert first.read_text() == "a\n"
