"""Work without a broker: one loop, in a thread of the web process or in the foreground (``manage.py work``)."""

from __future__ import annotations

import atexit
import logging
import threading
import time

from django.conf import settings
from django.db import close_old_connections, connections

from measurements.selectors.work import waiting_work
from measurements.services.heartbeats import WORKER, beat
from measurements.services.intake import Stopped
from workers import work

logger = logging.getLogger(__name__)
IDLE_S = 1.0  # between two looks when there was nothing to do
BETWEEN_S = 0.02  # after each piece of work: pages come first
LONGEST_BACK_OFF_S = 60.0
PATIENCE_S = 25.0  # for the piece at hand when the process ends; gunicorn's own is 30


class Loop:
    """Sweeps, does its chores and works, until it is told to stop."""

    def __init__(self, name: str, between_s: float = BETWEEN_S) -> None:
        self.name, self.between_s = name, between_s
        self.stopping = threading.Event()
        self._next_sweep = 0.0

    def run(self) -> None:
        """Go on whatever happens: an error is logged, and what failed is tried again later, ever more rarely."""
        errors = 0
        while not self.stopping.is_set():
            try:
                wait_s = self.between_s if self.turn() else IDLE_S
                errors = 0
            except Stopped:
                break
            except Exception:
                errors += 1
                wait_s = min(2.0**errors, LONGEST_BACK_OFF_S)
                logger.exception("the work failed; it goes on in %.0f s", wait_s)
            finally:
                close_old_connections()
            self.stopping.wait(min(wait_s, settings.SWEEP_S))
        connections.close_all()

    def turn(self) -> bool:
        """One piece of each kind of work; whether there was any."""
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + settings.SWEEP_S
            beat(f"{WORKER}{self.name}", work.clock())
            work.sweep()
            work.do_chores()
        return work.do_a_little(self.checkpoint)

    def checkpoint(self) -> None:
        """Called now and then during a long piece of work."""
        if self.stopping.is_set():
            raise Stopped
        time.sleep(0)  # whoever waits to answer a page goes first

    def finish(self) -> bool:
        """Work until nothing is left that can be done now; whether nothing at all is left."""
        work.sweep(anyway=True)
        work.do_chores()
        while not self.stopping.is_set() and work.do_a_little(self.checkpoint):
            pass
        return not waiting_work().anything


def start_thread() -> Loop | None:
    """Begin to work in a thread of this process, where the settings want it; it ends with the process."""
    if not settings.WORKER_THREAD:
        return None
    loop = Loop("in the web process")
    thread = threading.Thread(target=loop.run, name="work", daemon=True)

    def stop() -> None:
        loop.stopping.set()
        thread.join(PATIENCE_S)

    atexit.register(stop)
    thread.start()
    return loop
