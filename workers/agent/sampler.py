"""One thread for each source, so that a BMC or a driver that hangs stops nobody else."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from workers.agent import batch
from workers.agent.readings import Channel, Reading
from workers.agent.rhythm import ClockWatch, Rhythm
from workers.agent.sources import Source
from workers.agent.spool import Spool

logger = logging.getLogger("joulebook-agent")
LOOK_AGAIN_S = 300.0  # for a source that has nothing: a driver may be loaded later
# A clock that was set back: readings wait until it passes the last one, for a counter whose times run back would
# look like a reset and a jump. If it was set back by more than this, the earlier times were wrong, and it goes on.
LONGEST_HOLD_MS = 15 * 60_000


class Table:
    """The channels of all sources, and the rows that go to the buffer; a channel belongs to the first that has it."""

    def __init__(self, node: str, spool: Spool) -> None:
        self.node, self.spool = node, spool
        self.taken = self.held_back = 0
        self._lock = threading.Lock()
        self._of: dict[str, tuple[Channel, ...]] = {}  # source → its channels
        self._columns: dict[str, int] = {}
        self._owner: dict[str, str] = {}  # column → source
        self._last: dict[str, int] = {}  # column → t_ms
        self._clock = ClockWatch()

    def declare(self, source: str, channels: Sequence[Channel]) -> tuple[Channel, ...]:
        """What a source has now; those that no other source has are its own."""
        with self._lock:
            others = {channel.name for name, have in self._of.items() if name != source for channel in have}
            own = tuple(channel for channel in channels if channel.name not in others)
            if own != self._of.get(source, ()):
                self._of[source] = own
                self._lay_out()
            return own

    def _lay_out(self) -> None:
        everything = [channel for have in self._of.values() for channel in have]
        self._columns = {channel.column: place for place, channel in enumerate(everything)}
        self._owner = {channel.column: source for source, have in self._of.items() for channel in have}
        self.spool.begin(batch.head(self.node, everything))
        logger.info("channels: %s", ", ".join(f"{c.name} ({c.source})" for c in everything) or "none")

    def take(self, source: str, readings: Sequence[Reading]) -> None:
        """Keep the readings of channels that are the source's own, if their time goes on."""
        with self._lock:
            self._clock.look()
            kept = [one for one in readings if self._owner.get(one.column) == source and self._goes_on(one)]
            if kept:
                self.spool.append(batch.rows(self.node, self._columns, kept))
                self.taken += len(kept)

    def _goes_on(self, reading: Reading) -> bool:
        back_ms = self._last.get(reading.column, 0) - reading.t_ms
        if 0 <= back_ms <= LONGEST_HOLD_MS:
            self.held_back += back_ms > 0
            return False
        if back_ms > 0:
            logger.error(
                "%s: the clock was set back by %.0f s: earlier times were wrong", reading.column, back_ms / 1e3
            )
        self._last[reading.column] = reading.t_ms
        return True


class Sampler:
    """Reads one source at its interval until it is to stop."""

    def __init__(self, source: Source, interval_s: float, table: Table) -> None:
        self.source, self.interval_s, self.table = source, interval_s, table
        self.rhythm = Rhythm(interval_s)
        self._seen: tuple[Channel, ...] | None = None
        self._look_at = 0.0

    def look(self) -> None:
        """Find the source's channels."""
        self.source.look()
        self._look_at = time.monotonic() + LOOK_AGAIN_S
        self.rhythm.restart()
        self.declare()

    def declare(self) -> None:
        """Tell the table where the channels changed."""
        if self.source.channels != self._seen:
            self._seen = self.source.channels
            interval_ms = round(self.interval_s * 1_000)
            self.table.declare(self.source.name, [channel.every(interval_ms) for channel in self._seen])

    def run(self, stop: threading.Event) -> None:
        """The thread; whatever a source does, the next beat tries again."""
        while self.wait(stop):
            try:
                self.turn()
            except Exception:
                self.source.trouble.begin(self.source.name, "an error of the agent itself; it goes on")
                logger.exception("%s", self.source.name)
        self.source.close()

    def wait(self, stop: threading.Event) -> bool:
        """Until the next beat; a source that has nothing sleeps until it is looked at again. False: it is to stop."""
        if self.source.channels:
            return self.rhythm.wait(stop)
        return not stop.wait(max(0.0, self._look_at - time.monotonic()))

    def turn(self) -> None:
        """One beat: read, or look whether there is something by now."""
        if not self.source.channels:
            self.look()
            return
        readings = self.source.read()
        self.declare()
        self.table.take(self.source.name, readings)
