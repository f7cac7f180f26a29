"""The samples of a batch in the making: written as segments while its input is read, committed as a whole.

What takes a file in and what tries refused lines again have the same to do: leave out what the store holds with the
same value, keep what is of sealed days as corrections, mark what is touched.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from django.db.models import Max

from measurements.domain.samples import Samples, concatenate, differing, resolve, runs_of
from measurements.domain.units import DAY_MS, EPOCH_DAY
from measurements.models import Batch, Cluster, PendingCorrection, Segment
from measurements.services.channel_facts import FactsDraft, write_facts
from measurements.services.channels import Declaration, declare_channels
from measurements.services.marks import sealed_days
from measurements.services.quarantine import QuarantineDraft
from measurements.services.reach import mark_reached, note_reach
from measurements.store import SampleStore, Selection

FLUSH_ROWS = 2_000_000
HELD_BACK_MS = 60_000
POWER = Batch.Content.POWER


@dataclass(slots=True)
class PowerDraft:
    """A batch in the making."""

    cluster: Cluster
    store: SampleStore
    quarantine: QuarantineDraft = field(default_factory=QuarantineDraft)
    segments: list[Segment] = field(default_factory=list)
    pending: list[PendingCorrection] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    read: int = 0
    stored: int = 0
    duplicates: int = 0
    interval_ms: int | None = None
    reach: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    first_days: dict[int, int] = field(default_factory=dict)  # channel → first day of any of its samples
    spans: dict[date, tuple[int, int]] = field(default_factory=dict)  # first and last instant of all its samples
    facts: FactsDraft = field(default_factory=FactsDraft)  # what it says of channels and GPUs that was not known
    seen: int = 0  # the newest segment there was when it began
    known: dict[date, tuple[int, int]] = field(default_factory=dict)  # between which instants some were left out
    whole: bool = False  # what the store holds already is stored again
    dry_run: bool = False


class Overtaken(Exception):
    """Another commit came between reading and writing, or what was left out as known comes again."""


def begin(cluster: Cluster, *, whole: bool = False, dry_run: bool = False) -> PowerDraft:
    """A new draft, which knows of the segments there are now."""
    seen = Segment.objects.filter(cluster=cluster).aggregate(newest=Max("pk"))["newest"] or 0
    return PowerDraft(cluster, SampleStore(), seen=seen, whole=whole, dry_run=dry_run)


def hold(draft: PowerDraft, held: list[Samples], more: Samples) -> list[Samples]:
    """Hold some more samples, until there are enough for segments; what is still held."""
    held.append(more)
    return _flush_but_the_newest(draft, concatenate(held)) if sum(map(len, held)) >= FLUSH_ROWS else held


def _flush_but_the_newest(draft: PowerDraft, samples: Samples) -> list[Samples]:
    """Flush all but the last minute, so that a log in the order of time gives segments that do not overlap."""
    newest = samples.t_ms >= int(samples.t_ms.max()) - HELD_BACK_MS
    if int(newest.sum()) * 2 > len(samples):
        newest[:] = False
    flush(draft, [samples.take(~newest)])
    return [samples.take(newest)]


def flush(draft: PowerDraft, held: list[Samples]) -> None:
    """Write what is held: per UTC day a segment of what is new or different."""
    samples = concatenate(held)
    if not len(samples):
        return
    number = samples.t_ms // DAY_MS
    first, last = int(number.min()), int(number.max())
    present = [first] if first == last else np.unique(number).tolist()
    for day_number in present:
        part = samples if len(present) == 1 else samples.take(number == day_number)
        _flush_day(draft, EPOCH_DAY + timedelta(days=day_number), part)


def _flush_day(draft: PowerDraft, day: date, samples: Samples) -> None:
    unique, surplus = resolve(samples)
    draft.duplicates += surplus
    _note_first_days(draft, unique, (day - EPOCH_DAY).days)
    first, last = int(unique.t_ms.min()), int(unique.t_ms.max())
    before = draft.spans.get(day, (first, last))
    draft.spans[day] = (min(first, before[0]), max(last, before[1]))
    if sealed_days(draft.cluster, [day]):
        draft.pending.append(_pending(draft.cluster, day, unique))
        return
    fresh = _fresh(draft, day, unique)
    if not len(fresh):
        return
    note_reach(draft.reach, fresh, (day - EPOCH_DAY).days)
    draft.segments.append(draft.store.write(draft.cluster, day, fresh, inline=True))


def _fresh(draft: PowerDraft, day: date, samples: Samples) -> Samples:
    """Those that the store does not hold with this very value; what it holds is counted."""
    first, last = int(samples.t_ms.min()), int(samples.t_ms.max())
    nodes = runs_of(samples.node)
    wanted = Selection(nodes, first, last + 1)
    left_out = draft.known.get(day)
    if left_out and left_out[0] <= last and left_out[1] >= first:
        raise Overtaken  # the larger of two copies stays: the first one has to be at hand
    committed = draft.store.scan(draft.cluster.pk, wanted)
    known, differs = differing(samples, committed)
    known_own = larger = np.zeros(len(samples), bool)
    own = [s for s in draft.segments if s.day == day and s.first_ms <= last and s.last_ms >= first]
    if own:  # the same file said it already: the larger value stays
        said = draft.store.resolved(own, wanted)
        known_own, differs_own = differing(samples, said)
        larger = known_own & differs_own & _greater(samples, said)
        known, differs = known | known_own, np.where(known_own, larger, differs)
    draft.duplicates += int(known.sum())
    draft.stored += int((~known).sum())
    keep = ~known | differs
    if draft.whole:
        keep = ~known_own | larger
    elif not keep.all():
        left_out = draft.known.get(day, (first, last))
        draft.known[day] = (min(left_out[0], first), max(left_out[1], last))
    return samples if keep.all() else samples.take(keep)


def _greater(new: Samples, known: Samples) -> np.ndarray:
    """For each new sample whether it is above the known one of its instant (False if there is none)."""
    both, _ = resolve(concatenate([new, known]))
    _, differs = differing(new, both)  # where the larger of the two is not the new one
    return ~differs


def _pending(cluster: Cluster, day: date, samples: Samples) -> PendingCorrection:
    buffer = io.BytesIO()
    columns = {"node": samples.node, "channel": samples.channel, "t": samples.t_ms, "value": samples.value}
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return PendingCorrection(cluster=cluster, day=day, content=POWER, rows=len(samples), payload=buffer.getvalue())


def _note_first_days(draft: PowerDraft, samples: Samples, day_number: int) -> None:
    for channel in runs_of(samples.channel).tolist():
        draft.first_days[channel] = min(day_number, draft.first_days.get(channel, day_number))


def overtaken(draft: PowerDraft) -> bool:
    """Whether others stored samples where this batch has some, or a day was sealed, since it was read."""
    if sealed_days(draft.cluster, {segment.day for segment in draft.segments}):
        return True
    newer = Segment.objects.filter(cluster=draft.cluster, pk__gt=draft.seen, day__in=draft.spans)
    return not draft.whole and any(
        first <= draft.spans[day][1] and last >= draft.spans[day][0]
        for day, first, last in newer.values_list("day", "first_ms", "last_ms")
    )


def store(draft: PowerDraft, batch: Batch, said: Declaration) -> None:
    """Inside the transaction, the cluster's row locked: commit what was written as the batch's, and mark it."""
    for segment in draft.segments:
        segment.batch_no = batch.pk
    Segment.objects.bulk_create(draft.segments, 1000)
    for row in draft.pending:
        row.batch = batch
    PendingCorrection.objects.bulk_create(draft.pending)
    first_days = {channel: EPOCH_DAY + timedelta(days=n) for channel, n in draft.first_days.items()}
    if not write_facts(batch.cluster, draft.facts):
        raise Overtaken
    declaration = Declaration(said.nominal_ms or draft.interval_ms, said.max_gap_ms, said.wrap_uj)
    declare_channels(batch.cluster, first_days, declaration)
    mark_reached(batch.cluster, draft.reach)
