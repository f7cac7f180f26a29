"""The batches of feeds of jobs: one a UTC day, into which each turn's is folded.

A feed is asked every few minutes, mostly for what is known already: a batch a turn would bury all others. What was
refused is kept once, however often the overlap brings it again.
"""

from __future__ import annotations

import gzip
import hashlib
from datetime import datetime

from django.db import transaction

from measurements.models import Batch, Cluster, Feed, Quarantine
from measurements.services.batches import options_key

MOST_LINES = 10_000  # of one reason and day


@transaction.atomic
def fold(pk: int | None, feed: Feed, now: datetime) -> None:
    """Add a turn's batch to its feed's batch of the day; one that brought nothing leaves no trace."""
    if pk is None:
        return
    Cluster.objects.select_for_update(no_key=True).get(pk=feed.cluster_id)
    batch = Batch.objects.get(pk=pk)
    if batch.stored or batch.refused:
        _add(batch, _of_day(batch, feed, now), now)
    batch.delete()


def _of_day(batch: Batch, feed: Feed, now: datetime) -> Batch:
    options: dict[str, object] = {"feed": feed.name, "day": now.date().isoformat()}
    name = hashlib.sha256(f"feed {feed.pk} {options['day']}".encode()).hexdigest()
    found, _ = Batch.objects.get_or_create(
        cluster=batch.cluster, content=batch.content, sha256=name, options_key=options_key(options),
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
