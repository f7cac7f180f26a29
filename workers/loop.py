"""Work without a broker: one loop, in a thread of the web process or in the foreground (``manage.py work``)."""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connections

from measurements.selectors.work import waiting_work
from measurements.services.attribution import BLOCK_NODES
from measurements.services.heartbeats import WORKER, beat
from measurements.services.intake import Stopped
from measurements.services.rollups import JOBS_AT_ONCE
from workers import work

logger = logging.getLogger(__name__)
IDLE_S = 1.0  # between two looks when there was nothing to do
BETWEEN_S = 0.02  # after each piece of work: pages come first
LONGEST_BACK_OFF_S = 60.0
# A page asks for the interpreter again after each of its queries, and waits this long for it while work goes on.
SWITCH_S = 0.0005
PATIENCE_S = 25.0  # for the piece at hand when the process ends; gunicorn's own is 30


Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
WHOLE = (BLOCK_NODES, JOBS_AT_ONCE)  # node-days and job totals of one piece of work
SMALL = (8, 400)  # beside pages: about 0.1 s, for a page that comes meanwhile shares the interpreter with it
GIVE_WAY_S = 0.5  # at most, before each piece: a busy site books more slowly, but it does
LOOK_S = 0.002


class Loop:
    """Sweeps, does its chores and works, until it is told to stop."""

    def __init__(self, name: str, between_s: float = BETWEEN_S, portions: tuple[int, int] = WHOLE) -> None:
        self.name, self.between_s, self.portions = name, between_s, portions
        self.stopping = threading.Event()
        self._next_sweep = 0.0
        self._answering = 0  # pages that are being made
        self._counting = threading.Lock()

    def beside(self, application: Application, unless: tuple[str, ...] = ()) -> Application:
        """The site, beside which the loop works: it begins nothing while a page is being made.

        Addresses that begin as one of ``unless`` are no pages: senders push all the time, and wait without working.
        """

        def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            if unless and str(environ.get("PATH_INFO", "")).startswith(unless):
                return application(environ, start_response)
            self._count(1)
            try:
                return application(environ, start_response)
            finally:
                self._count(-1)

        return answer

    def _count(self, more: int) -> None:
        with self._counting:  # several threads make pages: a lost count would slow the work down for ever
            self._answering += more

    def give_way(self) -> None:
        """Wait until no page is being made, but not for ever."""
        patience = time.monotonic() + GIVE_WAY_S
        while self._answering > 0 and time.monotonic() < patience and not self.stopping.is_set():
            time.sleep(LOOK_S)

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
        self.give_way()
        return work.do_a_little(self.checkpoint, *self.portions)

    def checkpoint(self) -> None:
        """Called now and then during a long piece of work."""
        if self.stopping.is_set():
            raise Stopped
        self.give_way()

    def finish(self) -> bool:
        """Work until nothing is left that can be done now; whether nothing at all is left."""
        work.sweep(anyway=True)
        work.do_chores()
        while not self.stopping.is_set() and work.do_a_little(self.checkpoint, patient=False):
            pass
        return not waiting_work().anything


def start_thread() -> Loop | None:
    """Begin to work in a thread of this process, where the settings want it; it ends with the process."""
    if not settings.WORKER_THREAD:
        return None
    sys.setswitchinterval(SWITCH_S)
    loop = Loop("in the web process", portions=SMALL)
    thread = threading.Thread(target=loop.run, name="work", daemon=True)

    def stop() -> None:
        loop.stopping.set()
        thread.join(PATIENCE_S)

    atexit.register(stop)
    thread.start()
    return loop
