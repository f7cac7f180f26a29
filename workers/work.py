"""What there is to do now: found in the database and done in small pieces, whoever asks.

Celery's tasks, the thread of the web process and ``manage.py work`` all call these. Finding nothing is success.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.conf import settings

from measurements.selectors.work import Waiting, waiting_work
from measurements.services import chores
from measurements.services.attribution import BLOCK_NODES, attribute_next_block
from measurements.services.heartbeats import SWEEP, beat, forget_gone_workers, take_turn
from measurements.services.inbox import clear_away, look_into_inbox
from measurements.services.intake import take_next
from measurements.services.marks import release_dead
from measurements.services.rollups import JOBS_AT_ONCE, rebuild_next
from measurements.services.trying import try_next

Checkpoint = Callable[[], None]
SWEEPS_AT_MOST = 4  # an interval: each worker that starts asks for one as well


def clock() -> datetime:
    """The clock of the workers."""
    return datetime.now(UTC)


def sweep(*, anyway: bool = False) -> Waiting | None:
    """Free what dead processes held, look into the inbox, tidy up; what waits now.

    None where somebody has just done it, unless it is wanted anyway.
    """
    now = clock()
    if not take_turn(SWEEP, now, timedelta(seconds=settings.SWEEP_S / SWEEPS_AT_MOST)) and not anyway:
        return None
    release_dead()
    look_into_inbox(now, settings.SWEEP_S)
    clear_away(now)
    forget_gone_workers(now)
    waiting = waiting_work()
    beat(SWEEP, now, waiting.as_json())
    return waiting


def take_file(checkpoint: Checkpoint = lambda: None) -> bool:
    """Take in one waiting file; whether there was one."""
    return take_next(clock, checkpoint)


def try_file(checkpoint: Checkpoint = lambda: None) -> bool:
    """Try one file that was given on the page, without keeping anything of it; whether there was one."""
    return try_next(clock, checkpoint)


def book_block(nodes: int = BLOCK_NODES, *, patient: bool = True) -> bool:
    """Book one block of dirty node-days; whether there was one."""
    return attribute_next_block(clock(), nodes=nodes, patient=patient) is not None


def roll_up(jobs: int = JOBS_AT_ONCE) -> bool:
    """Rebuild one lot of job totals, or a day's roll-ups; whether there was anything."""
    return rebuild_next(clock(), at_once=jobs) is not None


def do_chores() -> list[str]:
    """Do what is due again; the names of it."""
    return chores.run_due(clock())


def do_a_little(
    checkpoint: Checkpoint = lambda: None,
    nodes: int = BLOCK_NODES,
    jobs: int = JOBS_AT_ONCE,
    *,
    patient: bool = True,
) -> bool:
    """A piece of each kind of work, totals once nothing is left to book; whether there was any.

    ``patient``: days that are not over are looked through now and then only.
    """
    tried, file, block = try_file(checkpoint), take_file(checkpoint), book_block(nodes, patient=patient)
    return tried or file or block or roll_up(jobs)
