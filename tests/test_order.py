"""How the tests are given out."""

from __future__ import annotations

import re

import pytest

from tests.house import ROOT
from tests.order import LONGEST_FIRST, spread

FEW = [f"tests/test_a.py::test_{number}" for number in range(20)]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_each_process_begins_with_a_long_one_and_none_is_left_out(processes: int) -> None:
    names = [*FEW, *(f"{prefix}x" for prefix in reversed(LONGEST_FIRST))]
    order = spread(names, processes)
    assert sorted(order) == list(range(len(names)))
    starts = [sum(len(names) // processes for _ in range(process)) for process in range(processes)]
    found = {names[order[start]] for start in starts} if len(names) % processes == 0 else {names[order[0]]}
    assert f"{LONGEST_FIRST[0]}x" in found
    assert all(name.startswith(LONGEST_FIRST) for name in found)


def test_what_shares_something_stays_in_one_process() -> None:
    shared = [f"tests/browser/test_{file}.py::test_{number}" for file in "ab" for number in range(5)]
    order = spread([*FEW, *FEW, *shared], 3)
    places = [place for place, at in enumerate(order) if at >= 2 * len(FEW)]
    assert places == list(range(places[0], places[0] + len(shared)))
    assert places[0] in (0, len(order) // 3, len(order) // 3 + (len(order) - len(order) // 3) // 2)


def test_few_tests_stay_in_their_order() -> None:
    assert spread(FEW, 2) == list(range(len(FEW)))
    assert spread([], 3) == []
    assert sorted(spread(FEW[:2], 3)) == [0, 1]


@pytest.mark.parametrize("prefix", LONGEST_FIRST)
def test_every_long_one_is_there(prefix: str) -> None:
    file, _, function = prefix.partition("::")
    if file.endswith("/"):
        assert list((ROOT / file).glob("test_*.py"))
        return
    text = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"^def {function or 'test_'}", text, re.MULTILINE)
