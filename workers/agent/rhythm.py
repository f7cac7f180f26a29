"""When to read: a steady beat that never catches up in a burst, and an eye on clocks that are set."""

from __future__ import annotations

import logging
import threading
import time

logger = logging.getLogger("joulebook-agent")
STEP_NS = 500_000_000  # a clock that is slewed stays far below this between two looks


class Rhythm:
    """Beats on whole multiples of the interval of the wall clock at its start, then by the monotonic clock."""

    def __init__(self, interval_s: float, phase_s: float = 0.0) -> None:
        self.interval_s, self.phase_s = interval_s, phase_s
        self.skipped = 0  # beats that fell into the work of the one before
        self.restart()

    def restart(self) -> None:
        """The next beat is the first one from now."""
        ahead_s = self.interval_s - (time.time() - self.phase_s) % self.interval_s
        self._next = time.monotonic() + ahead_s

    def wait(self, stop: threading.Event) -> bool:
        """Wait for the next beat; False if it is to stop."""
        late_s = time.monotonic() - self._next
        if late_s > 0:  # the work took longer than a beat
            missed = int(late_s // self.interval_s) + 1
            self.skipped += missed
            self._next += missed * self.interval_s
        if stop.wait(max(0.0, self._next - time.monotonic())):
            return False
        self._next += self.interval_s
        return True


class ClockWatch:
    """Notices that somebody set the clock: how far it is ahead of the monotonic one changes at once."""

    def __init__(self) -> None:
        self.steps = 0
        self._lead_ns = self._lead()

    @staticmethod
    def _lead() -> int:
        return time.time_ns() - time.monotonic_ns()

    def look(self) -> float:
        """Seconds the clock was set since the last look, 0 if it was not; said if it was."""
        lead = self._lead()
        step_ns, self._lead_ns = lead - self._lead_ns, lead
        if abs(step_ns) < STEP_NS:
            return 0.0
        self.steps += 1
        logger.warning("the clock was set by %+.1f s", step_ns / 1e9)
        return step_ns / 1e9
