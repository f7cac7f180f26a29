"""Power logs into the sample store: the one writer of segments from input.

A file becomes one batch. Its samples are written as segments while it is read, and all
of them, with the batch, its quarantine and the dirty marks, come into being in one transaction at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from django.db import transaction

from measurements.domain.samples import Samples
from measurements.domain.units import ms_from_datetime
from measurements.models import Batch, Cluster
from measurements.parsers.mappings import load_mappings
from measurements.parsers.records import ParseOptions, PowerChunk
from measurements.parsers.source import Source
from measurements.parsers.times import utc_text
from measurements.services.ahead import ahead
from measurements.services.batches import IngestReport, earlier_batch, new_batch
from measurements.services.channels import Declaration
from measurements.services.judge import NodeDirectory, judge
from measurements.services.power_drafts import Overtaken, PowerDraft, begin, flush, hold, overtaken, store
from measurements.services.quarantine import head_of, refused_lines

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
    draft = begin(cluster, dry_run=dry_run)
    while True:
        try:
            _read(draft, source, what, ms_from_datetime(now), earlier, progress)
            batch = None if dry_run else _commit(draft, source, what, now, earlier)
            break
        except Overtaken:  # once more, with every sample: then it does not matter what the others stored
            draft.store.discard(draft.segments)
            draft = begin(cluster, whole=True, dry_run=dry_run)
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
        quarantine=draft.quarantine,
    )


def _read(
    draft: PowerDraft,
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
        held = hold(draft, held, judge(directory, chunk, lines, draft.quarantine, draft.facts, received_ms=now_ms))
        if progress:
            progress(len(chunk.t_ms))
    flush(draft, held)


def _commit(draft: PowerDraft, source: Source, what: PowerInput, now: datetime, earlier: Batch | None) -> Batch | None:
    with transaction.atomic():
        # One commit at a time in a cluster: the order of batch ids is the order of commits.
        cluster = Cluster.objects.select_for_update(no_key=True).get(pk=draft.cluster.pk)
        batch = earlier_batch(cluster, POWER, source, what.identity())
        if batch is not None and earlier is None:  # another process took the same file meanwhile
            draft.store.discard(draft.segments)
            draft.duplicates += draft.stored
            draft.stored = 0
            return batch
        if overtaken(draft):
            raise Overtaken
        if batch is None:
            batch = new_batch(cluster, POWER, source, what.identity(), now)
        batch.read = draft.read
        batch.stored += draft.stored
        batch.duplicates = draft.duplicates
        batch.refused = draft.quarantine.total
        batch.save()
        draft.quarantine.head = head_of(source, what.format_name) if batch.refused else ""
        draft.quarantine.save(batch)
        said = what.declaration
        nominal_ms = said.nominal_ms or what.parse.interval_ms
        store(draft, batch, Declaration(nominal_ms, said.max_gap_ms, said.wrap_uj))
    return batch
