"""Readings that senders push: judged one by one, committed together, answered only when they are durable."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import DatabaseError, InterfaceError, OperationalError

from measurements.domain.losses import Loss
from measurements.domain.samples import concatenate
from measurements.domain.units import ms_from_datetime
from measurements.models import Token
from measurements.parsers.records import PowerChunk
from measurements.services.batches import IngestReport
from measurements.services.directories import directory_of, forget_directories
from measurements.services.gathering import BrokenOff, Gathering
from measurements.services.judge import judge
from measurements.services.losses import note_losses
from measurements.services.push_commit import Delivery, HoursBatch, Tally, commit
from measurements.services.quarantine import RefusedCount, grow_quarantine
from measurements.services.tokens import note_uses

logger = logging.getLogger(__name__)
LINES_KEPT = 1_000  # of an hour's refusals for one reason: they are counted all


class NotDurable(Exception):
    """It could not be stored now: the disk is full, or the database away. It may be sent again."""


def push(token: Token, chunks: Iterable[PowerChunk], now: datetime) -> IngestReport:
    """Store what a sender brings; comes back when it is on disk, else `NotDurable`."""
    try:
        delivery = _judged(token, chunks, now)
        if not delivery.read:
            return delivery.report()
        return _gathering(token.cluster_id).bring(delivery)
    except (OperationalError, InterfaceError, OSError, BrokenOff) as fault:
        raise NotDurable(str(fault)) from fault


def tell_losses(token: Token, losses: Sequence[Loss], now: datetime) -> None:
    """Keep what a sender says that it lost; comes back when it is on disk, else `NotDurable`."""
    try:
        note_losses(token, losses, now)
    except (OperationalError, InterfaceError) as fault:
        raise NotDurable(str(fault)) from fault


def _judged(token: Token, chunks: Iterable[PowerChunk], now: datetime) -> Delivery:
    delivery = Delivery(token.cluster, token.name, now, token)
    parts, received_ms = [], ms_from_datetime(now)
    for chunk in chunks:
        directory = directory_of(token.cluster, chunk.nodes)
        delivery.read += len(chunk.t_ms) + len(chunk.refusals)
        delivery.warnings += chunk.warnings
        delivery.refused.add(chunk.refusals)
        parts.append(judge(directory, chunk, slice(None), delivery.refused, delivery.news, received_ms=received_ms))
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
    except Exception as fault:  # what one of them brings must not keep the others from being stored
        forget_directories()
        if len(deliveries) > 1:
            logger.exception("a common commit of %d pushes failed; each is tried by itself", len(deliveries))
            return [outcome for delivery in deliveries for outcome in commit_together([delivery])]
        return [NotDurable(str(fault)) if isinstance(fault, DatabaseError) else fault]
    return [delivery.report() for delivery in deliveries]


def _commit(deliveries: Sequence[Delivery]) -> None:
    def book(hour: HoursBatch, tallies: Sequence[Tally]) -> None:
        batch = hour.row
        batch.read += sum(delivery.read for delivery in deliveries)
        batch.refused += sum(delivery.refused.total for delivery in deliveries)
        batch.stored += sum(tally.stored for tally in tallies)
        batch.duplicates += sum(tally.duplicates for tally in tallies)
        batch.committed_at = now
        batch.save(update_fields=["read", "refused", "stored", "duplicates", "committed_at"])
        grow_quarantine(batch, [delivery.refused for delivery in deliveries], LINES_KEPT)
        uses = ((one.token, one.newest_ms) for one in deliveries if one.token is not None)
        note_uses(uses, now, _all_refused(deliveries))

    now = max(delivery.now for delivery in deliveries)
    commit(deliveries, "push", book)


def _all_refused(deliveries: Sequence[Delivery]) -> dict[int, str]:
    """By token the reason most often given, where nothing was of use; empty where something was."""
    found: dict[int, str] = {}
    for one in deliveries:
        if one.token is None:
            continue
        if len(one.samples):
            found[one.token.pk] = ""
        elif counts := one.refused.counts():
            found.setdefault(one.token.pk, _reason(counts))
    return found


def _reason(counts: Sequence[RefusedCount]) -> str:
    """The reason most often given; that senders send more than power is one only where there is no other."""
    named = [row for row in counts if not row.reason.startswith("no mapping for ")]
    return (named or counts)[0].reason
