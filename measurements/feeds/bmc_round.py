"""One round over many BMCs: some at once, each with its time, all together with theirs.

A BMC that hangs holds up nobody: what it holds open is cut when its time is over, and when the round's time is over
those whose turn has not come are told as not reached. Each is asked by one thread, one request after the other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

from measurements.feeds.bmc import AskError, Bmc

T = TypeVar("T")
logger = logging.getLogger(__name__)
NOT_REACHED = "not reached: the turn's time was over"
AT_ONCE, TURN_S = 16, 60.0  # unless the operator says otherwise
_LOOK_S = 0.1
_GRACE_S = 2.0  # for what was cut to notice it


@dataclass(frozen=True, slots=True)
class Limits:
    """How many at once, and how long one of them and all together may take [s]."""

    at_once: int
    longest_s: float
    turn_s: float


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What one BMC gave, or why it gave nothing; ``asked`` is False where its turn did not come."""

    bmc: Bmc
    value: T | None = None
    fault: str = ""
    wait_s: float | None = None
    asked: bool = True


class Leash:
    """The time that one BMC has, and how to cut off what it holds open."""

    def __init__(self, longest_s: float) -> None:
        self.longest_s = longest_s
        self.until = float("inf")  # not begun
        self._cut: Callable[[], object] | None = None
        self._is_cut = False
        self._lock = Lock()

    def begin(self) -> None:
        """Its time runs from now on."""
        self.until = time.monotonic() + self.longest_s

    def left_s(self) -> float:
        """What is left of its time [s]; raises where nothing is."""
        left_s = self.until - time.monotonic()
        if left_s <= 0 or self._is_cut:
            raise AskError(f"no answer within {self.longest_s:g} s")
        return left_s

    def hold(self, cut: Callable[[], object]) -> None:
        """What is to be called when the time is over; at once if it is."""
        with self._lock:
            self._cut = cut
        if self._is_cut:
            self.cut()

    def cut(self) -> None:
        """End it now."""
        with self._lock:
            self._is_cut = True
            if self._cut is not None:
                with suppress(OSError):
                    self._cut()


def ask_all(bmcs: Sequence[Bmc], ask: Callable[[Bmc, Leash], T], limits: Limits) -> Iterator[Outcome[T]]:
    """Ask them, in this order; what they gave as it comes."""
    leashes = [Leash(limits.longest_s) for _ in bmcs]
    last = time.monotonic() + limits.turn_s
    pool = ThreadPoolExecutor(max(1, min(limits.at_once, len(bmcs))), thread_name_prefix="bmc")
    try:
        asked = {
            pool.submit(_ask, bmc, ask, leash): i for i, (bmc, leash) in enumerate(zip(bmcs, leashes, strict=True))
        }
        while asked and time.monotonic() < last:
            done, _ = wait(asked, _LOOK_S, FIRST_COMPLETED)
            yield from (_taken(one, bmcs[asked.pop(one)]) for one in done)
            _cut_late(leashes)
        yield from _rest(asked, bmcs, leashes)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _ask(bmc: Bmc, ask: Callable[[Bmc, Leash], T], leash: Leash) -> T:
    leash.begin()
    return ask(bmc, leash)


def _cut_late(leashes: Sequence[Leash]) -> None:
    now = time.monotonic()
    for leash in leashes:
        if leash.until <= now:
            leash.until = float("inf")
            leash.cut()


def _rest(asked: dict[Future[T], int], bmcs: Sequence[Bmc], leashes: Sequence[Leash]) -> Iterator[Outcome[T]]:
    """The time is over: those that wait are not asked, those being asked are cut."""
    for one in [one for one in asked if one.cancel()]:
        yield Outcome(bmcs[asked.pop(one)], fault=NOT_REACHED, asked=False)
    for i in asked.values():
        leashes[i].cut()
    done, stuck = wait(asked, _GRACE_S)
    yield from (_taken(one, bmcs[asked[one]]) for one in done)
    yield from (Outcome(bmcs[asked[one]], fault="no answer before the turn's time was over") for one in stuck)


def _taken(one: Future[T], bmc: Bmc) -> Outcome[T]:
    fault = one.exception()
    if fault is None:
        return Outcome(bmc, one.result())
    if isinstance(fault, AskError):
        return Outcome(bmc, fault=str(fault), wait_s=fault.wait_s)
    # Whatever one BMC says, it is not to end the turn of all others.
    logger.error("the BMC of %s could not be read", bmc.node, exc_info=fault)
    return Outcome(bmc, fault=f"unexpected {type(fault).__name__}: see the log")
