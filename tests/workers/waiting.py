"""How long work waits: files, dirty node-days, job totals and days, looked at again and again from outside."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import psycopg

EVERY_S = 0.1
WORK = """
SELECT 'file ' || id FROM measurements_intake WHERE state = 'queued'
UNION ALL SELECT 'node-day ' || version FROM measurements_dirtynodeday
UNION ALL SELECT 'job ' || version FROM measurements_dirtyjob
UNION ALL SELECT 'day ' || version FROM measurements_dirtyday
"""


SWEEP = "SELECT at FROM measurements_heartbeat WHERE name = 'sweep' AND detail <> '{}'"


@dataclass(slots=True)
class Watch:
    """Notes each piece of work when it is first seen and when it is gone; a mark set anew is a new piece.

    What has waited for more than two intervals was passed over by the sweeps that came to their end since: on a
    machine that is busy with other things the clock alone would tell nothing.
    """

    url: str
    sweep_s: float
    longest_s: float = 0.0
    longest: str = ""
    most_sweeps: int = 0
    sweeps: int = 0
    seen: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until it is told to stop."""
        since: dict[str, tuple[float, int]] = {}
        last_sweep = None
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not self.stopping.wait(EVERY_S):
                rows = {key for (key,) in connection.execute(WORK)}
                sweep = connection.execute(SWEEP).fetchone()
                self.sweeps += sweep != last_sweep
                last_sweep = sweep
                self.seen += len(rows - since.keys())
                since = {key: since.get(key, (time.monotonic(), self.sweeps)) for key in rows}
                for key, (began, sweeps) in since.items():
                    self._note(key, time.monotonic() - began, self.sweeps - sweeps)

    def _note(self, key: str, seconds: float, sweeps: int) -> None:
        if seconds > self.longest_s:
            self.longest_s, self.longest = seconds, key
        if seconds > 2 * self.sweep_s:
            self.most_sweeps = max(self.most_sweeps, sweeps)
