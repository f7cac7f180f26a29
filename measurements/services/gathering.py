"""Threads of one process that have something to commit: what comes within a moment is committed together.

Whoever comes first leads: it waits a little for others, commits for all, and wakes them. While a commit is under way
the next ones gather. Nothing is handed to a thread of its own, so that nothing is left behind when the process ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

WINDOW_S = 0.2  # the longest that the first one waits for others
QUIET_S = 0.03  # nobody new for so long: it does not wait any longer
_LOOK_S = 0.005

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class BrokenOff(Exception):
    """The thread that led was ended in the middle: nobody knows whether it was committed."""


@dataclass(slots=True)
class _Place(Generic[Item, Outcome]):
    """Somebody who waits."""

    item: Item
    woken: threading.Event = field(default_factory=threading.Event)
    outcome: Outcome | BaseException | None = None


class Gathering(Generic[Item, Outcome]):
    """``commit`` gets what came together, and gives for each an outcome, or the fault that is raised to it."""

    def __init__(self, commit: Callable[[Sequence[Item]], Sequence[Outcome | BaseException]]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._waiting: list[_Place[Item, Outcome]] = []
        self._led = False

    def bring(self, item: Item) -> Outcome:
        """Wait until the item is committed; its outcome."""
        place: _Place[Item, Outcome] = _Place(item)
        with self._lock:
            self._waiting.append(place)
            leads, self._led = not self._led, True
        if not leads:
            place.woken.wait()
        if place.outcome is None:  # nobody did it: the turn is ours
            self._lead(place)
        if place.outcome is None:
            raise BrokenOff("nobody committed it")
        if isinstance(place.outcome, BaseException):
            raise place.outcome
        return place.outcome

    def _lead(self, own: _Place[Item, Outcome]) -> None:
        taken: list[_Place[Item, Outcome]] = []
        try:
            self._wait_for_others()
            with self._lock:
                taken, self._waiting = self._waiting, []
            for place, outcome in zip(taken, self._commit([place.item for place in taken]), strict=True):
                place.outcome = outcome
        except BaseException as fault:  # whatever it is, nobody waits for ever
            for place in taken:
                place.outcome = place.outcome if place.outcome is not None else BrokenOff(str(fault))
            raise
        finally:
            self._hand_over(own, taken)

    def _hand_over(self, own: _Place[Item, Outcome], done: Sequence[_Place[Item, Outcome]]) -> None:
        with self._lock:
            self._waiting = [place for place in self._waiting if place is not own]
            heir = self._waiting[0] if self._waiting else None
            self._led = heir is not None
        for place in [*done, heir] if heir else done:
            place.woken.set()

    def _wait_for_others(self) -> None:
        """Until nobody new comes, but not for long."""
        began = newest = time.monotonic()
        seen = 0
        while (now := time.monotonic()) - began < WINDOW_S and now - newest < QUIET_S:
            if len(self._waiting) != seen:
                seen, newest = len(self._waiting), now
            time.sleep(_LOOK_S)
