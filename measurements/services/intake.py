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
from django.db.models import F, Min, Q, QuerySet

from measurements.models import Cluster, Intake
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source, job_folder
from measurements.parsers.watched import Watched
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
NOTED_EVERY_S = 1  # how far a file is
AGAIN_AFTER_S = 15  # a file whose taking failed unexpectedly, doubled each time


class Stopped(Exception):
    """Whoever is at it shall stop; the file waits as before."""


class LeaseLost(Exception):
    """This process stood still for so long that another one has taken over."""


def var() -> Path:
    """The folder of everything the site writes."""
    return Path(settings.JOULEBOOK_VAR)


def queue(cluster: Cluster, content: str, source: Source, options: dict[str, Any], now: datetime) -> Intake:
    """Keep a copy of a file for the workers; when this returns it is on disk and will be taken."""
    check_options(content, options)
    draft = new_draft()
    _copy(source, draft)
    return enter(draft, cluster=cluster, content=content, source=source.name[-1024:], options=options, queued_at=now)


def new_draft() -> Path:
    """A folder of the spool that is being filled; one that is left behind is swept."""
    draft = var() / SPOOL / f".{uuid.uuid4().hex}"
    draft.mkdir(parents=True)
    return draft


def enter(draft: Path, **values: Any) -> Intake:
    """Make a row of a folder that is filled."""
    final = draft.with_name(draft.name.removeprefix("."))
    sync_to_disk(draft)
    draft.rename(final)
    sync_to_disk(final.parent)
    return Intake.objects.create(path=f"{SPOOL}/{final.name}", **values)


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
        source = source_of(intake)
        keeper = Keeper(intake, source, now, checkpoint)
        _require_the_tried(intake, source.fingerprint(keeper))
        report = take(intake.content, intake.cluster, source, intake.options, now(), keeper)
    except UnusableFile as fault:
        _fail(intake, str(fault), now)
    except (Stopped, InterfaceError, OperationalError):  # it isn't the file's fault
        Intake.objects.filter(pk=intake.pk, claimed_by=intake.claimed_by).update(attempts=F("attempts") - 1)
        give_back([intake])
        raise
    except LeaseLost:
        logger.warning("%s: somebody else has taken it over", intake)
    except Exception as fault:  # a fault of ours, tried again later; other files have their turn
        logger.exception("%s failed unexpectedly", intake)
        _put_off(intake, f"unexpected error: {type(fault).__name__}: {fault}", now)
    else:
        _finish(intake, report, now)
    return True


def _require_the_tried(intake: Intake, sha256: str) -> None:
    """What was tried on the page is what is taken, byte for byte."""
    tried = intake.preview.get("sha256", sha256)
    if tried != sha256:
        raise UnusableFile("its bytes are no longer those that were tried: give it again")


class Keeper:
    """Called while a file is read: keeps the lease on it, and notes how far it is."""

    def __init__(self, intake: Intake, source: Watched, now: Clock, checkpoint: Callable[[], None]) -> None:
        self.intake, self.source, self.now, self.checkpoint = intake, source, now, checkpoint
        self.renewed = self.noted = self.begun = now()
        self.rows = 0

    def __call__(self, count: int) -> None:
        self.checkpoint()
        self.rows += count
        now = self.now()
        if now - self.renewed > timedelta(seconds=LEASE_S / 4):
            self.renewed = now
            if not renew([self.intake], now):
                raise LeaseLost
        if now - self.noted > timedelta(seconds=NOTED_EVERY_S):
            self.noted = now
            self.note()

    def note(self) -> None:
        """Write down how far it is."""
        said = {"rows": self.rows, "begun_at": self.begun.isoformat()}
        mine = Intake.objects.filter(pk=self.intake.pk, claimed_by=self.intake.claimed_by)
        mine.update(done_bytes=self.source.done, size_bytes=self.source.size, report=said)


def _claimed(now: datetime) -> Intake | None:
    """The oldest file that may be taken now, claimed for this process."""
    return claim_one(Intake.objects.filter(pk__in=files_in_turn(), state=Intake.State.QUEUED), now)


def claim_one(rows: QuerySet[Intake], now: datetime) -> Intake | None:
    """The first of some files of one state that nobody is at, claimed for this process."""
    waiting = rows.filter(free(now)).order_by("pk")
    wanted = waiting.first()
    for intake in claim(waiting[:1], now) if wanted else []:
        if wanted is not None and intake.state == wanted.state:
            Intake.objects.filter(pk=intake.pk).update(attempts=F("attempts") + 1)
            intake.attempts += 1
            return intake
        give_back([intake])  # done by another process between looking and claiming
    return None


def files_in_turn() -> list[int]:
    """The ids of the files whose turn it is: of each cluster and content the first, and nothing beside the machine.

    One that is under way comes before any other, also before those given earlier and decided on later.
    """
    rows = Intake.objects.filter(state=Intake.State.QUEUED).order_by().values("cluster", "content")
    rows = rows.annotate(first=Min("pk"), held=Min("pk", filter=~Q(claimed_by="")))
    first: dict[int, dict[str, tuple[bool, int]]] = defaultdict(dict)
    for cluster, content, pk, held in rows.values_list("cluster", "content", "first", "held"):
        first[cluster][content] = (held is None, held or pk)
    found: list[int] = []
    for heads in first.values():
        barrier = min((head for content, head in heads.items() if content in MACHINE), default=None)
        oldest = min(heads.values())
        at_once = [head for head in heads.values() if barrier is None or head < barrier]
        found += [pk for _, pk in ([oldest] if oldest == barrier else at_once)]
    return found


def source_of(intake: Intake, limit: int | None = None) -> Watched:
    """The file as the parsers read it; of one that is only tried about so many bytes."""
    folder = var() / intake.path
    inside = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if len(inside) != 1:
        raise FileNotFoundError(f"{folder} holds {len(inside)} files instead of one")
    job = job_folder(inside[0]) if inside[0].is_dir() else None
    return Watched(job.path if job else inside[0], intake.source, job.folder if job else None, limit)


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
        done_bytes=F("size_bytes") if report else F("done_bytes"),
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
