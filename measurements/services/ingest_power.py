"""Power logs into the sample store: the one writer of segments from input.

A file becomes one batch. Its samples are written as segments while it is read, and all
of them, with the batch, its quarantine and the dirty marks, come into being in one transaction at the end.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from django.db import transaction
from django.db.models import Max

from measurements.domain.samples import Samples, concatenate, differing, resolve, runs_of
from measurements.domain.units import DAY_MS, EPOCH_DAY, ms_from_datetime
from measurements.models import (
    Batch,
    Cluster,
    PendingCorrection,
    Segment,
)
from measurements.parsers.mappings import load_mappings
from measurements.parsers.records import ParseOptions, PowerChunk
from measurements.parsers.source import Source
from measurements.parsers.times import utc_text
from measurements.services.ahead import ahead
from measurements.services.batches import (
    IngestReport,
    QuarantineDraft,
    earlier_batch,
    new_batch,
    refused_lines,
)
from measurements.services.channel_facts import FactsDraft, write_facts
from measurements.services.judge import NodeDirectory, judge
from measurements.services.machine import Declaration, declare_channels
from measurements.services.marks import sealed_days
from measurements.services.reach import mark_reached, note_reach
from measurements.store import SampleStore, Selection

FLUSH_ROWS = 2_000_000
HELD_BACK_MS = 60_000
POWER = Batch.Content.POWER
Parser = Callable[[Source, ParseOptions, int], Iterator[PowerChunk]]


@dataclass(frozen=True, slots=True)
class PowerInput:
    """What the operator said of a power log."""

    parser: Parser
    format_name: str = ""
    parse: ParseOptions = field(default_factory=ParseOptions)
    declaration: Declaration = field(default_factory=Declaration)
    named: str | None = None  # the node that the file's name says: two nodes' files may hold the same bytes

    def identity(self) -> dict[str, object]:
        """The part of a batch's identity that is not its bytes."""
        parse = self.parse
        return {
            "format": self.format_name,
            "node": parse.node,
            "channel": parse.channel,
            "time_zone": str(parse.time_zone) if parse.time_zone else None,
            "declared": self.declaration.said(),
        } | self._said_of_few()

    def _said_of_few(self) -> dict[str, object]:
        """What is said of few files, and is a part of the identity only of those."""
        parse = self.parse
        renamed: dict[str, object] = {"rename": dict(parse.rename)} if parse.rename else {}
        named: dict[str, object] = {"named": self.named} if self.named and not parse.node else {}
        if parse.precision:
            named["precision"] = parse.precision
        if parse.mappings is not None:  # other mappings read other things: nothing of it counts as known then
            named["mappings"] = load_mappings(parse.mappings).fingerprint
        return renamed | named | ({} if parse.at_ms is None else {"at": utc_text(parse.at_ms)})


@dataclass(slots=True)
class _Draft:
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


class _Overtaken(Exception):
    """Another commit came between reading and writing, or what was left out as known comes again."""


def ingest_power(
    cluster: Cluster,
    source: Source,
    what: PowerInput,
    now: datetime,
    *,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> IngestReport:
    """Take a power log; the same bytes with the same options again try only what was refused."""
    earlier = earlier_batch(cluster, POWER, source, what.identity())
    draft = _Draft(cluster, SampleStore(), dry_run=dry_run)
    while True:
        draft.seen = Segment.objects.filter(cluster=cluster).aggregate(newest=Max("pk"))["newest"] or 0
        try:
            _read(draft, source, what, ms_from_datetime(now), earlier, progress)
            batch = None if dry_run else _commit(draft, source, what, now, earlier)
            break
        except _Overtaken:  # once more, with every sample: then it does not matter what the others stored
            draft.store.discard(draft.segments)
            draft = _Draft(cluster, SampleStore(), whole=True, dry_run=dry_run)
        except BaseException:
            draft.store.discard(draft.segments)
            raise
    if dry_run:
        draft.store.discard(draft.segments)
    pending = sum(row.rows for row in draft.pending)
    return IngestReport(
        source=source.name,
        batch=batch.pk if batch else None,
        read=draft.read,
        stored=draft.stored,
        duplicates=draft.duplicates,
        refused=draft.quarantine.counts(),
        pending=pending,
        warnings=draft.warnings,
    )


def _read(
    draft: _Draft,
    source: Source,
    what: PowerInput,
    now_ms: int,
    earlier: Batch | None,
    progress: Callable[[int], None] | None,
) -> None:
    directory = NodeDirectory(draft.cluster, dry_run=draft.dry_run)
    again = refused_lines(earlier) if earlier else None
    held: list[Samples] = []
    for chunk in ahead(what.parser(source, what.parse, now_ms)):
        draft.read += len(chunk.t_ms) + len(chunk.refusals)
        draft.interval_ms = chunk.interval_ms or draft.interval_ms
        draft.warnings += [w for w in chunk.warnings if w not in draft.warnings]
        draft.quarantine.add(chunk.refusals)
        lines: np.ndarray | slice = slice(None)
        if again is not None:
            lines = np.isin(chunk.line, again)
            draft.duplicates += len(chunk.line) - int(lines.sum())
        held.append(judge(directory, chunk, lines, draft.quarantine, draft.facts))
        if sum(map(len, held)) >= FLUSH_ROWS:
            held = _flush_but_the_newest(draft, concatenate(held))
        if progress:
            progress(len(chunk.t_ms))
    _flush(draft, held)


def _flush_but_the_newest(draft: _Draft, samples: Samples) -> list[Samples]:
    """Flush all but the last minute, so that a log in the order of time gives segments that do not overlap."""
    newest = samples.t_ms >= int(samples.t_ms.max()) - HELD_BACK_MS
    if int(newest.sum()) * 2 > len(samples):
        newest[:] = False
    _flush(draft, [samples.take(~newest)])
    return [samples.take(newest)]


def _flush(draft: _Draft, held: list[Samples]) -> None:
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


def _flush_day(draft: _Draft, day: date, samples: Samples) -> None:
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


def _fresh(draft: _Draft, day: date, samples: Samples) -> Samples:
    """Those that the store does not hold with this very value; what it holds is counted."""
    first, last = int(samples.t_ms.min()), int(samples.t_ms.max())
    nodes = runs_of(samples.node)
    wanted = Selection(nodes, first, last + 1)
    left_out = draft.known.get(day)
    if left_out and left_out[0] <= last and left_out[1] >= first:
        raise _Overtaken  # the larger of two copies stays: the first one has to be at hand
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


def _note_first_days(draft: _Draft, samples: Samples, day_number: int) -> None:
    for channel in runs_of(samples.channel).tolist():
        draft.first_days[channel] = min(day_number, draft.first_days.get(channel, day_number))


def _commit(draft: _Draft, source: Source, what: PowerInput, now: datetime, earlier: Batch | None) -> Batch | None:
    with transaction.atomic():
        # One commit at a time in a cluster: the order of batch ids is the order of commits.
        cluster = Cluster.objects.select_for_update(no_key=True).get(pk=draft.cluster.pk)
        batch = earlier_batch(cluster, POWER, source, what.identity())
        if batch is not None and earlier is None:  # another process took the same file meanwhile
            draft.store.discard(draft.segments)
            draft.duplicates += draft.stored
            draft.stored = 0
            return batch
        if _overtaken(draft):
            raise _Overtaken
        if batch is None:
            batch = new_batch(cluster, POWER, source, what.identity(), now)
        batch.read = draft.read
        batch.stored += draft.stored
        batch.duplicates = draft.duplicates
        batch.refused = draft.quarantine.total
        batch.save()
        draft.quarantine.save(batch)
        for segment in draft.segments:
            segment.batch_no = batch.pk
        Segment.objects.bulk_create(draft.segments, 1000)
        for row in draft.pending:
            row.batch = batch
        PendingCorrection.objects.bulk_create(draft.pending)
        _declare_and_mark(draft, cluster, what)
    return batch


def _overtaken(draft: _Draft) -> bool:
    """Whether others stored samples where this batch has some, or a day was sealed, since it was read."""
    if sealed_days(draft.cluster, {segment.day for segment in draft.segments}):
        return True
    newer = Segment.objects.filter(cluster=draft.cluster, pk__gt=draft.seen, day__in=draft.spans)
    return not draft.whole and any(
        first <= draft.spans[day][1] and last >= draft.spans[day][0]
        for day, first, last in newer.values_list("day", "first_ms", "last_ms")
    )


def _declare_and_mark(draft: _Draft, cluster: Cluster, what: PowerInput) -> None:
    said = what.declaration
    interval = said.nominal_ms or what.parse.interval_ms or draft.interval_ms
    declaration = Declaration(interval, said.max_gap_ms, said.wrap_uj)
    first_days = {channel: EPOCH_DAY + timedelta(days=n) for channel, n in draft.first_days.items()}
    if not write_facts(cluster, draft.facts):
        raise _Overtaken
    declare_channels(cluster, first_days, declaration)
    mark_reached(cluster, draft.reach)
