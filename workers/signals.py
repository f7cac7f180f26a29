"""What a Celery worker does beside its tasks: it says that it is alive, and begins with a sweep."""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings
from django.db import Error, connection

from measurements.services.heartbeats import WORKER, beat
from workers.hints import hint
from workers.tasks import sweep
from workers.work import clock

logger = logging.getLogger(__name__)
_stop = threading.Event()


@worker_ready.connect
def begin(sender: Any, **_: Any) -> None:
    """Whatever its predecessor was at when it was killed is looked for at once."""
    hint(sweep)
    threading.Thread(target=_beat, args=(f"{WORKER}{sender.hostname}",), name="heartbeat", daemon=True).start()


@worker_shutting_down.connect
def end(**_: Any) -> None:
    """No more heartbeats."""
    _stop.set()


def _beat(name: str) -> None:
    while True:
        try:
            beat(name, clock())
        except Error as fault:
            logger.warning("no heartbeat: %s", fault)
        finally:
            connection.close()
        if _stop.wait(settings.SWEEP_S):
            return
