"""The one writer of heartbeats: when something was last seen, and whose turn it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from measurements.models import Heartbeat

SWEEP, BEAT = "sweep", "beat"
WORKER, CHORE = "worker ", "chore "  # each followed by its name
EXAMINED = f"{CHORE}open days of cluster "  # followed by its number: when they were looked through
FORGOTTEN = timedelta(days=1)  # a worker that was not seen for so long has gone for good


def beat(name: str, now: datetime, detail: Mapping[str, Any] | None = None) -> None:
    """Note that something is alive."""
    Heartbeat.objects.update_or_create(name=name[:128], defaults={"at": now, "detail": dict(detail or {})})


def forget(name: str) -> None:
    """Note that something is over."""
    Heartbeat.objects.filter(name=name).delete()


def take_turn(name: str, now: datetime, every: timedelta, *, at_once: bool = True) -> bool:
    """Whether it is time for something again, and nobody else has taken this turn.

    The first time is at once, or after as long as every time.
    """
    _, new = Heartbeat.objects.get_or_create(name=name, defaults={"at": now})
    if new:
        return at_once
    return Heartbeat.objects.filter(name=name, at__lte=now - every).update(at=now) == 1


def forget_gone_workers(now: datetime) -> None:
    """Remove the heartbeats of workers that have gone."""
    Heartbeat.objects.filter(name__startswith=WORKER, at__lt=now - FORGOTTEN).delete()
