"""All pairs of values with few rows: most faults need two things to come together, hardly any three."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import Any

Pair = tuple[int, int, int, int]  # a dimension, a value's place in it, and the same of another


def pairwise(dimensions: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Rows with a value of each dimension in which every pair of values of two dimensions occurs; always the same ones.

    Greedy: each row begins with a pair that is missing, and takes what fills most of the others.
    """
    missing = dict.fromkeys(_pairs([range(len(values)) for values in dimensions]))  # in order
    rows = []
    while missing:
        row = _row(dimensions, missing)
        for pair in _of(row):
            missing.pop(pair, None)
        rows.append(tuple(values[at] for values, at in zip(dimensions, row, strict=True)))
    return rows


def _pairs(places: Sequence[range]) -> list[Pair]:
    """Those of the largest dimensions first: they decide how many rows there are."""
    largest = sorted(combinations(range(len(places)), 2), key=lambda two: -len(places[two[0]]) * len(places[two[1]]))
    return [(a, x, b, y) for a, b in largest for x, y in product(places[a], places[b])]


def _row(dimensions: Sequence[Sequence[Any]], missing: dict[Pair, None]) -> list[int]:
    first, x, second, y = next(iter(missing))
    chosen = {first: x, second: y}
    for at in sorted(range(len(dimensions)), key=lambda at: -len(dimensions[at])):
        if at not in chosen:
            chosen[at] = max(
                range(len(dimensions[at])), key=lambda value: (_filled(chosen, at, value, missing), -value)
            )
    return [chosen[at] for at in range(len(dimensions))]


def _filled(chosen: dict[int, int], at: int, value: int, missing: dict[Pair, None]) -> int:
    return sum(
        ((other, x, at, value) if other < at else (at, value, other, x)) in missing for other, x in chosen.items()
    )


def _of(row: Sequence[int]) -> list[Pair]:
    return [(a, row[a], b, row[b]) for a, b in combinations(range(len(row)), 2)]
