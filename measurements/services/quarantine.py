"""What was refused of an input: gathered by reason, kept with its lines, and grown by what is pushed or asked for."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from measurements.domain.units import IntArray
from measurements.models import Batch, Quarantine
from measurements.parsers.records import Refusal, UnreadSamples
from measurements.parsers.source import Source

HEADED = frozenset({"csv", "nvidia-smi", "sacct"})  # formats in which a line means what the header says
KEPT_SAMPLES = 10_000  # of the series refused for one reason, a batch
BESIDE = 0  # the number of a kept line that was not refused itself, but belongs to those that were
MORE = gzip.compress(f"{BESIDE}\t# more samples were not kept\n".encode(), 1, mtime=0)


@dataclass(frozen=True, slots=True)
class RefusedCount:
    """How often something was refused, and where first."""

    reason: str
    count: int
    first_line: int
    example: str = ""


@dataclass(slots=True)
class _Reason:
    count: int = 0
    first_line: int = 0
    example: str = ""
    lines: list[bytes] = field(default_factory=list)
    samples: list[bytes] = field(default_factory=list)  # of series that are refused as a whole
    kept: int = 0  # how many these are
    more: bool = False  # and there were others
    plain: bool = False  # samples in a form of their own, no lines of the file


class QuarantineDraft:
    """Refused lines, gathered by reason; their text is kept compressed so that memory stays small.

    ``head`` is a line without which the others can't be read again: the header of a table.
    """

    def __init__(self) -> None:
        self._reasons: dict[str, _Reason] = {}
        self.head = ""

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
        entry.plain = True
        lines = "".join(f"{n}\t{t}\n" for n, t in zip(numbers.tolist(), text, strict=True))
        entry.lines.append(gzip.compress(lines.encode(), 1, mtime=0))

    def keep_samples(self, unread: Iterable[UnreadSamples]) -> None:
        """Keep samples of series that are refused, beside what is counted, so that they can be tried again."""
        for one in unread:
            entry = self._reasons.setdefault(one.reason, _Reason())
            texts = one.texts(KEPT_SAMPLES - entry.kept)
            entry.more |= one.more or len(texts) < len(one.line)
            entry.kept += len(texts)
            if texts:
                entry.samples.append(gzip.compress("".join(texts).encode(), 1, mtime=0))

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
        rows = [RefusedCount(r, e.count, e.first_line, e.example) for r, e in self._reasons.items() if e.count]
        return sorted(rows, key=lambda row: (-row.count, row.first_line, row.reason))

    def first_lines(self, reason: str, most: int) -> list[tuple[int, str]]:
        """The numbers and texts of the first lines refused for a reason."""
        with gzip.open(io.BytesIO(self.lines_of(reason)), "rt", encoding="utf-8", newline="\n") as lines:
            cut = [line.rstrip("\n").partition("\t") for line in islice(lines, most)]
        return [(int(number), text) for number, _, text in cut]

    def lines_of(self, reason: str) -> bytes:
        """What is kept of the lines refused for a reason, as the table keeps it."""
        return b"".join(self._reasons[reason].lines)

    def samples_of(self, reason: str) -> bytes:
        """What is kept of the samples of series refused for a reason."""
        entry = self._reasons[reason]
        return b"".join([*entry.samples, MORE] if entry.more else entry.samples)

    def without(self, reason: str) -> QuarantineDraft:
        """The same without one reason."""
        found = QuarantineDraft()
        found._reasons = {one: entry for one, entry in self._reasons.items() if one != reason}
        return found

    def series_reasons(self) -> list[str]:
        """The reasons of which samples are kept."""
        return [reason for reason, entry in self._reasons.items() if entry.samples or entry.more]

    def save(self, batch: Batch) -> None:
        """Replace what a batch has in quarantine; that lines of it went in once stays known."""
        tried = {row.reason: row for row in batch.quarantine.exclude(replayed_at=None).defer("lines")}
        head = packed_line(BESIDE, self.head) if self.head else b""
        rows = []
        for reason, entry in sorted(self._reasons.items()):
            if not entry.count:
                continue
            lines = (b"" if entry.plain else head) + b"".join(entry.lines) + self.samples_of(reason)
            row = Quarantine(batch=batch, reason=reason[:128], count=entry.count, first_line=entry.first_line)
            row.example, row.lines = entry.example[:2000], lines
            rows.append(_as_tried(row, tried.pop(row.reason, None)))
        rows += [_as_tried(_gone_in(row), row) for row in tried.values() if row.replayed]
        batch.quarantine.all().delete()
        Quarantine.objects.bulk_create(rows)


def head_of(source: Source, format_name: str) -> str:
    """The header of a table: without it a refused line of it can't be read again."""
    if format_name not in HEADED:
        return ""
    head = source.head().decode("utf-8", errors="replace")
    lines = (line for line in head.removeprefix("\ufeff").splitlines() if line.strip())
    return next((line for line in lines if not line.strip().lower().lstrip('"').startswith("sep=")), "")


def packed_line(number: int, text: str) -> bytes:
    """A line as the table keeps it."""
    return gzip.compress(f"{number}\t{text}\n".encode(), 1, mtime=0)


def _as_tried(row: Quarantine, before: Quarantine | None) -> Quarantine:
    if before is not None:
        row.replayed, row.replayed_at, row.replayed_by = before.replayed, before.replayed_at, before.replayed_by
    return row


def _gone_in(row: Quarantine) -> Quarantine:
    return Quarantine(batch_id=row.batch_id, reason=row.reason, count=0, first_line=row.first_line, lines=b"")


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
    keep_samples(batch, drafts)


def keep_samples(batch: Batch, drafts: Sequence[QuarantineDraft]) -> None:
    """Add samples of refused series to those that a batch keeps of its reasons, the cluster's row locked."""
    said = [(reason[:128], draft.samples_of(reason)) for draft in drafts for reason in draft.series_reasons()]
    rows = (
        {row.reason: row for row in batch.quarantine.filter(reason__in=[reason for reason, _ in said])} if said else {}
    )
    for reason, packed in said:
        if reason in rows and _grow_samples(rows[reason], packed):
            rows[reason].save(update_fields=["lines"])


def _grow_samples(row: Quarantine, packed: bytes) -> bool:
    """Add samples to those a row keeps, as long as there is room; whether there are new ones."""
    held = bytes(row.lines)
    if held.endswith(MORE):
        return False
    lines = gzip.decompress(held).splitlines(keepends=True)
    known, room = {_said(line) for line in lines}, max(0, KEPT_SAMPLES - len(lines))
    fresh = [line for line in gzip.decompress(packed).splitlines(keepends=True) if _said(line) not in known]
    mark = gzip.decompress(MORE)
    kept = [line for line in fresh if line != mark][:room]
    row.lines = held + (gzip.compress(b"".join(kept), 1, mtime=0) if kept else b"")
    if len(kept) < len(fresh):
        row.lines += MORE
    return bool(fresh)


def _said(line: bytes) -> bytes:
    """A kept line without its number, which is another one each time it comes."""
    return line.partition(b"\t")[2]


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
    return np.unique(np.array([number for number in numbers if number != BESIDE], np.int64))
