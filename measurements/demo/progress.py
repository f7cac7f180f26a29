"""Says how far a long start is: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

PLAIN_EVERY_S = 5.0
TERMINAL_EVERY_S = 0.2


class Progress:
    """Percent and what is being done."""

    def __init__(self, say: Callable[[str], object], *, terminal: bool) -> None:
        self._say = say
        self._terminal = terminal
        self._said_at = 0.0
        self._done = 0.0

    def show(self, done: float, what: str) -> None:
        """Say that a share of the work, 0 to 1, is done; it never goes back."""
        self._done = min(max(self._done, done), 1.0)
        now = time.monotonic()
        if now - self._said_at < (TERMINAL_EVERY_S if self._terminal else PLAIN_EVERY_S):
            return
        self._said_at = now
        line = f"Simulated cluster: {self._done:4.0%}  {what}"
        self._say(f"\r\033[K{line}" if self._terminal else f"{line}\n")

    def end(self) -> None:
        """Leave the line."""
        if self._terminal and self._said_at:
            self._say("\r\033[K")
