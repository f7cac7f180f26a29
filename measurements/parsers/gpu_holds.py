"""Which job holds which GPU, as somebody saw it while the job ran: the record, and Slurm's controller as a source.

``scontrol show job --details`` is text in which the names of jobs, which are free text of users, stand unescaped and
may hold whole lines that look like another job's. A job is therefore only taken if the queue, asked apart, knows it, if
it is described exactly once, and only from the part of its description in which there is no free text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC

from measurements.domain.hostlist import HostlistError, expand
from measurements.domain.slurm_quantities import parse_gres_gpus
from measurements.parsers.job_rows import LATEST_MS
from measurements.parsers.records import JobRecord, Refusal
from measurements.parsers.source import TEXT_LIMIT
from measurements.parsers.times import TimeRefused, parse_instant

_JOB = re.compile(r"JobId=(\d{1,18})(?: |$)")
_WORD = re.compile(r"(?:^| )([A-Za-z]+)=(\S*)")
_ONCE = ("   UserId=", "   JobState=", "   StartTime=")  # lines that each description has
_FIRST, _LAST = "   UserId=", "   MinCPUsNode="  # between them nothing is a user's own text
_HELD = re.compile(r" {5}Nodes=(\S+) CPU_IDs=\S* Mem=\S* GRES=(\S*)$")
_STATES = frozenset({"RUNNING", "SUSPENDED", "COMPLETING", "STOPPED"})


@dataclass(frozen=True, slots=True)
class GpuHoldRecord:
    """A GPU of a job on a node: by UUID, or by its index there; seen at an instant [ms since 1970, UTC]."""

    job_id: str
    node: str
    seen_ms: int
    gpu: str = ""
    index: int = -1


def of_jobs(records: Collection[JobRecord]) -> list[GpuHoldRecord]:
    """The GPUs of running jobs as the controller's JSON tells them; seen when the run began."""
    return [
        GpuHoldRecord(str(record.raw_id or record.job_id), share.node, record.start_ms, index=index)
        for record in records
        if record.end_ms is None and record.start_ms is not None
        for share in record.shares
        for index in share.gpu_indices or ()
    ]


def of_text(text: str, running: Collection[str]) -> tuple[list[GpuHoldRecord], list[Refusal]]:
    """The GPUs of ``scontrol show job --details`` (times in UTC); ``running`` are the raw ids of the queue."""
    blocks = list(_blocks(text))
    seen = Counter(job for _, job, _ in blocks)
    holds: list[GpuHoldRecord] = []
    refusals: list[Refusal] = []
    for line, job, lines in blocks:
        if job not in running:
            continue
        if seen[job] > 1 or any(sum(text.startswith(start) for text in lines) != 1 for start in _ONCE):
            detail = f"job {job}: a name or comment holds lines like a description's; its GPUs are not taken from it"
            refusals.append(Refusal("job described ambiguously", line, detail, lines[0][:TEXT_LIMIT]))
        else:
            holds += _of_block(job, _safe(lines))
    return holds, refusals


def _blocks(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Each description: its line, the raw id, its lines."""
    start, job, lines = 0, "", list[str]()
    for number, line in enumerate(text.split("\n"), start=1):
        match = _JOB.match(line)
        if line.startswith("JobId="):
            if job:
                yield start, job, lines
            start, job, lines = number, match[1] if match else "", []
        lines.append(line)
    if job:
        yield start, job, lines


def _safe(lines: list[str]) -> list[str]:
    """The lines of a description that Slurm alone writes."""
    first = next(i for i, line in enumerate(lines) if line.startswith(_FIRST))
    last = next((i for i, line in enumerate(lines) if i > first and line.startswith(_LAST)), len(lines))
    return lines[first:last]


def _of_block(job: str, lines: list[str]) -> Iterator[GpuHoldRecord]:
    words: dict[str, str] = {}
    for line in lines:
        for name, value in _WORD.findall(line):
            words.setdefault(name, value)
    start_ms = _start_ms(words.get("StartTime", ""))
    if start_ms is None or words.get("JobState") not in _STATES:
        return
    for match in filter(None, map(_HELD.match, lines)):
        try:
            hosts = expand(match[1])
        except HostlistError:
            continue
        for host in hosts:
            for index in parse_gres_gpus(match[2]).indices or ():
                yield GpuHoldRecord(job, host, start_ms, index=index)


def _start_ms(text: str) -> int | None:
    try:
        return parse_instant(text, UTC, LATEST_MS)
    except TimeRefused:
        return None
