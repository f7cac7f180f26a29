"""A cover by pairs leaves none out."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import pytest

from tests.browser.pairwise import pairwise

CASES: dict[str, list[list[Any]]] = {
    "as the pages": [list("abcdef"), list(range(45)), [False, True], [360, 1280], ["en", "de"]],
    "all alike": [[0, 1, 2]] * 5,
    "growing": [list(range(n)) for n in (1, 2, 3, 4, 5)],
    "two": [[1, 2], ["x", "y", "z"]],
    "a single value each": [["one"], ["only"]],
}


@pytest.mark.parametrize("dimensions", CASES.values(), ids=CASES)
def test_each_pair_occurs(dimensions: list[list[Any]]) -> None:
    rows = pairwise(dimensions)
    for a, b in combinations(range(len(dimensions)), 2):
        assert {(row[a], row[b]) for row in rows} == set(product(dimensions[a], dimensions[b]))


@pytest.mark.parametrize("dimensions", CASES.values(), ids=CASES)
def test_hardly_more_rows_than_the_two_largest_dimensions_ask_for(dimensions: list[list[Any]]) -> None:
    first, second = sorted((len(values) for values in dimensions), reverse=True)[:2]
    rows = pairwise(dimensions)
    assert first * second <= len(rows) <= 2 * first * second
    assert len(set(rows)) == len(rows)


def test_the_rows_are_always_the_same() -> None:
    dimensions = CASES["as the pages"]
    assert pairwise(dimensions) == pairwise(dimensions)
    assert len(pairwise(dimensions)) == 6 * 45  # widths, colours and languages come along for nothing
