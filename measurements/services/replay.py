"""Refused lines tried again: by today's nodes, ceilings and mappings, stored as of the batch that once brought them.

What went in leaves quarantine in the transaction that stores it, so that nothing is lost or doubled by whoever is
killed, and a second time changes nothing. It keeps the number of its batch: of two samples of one instant a later
batch's stays. A row of quarantine, one reason of one batch, is one piece of work. What somebody asked for stands in
the rows themselves, and a chore does it (`replay_due`).
"""

from __future__ import annotations

import gzip
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, QuerySet

from measurements.domain.samples import Samples
from measurements.domain.units import ms_from_datetime
from measurements.models import Batch, Cluster, Quarantine
from measurements.services.channels import Declaration
from measurements.services.directories import forget_directories
from measurements.services.judge import NodeDirectory, judge
from measurements.services.power_drafts import Overtaken, PowerDraft, begin, flush, hold, overtaken, store
from measurements.services.quarantine import MORE, QuarantineDraft, grow_quarantine
from measurements.services.replay_jobs import JobsTried, form_of_jobs, try_jobs
from measurements.services.replay_lines import form_of, lines_again, more_than_kept

logger = logging.getLogger(__name__)
EVERY_S = 15  # the chore
TURN_S = 10.0  # of one call: other work waits for it
BREATH_S = 0.02
ALL_LINES = 2**62
QuarantineRows = QuerySet[Quarantine]


@dataclass(slots=True)
class Outcome:
    """What became of one reason of a batch, or would."""

    pk: int
    batch: int
    reason: str
    tried: int = 0  # refused lines that were read again
    went_in: int = 0  # samples or jobs in them that are taken now: new, known already, or of sealed days
    settled: int = 0  # lines that are refused no more
    moved: int = 0  # of what is in them, refused for another reason now
    untried: int = 0  # lines that are counted and not kept, or can't be read by themselves
    more: bool = False  # samples of refused series were not kept


@dataclass(slots=True)
class _Left:
    """What stays of a row."""

    told: list[bytes] = field(default_factory=list)
    beside: list[bytes] = field(default_factory=list)
    count: int = 0


def ask_for(rows: QuarantineRows, by: str) -> int:
    """Have workers try these reasons of batches again; how many."""
    return rows.filter(count__gt=0).update(replayed_by=by[:255], replayed_at=None)


def waiting() -> QuarantineRows:
    """Reasons of batches that somebody wants to be tried again, the oldest batch first."""
    asked = Quarantine.objects.filter(replayed_at=None).exclude(replayed_by="")
    return asked.order_by("batch_id", "pk")


def replay_due(now: datetime) -> list[Outcome]:
    """Try again what somebody asked for, for a few seconds; the rest has its turn with the next call."""
    began, done = time.monotonic(), []
    for pk, by in list(waiting().values_list("pk", "replayed_by")):
        try:
            outcome = replay(pk, by, now)
        except (OperationalError, InterfaceError):
            raise  # our own database: it is tried again
        except Exception:  # whatever is wrong with one row keeps no other waiting
            logger.exception("the refused lines of %d can't be tried again", pk)
            Quarantine.objects.filter(pk=pk).update(replayed_at=now)
            continue
        done += [outcome] if outcome is not None else []
        if time.monotonic() - began >= TURN_S:
            break
        time.sleep(BREATH_S)
    return done


def tried_of(rows: QuarantineRows, now: datetime, most_lines: int) -> tuple[dict[str, Outcome], bool]:
    """What would become of refusals, by reason, without storing anything; whether it ended before all were tried."""
    found: dict[str, Outcome] = {}
    left = most_lines
    for pk in list(rows.order_by("batch_id", "pk").values_list("pk", flat=True)):
        if left <= 0:
            return found, True
        outcome = replay(pk, "", now, dry_run=True, most_lines=left)
        if outcome is None:
            continue
        cut_short = outcome.tried >= left and outcome.untried > 0
        left -= max(outcome.tried, 1)
        outcome.untried = 0 if cut_short else outcome.untried
        _add(found.setdefault(outcome.reason, Outcome(pk, outcome.batch, outcome.reason)), outcome)
        if cut_short:
            return found, True
    return found, False


def _add(total: Outcome, one: Outcome) -> None:
    for name in ("tried", "went_in", "settled", "moved", "untried"):
        setattr(total, name, getattr(total, name) + getattr(one, name))
    total.more |= one.more


def replay(pk: int, by: str, now: datetime, *, dry_run: bool = False, most_lines: int = ALL_LINES) -> Outcome | None:
    """Try the lines of one reason of a batch again; None if it is gone meanwhile.

    In a dry run nothing is written, and it may end behind ``most_lines`` lines.
    """
    whole = False
    while True:
        row = Quarantine.objects.select_related("batch__cluster").filter(pk=pk).first()
        if row is None:
            return None
        try:
            if not (form_of(row) or form_of_jobs(row)):
                return _unreadable(row, by, now, dry_run=dry_run)
            if row.batch.content == Batch.Content.JOBS:
                return _jobs(row, by, now, dry_run=dry_run)
            return _power(row, by, now, whole=whole, dry_run=dry_run, most_lines=most_lines)
        except Overtaken:
            whole = True


def _unreadable(row: Quarantine, by: str, now: datetime, *, dry_run: bool) -> Outcome:
    """Lines that mean nothing by themselves stay as they are: their file can be given again."""
    if not dry_run:
        Quarantine.objects.filter(pk=row.pk).update(replayed_at=now, replayed_by=by)
    return Outcome(row.pk, row.batch_id, row.reason, untried=row.count)


# --- power ------------------------------------------------------------------------------------------------------------


def _power(row: Quarantine, by: str, now: datetime, *, whole: bool, dry_run: bool, most_lines: int) -> Outcome:
    draft = begin(row.batch.cluster, whole=whole, dry_run=dry_run)
    left, outcome = _Left(), Outcome(row.pk, row.batch_id, row.reason, more=more_than_kept(bytes(row.lines)))
    try:
        _read(draft, row, ms_from_datetime(now), left, outcome, most_lines)
        again = _taken_again(draft.quarantine, row.reason, left)
        outcome.settled = outcome.tried - left.count
        outcome.moved = again.total
        outcome.untried = row.count - outcome.tried
        if not dry_run:
            _commit(draft, row, left, again, outcome, by, now)
    except BaseException:
        draft.store.discard(draft.segments)
        raise
    return outcome


def _read(draft: PowerDraft, row: Quarantine, now_ms: int, left: _Left, outcome: Outcome, most_lines: int) -> None:
    directory = NodeDirectory(draft.cluster, dry_run=draft.dry_run)
    held: list[Samples] = []
    for read in lines_again(row, now_ms):
        outcome.tried += read.told
        left.count += len(read.left)
        _keep(left.told, read.left)
        if read.beside and not left.beside:  # a header comes with each lot, and stays once
            _keep(left.beside, read.beside)
        for chunk in read.chunks:
            draft.quarantine.add(chunk.refusals)
            samples = judge(directory, chunk, slice(None), draft.quarantine, draft.facts)
            outcome.went_in += len(samples)
            held = [] if draft.dry_run else hold(draft, held, samples)
        if draft.dry_run and outcome.tried >= most_lines:
            break
    flush(draft, held)


def _keep(parts: list[bytes], lines: Iterable[str]) -> None:
    text = "".join(lines)
    if text:
        parts.append(gzip.compress(text.encode(), 1, mtime=0))


def _taken_again(refused: QuarantineDraft, reason: str, left: _Left) -> QuarantineDraft:
    """What is refused for the same reason stays where it was; what is refused for another one is given back."""
    for row in refused.counts():
        if row.reason[:128] == reason:
            left.told.append(refused.lines_of(row.reason))
            left.count += row.count
            refused = refused.without(row.reason)
    return refused


def _commit(
    draft: PowerDraft, row: Quarantine, left: _Left, again: QuarantineDraft, outcome: Outcome, by: str, now: datetime
) -> None:
    with transaction.atomic():
        # One commit at a time in a cluster: the order of batch ids is the order of commits.
        Cluster.objects.select_for_update(no_key=True).get(pk=draft.cluster.pk)
        if overtaken(draft):
            raise Overtaken
        batch = Batch.objects.select_related("cluster").get(pk=row.batch_id)
        _leave(row, left, outcome, by, now)
        batch.stored += draft.stored
        batch.duplicates += draft.duplicates
        batch.refused += outcome.moved - outcome.settled
        batch.read += outcome.went_in + outcome.moved - outcome.settled  # a series counts once, each of its samples too
        batch.save(update_fields=["read", "stored", "duplicates", "refused"])
        grow_quarantine(batch, [again], ALL_LINES)
        store(draft, batch, _declared(batch))
    forget_directories()


def _declared(batch: Batch) -> Declaration:
    said = batch.options.get("declared") or {}
    return Declaration(said.get("nominal_ms"), said.get("max_gap_ms"), said.get("wrap_uj"))


def _leave(row: Quarantine, left: _Left, outcome: Outcome, by: str, now: datetime) -> None:
    """Write what stays of a row, and behind it what came to it since it was read."""
    locked = Quarantine.objects.select_for_update().filter(pk=row.pk).first()
    before = bytes(row.lines)
    if locked is None or not bytes(locked.lines).startswith(before):
        raise Overtaken
    since = bytes(locked.lines)[len(before) :]
    headless = form_of(row) == "series"  # what stays beside these is no header, but samples
    kept = b"".join([*left.beside, *left.told]) if left.count or headless else b""
    locked.lines = kept + since + (MORE if outcome.more and not since.endswith(MORE) else b"")
    locked.count -= outcome.settled
    locked.replayed += outcome.went_in
    locked.replayed_at, locked.replayed_by = now, by
    locked.save()


# --- jobs -------------------------------------------------------------------------------------------------------------


@transaction.atomic
def _jobs(row: Quarantine, by: str, now: datetime, *, dry_run: bool) -> Outcome:
    Cluster.objects.select_for_update(no_key=True).get(pk=row.batch.cluster_id)
    row = Quarantine.objects.select_for_update().select_related("batch__cluster").get(pk=row.pk)
    tried: JobsTried = try_jobs(row, now, dry_run=dry_run)
    outcome = Outcome(row.pk, row.batch_id, row.reason, tried.told, tried.stored + tried.duplicates)
    outcome.settled, outcome.untried = tried.told - len(tried.left), row.count - tried.told
    again = tried.refused
    outcome.moved = again.total
    if dry_run:
        return outcome
    left = _Left(count=len(tried.left))
    _keep(left.told, tried.left)
    _keep(left.beside, tried.beside)
    _leave(row, left, outcome, by, now)
    Batch.objects.filter(pk=row.batch_id).update(
        stored=F("stored") + tried.stored,
        duplicates=F("duplicates") + tried.duplicates,
        refused=F("refused") + outcome.moved - outcome.settled,
        read=F("read") + outcome.went_in + outcome.moved - outcome.settled,
    )
    grow_quarantine(row.batch, [again], ALL_LINES)
    return outcome
