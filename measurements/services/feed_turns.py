"""One turn of a feed, as its kind sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from measurements.domain.units import ms_from_datetime
from measurements.models import Feed

LEASE = timedelta(minutes=15)  # longer than any piece of a turn; a process that dies on this machine is noticed sooner
LONGEST_NOTE = 1_024
MOST_NOTES = 20


class Taken(Exception):
    """Somebody set the feed anew or took it over meanwhile: what they said holds."""


@dataclass(slots=True)
class Turn:
    """One turn of one feed."""

    feed: Feed
    now: datetime
    spool: Path  # an empty folder that goes with the turn
    behind: bool = False  # set it where there is more to fetch: the next turn comes at once
    asked_ms: int | None = None  # from where on this turn asks
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def now_ms(self) -> int:
        """When the turn began [ms since 1970, UTC]."""
        return ms_from_datetime(self.now)

    def option(self, name: str, default: Any = "") -> Any:
        """What the operator said for this feed."""
        return self.feed.options.get(name, default)

    def start_ms(self, overlap_ms: int) -> int:
        """From where on to ask: behind the cursor, at first from the day that was said, else an overlap ago."""
        since_ms, cursor_ms = self.feed.since_ms, self.feed.cursor_ms
        if cursor_ms is None:
            self.asked_ms = self.now_ms - overlap_ms if since_ms is None else since_ms
        else:
            self.asked_ms = max(cursor_ms - overlap_ms, since_ms or 0)  # however long nobody asked
        return self.asked_ms

    def keep(self, *, cursor_ms: int | None = None, newest_ms: int | None = None) -> None:
        """Note how far it has come, and hold the lease on; inside the transaction that stores, or behind it."""
        values: dict[str, Any] = {"claimed_until": self.now + LEASE}
        if cursor_ms is not None and cursor_ms > (self.feed.cursor_ms or 0):
            values["cursor_ms"] = cursor_ms
        if newest_ms is not None and newest_ms > (self.feed.newest_ms or 0):
            values["newest_ms"] = newest_ms
        self.write(**values)

    def write(self, **values: Any) -> None:
        """Write to the feed while this turn holds it."""
        if Feed.objects.filter(pk=self.feed.pk, claimed_by=self.feed.claimed_by).update(**values) != 1:
            raise Taken
        for name, value in values.items():
            setattr(self.feed, name, value)

    def note(self, sentence: str) -> None:
        """Something that an operator should know, and that is no failure."""
        notes = self.report.setdefault("notes", [])
        if sentence not in notes and len(notes) < MOST_NOTES:
            notes.append(sentence[:LONGEST_NOTE])

    def count(self, counts: Mapping[str, int]) -> None:
        """Add to the figures of the report."""
        for name, value in counts.items():
            self.report[name] = self.report.get(name, 0) + value
