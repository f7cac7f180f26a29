"""Readings that senders push: judged one by one, committed together, answered only when they are durable.

A commit writes one segment per UTC day, kept inline where it is small, counts in the batch that all pushes of an hour
share while it is the cluster's newest, and marks nothing: folding does that each minute (`push_folding`).
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from measurements.domain.samples import Samples, concatenate, differing, empty_samples, resolve
from measurements.domain.units import DAY_MS, EPOCH_DAY
from measurements.models import Batch, Cluster, PendingCorrection, Segment, Token
from measurements.parsers.records import PowerChunk
from measurements.services.batches import IngestReport, QuarantineDraft, grow_quarantine, options_key
from measurements.services.channel_facts import FactsDraft, write_facts
from measurements.services.directories import directory_of, forget_directories
from measurements.services.gathering import BrokenOff, Gathering
from measurements.services.judge import judge
from measurements.services.marks import sealed_days
from measurements.services.push_known import KnownSamples
from measurements.services.push_levels import PUSH, PUSHED, hour_of
from measurements.services.tokens import note_uses
from measurements.store import SampleStore, samples_from_parquet

logger = logging.getLogger(__name__)
POWER = Batch.Content.POWER
LINES_KEPT = 1_000  # of an hour's refusals for one reason: they are counted all


class NotDurable(Exception):
    """It could not be stored now: the disk is full, or the database away. It may be sent again."""


@dataclass(slots=True)
class Delivery:
    """What one request brings, judged."""

    token: Token
    now: datetime
    read: int = 0
    samples: Samples = field(default_factory=empty_samples)
    refused: QuarantineDraft = field(default_factory=QuarantineDraft)
    news: FactsDraft = field(default_factory=FactsDraft)
    stored: int = 0
    duplicates: int = 0
    pending: int = 0
    warnings: list[str] = field(default_factory=list)

    def report(self) -> IngestReport:
        """What became of it."""
        return IngestReport(
            self.token.name,
            None,
            self.read,
            self.stored,
            self.duplicates,
            self.refused.counts(),
            self.pending,
            self.warnings,
        )


def push(token: Token, chunks: Iterable[PowerChunk], now: datetime) -> IngestReport:
    """Store what a sender brings; comes back when it is on disk, else `NotDurable`."""
    try:
        delivery = _judged(token, chunks, now)
        if not delivery.read:
            return delivery.report()
        return _gathering(token.cluster_id).bring(delivery)
    except (OperationalError, InterfaceError, OSError, BrokenOff) as fault:
        raise NotDurable(str(fault)) from fault


def _judged(token: Token, chunks: Iterable[PowerChunk], now: datetime) -> Delivery:
    delivery = Delivery(token, now)
    parts = []
    for chunk in chunks:
        directory = directory_of(token.cluster, chunk.nodes)
        delivery.read += len(chunk.t_ms) + len(chunk.refusals)
        delivery.warnings += chunk.warnings
        delivery.refused.add(chunk.refusals)
        parts.append(judge(directory, chunk, slice(None), delivery.refused, delivery.news))
    delivery.samples = concatenate(parts)
    return delivery


_gatherings: dict[int, Gathering[Delivery, IngestReport]] = {}


def _gathering(cluster_id: int) -> Gathering[Delivery, IngestReport]:
    return _gatherings.setdefault(cluster_id, Gathering(commit_together))


def commit_together(deliveries: Sequence[Delivery]) -> list[IngestReport | BaseException]:
    """Commit for all, or, where that fails because of one of them, for each by itself."""
    try:
        _commit(deliveries)
    except (OperationalError, InterfaceError, OSError) as fault:
        forget_directories()  # they believe that what was said of channels is written
        logger.warning("pushes could not be stored: %s", fault)
        return [NotDurable(str(fault)) for _ in deliveries]
    except Exception as fault:
        forget_directories()
        if len(deliveries) > 1:
            logger.exception("a common commit of %d pushes failed; each is tried by itself", len(deliveries))
            return [outcome for delivery in deliveries for outcome in commit_together([delivery])]
        return [NotDurable(str(fault)) if isinstance(fault, DatabaseError) else fault]
    return [delivery.report() for delivery in deliveries]


def _commit(deliveries: Sequence[Delivery]) -> None:
    cluster_id, now = deliveries[0].token.cluster_id, max(delivery.now for delivery in deliveries)
    connection.close_if_unusable_or_obsolete()
    store = SampleStore()
    by_day = _by_day(deliveries)
    known = KnownSamples(store, cluster_id)
    known.look(by_day, now)
    segments: list[Segment] = []
    tallies = [_Tally() for _ in deliveries]
    try:
        with transaction.atomic():
            # One commit at a time in a cluster: the order of batch ids is the order of commits.
            cluster = Cluster.objects.select_for_update(no_key=True).get(pk=cluster_id)
            known.look_at_newer()
            batch = _hours_batch(cluster, now)
            sealed = sealed_days(cluster, by_day)
            for day, parts in by_day.items():
                if day in sealed:
                    _keep_pending(cluster, day, batch, parts, tallies)
                    continue
                fresh = _fresh(parts, known.of(day), tallies)
                if len(fresh):
                    segments.append(store.write(cluster, day, fresh, level=PUSHED, inline=True))
            _count(batch, deliveries, tallies, now)
            for segment in segments:
                segment.batch_no = batch.pk
            Segment.objects.bulk_create(segments)
            grow_quarantine(batch, [delivery.refused for delivery in deliveries], LINES_KEPT)
            for delivery in deliveries:  # of one process nearly always nothing: it knows what it has written
                write_facts(cluster, delivery.news)
            note_uses(((delivery.token, _newest_ms(delivery.samples)) for delivery in deliveries), now)
    except BaseException:
        store.discard(segments)
        raise
    for delivery, tally in zip(deliveries, tallies, strict=True):
        delivery.stored, delivery.duplicates, delivery.pending = tally.stored, tally.duplicates, tally.pending


@dataclass(slots=True)
class _Tally:
    """What a commit did with one delivery; told to it only when the commit is done."""

    stored: int = 0
    duplicates: int = 0
    pending: int = 0


Part = tuple[int, Samples]  # whose delivery, and its samples of a day, sorted and unique


def _by_day(deliveries: Sequence[Delivery]) -> dict[date, list[Part]]:
    """Per UTC day what each delivery has of it."""
    found: dict[date, list[Part]] = {}
    for number, delivery in enumerate(deliveries):
        days = delivery.samples.t_ms // DAY_MS
        for day in np.unique(days).tolist():
            part = delivery.samples.take(days == day)
            found.setdefault(EPOCH_DAY + timedelta(days=day), []).append((number, part))
    return dict(sorted(found.items()))


def _fresh(parts: Sequence[Part], known: Samples, tallies: Sequence[_Tally]) -> Samples:
    """What is new or has another value, each delivery compared with the store and with those before it."""
    kept = empty_samples()
    for number, part in parts:
        tally = tallies[number]
        unique, surplus = resolve(part)
        stored_already, differs = differing(unique, known)
        said_already, _ = differing(unique, kept)
        again = stored_already | said_already
        tally.duplicates += surplus + int(again.sum())
        tally.stored += int((~again).sum())
        # Of two of one commit the larger stays; a known one with another value is a correction.
        kept, _ = resolve(concatenate([kept, unique.take(~stored_already | differs)]))
    return kept


def _keep_pending(cluster: Cluster, day: date, batch: Batch, parts: Sequence[Part], tallies: Sequence[_Tally]) -> None:
    """What comes for a sealed day is kept once: a row an hour's batch and day."""
    rows = PendingCorrection.objects.filter(cluster=cluster, day=day, content=POWER)
    own = rows.filter(batch=batch).first() or PendingCorrection(cluster=cluster, day=day, content=POWER, batch=batch)
    held = [samples_from_parquet(bytes(row.payload)) for row in rows if row.payload is not None]
    known, _ = resolve(concatenate(held))
    new = empty_samples()
    for number, part in parts:
        tally = tallies[number]
        unique, surplus = resolve(part)
        is_known, differs = differing(unique, known)
        said_already, _ = differing(unique, new)
        again = (is_known & ~differs) | said_already
        tally.duplicates += surplus + int(again.sum())
        tally.pending += int((~again).sum())
        new, _ = resolve(concatenate([new, unique.take(~again)]))
    if not len(new):
        return
    before = samples_from_parquet(bytes(own.payload)) if own.payload is not None else empty_samples()
    whole, _ = resolve(concatenate([before, new]))
    own.rows, own.payload = len(whole), _parquet(whole)
    own.save()


def _parquet(samples: Samples) -> bytes:
    buffer = io.BytesIO()
    columns = {"node": samples.node, "channel": samples.channel, "t": samples.t_ms, "value": samples.value}
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def _hours_batch(cluster: Cluster, now: datetime) -> Batch:
    """The batch of this hour's pushes while it is the newest; else a new one, so that what comes later wins."""
    newest = Batch.objects.filter(cluster=cluster, content=POWER).order_by("-pk").first()
    hour = hour_of(now)
    if newest is not None and newest.options.get(PUSH) == hour:
        return newest
    options: dict[str, object] = {PUSH: hour, "after": newest.pk if newest is not None else 0}
    return Batch.objects.create(
        cluster=cluster,
        content=POWER,
        source=f"push {hour}",
        sha256=hashlib.sha256(f"push {hour}".encode()).hexdigest(),
        options=options,
        options_key=options_key(options),
        committed_at=now,
    )


def _count(batch: Batch, deliveries: Sequence[Delivery], tallies: Sequence[_Tally], now: datetime) -> None:
    batch.read += sum(delivery.read for delivery in deliveries)
    batch.refused += sum(delivery.refused.total for delivery in deliveries)
    batch.stored += sum(tally.stored for tally in tallies)
    batch.duplicates += sum(tally.duplicates for tally in tallies)
    batch.committed_at = now
    batch.save(update_fields=["read", "refused", "stored", "duplicates", "committed_at"])


def _newest_ms(samples: Samples) -> int | None:
    return int(samples.t_ms.max()) if len(samples) else None
