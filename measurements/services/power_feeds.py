"""What all feeds of power do with what they get: judged, and stored with the cursor in one transaction.

It lies where pushes lie (`push_commit`): folding marks it dirty within a minute, in the transaction that makes it part
of a day. What is asked for again, the overlap, changes nothing: what the store holds is counted as a duplicate in the
report of the turn alone, and what was refused before is not kept twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from measurements.domain.samples import Samples, concatenate
from measurements.domain.units import ms_from_datetime
from measurements.feeds.about import FeedError
from measurements.parsers.records import PowerChunk
from measurements.services.batches import IngestReport
from measurements.services.directories import directory_of, forget_directories
from measurements.services.feed_batches import keep_refused
from measurements.services.feed_turns import Turn
from measurements.services.judge import judge
from measurements.services.push_commit import Delivery, HoursBatch, Tally, commit

MOST_SAMPLES = 2_000_000  # of one piece: they are in memory all at once, about 300 MB with all copies


class TooMuch(FeedError):
    """A piece has more samples than fit into memory: ask for a shorter one."""


def store(
    turn: Turn, chunks: Iterable[PowerChunk], *, cursor_ms: int | None = None, newest_ms: int | None = None
) -> IngestReport:
    """Store one piece of a turn, and how far it has come; all or nothing.

    ``cursor_ms``: up to where everything was asked for now; ``newest_ms``: the newest thing that came [ms since 1970,
    UTC], of itself the newest sample taken. The figures are added to the report of the turn. Raises `TooMuch`.
    """
    before = (turn.feed.cursor_ms, turn.feed.newest_ms)
    delivery = _judged(turn, chunks)
    newest_ms = delivery.newest_ms if newest_ms is None else newest_ms

    def book(hour: HoursBatch, tallies: Sequence[Tally]) -> None:
        _count(hour, tallies[0], delivery)
        keep_refused(turn, delivery.refused, delivery.again)
        turn.keep(cursor_ms=cursor_ms, newest_ms=newest_ms)

    try:
        commit([delivery], "feeds", book)
    except BaseException:
        turn.feed.cursor_ms, turn.feed.newest_ms = before
        forget_directories()  # they believe that what was said of channels is written
        raise
    report = delivery.report()
    tell(turn, report)
    return report


def tell(turn: Turn, report: IngestReport) -> None:
    """Add what became of a piece to the report of its turn."""
    turn.count({"read": report.read, "stored": report.stored, "duplicates": report.duplicates})
    if report.pending:
        turn.count({"pending": report.pending})
    told = turn.report.setdefault("refused", [])
    of_reason = {row["reason"]: row for row in told}
    for row in report.refused:
        if row.reason in of_reason:
            of_reason[row.reason]["count"] += row.count
        else:
            told.append({"reason": row.reason, "count": row.count, "example": row.example[:300]})
    for warning in report.warnings:
        turn.note(warning)


def _judged(turn: Turn, chunks: Iterable[PowerChunk]) -> Delivery:
    feed = turn.feed
    delivery = Delivery(feed.cluster, feed.name, turn.now)
    parts: list[Samples] = []
    for chunk in chunks:
        delivery.read += len(chunk.t_ms) + len(chunk.refusals)
        if delivery.read > MOST_SAMPLES:
            raise TooMuch(f"more than {MOST_SAMPLES:,} readings in one piece: have it ask for shorter ones")
        delivery.warnings += [text for text in chunk.warnings if text not in delivery.warnings]
        delivery.again.add(chunk.refusals)
        parts += _taken(delivery, chunk, feed.cursor_ms)
    delivery.samples = concatenate(parts)
    return delivery


def _taken(delivery: Delivery, chunk: PowerChunk, cursor_ms: int | None) -> list[Samples]:
    """The samples of a chunk that are taken: behind the cursor they may have been refused before."""
    directory, now_ms = directory_of(delivery.cluster, chunk.nodes), ms_from_datetime(delivery.now)
    again = chunk.t_ms < cursor_ms if cursor_ms is not None else np.zeros(len(chunk.t_ms), bool)
    if not again.any():
        return [judge(directory, chunk, slice(None), delivery.refused, delivery.news, received_ms=now_ms)]
    return [
        judge(directory, chunk, again, delivery.again, delivery.news, received_ms=now_ms),
        judge(directory, chunk, ~again, delivery.refused, delivery.news, received_ms=now_ms),
    ]


def _count(hour: HoursBatch, tally: Tally, delivery: Delivery) -> None:
    """Count what is new in the batch of the hour; without anything new it is not touched."""
    if tally.stored:
        batch = hour.row
        batch.read += tally.stored
        batch.stored += tally.stored
        batch.committed_at = max(batch.committed_at, delivery.now)
        batch.save(update_fields=["read", "stored", "committed_at"])
