"""What power and job ingest share: the batch, its identity, its quarantine, its report."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from measurements.domain.units import IntArray
from measurements.models import Batch, Cluster, Quarantine
from measurements.parsers.records import Refusal
from measurements.parsers.source import Source


@dataclass(frozen=True, slots=True)
class RefusedCount:
    """How often something was refused, and where first."""

    reason: str
    count: int
    first_line: int
    example: str = ""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of one input: read = stored + duplicates + refused + pending."""

    source: str
    batch: int | None
    read: int
    stored: int
    duplicates: int
    refused: list[RefusedCount]
    pending: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        """Whether anything in it was of use, now or before."""
        return self.stored + self.duplicates + self.pending > 0

    def as_json(self) -> dict[str, Any]:
        """The figures, as they are kept with a file that workers took."""
        return {
            "read": self.read,
            "stored": self.stored,
            "duplicates": self.duplicates,
            "pending": self.pending,
            "refused": [asdict(row) for row in self.refused],
            "warnings": self.warnings,
        }


@dataclass(slots=True)
class _Reason:
    count: int = 0
    first_line: int = 0
    example: str = ""
    lines: list[bytes] = field(default_factory=list)


class QuarantineDraft:
    """Refused lines, gathered by reason; their text is kept compressed so that memory stays small."""

    def __init__(self) -> None:
        self._reasons: dict[str, _Reason] = {}

    def add(self, refusals: Iterable[Refusal]) -> None:
        """Take in refusals of a parser."""
        texts: dict[str, list[str]] = {}
        for refusal in refusals:
            entry = self._entry(refusal.reason, refusal.line, refusal.detail or refusal.text)
            entry.count += 1
            line = refusal.text.replace("\n", " ").replace("\r", " ")
            texts.setdefault(refusal.reason, []).append(f"{refusal.line}\t{line}\n")
        for reason, lines in texts.items():
            self._reasons[reason].lines.append(gzip.compress("".join(lines).encode(), 1, mtime=0))

    def add_lines(self, reason: str, numbers: IntArray, text: Sequence[str], example: str) -> None:
        """Take in many lines refused for one reason, as columns."""
        if not len(numbers):
            return
        first = int(np.argmin(numbers))
        entry = self._entry(reason, int(numbers[first]), example)
        entry.count += len(numbers)
        lines = "".join(f"{n}\t{t}\n" for n, t in zip(numbers.tolist(), text, strict=True))
        entry.lines.append(gzip.compress(lines.encode(), 1, mtime=0))

    def _entry(self, reason: str, line: int, example: str) -> _Reason:
        entry = self._reasons.setdefault(reason, _Reason())
        if not entry.first_line or line < entry.first_line:
            entry.first_line, entry.example = line, example
        return entry

    @property
    def total(self) -> int:
        """How many lines were refused."""
        return sum(entry.count for entry in self._reasons.values())

    def counts(self) -> list[RefusedCount]:
        """By reason, most frequent first."""
        rows = [RefusedCount(r, e.count, e.first_line, e.example) for r, e in self._reasons.items()]
        return sorted(rows, key=lambda row: (-row.count, row.first_line, row.reason))

    def lines_of(self, reason: str) -> bytes:
        """What is kept of the lines refused for a reason, as the table keeps it."""
        return b"".join(self._reasons[reason].lines)

    def save(self, batch: Batch) -> None:
        """Replace what a batch has in quarantine."""
        batch.quarantine.all().delete()
        Quarantine.objects.bulk_create(
            Quarantine(
                batch=batch,
                reason=reason[:128],
                count=entry.count,
                first_line=entry.first_line,
                example=entry.example[:2000],
                lines=b"".join(entry.lines),
            )
            for reason, entry in sorted(self._reasons.items())
        )


def grow_quarantine(batch: Batch, drafts: Sequence[QuarantineDraft], most_lines: int) -> None:
    """Add to what a batch has in quarantine, the cluster's row locked: all counted, ``most_lines`` a reason kept."""
    rows = {row.reason: row for row in batch.quarantine.all()} if any(draft.total for draft in drafts) else {}
    touched: dict[str, Quarantine] = {}
    for draft in drafts:
        for refused in draft.counts():
            reason = refused.reason[:128]
            new = Quarantine(batch=batch, reason=reason, count=0, first_line=refused.first_line, lines=b"")
            row = touched.setdefault(reason, rows.get(reason, new))
            room = most_lines - row.count
            row.count += refused.count
            row.example = row.example or refused.example[:2000]
            if room > 0:
                row.lines = bytes(row.lines) + _first_lines(draft.lines_of(refused.reason), room)
    for row in touched.values():
        row.save()


def _first_lines(packed: bytes, most: int) -> bytes:
    """The first lines of what is kept of a reason; as it is, if they are not more."""
    lines = gzip.decompress(packed).splitlines(keepends=True)
    return packed if len(lines) <= most else gzip.compress(b"".join(lines[:most]), 1, mtime=0)


def refused_lines(batch: Batch) -> IntArray:
    """The numbers of the lines a batch has in quarantine, ascending."""
    numbers: list[int] = []
    for row in batch.quarantine.all():
        text = gzip.decompress(bytes(row.lines)).decode()
        numbers.extend(int(line.partition("\t")[0]) for line in text.splitlines())
    return np.unique(np.array(numbers, np.int64))


def options_key(options: dict[str, object]) -> str:
    """A fingerprint of what the operator said."""
    return hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode()).hexdigest()


def earlier_batch(cluster: Cluster, content: str, source: Source, options: dict[str, object]) -> Batch | None:
    """The batch that took the same bytes with the same options, if there is one."""
    return Batch.objects.filter(
        cluster=cluster, content=content, sha256=source.sha256, options_key=options_key(options)
    ).first()


def new_batch(cluster: Cluster, content: str, source: Source, options: dict[str, object], now: datetime) -> Batch:
    """A batch row, not saved."""
    return Batch(
        cluster=cluster,
        content=content,
        source=source.name[-1024:],
        sha256=source.sha256,
        options=options,
        options_key=options_key(options),
        committed_at=now,
    )
