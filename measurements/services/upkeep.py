"""Keeps the sample store in order: folding, compaction, sweeping, sealing and retention."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
from django.db import transaction

from measurements.domain.units import DAY_MS, day_start_ms
from measurements.models import Cluster, DirtyDay, DirtyDoubt, DirtyNodeDay, NodeDay, SealedDay, Segment
from measurements.services.push_levels import PUSHED, first_open_batch
from measurements.store import DENSE_ZSTD, QUICK_ZSTD, SampleStore, Selection, open_writer, write_part

AS_INGESTED, FOLDED, COMPACTED = 0, 1, 2
ROWS_AT_ONCE = 1_000_000
FOLDED_AT_MOST = 24
SETTLING = timedelta(hours=1)  # after its end a day still gets its last pushes


def fold(cluster: Cluster, day: date, before: int | None = None) -> int:
    """Merge a day's new small segments into one; how many were replaced. Batches from ``before`` on are left alone."""
    segments = _mergeable(cluster, day, before)
    small = [s for s in segments if s.level == AS_INGESTED]
    folded = [s for s in segments if s.level == FOLDED]
    if len(folded) >= FOLDED_AT_MOST:
        small += folded
    others = [s for s in segments if s not in small]
    if others and small and small[0].batch_no < max(s.batch_no for s in others):
        small = segments  # what was tried anew: merged without the rest it would beat later batches
    if len(small) < 2 and not any(s.inline is not None for s in small):
        return 0
    return merge(cluster, day, small, FOLDED)


def compact(cluster: Cluster, day: date, before: int | None = None) -> int:
    """Merge all segments of a day into one sorted file; how many were replaced. ``before``: as `fold`."""
    segments = _mergeable(cluster, day, before)
    if not segments or (len(segments) == 1 and segments[0].level == COMPACTED):
        return 0
    return merge(cluster, day, segments, COMPACTED)


def _mergeable(cluster: Cluster, day: date, before: int | None) -> list[Segment]:
    """A day's segments in the order of batches, up to the first that pushes still are in, or may come to."""
    segments = list(Segment.objects.filter(cluster=cluster, day=day).order_by("batch_no", "pk"))
    limits = [segment.batch_no for segment in segments if segment.level == PUSHED]
    limit = min(limits if before is None else [*limits, before], default=None)
    return segments if limit is None else [segment for segment in segments if segment.batch_no < limit]


def merge(
    cluster: Cluster,
    day: date,
    segments: Sequence[Segment],
    level: int,
    then: Callable[[Cluster], None] = lambda cluster: None,
) -> int:
    """Replace exactly these segments by one; if any of them is gone by then, by nothing.

    ``then`` is called in the transaction of the swap, the cluster's row locked.
    """
    store = SampleStore()
    merged = _write_merged(store, cluster, day, segments, DENSE_ZSTD if level == COMPACTED else QUICK_ZSTD)
    merged.level = level
    merged.batch_no = max(s.batch_no for s in segments)
    keys = [s.pk for s in segments]
    store.retire(segments)
    with transaction.atomic():
        Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
        swapped = Segment.objects.filter(pk__in=keys).count() == len(keys)
        if swapped:
            Segment.objects.filter(pk__in=keys).delete()
            merged.save(force_insert=True)
            then(cluster)
    if not swapped:  # another process merged some of them
        store.discard([merged])
        return 0
    return len(keys)


def _write_merged(
    store: SampleStore, cluster: Cluster, day: date, segments: Sequence[Segment], zstd_level: int
) -> Segment:
    nodes = np.unique(np.concatenate([store.node_ids(s) for s in segments]))
    per_node = max(1, sum(s.rows for s in segments) // max(len(nodes), 1))
    step = max(1, ROWS_AT_ONCE // per_node)
    start = day_start_ms(day)
    incoming = store.incoming_path()
    rows, first, last = 0, start + DAY_MS, start
    writer: pq.ParquetWriter | None = None
    try:
        for i in range(0, len(nodes), step):
            part = store.resolved(segments, Selection(nodes[i : i + step], start, start + DAY_MS))
            if not len(part):
                continue
            writer = writer or open_writer(incoming, part, zstd_level=zstd_level)
            write_part(writer, part)
            rows += len(part)
            first, last = min(first, int(part.t_ms.min())), max(last, int(part.t_ms.max()))
    finally:
        if writer is not None:
            writer.close()
    size = incoming.stat().st_size
    with incoming.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Segment(
        cluster=cluster,
        day=day,
        unique=True,
        rows=rows,
        bytes=size,
        sha256=digest,
        first_ms=first,
        last_ms=last,
        path=store.publish(incoming, cluster, day),
    )


def tend(cluster: Cluster, now: datetime, progress: Callable[[int], None] | None = None) -> dict[str, int]:
    """Compact the days that are over, fold the others, sweep; what was done."""
    done = {"compacted": 0, "folded": 0, "swept": 0}
    before = first_open_batch(cluster, now)
    days = Segment.objects.filter(cluster=cluster).order_by("day").values_list("day", flat=True).distinct()
    for day in list(days):
        end = datetime.combine(day + timedelta(days=1), datetime.min.time(), tzinfo=now.tzinfo)
        if now >= end + SETTLING:
            done["compacted"] += compact(cluster, day, before)
        else:
            done["folded"] += fold(cluster, day, before)
        if progress:
            progress(1)
    done["swept"] = SampleStore().sweep()
    return done


class NotBooked(ValueError):
    """A day can't be sealed while input of it waits to be booked."""


@transaction.atomic
def seal(cluster: Cluster, before: date, now: datetime) -> list[date]:
    """Seal all days before a day that hold samples or jobs; those sealed now. A sealed day is never rebuilt."""
    Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
    for mark in (DirtyNodeDay, DirtyDay, DirtyDoubt):
        waiting = mark.objects.filter(cluster=cluster, day__lt=before).order_by("day").first()
        if waiting is not None:
            raise NotBooked(f"{cluster} {waiting.day}: not booked yet; run attribute --cluster {cluster} first")
    pushed = Segment.objects.filter(cluster=cluster, day__lt=before, level=PUSHED).order_by("day").first()
    if pushed is not None:
        raise NotBooked(f"{cluster} {pushed.day}: not booked yet; run attribute --cluster {cluster} first")
    known = set(SealedDay.objects.filter(cluster=cluster).values_list("day", flat=True))
    held = {
        day
        for model in (Segment, NodeDay)
        for day in model.objects.filter(cluster=cluster, day__lt=before).values_list("day", flat=True).distinct()
    }
    days = sorted(held - known)
    SealedDay.objects.bulk_create(SealedDay(cluster=cluster, day=day, sealed_at=now) for day in days)
    return days


def delete_sealed_samples(cluster: Cluster) -> int:
    """Delete the samples of sealed days whose following day is sealed too (a day reads beyond its edges); how many."""
    store = SampleStore()
    sealed = set(SealedDay.objects.filter(cluster=cluster).values_list("day", flat=True))
    free_days = {day for day in sealed if day + timedelta(days=1) in sealed}
    segments = list(Segment.objects.filter(cluster=cluster, day__in=free_days))
    store.retire(segments)
    Segment.objects.filter(pk__in=[s.pk for s in segments]).delete()
    return sum(s.rows for s in segments)
