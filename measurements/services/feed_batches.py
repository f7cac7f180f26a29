"""The batches of feeds: one a UTC day, into which each turn's is folded; of feeds of power for what is refused alone.

A feed is asked every few minutes, mostly for what is known already: a batch a turn would bury all others. What was
refused is kept once, however often the overlap brings it again, also across midnight: what may have been refused
before is held against the batches of all days since the instant from which on the turn asks.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from django.db import transaction
from django.db.models import Q

from measurements.domain.units import datetime_from_ms
from measurements.models import Batch, Cluster, Feed, Quarantine
from measurements.services.batches import options_key
from measurements.services.feed_turns import Turn
from measurements.services.quarantine import BESIDE, QuarantineDraft, RefusedCount, grow_quarantine, keep_samples

MOST_LINES = 10_000  # of one reason and day
MOST_LINES_OF_POWER = 1_000  # all are counted
SLACK = timedelta(hours=1)  # what is dated after its refusal: by a clock that is ahead
REACH = timedelta(days=2)  # of a turn that did not say from where on it asks


@dataclass(slots=True)
class _Told:
    """What the batches of a feed keep of one reason."""

    texts: set[str] = field(default_factory=set)
    more: bool = False  # and there were others


@transaction.atomic
def fold(pk: int | None, turn: Turn) -> None:
    """Add a turn's batch to its feed's batch of the day; one that brought nothing new leaves no trace."""
    if pk is None:
        return
    Cluster.objects.select_for_update(no_key=True).get(pk=turn.feed.cluster_id)
    batch = Batch.objects.get(pk=pk)
    told = _told(turn, batch.content, MOST_LINES, but=batch.pk) if batch.refused else {}
    new = {row: _new_lines(row, told) for row in batch.quarantine.all()} if batch.refused else {}
    if batch.stored or any(new.values()):
        _add(batch, new, _of_day(batch.content, turn.feed, turn.now), turn.now)
    batch.delete()


def keep_refused(turn: Turn, fresh: QuarantineDraft, again: QuarantineDraft) -> None:
    """Keep what a feed of power brought and was refused, the cluster's row locked.

    ``fresh`` is counted all; of ``again``, which earlier turns may have brought, what is not among the lines kept, as
    long as all are kept.
    """
    if not fresh.total and not again.total:
        return
    if fresh.total:
        grow_quarantine(_of_day(Batch.Content.POWER, turn.feed, turn.now), [fresh], MOST_LINES_OF_POWER)
    told = _told(turn, Batch.Content.POWER, MOST_LINES_OF_POWER) if again.total else {}
    left = QuarantineDraft()
    for row in again.counts():
        _leave_new(row, again.lines_of(row.reason), told.get(row.reason[:128], _Told()), left)
    if not fresh.total and not left.total and not again.series_reasons():
        return
    day = _of_day(Batch.Content.POWER, turn.feed, turn.now)
    if fresh.total or left.total:
        grow_quarantine(day, [left], MOST_LINES_OF_POWER)
        day.refused += fresh.total + left.total
        day.read += fresh.total + left.total  # its samples are in the batches of the hours
        day.committed_at = turn.now
        day.save()
    keep_samples(day, [fresh, again])


def _told(turn: Turn, content: str, most_lines: int, but: int | None = None) -> dict[str, _Told]:
    """By reason what this feed's batches keep: that of the day, and those since the instant from which on it asks."""
    since = turn.now - REACH if turn.asked_ms is None else datetime_from_ms(turn.asked_ms)
    lately = Q(batch__committed_at__gte=min(since, turn.now) - SLACK)
    rows = Quarantine.objects.filter(
        lately | Q(batch__sha256=_name(turn.feed, turn.now)),
        batch__cluster=turn.feed.cluster_id, batch__content=content, batch__source=_source(turn.feed),
    )  # fmt: skip
    found: dict[str, _Told] = {}
    for row in rows.exclude(batch=but):
        told = found.setdefault(row.reason, _Told())
        told.texts.update(text for _, text in _lines(row))
        told.more |= row.count > most_lines
    return found


def _leave_new(refused: RefusedCount, packed: bytes, told: _Told, left: QuarantineDraft) -> None:
    """Put those lines of a reason into a draft that are not kept yet."""
    if told.more:
        return  # of those beyond nobody knows any more which they were
    lines = [line.partition("\t") for line in gzip.decompress(packed).decode().splitlines()]
    new = [(int(number), text) for number, _, text in lines if text not in told.texts]
    numbers = np.array([number for number, _ in new], np.int64)
    left.add_lines(refused.reason, numbers, [text for _, text in new], refused.example)


def _of_day(content: str, feed: Feed, now: datetime) -> Batch:
    options: dict[str, object] = {"feed": feed.name, "day": now.date().isoformat()}
    found, _ = Batch.objects.get_or_create(
        cluster=feed.cluster, content=content, sha256=_name(feed, now), options_key=options_key(options),
        defaults={"options": options, "source": _source(feed), "committed_at": now},
    )  # fmt: skip
    return found


def _name(feed: Feed, now: datetime) -> str:
    return hashlib.sha256(f"feed {feed.pk} {now.date().isoformat()}".encode()).hexdigest()


def _source(feed: Feed) -> str:
    return f"feed {feed.name}"


_Line = tuple[int, str]  # its number and text


def _new_lines(row: Quarantine, told: dict[str, _Told]) -> list[_Line]:
    """The lines of one reason that no batch keeps yet."""
    known = told.get(row.reason, _Told()).texts
    return [(number, text) for number, text in _lines(row) if number != BESIDE and text not in known]


def _add(batch: Batch, new: dict[Quarantine, list[_Line]], day: Batch, now: datetime) -> None:
    known = {row.reason: row for row in day.quarantine.all()}
    refused = sum(_refuse(row, lines, known.get(row.reason), day) for row, lines in new.items() if lines)
    day.stored += batch.stored
    day.refused += refused
    day.read += batch.stored + refused  # what is known already comes again with each turn: it is not counted
    day.committed_at = now
    day.save()


def _refuse(row: Quarantine, new: Sequence[_Line], kept: Quarantine | None, day: Batch) -> int:
    """Keep the lines of one reason that are new; how many."""
    if kept is None:
        beside = [line for line in _lines(row) if line[0] == BESIDE]  # the head of a table
        kept = Quarantine(batch=day, reason=row.reason, example=row.example, count=0, first_line=new[0][0])
        kept.lines = _packed([*beside, *new])
        fresh = list(new)
    else:
        texts = [text for _, text in new][: max(0, MOST_LINES - kept.count)]
        fresh = [(kept.first_line + kept.count + i, text) for i, text in enumerate(texts)]
        kept.lines = bytes(kept.lines) + _packed(fresh)
    kept.count += len(fresh)
    if fresh:
        kept.save()
    return len(fresh)


def _packed(lines: Sequence[_Line]) -> bytes:
    text = "".join(f"{number}\t{text}\n" for number, text in lines)
    return gzip.compress(text.encode(), 1, mtime=0) if lines else b""


def _lines(row: Quarantine) -> list[_Line]:
    lines = (line.partition("\t") for line in gzip.decompress(bytes(row.lines)).decode().splitlines())
    return [(int(number), text) for number, _, text in lines]
