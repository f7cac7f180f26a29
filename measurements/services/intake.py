"""Files that wait to be taken in: the one writer of `Intake`.

The table says what there is to do; each file lies in a folder of its own below JOULEBOOK_VAR until it is done. Files of
one cluster and content are taken one after the other, in the order in which they were given. A file that was begun and
not finished is taken again: the services know its bytes.
"""

from __future__ import annotations

import logging
import shutil
import uuid
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import F, Min

from measurements.models import Cluster, Intake
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source, job_folder
from measurements.services.batches import IngestReport
from measurements.services.marks import LEASE_S, claim, free, give_back, renew
from measurements.services.taking import check_options, take
from measurements.store import sync_to_disk

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]

SPOOL = "inbox-spool"
MACHINE = frozenset({Intake.Content.NODES, Intake.Content.STATES})  # in order with everything else
MOST_FAULTS = 3  # unexpected errors, after which a file is given up
MOST_ATTEMPTS = 10  # beginnings: killed so often, it is the file's fault
AGAIN_AFTER_S = 15  # a file whose taking failed unexpectedly, doubled each time


class Stopped(Exception):
    """Whoever is at it shall stop; the file waits as before."""


class _LeaseLost(Exception):
    """This process stood still for so long that another one has taken over."""


def var() -> Path:
    """The folder of everything the site writes."""
    return Path(settings.JOULEBOOK_VAR)


def queue(cluster: Cluster, content: str, source: Source, options: dict[str, Any], now: datetime) -> Intake:
    """Keep a copy of a file for the workers; when this returns it is on disk and will be taken."""
    check_options(content, options)
    name = uuid.uuid4().hex
    draft = var() / SPOOL / f".{name}"
    draft.mkdir(parents=True)
    _copy(source, draft)
    final = draft.with_name(name)
    draft.rename(final)
    sync_to_disk(final.parent)
    return Intake.objects.create(
        cluster=cluster,
        content=content,
        source=source.name[-1024:],
        path=f"{SPOOL}/{name}",
        options=options,
        queued_at=now,
    )


def _copy(source: Source, folder: Path) -> None:
    """The file, or the files of a job folder in one, durably."""
    target = folder
    if source.meta_path or source.folder:
        target = folder / (source.folder or source.path.parent).name
        target.mkdir()
    for path in filter(None, {source.path, source.meta_path}):
        copied = Path(shutil.copyfile(path, target / path.name))
        sync_to_disk(copied)
    sync_to_disk(target)
    sync_to_disk(folder)


def take_next(now: Clock, checkpoint: Callable[[], None] = lambda: None) -> bool:
    """Take one waiting file that nobody else is at; whether there was one.

    ``checkpoint`` is called now and then while a file is read; by raising `Stopped` it ends the work.
    """
    intake = _claimed(now())
    if intake is None:
        return False
    if intake.attempts > MOST_ATTEMPTS:
        _fail(intake, f"whoever read it was killed {MOST_ATTEMPTS} times: is it too large for the memory?", now)
        return True
    try:
        report = take(
            intake.content, intake.cluster, source_of(intake), intake.options, now(), _Keeper(intake, now, checkpoint)
        )
    except UnusableFile as fault:
        _fail(intake, str(fault), now)
    except (Stopped, InterfaceError, OperationalError):  # it isn't the file's fault
        Intake.objects.filter(pk=intake.pk, claimed_by=intake.claimed_by).update(attempts=F("attempts") - 1)
        give_back([intake])
        raise
    except _LeaseLost:
        logger.warning("%s: somebody else has taken it over", intake)
    except Exception as fault:
        logger.exception("%s failed unexpectedly", intake)
        _put_off(intake, f"unexpected error: {type(fault).__name__}: {fault}", now)
    else:
        _finish(intake, report, now)
    return True


class _Keeper:
    """Called while a file is read: keeps the lease on it."""

    def __init__(self, intake: Intake, now: Clock, checkpoint: Callable[[], None]) -> None:
        self.intake, self.now, self.checkpoint = intake, now, checkpoint
        self.renewed = now()

    def __call__(self, _count: int) -> None:
        self.checkpoint()
        if self.now() - self.renewed > timedelta(seconds=LEASE_S / 4):
            self.renewed = self.now()
            if not renew([self.intake], self.renewed):
                raise _LeaseLost


def _claimed(now: datetime) -> Intake | None:
    """The oldest file that may be taken now, claimed for this process."""
    waiting = Intake.objects.filter(pk__in=files_in_turn(), state=Intake.State.QUEUED).filter(free(now)).order_by("pk")
    if not waiting.exists():
        return None
    for intake in claim(waiting[:1], now):
        if intake.state == Intake.State.QUEUED:
            Intake.objects.filter(pk=intake.pk).update(attempts=F("attempts") + 1)
            intake.attempts += 1
            return intake
        give_back([intake])  # done by another process between looking and claiming
    return None


def files_in_turn() -> list[int]:
    """The ids of the files whose turn it is: of each cluster and content the first, and nothing beside the machine."""
    rows = Intake.objects.filter(state=Intake.State.QUEUED).order_by().values("cluster", "content")
    first: dict[int, dict[str, int]] = defaultdict(dict)
    for cluster, content, pk in rows.annotate(first=Min("pk")).values_list("cluster", "content", "first"):
        first[cluster][content] = pk
    found: list[int] = []
    for heads in first.values():
        barrier = min((pk for content, pk in heads.items() if content in MACHINE), default=None)
        oldest = min(heads.values())
        found += [oldest] if oldest == barrier else [pk for pk in heads.values() if barrier is None or pk < barrier]
    return found


def source_of(intake: Intake) -> Source:
    """The file as the parsers read it."""
    folder = var() / intake.path
    inside = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if len(inside) != 1:
        raise FileNotFoundError(f"{folder} holds {len(inside)} files instead of one")
    job = job_folder(inside[0]) if inside[0].is_dir() else None
    return Source(job.path if job else inside[0], intake.source, job.folder if job else None)


def _finish(intake: Intake, report: IngestReport, now: Clock) -> None:
    if report.usable:
        _close(intake, Intake.State.DONE, "", now, report)
        return
    reasons = "; ".join(f"{row.count} × {row.reason}: {row.example}" for row in report.refused[:3])
    _close(intake, Intake.State.FAILED, f"nothing in it was usable: {reasons or 'no data'}", now, report)


def _fail(intake: Intake, sentence: str, now: Clock) -> None:
    logger.warning("%s: %s", intake, sentence)
    _close(intake, Intake.State.FAILED, sentence, now)


def _close(intake: Intake, state: str, error: str, now: Clock, report: IngestReport | None = None) -> None:
    Intake.objects.filter(pk=intake.pk, claimed_by=intake.claimed_by).update(
        state=state,
        error=error[:2000],
        report=report.as_json() if report else {},
        batch_id=report.batch if report else None,
        finished_at=now(),
        claimed_by="",
        claimed_until=None,
    )


def _put_off(intake: Intake, sentence: str, now: Clock) -> None:
    """Try it again a little later, or never if that was the last time."""
    if intake.faults + 1 >= MOST_FAULTS:
        _fail(intake, sentence, now)
        return
    Intake.objects.filter(pk=intake.pk, claimed_by=intake.claimed_by).update(
        faults=F("faults") + 1,
        error=sentence[:2000],
        claimed_by="",
        claimed_until=now() + timedelta(seconds=AGAIN_AFTER_S * 2**intake.faults),
    )
