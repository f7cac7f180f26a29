"""Names taken out at the door: what a trial stores, and so whatever it can show, holds pseudonyms.

A name gets a random number that nobody notes; the same name gets the same number within one run and another one in
the next, so that nothing can be turned back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom

from measurements.domain.hostlist import compress
from measurements.domain.slurm import is_sluid
from measurements.parsers.records import JobChunk, JobRecord, ParseOptions, Refusal
from measurements.parsers.source import Source
from measurements.services.batches import IngestReport

ReadJobs = Callable[[Source, ParseOptions, int], Iterator[JobChunk]]
FEWEST = 50  # numbers to draw from, also where there are hardly any names
ROOM = 4  # and as many for each name
_SLURM_ID = re.compile(r"[0-9_+\[\],%:-]+")


@dataclass(frozen=True, slots=True)
class Scrambling:
    """What is to be replaced."""

    people: bool = True  # users, projects, names of jobs, names of files
    nodes: bool = False


class Pseudonyms:
    """Consistent made-up names of one run."""

    def __init__(self, wanted: Scrambling) -> None:
        self.wanted = wanted
        self._random = SystemRandom()
        self._known: dict[str, dict[str, str]] = {}
        self._drawn: dict[str, set[int]] = {}

    def of(self, kind: str, name: str) -> str:
        """The made-up name of a user, project, job or node: "user 17"; of no name none."""
        if not name:
            return ""
        known = self._known.setdefault(kind, {})
        if name not in known:
            known[name] = f"{kind} {self._draw(kind)}"
        return known[name]

    def _draw(self, kind: str) -> int:
        drawn = self._drawn.setdefault(kind, set())
        largest = max(FEWEST, ROOM * (len(drawn) + 1))
        while (number := self._random.randint(1, largest)) in drawn:
            pass
        drawn.add(number)
        return number

    def file(self, kind: str, number: int, count: int, name: str) -> str:
        """How the page calls a file: by its name, or by its place, for a name can be somebody's."""
        if not self.wanted.people:
            return Path(name).name
        return f"{kind} {number}/{count}" if count > 1 else kind

    def node(self, name: str) -> str:
        """A node as the page calls it."""
        return self.of("node", name) if self.wanted.nodes else name

    def hosts(self, names: list[str]) -> str:
        """Some nodes as the page calls them: a hostlist; where names are scrambled nothing, their number is said."""
        return "" if self.wanted.nodes else compress(names)

    def jobs(self, read: ReadJobs) -> ReadJobs:
        """A parser of job records whose records name nobody, and whose refusals quote nothing."""
        if not self.wanted.people:
            return read

        def parse(source: Source, options: ParseOptions, now_ms: int) -> Iterator[JobChunk]:
            for chunk in read(source, options, now_ms):
                for record in chunk.records:
                    self._scramble(record)
                refusals = [Refusal(refusal.reason, refusal.line) for refusal in chunk.refusals]
                yield JobChunk(chunk.records, refusals, [], chunk.read, chunk.skipped)

        return parse

    def _scramble(self, record: JobRecord) -> None:
        record.username = self.of("user", record.username)
        record.account = self.of("project", record.account)
        record.name = self.of("name", record.name)
        record.comment = record.admin_comment = record.wckey = record.submit_line = ""
        if not _SLURM_ID.fullmatch(record.job_id) and not is_sluid(record.job_id):
            record.job_id = self.of("id", record.job_id)  # of another batch system: any word

    def report(self, label: str, report: IngestReport) -> IngestReport:
        """What became of a file, as the page tells it."""
        if not self.wanted.people and not self.wanted.nodes:
            return replace(report, source=label)
        return replace(report, source=label, refused=[replace(row, example="") for row in report.refused], warnings=[])
