"""Work that is due again and again, whoever does it: the in-process thread, a Celery worker or ``manage.py work``.

When a chore last began stands in the database, so that it runs once per interval however many processes ask.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from measurements.models import Cluster, Heartbeat
from measurements.services.alerts import alert_due
from measurements.services.audit import forget_reads
from measurements.services.digests import forget_digests, send_due
from measurements.services.feeds import EVERY_S as ASK_S
from measurements.services.feeds import ask_due
from measurements.services.gpu_holds import apply_waiting
from measurements.services.heartbeats import CHORE, take_turn
from measurements.services.pricing import price_missing
from measurements.services.pulls import EVERY_S as PULL_S
from measurements.services.pulls import pull_due
from measurements.services.push_folding import fold_all_pushes
from measurements.services.replay import EVERY_S as REPLAY_S
from measurements.services.replay import replay_due
from measurements.services.scope_checks import check_due
from measurements.services.tags import retag_due
from measurements.services.trying import forget_undecided
from measurements.services.upkeep import tend

logger = logging.getLogger(__name__)
MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 24 * HOUR_S
BREATH_S = 0.01  # after each day: in the web process pages come first


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to be done every so often; two at once do no harm to each other."""

    name: str
    every: timedelta
    run: Callable[[datetime], object]
    at_once: bool


_CHORES: dict[str, Chore] = {}


def every(seconds: float, run: Callable[[datetime], object], name: str, *, at_once: bool = True) -> None:
    """Have ``run(now)`` called at most once every so many seconds; keep one call short, it comes again.

    A new site does it at once, or only after its first interval.
    """
    _CHORES[name] = Chore(name, timedelta(seconds=seconds), run, at_once)


def names() -> list[str]:
    """All chores there are."""
    return list(_CHORES)


def due(now: datetime) -> list[str]:
    """The names of the chores whose time has come."""
    begun = dict(Heartbeat.objects.filter(name__startswith=CHORE).values_list("name", "at"))
    return [c.name for c in _CHORES.values() if CHORE + c.name not in begun or begun[CHORE + c.name] <= now - c.every]


def run(name: str, now: datetime) -> bool:
    """Do a chore if it is its time and nobody else has just begun it; an error is logged, its time comes again."""
    chore = _CHORES.get(name)
    if chore is None or not take_turn(CHORE + name, now, chore.every, at_once=chore.at_once):
        return False
    try:
        chore.run(now)
    except Exception:  # the other chores have their turn
        logger.exception("the chore %r failed; it is tried again in %s", name, chore.every)
    return True


def run_due(now: datetime) -> list[str]:
    """Do all chores whose time has come; the names of those done."""
    return [name for name in due(now) if run(name, now)]


def tend_all(now: datetime) -> None:
    """Compact, fold and sweep the sample files of all clusters."""
    for cluster in Cluster.objects.all():
        tend(cluster, now, lambda _: time.sleep(BREATH_S))


every(MINUTE_S, fold_all_pushes, "fold pushes")
every(HOUR_S, tend_all, "tend", at_once=False)  # there is nothing to compact in a new site
every(PULL_S, pull_due, "pull carbon intensity")
every(ASK_S, ask_due, "ask feeds")
every(REPLAY_S, replay_due, "try refused lines again")
every(MINUTE_S, apply_waiting, "place GPUs")
every(HOUR_S, price_missing, "price", at_once=False)
every(DAY_S, forget_reads, "forget old reads", at_once=False)
every(MINUTE_S, send_due, "send mails")
every(MINUTE_S, alert_due, "tell operators of late sources")
every(DAY_S, forget_digests, "forget old mails", at_once=False)
every(HOUR_S, forget_undecided, "forget files nobody decided on", at_once=False)
every(MINUTE_S, retag_due, "tag jobs")
every(HOUR_S, check_due, "check what meters cover", at_once=False)
