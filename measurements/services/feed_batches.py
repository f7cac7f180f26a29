"""The batches of feeds: one a UTC day, into which each turn's is folded; of feeds of power for what is refused alone.

A feed is asked every few minutes, mostly for what is known already: a batch a turn would bury all others. What was
refused is kept once, however often the overlap brings it again.
"""

from __future__ import annotations

import gzip
import hashlib
from datetime import datetime

import numpy as np
from django.db import transaction

from measurements.models import Batch, Cluster, Feed, Quarantine
from measurements.services.batches import QuarantineDraft, RefusedCount, grow_quarantine, keep_samples, options_key

MOST_LINES = 10_000  # of one reason and day
MOST_LINES_OF_POWER = 1_000  # all are counted


@transaction.atomic
def fold(pk: int | None, feed: Feed, now: datetime) -> None:
    """Add a turn's batch to its feed's batch of the day; one that brought nothing leaves no trace."""
    if pk is None:
        return
    Cluster.objects.select_for_update(no_key=True).get(pk=feed.cluster_id)
    batch = Batch.objects.get(pk=pk)
    if batch.stored or batch.refused:
        _add(batch, _of_day(batch.content, feed, now), now)
    batch.delete()


def keep_refused(feed: Feed, fresh: QuarantineDraft, again: QuarantineDraft, now: datetime) -> None:
    """Keep what a feed of power brought and was refused, the cluster's row locked.

    ``fresh`` is counted all; of ``again``, which earlier turns may have brought, what is not among the lines kept, as
    long as all are kept.
    """
    if not fresh.total and not again.total:
        return
    day = _of_day(Batch.Content.POWER, feed, now)
    grow_quarantine(day, [fresh], MOST_LINES_OF_POWER)
    known = {row.reason: row for row in day.quarantine.all()}
    left = QuarantineDraft()
    for row in again.counts():
        _leave_new(row, again.lines_of(row.reason), known.get(row.reason[:128]), left)
    if fresh.total or left.total:
        grow_quarantine(day, [left], MOST_LINES_OF_POWER)
        day.refused += fresh.total + left.total
        day.read += fresh.total + left.total  # its samples are in the batches of the hours
        day.committed_at = now
        day.save()
    keep_samples(day, [fresh, again])


def _leave_new(refused: RefusedCount, packed: bytes, kept: Quarantine | None, left: QuarantineDraft) -> None:
    """Put those lines of a reason into a draft that are not kept yet."""
    if kept is not None and kept.count > MOST_LINES_OF_POWER:
        return  # of those beyond nobody knows any more which they were
    known = set(_texts(kept)) if kept is not None else set()
    lines = [line.partition("\t") for line in gzip.decompress(packed).decode().splitlines()]
    new = [(int(number), text) for number, _, text in lines if text not in known]
    numbers = np.array([number for number, _ in new], np.int64)
    left.add_lines(refused.reason, numbers, [text for _, text in new], refused.example)


def _of_day(content: str, feed: Feed, now: datetime) -> Batch:
    options: dict[str, object] = {"feed": feed.name, "day": now.date().isoformat()}
    name = hashlib.sha256(f"feed {feed.pk} {options['day']}".encode()).hexdigest()
    found, _ = Batch.objects.get_or_create(
        cluster=feed.cluster, content=content, sha256=name, options_key=options_key(options),
        defaults={"options": options, "source": f"feed {feed.name}", "committed_at": now},
    )  # fmt: skip
    return found


def _add(batch: Batch, day: Batch, now: datetime) -> None:
    known = {row.reason: row for row in day.quarantine.all()}
    refused = sum(_refuse(row, known.get(row.reason), day) for row in batch.quarantine.all())
    day.stored += batch.stored
    day.refused += refused
    day.read += batch.stored + refused  # what is known already comes again with each turn: it is not counted
    day.committed_at = now
    day.save()


def _refuse(row: Quarantine, kept: Quarantine | None, day: Batch) -> int:
    """Keep the lines of one reason that are new; how many."""
    told = _texts(row)
    if kept is None:
        row.pk, row.batch = None, day
        row._state.adding = True
        row.save()
        return row.count
    known = set(_texts(kept))
    fresh = [text for text in told if text not in known][: max(0, MOST_LINES - kept.count)]
    if fresh:
        lines = "".join(f"{kept.first_line + kept.count + i}\t{text}\n" for i, text in enumerate(fresh))
        kept.lines = bytes(kept.lines) + gzip.compress(lines.encode(), 1, mtime=0)
        kept.count += len(fresh)
        kept.save()
    return len(fresh)


def _texts(row: Quarantine) -> list[str]:
    return [line.partition("\t")[2] for line in gzip.decompress(bytes(row.lines)).decode().splitlines()]
