"""Job records into jobs, runs and allocations: the one way into these tables, in lots, each in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from measurements.domain.units import ms_from_datetime
from measurements.models import Batch, Cluster
from measurements.parsers.records import JobChunk, JobRecord, ParseOptions, Refusal
from measurements.parsers.source import Source
from measurements.services.batches import IngestReport, earlier_batch, new_batch
from measurements.services.job_merging import Merging
from measurements.services.judge import NodeDirectory
from measurements.services.quarantine import QuarantineDraft, head_of, refused_lines
from measurements.services.tags import Tagger

JOBS = Batch.Content.JOBS
CHUNK = 1_000  # records a transaction
LARGEST_GPU_INDEX = 62
NOTES_KEPT = 50  # of a file: some are about single lines, and all of its lines may be alike
Parser = Callable[[Source, ParseOptions, int], Iterator[JobChunk]]


@dataclass(frozen=True, slots=True)
class JobsInput:
    """What the operator said of a file of job records."""

    parser: Parser
    format_name: str = ""
    parse: ParseOptions = field(default_factory=ParseOptions)

    def identity(self) -> dict[str, object]:
        """The part of a batch's identity that is not its bytes."""
        return {
            "format": self.format_name,
            "time_zone": str(self.parse.time_zone) if self.parse.time_zone else None,
        }


@dataclass(slots=True)
class _Tally:
    quarantine: QuarantineDraft = field(default_factory=QuarantineDraft)
    notes: dict[str, None] = field(default_factory=dict)
    notes_beyond: int = 0
    read: int = 0
    skipped: int = 0
    stored: int = 0
    duplicates: int = 0

    def note(self, text: str) -> None:
        """Keep what is to be said of the file, each sentence once."""
        if text not in self.notes and len(self.notes) < NOTES_KEPT:
            self.notes[text] = None
        elif text not in self.notes:
            self.notes_beyond += 1

    def warnings(self) -> list[str]:
        """What was noted, and how much more there was."""
        return [*self.notes, *([f"and {self.notes_beyond} more notes like these"] if self.notes_beyond else [])]


def ingest_jobs(
    cluster: Cluster,
    source: Source,
    what: JobsInput,
    now: datetime,
    *,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> IngestReport:
    """Take job records, each run once; a record that says nothing new changes nothing."""
    earlier = earlier_batch(cluster, JOBS, source, what.identity())
    again = set(refused_lines(earlier).tolist()) if earlier else None
    tally = _Tally()
    directory = NodeDirectory(cluster)
    held: list[JobRecord] = []
    for chunk in what.parser(source, what.parse, ms_from_datetime(now)):
        _take(cluster, chunk, again, tally, held)
        while len(held) >= CHUNK:
            _store(directory, held[:CHUNK], tally, dry_run=dry_run)
            del held[:CHUNK]
        if progress:
            progress(chunk.read)
    _store(directory, held, tally, dry_run=dry_run)
    batch = None if dry_run else _save_batch(cluster, source, what, now, tally)
    return IngestReport(
        source=source.name,
        batch=batch.pk if batch else None,
        read=tally.read - tally.skipped,
        stored=tally.stored,
        duplicates=tally.duplicates,
        refused=tally.quarantine.counts(),
        warnings=tally.warnings(),
        quarantine=tally.quarantine,
    )


def _take(cluster: Cluster, chunk: JobChunk, again: set[int] | None, tally: _Tally, held: list[JobRecord]) -> None:
    tally.read += chunk.read
    tally.skipped += chunk.skipped
    for warning in chunk.warnings:
        tally.note(warning)
    tally.quarantine.add(chunk.refusals)
    for record in chunk.records:
        if record.cluster and record.cluster != cluster.name:
            tally.note(f"the file says cluster {record.cluster}; --cluster {cluster.name} is taken")
        if again is not None and record.line not in again:
            tally.duplicates += 1
        else:
            held.append(record)


@transaction.atomic
def _save_batch(cluster: Cluster, source: Source, what: JobsInput, now: datetime, tally: _Tally) -> Batch:
    Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
    batch = earlier_batch(cluster, JOBS, source, what.identity())
    if batch is None:
        batch = new_batch(cluster, JOBS, source, what.identity(), now)
    batch.read = tally.read - tally.skipped
    batch.stored += tally.stored
    batch.duplicates = tally.duplicates
    batch.refused = tally.quarantine.total
    batch.save()
    tally.quarantine.head = head_of(source, what.format_name) if batch.refused else ""
    tally.quarantine.save(batch)
    return batch


def _store(directory: NodeDirectory, records: Sequence[JobRecord], tally: _Tally, *, dry_run: bool) -> None:
    """Write some records in one transaction, with the marks of what they change."""
    if not records:
        return
    with transaction.atomic():
        Cluster.objects.select_for_update(no_key=True).get(pk=directory.cluster.pk)
        writer = Merging(directory, records)
        for record in records:
            fault = _fault(record)
            if fault:
                tally.quarantine.add([fault])
            elif writer.take(record):
                tally.stored += 1
            else:
                tally.duplicates += 1
        writer.write(Tagger(directory.cluster))  # the rules as they are now: they may have changed since the file began
        if dry_run:
            transaction.set_rollback(True)


@transaction.atomic
def store_again(cluster: Cluster, records: Sequence[JobRecord], *, dry_run: bool = False) -> IngestReport:
    """Take records that were refused once: a run that is known by now keeps what later files said of it."""
    Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
    directory, tally = NodeDirectory(cluster), _Tally(read=len(records))
    for first in range(0, len(records), CHUNK):
        part = records[first : first + CHUNK]
        writer = Merging(directory, part)
        new = [record for record in part if writer.tells_more(record)]
        tally.duplicates += len(part) - len(new)
        _store(directory, new, tally, dry_run=dry_run)
    return IngestReport(
        "", None, tally.read, tally.stored, tally.duplicates, tally.quarantine.counts(), quarantine=tally.quarantine
    )


def _fault(record: JobRecord) -> Refusal | None:
    text = f"{record.job_id} {record.username} {record.state}"
    if record.start_ms is not None and record.end_ms is not None and record.end_ms < record.start_ms:
        return Refusal("end before start", record.line, f"job {record.job_id}: correct its times", text)
    indices = [i for share in record.shares for i in share.gpu_indices or ()]
    if any(not 0 <= i <= LARGEST_GPU_INDEX for i in indices):
        return Refusal("GPU index out of range", record.line, f"job {record.job_id}: 0 to {LARGEST_GPU_INDEX}", text)
    return None
