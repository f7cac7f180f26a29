"""Live readings, pushed or asked for, committed: one segment per UTC day, kept inline where it is small.

All of an hour share a batch while it is the cluster's newest. Nothing is marked here: folding does that each minute
(`push_folding`). What else belongs into the transaction, its counts above all, is written by whoever commits.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from django.db import connection, transaction

from measurements.domain.samples import Samples, concatenate, differing, empty_samples, resolve
from measurements.domain.units import DAY_MS, EPOCH_DAY
from measurements.models import Batch, Cluster, PendingCorrection, Segment, Token
from measurements.services.batches import IngestReport, options_key
from measurements.services.channel_facts import FactsDraft, write_facts
from measurements.services.marks import sealed_days
from measurements.services.push_known import KnownSamples
from measurements.services.push_levels import PUSH, PUSHED, hour_of
from measurements.services.quarantine import QuarantineDraft, RefusedCount
from measurements.store import SampleStore, samples_from_parquet

POWER = Batch.Content.POWER


@dataclass(slots=True)
class Delivery:
    """What one request, or one piece of a feed's turn, brings, judged."""

    cluster: Cluster
    source: str
    now: datetime
    token: Token | None = None  # of who pushed it
    read: int = 0
    samples: Samples = field(default_factory=empty_samples)
    refused: QuarantineDraft = field(default_factory=QuarantineDraft)
    again: QuarantineDraft = field(default_factory=QuarantineDraft)  # refused, and perhaps at an earlier turn already
    news: FactsDraft = field(default_factory=FactsDraft)
    stored: int = 0
    duplicates: int = 0
    pending: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def newest_ms(self) -> int | None:
        """Its newest sample [ms since 1970, UTC]."""
        return int(self.samples.t_ms.max()) if len(self.samples) else None

    def report(self) -> IngestReport:
        """What became of it."""
        refused = _summed([*self.refused.counts(), *self.again.counts()])
        return IngestReport(
            self.source, None, self.read, self.stored, self.duplicates, refused, self.pending, self.warnings
        )


def _summed(counts: Sequence[RefusedCount]) -> list[RefusedCount]:
    """One row a reason, most frequent first."""
    found: dict[str, RefusedCount] = {}
    for row in counts:
        first = found.get(row.reason)
        found[row.reason] = row if first is None else replace(first, count=first.count + row.count)
    return sorted(found.values(), key=lambda row: (-row.count, row.first_line, row.reason))


@dataclass(slots=True)
class Tally:
    """What a commit did with one delivery; told to it only when the commit is done."""

    stored: int = 0
    duplicates: int = 0
    pending: int = 0


class HoursBatch:
    """The batch of this hour's readings; made when it is asked for."""

    def __init__(self, cluster: Cluster, now: datetime, name: str) -> None:
        self._cluster, self._now, self._name = cluster, now, name
        self._row: Batch | None = None

    @property
    def row(self) -> Batch:
        """The batch, inside the transaction and the cluster's row locked."""
        if self._row is None:
            self._row = _hours_batch(self._cluster, self._now, self._name)
        return self._row


Book = Callable[[HoursBatch, Sequence[Tally]], None]


def commit(deliveries: Sequence[Delivery], name: str, book: Book) -> None:
    """Store what deliveries to one cluster bring; ``book`` is called in the transaction, the cluster's row locked.

    ``name``: what the batch of the hour is called, should this be the first of it.
    """
    cluster_id, now = deliveries[0].cluster.pk, max(delivery.now for delivery in deliveries)
    connection.close_if_unusable_or_obsolete()
    store = SampleStore()
    by_day = _by_day(deliveries)
    known = KnownSamples(store, cluster_id)
    known.look(by_day, now)
    segments: list[Segment] = []
    tallies = [Tally() for _ in deliveries]
    try:
        with transaction.atomic():
            # One commit at a time in a cluster: the order of batch ids is the order of commits.
            cluster = Cluster.objects.select_for_update(no_key=True).get(pk=cluster_id)
            known.look_at_newer()
            hour = HoursBatch(cluster, now, name)
            sealed = sealed_days(cluster, by_day)
            for day, parts in by_day.items():
                if day in sealed:
                    _keep_pending(cluster, day, hour, parts, tallies)
                    continue
                fresh = _fresh(parts, known.of(day), tallies)
                if len(fresh):
                    segments.append(store.write(cluster, day, fresh, level=PUSHED, inline=True))
            for segment in segments:
                segment.batch_no = hour.row.pk
            Segment.objects.bulk_create(segments)
            for delivery in deliveries:  # of one process nearly always nothing: it knows what it has written
                write_facts(cluster, delivery.news)
            book(hour, tallies)
    except BaseException:
        store.discard(segments)
        raise
    for delivery, tally in zip(deliveries, tallies, strict=True):
        delivery.stored, delivery.duplicates, delivery.pending = tally.stored, tally.duplicates, tally.pending


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


def _fresh(parts: Sequence[Part], known: Samples, tallies: Sequence[Tally]) -> Samples:
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


def _keep_pending(
    cluster: Cluster, day: date, hour: HoursBatch, parts: Sequence[Part], tallies: Sequence[Tally]
) -> None:
    """What comes for a sealed day is kept once: a row an hour's batch and day."""
    rows = PendingCorrection.objects.filter(cluster=cluster, day=day, content=POWER)
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
    of_hour = PendingCorrection(cluster=cluster, day=day, content=POWER, batch=hour.row)
    own = rows.filter(batch=hour.row).first() or of_hour
    before = samples_from_parquet(bytes(own.payload)) if own.payload is not None else empty_samples()
    whole, _ = resolve(concatenate([before, new]))
    own.rows, own.payload = len(whole), _parquet(whole)
    own.save()


def _parquet(samples: Samples) -> bytes:
    buffer = io.BytesIO()
    columns = {"node": samples.node, "channel": samples.channel, "t": samples.t_ms, "value": samples.value}
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def _hours_batch(cluster: Cluster, now: datetime, name: str) -> Batch:
    """The batch of this hour's readings while it is the newest; else a new one, so that what comes later wins."""
    newest = Batch.objects.filter(cluster=cluster, content=POWER).order_by("-pk").first()
    hour = hour_of(now)
    if newest is not None and newest.options.get(PUSH) == hour:
        return newest
    options: dict[str, object] = {PUSH: hour, "after": newest.pk if newest is not None else 0}
    return Batch.objects.create(
        cluster=cluster,
        content=POWER,
        source=f"{name} {hour}",
        sha256=hashlib.sha256(f"push {hour}".encode()).hexdigest(),
        options=options,
        options_key=options_key(options),
        committed_at=now,
    )
