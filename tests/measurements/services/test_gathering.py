"""Threads that bring something at once are served together, each gets its own outcome, and none waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from measurements.services.gathering import BrokenOff, Gathering

THREADS = 12


def at_once(gathering: Gathering[int, int], count: int = THREADS) -> list[int | BaseException]:
    """What each of some threads gets that come at the same moment."""
    gate = threading.Barrier(count)

    def one(number: int) -> int | BaseException:
        gate.wait()
        try:
            return gathering.bring(number)
        except (ValueError, RuntimeError, BrokenOff) as fault:
            return fault

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_each_gets_its_own_outcome_and_few_commits_serve_all() -> None:
    lots: list[int] = []

    def commit(items: Sequence[int]) -> list[int | BaseException]:
        lots.append(len(items))
        time.sleep(0.05)
        return [item * 10 for item in items]

    gathering = Gathering(commit)
    for _ in range(20):
        assert at_once(gathering) == [number * 10 for number in range(THREADS)]
    assert sum(lots) == 20 * THREADS
    assert len(lots) <= 60


def test_one_alone_does_not_wait_for_the_whole_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("measurements.services.gathering.WINDOW_S", 60.0)
    gathering: Gathering[int, int] = Gathering(list)
    began = time.monotonic()
    assert gathering.bring(5) == 5
    assert time.monotonic() - began < 30


def test_those_that_come_during_a_commit_are_served_by_the_next() -> None:
    running, go_on = threading.Event(), threading.Event()
    lots: list[list[int]] = []

    def commit(items: Sequence[int]) -> list[int | BaseException]:
        lots.append(sorted(items))
        running.set()
        assert go_on.wait(10)
        return list(items)

    gathering = Gathering(commit)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(gathering.bring, 1)
        assert running.wait(10)
        others = [pool.submit(gathering.bring, number) for number in (2, 3, 4)]
        time.sleep(0.1)
        go_on.set()
        assert [found.result(10) for found in (first, *others)] == [1, 2, 3, 4]
    assert lots == [[1], [2, 3, 4]]


def test_a_fault_of_one_is_raised_to_it_alone() -> None:
    def commit(items: Sequence[int]) -> list[int | BaseException]:
        return [ValueError("three") if item == 3 else item for item in items]

    outcomes = at_once(Gathering(commit))
    assert isinstance(outcomes.pop(3), ValueError)
    assert outcomes == [number for number in range(THREADS) if number != 3]


def test_when_the_commit_itself_breaks_nobody_waits_for_ever_and_the_next_are_served() -> None:
    broken = [True]

    def commit(items: Sequence[int]) -> list[int | BaseException]:
        if broken.pop() if broken else False:
            raise RuntimeError("in the middle")
        return list(items)

    gathering = Gathering(commit)
    outcomes = at_once(gathering)
    assert sum(isinstance(one, RuntimeError) for one in outcomes) == 1
    assert all(isinstance(one, int | RuntimeError | BrokenOff) for one in outcomes)
    assert gathering.bring(7) == 7


def test_a_leader_that_is_ended_while_it_waits_hands_over(monkeypatch: pytest.MonkeyPatch) -> None:
    gathering: Gathering[int, int] = Gathering(list)
    with monkeypatch.context() as patched:
        patched.setattr(gathering, "_wait_for_others", _ended)
        with pytest.raises(SystemExit):
            gathering.bring(1)
    assert gathering.bring(2) == 2


def _ended() -> None:
    raise SystemExit
