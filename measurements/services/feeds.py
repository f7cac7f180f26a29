"""Feeds: what is asked again and again. The one writer of `Feed`.

A feed's turn is claimed by a lease, so that several workers never ask the same at once. How far it has come moves in
the transaction that stores what came, or after it: never before. A turn that fails leaves the cursor and all that is
stored as they are, says what happened, and is tried again the later the more failed in a row. What lies behind the
cursor by an overlap is asked for again: whatever takes it in knows what it has.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q

from measurements.domain.units import ms_from_datetime
from measurements.feeds.about import FeedError
from measurements.models import Cluster, Feed
from measurements.parsers.records import UnusableFile
from measurements.services.bmc_feeds import memory_of
from measurements.services.feed_kinds import KINDS
from measurements.services.feed_turns import LEASE, Taken, Turn
from measurements.services.marks import free, lease_name

logger = logging.getLogger(__name__)
EVERY_S = 15  # the chore; each feed has its own, longer time
LONGEST_WAIT = timedelta(minutes=30)
LONGEST_ASKED_WAIT = timedelta(hours=6)  # by Retry-After
LONGEST_ERROR = 1_024


class NotPossible(ValueError):
    """Why a feed cannot be made or switched on."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a turn did, and the error that ended it."""

    feed: Feed
    report: dict[str, Any]
    behind: bool
    error: str = ""


# --- Switching on and off ---------------------------------------------------------------------------------------------


def add(
    cluster: Cluster,
    name: str,
    kind: str,
    options: Mapping[str, Any],
    now: datetime,
    *,
    since: datetime | None = None,
    every_s: int | None = None,
    late_after_s: int | None = None,
) -> Feed:
    """Make a feed; its first turn is due at once. What can be wrong with its options is said here."""
    known = KINDS.get(kind)
    if known is None:
        raise NotPossible(f"no kind {kind!r} of feed; known: {', '.join(sorted(KINDS))}")
    fault = known.fault_of(options)
    if fault:
        raise NotPossible(fault)
    if Feed.objects.filter(name=name).exists():
        raise NotPossible(f"there is a feed {name!r} already")
    every_s = every_s or known.every_s
    return Feed.objects.create(
        cluster=cluster,
        name=name,
        kind=kind,
        options=dict(options),
        every_s=every_s,
        late_after_s=late_after_s or max(known.late_after_s, 3 * every_s),
        since_ms=None if since is None else ms_from_datetime(since),
        next_at=now,
    )


def change(
    feed: Feed,
    options: Mapping[str, Any],
    now: datetime,
    *,
    since: datetime | None = None,
    every_s: int | None = None,
    late_after_s: int | None = None,
) -> None:
    """Say some of its options otherwise (an empty text: no more), and ask at once; ``since``: from then on once more.

    A turn that somebody is at stores nothing more: it asked by what no longer holds.
    """
    merged = {name: value for name, value in (feed.options | dict(options)).items() if value != ""}
    if fault := KINDS[feed.kind].fault_of(merged):
        raise NotPossible(fault)
    values: dict[str, Any] = {"options": merged}
    if every_s is not None:
        values["every_s"] = every_s
    if late_after_s is not None:
        values["late_after_s"] = late_after_s
    if since is not None:
        values |= {"since_ms": ms_from_datetime(since), "cursor_ms": None, "last_report": {}}
    hurry(feed)
    Feed.objects.filter(pk=feed.pk).update(
        **values, next_at=now, failures=0, last_error="", claimed_by="", claimed_until=None
    )


def enable(feed: Feed, now: datetime) -> None:
    """Ask again from where it stopped; at once."""
    hurry(feed)
    Feed.objects.filter(pk=feed.pk).update(
        enabled=True, next_at=now, failures=0, last_error="", claimed_by="", claimed_until=None
    )


def hurry(feed: Feed) -> None:
    """An operator mended something: BMCs that were left alone for a while are asked in the next turn."""
    memory_of(feed).forget_waits()


def disable(feed: Feed) -> None:
    """Ask no more; the cursor and all that was stored stay."""
    Feed.objects.filter(pk=feed.pk).update(enabled=False, claimed_by="", claimed_until=None)


def remove(feed: Feed) -> None:
    """Forget it, for good; its batches and all that was stored stay. A turn under way stores nothing more."""
    Feed.objects.filter(pk=feed.pk).delete()
    memory_of(feed).path.unlink(missing_ok=True)


def note_alert(pks: Sequence[int], at: datetime | None) -> None:
    """Note that operators were told that these are late, or that they are not any more."""
    Feed.objects.filter(pk__in=pks).update(alerted_at=at)


# --- Turns ------------------------------------------------------------------------------------------------------------


def ask_due(now: datetime) -> list[Ended]:
    """Give a turn to each feed whose time has come; without one nothing is asked of anybody."""
    due = Feed.objects.filter(_due(now), free(now)).order_by("next_at", "pk").values_list("pk", flat=True)
    turns = [ask(pk, now) for pk in list(due)]
    return [turn for turn in turns if turn is not None]


def ask(pk: int, now: datetime, *, at_once: bool = False) -> Ended | None:
    """Give a feed its turn, unless somebody else is at it; `at_once`: even if its time has not come."""
    claimed_by = f"{lease_name()}/{secrets.token_hex(8)}"
    waiting = (Q(enabled=True) if at_once else _due(now)) & free(now)
    taken = Feed.objects.filter(waiting, pk=pk).update(claimed_by=claimed_by, claimed_until=now + LEASE)
    if taken != 1:
        return None
    with _spool() as spool:
        feed = Feed.objects.select_related("cluster").filter(pk=pk).first()
        return _run(Turn(feed, now, spool)) if feed is not None else None  # removed meanwhile


def _run(turn: Turn) -> Ended | None:
    kind = KINDS[turn.feed.kind]
    try:
        if fault := kind.fault_of(turn.feed.options):  # a host that was taken off the list is asked no more
            raise FeedError(fault)
        kind.run(turn)
    except Taken:
        return None
    except FeedError as fault:
        return _failed(turn, str(fault), fault.wait_s, fault.at_most_s)
    except UnusableFile as fault:
        return _failed(turn, f"what came cannot be read: {fault}", None)
    except (OperationalError, InterfaceError):
        raise  # our own database: nobody is to blame, and nothing could be noted
    except Exception as fault:  # whatever one source does, the others have their turn
        logger.exception("the feed %s failed", turn.feed)
        return _failed(turn, f"unexpected {type(fault).__name__}: see the log", None)
    wait = timedelta(0) if turn.behind else timedelta(seconds=turn.feed.every_s)
    return _ended(turn, "", failures=0, last_error="", last_ok_at=turn.now, next_at=turn.now + wait)


def _failed(turn: Turn, reason: str, wait_s: float | None, at_most_s: float | None = None) -> Ended:
    """Note the failure; the next turn is the later the more there were in a row."""
    logger.warning("%s: %s", turn.feed, reason)
    failures = turn.feed.failures + 1
    every = timedelta(seconds=max(turn.feed.every_s, EVERY_S))
    longest = LONGEST_WAIT if at_most_s is None else timedelta(seconds=at_most_s)
    wait = max(every, min(longest, every * 2 ** min(failures - 1, 10)))
    if wait_s is not None:
        wait = max(wait, min(timedelta(seconds=min(wait_s, 1e6)), LONGEST_ASKED_WAIT))
    return _ended(turn, reason, failures=failures, last_error=reason[:LONGEST_ERROR], next_at=turn.now + wait)


def _ended(turn: Turn, error: str, **values: Any) -> Ended:
    with suppress(Taken), transaction.atomic():
        turn.write(**values, last_report=turn.report)
        turn.write(claimed_by="", claimed_until=None)
    return Ended(turn.feed, turn.report, turn.behind and not error, error)


def _due(now: datetime) -> Q:
    return Q(enabled=True) & (Q(next_at__isnull=True) | Q(next_at__lte=now))


@contextmanager
def _spool() -> Iterator[Path]:
    home = Path(settings.JOULEBOOK_VAR) / "spool"
    home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="feed-", dir=home))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
