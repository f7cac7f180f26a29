"""What a dry run sees of job records while they are read: how many of which state, nodes, span; nobody's name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from measurements.domain.slurm import has_ended
from measurements.domain.units import DAY_MS
from measurements.parsers.records import JobChunk, JobRecord

MOST_NAMES = 200_000  # of people, of nodes: counted up to this
LONGEST_DAYS = 400  # of one record that are counted as days it touches


class JobLook:
    """What passes by of a file of job records."""

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()
        self.users: set[str] = set()
        self.accounts: set[str] = set()
        self.nodes: dict[str, int] = {}
        self.running = 0
        self.first_ms: int | None = None
        self.last_ms: int | None = None
        self.days: set[int] = set()  # numbers of UTC days

    def watch(self, chunks: Iterator[JobChunk]) -> Iterator[JobChunk]:
        """The same chunks, looked at."""
        for chunk in chunks:
            for record in chunk.records:
                self._look(record)
            yield chunk

    def _look(self, record: JobRecord) -> None:
        self.states[record.state] += 1
        self.running += not has_ended(record.state, end_known=record.end_ms is not None)
        if len(self.users) < MOST_NAMES:
            self.users.add(record.username)
            self.accounts.add(record.account)
        for share in record.shares:
            if share.node in self.nodes or len(self.nodes) < MOST_NAMES:
                self.nodes[share.node] = self.nodes.get(share.node, 0) + 1
        if record.start_ms is not None:
            self._span(record.start_ms, record.start_ms if record.end_ms is None else record.end_ms)

    def _span(self, start_ms: int, end_ms: int) -> None:
        self.first_ms = start_ms if self.first_ms is None else min(start_ms, self.first_ms)
        self.last_ms = end_ms if self.last_ms is None else max(end_ms, self.last_ms)
        first, last = start_ms // DAY_MS, max(start_ms, end_ms - 1) // DAY_MS
        self.days.update(range(first, min(last, first + LONGEST_DAYS) + 1))

    def facts(self) -> dict[str, object]:
        """Numbers alone."""
        return {
            "states": dict(self.states.most_common(20)),
            "users": len(self.users - {""}),
            "accounts": len(self.accounts - {""}),
            "running": self.running,
        }
