"""Refused job records read again by the parser that refused them, and stored where nothing newer is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from measurements.domain.units import ms_from_datetime
from measurements.models import Batch, Quarantine
from measurements.parsers.body import Body
from measurements.parsers.detect_jobs import detect_jobs
from measurements.parsers.records import JobChunk, JobRecord, ParseOptions, UnusableFile
from measurements.parsers.source import TEXT_LIMIT
from measurements.services.ingest_jobs import store_again
from measurements.services.quarantine import HEADED, QuarantineDraft
from measurements.services.replay_lines import cut, head_kept, lots

_BY_LINE = HEADED | {"sacct-xdmod", "pbs", "lsf"}  # a line of the others does not stand for itself


@dataclass(slots=True)
class JobsTried:
    """What became of the job records of a reason, or would."""

    told: int = 0
    stored: int = 0
    duplicates: int = 0
    left: list[str] = field(default_factory=list)  # lines that stay as they are kept
    beside: list[str] = field(default_factory=list)
    refused: QuarantineDraft = field(default_factory=QuarantineDraft)  # for another reason now


def form_of_jobs(row: Quarantine) -> bool:
    """Whether lines of job records can be read by themselves."""
    fmt = row.batch.options.get("format", "")
    return row.batch.content == Batch.Content.JOBS and (fmt in _BY_LINE or fmt.startswith("sacct:"))


def try_jobs(row: Quarantine, now: datetime, *, dry_run: bool) -> JobsTried:
    """Read the lines again and store what is taken, in the transaction of whoever calls."""
    tried, records = JobsTried(), list[JobRecord]()
    fmt, head = row.batch.options.get("format", ""), head_kept(bytes(row.lines))
    for lot in lots(bytes(row.lines)):
        tried.told += len(lot)
        if not form_of_jobs(row) or (fmt in HEADED and not head):
            tried.left += lot
            continue
        found, left = _read(lot, head, row, now)
        records += found
        tried.left += left
    report = store_again(row.batch.cluster, records, dry_run=dry_run)
    tried.stored, tried.duplicates = report.stored, report.duplicates
    tried.refused = report.quarantine or QuarantineDraft()
    tried.beside = head if tried.left else []
    return tried


def _read(lot: Sequence[str], head: Sequence[str], row: Quarantine, now: datetime) -> tuple[list[JobRecord], list[str]]:
    """The records of some lines, with the numbers of their file, and the lines that are refused again."""
    numbers, texts = cut(lot)
    _, above = cut(head)
    body = "".join(f"{text if len(text) < TEXT_LIMIT else ''}\n" for text in [*above, *texts])
    zone = row.batch.options.get("time_zone")
    options = ParseOptions(time_zone=ZoneInfo(zone) if zone else None)
    source = Body(body.encode(), "refused lines")
    try:
        parser = detect_jobs(source, row.batch.options["format"])
        chunks: list[JobChunk] = list(parser(source, options, ms_from_datetime(now)))
    except UnusableFile:
        return [], list(lot)
    start = len(above) + 1
    read = {record.line - start: record for chunk in chunks for record in chunk.records}
    for place, record in read.items():
        record.line = int(numbers[place])
    skipped = {place for place in range(len(lot)) if place not in read}  # refused again, or of no job
    return list(read.values()), [lot[place] for place in sorted(skipped)]
