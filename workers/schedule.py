"""What beat asks for, and beat itself: a static schedule, kept in no file.

Only the sweep has a rhythm here. Whatever else comes again and again (`measurements.services.chores`) is found by it.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from celery.beat import Scheduler
from django.conf import settings
from django.db import Error, close_old_connections

logger = logging.getLogger(__name__)
SCHEDULE = {
    "sweep": {
        "task": "rollup.sweep",
        "schedule": settings.SWEEP_S,
        "options": {"expires": settings.SWEEP_S, "retry": False},
    }
}
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Beat(Scheduler):
    """Celery's scheduler in memory, which begins with a sweep at once and notes that it is alive."""

    max_interval = min(settings.SWEEP_S, 10)

    def setup_schedule(self) -> None:
        """Everything is due at the start: a beat that is killed again and again still sweeps."""
        super().setup_schedule()
        for entry in self.schedule.values():
            entry.last_run_at = LONG_AGO

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """One look at the schedule."""
        note_heartbeat()
        return float(super().tick(*args, **kwargs))


def note_heartbeat() -> None:
    """Say that beat is alive; a database that is away for a while does not stop it."""
    from measurements.services.heartbeats import BEAT, beat  # the models are ready only now

    try:
        close_old_connections()
        beat(BEAT, datetime.now(UTC))
    except Error as fault:
        logger.warning("no heartbeat: %s", fault)
