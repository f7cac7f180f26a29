"""What goes wrong is logged once, counted, and its end is logged too: a broken sensor fills no log."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

logger = logging.getLogger("joulebook-agent")


class Trouble:
    """What is wrong now, and how often what went wrong; for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: dict[str, tuple[str, float, int]] = {}  # key → words, since when, how often
        self.counts: dict[str, int] = {}  # since the start

    def begin(self, key: str, words: str) -> None:
        """Something failed; said when it begins, or when it is something else than before."""
        with self._lock:
            self.counts[key] = self.counts.get(key, 0) + 1
            before = self._now.get(key)
            since, times = (before[1], before[2]) if before else (time.monotonic(), 0)
            self._now[key] = (words, since, times + 1)
        if before is None or before[0] != words:
            logger.warning("%s: %s", key, words)

    def end(self, key: str) -> None:
        """It works; said if it did not."""
        if key not in self._now:  # the usual case, without the lock: dict reads are atomic
            return
        with self._lock:
            before = self._now.pop(key, None)
        if before:
            _, since, times = before
            logger.warning("%s: works again after %.0f s, %d times it failed", key, time.monotonic() - since, times)

    def forget(self, prefix: str) -> None:
        """Whatever it was about is no longer there."""
        with self._lock:
            for key in [key for key in self._now if key.startswith(prefix)]:
                del self._now[key]

    def now(self) -> Iterator[tuple[str, str]]:
        """What is wrong at present."""
        with self._lock:
            current = list(self._now.items())
        for key, (words, _, _) in current:
            yield key, words
