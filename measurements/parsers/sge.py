"""The accounting file of Grid Engine (SGE, UGE and its heirs): 43 or more fields between colons.

A parallel job may have a line for each host, and for each of its tasks: they are one job, from the first start to the
last end, on the distinct hosts. With accounting_summary there is one line and it names the first host alone, which is
said. Times are seconds since the epoch, in UGE milliseconds: their size tells. GPUs stand in the request alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from measurements.domain.units import MS_PER_S
from measurements.parsers.batch_rows import count_of, name_owner, number_of, record_of, set_held
from measurements.parsers.job_rows import LATEST_MS, RowRefused, chunked
from measurements.parsers.records import JobChunk, JobRecord, ParseOptions
from measurements.parsers.source import Source

_FEWEST = 43
_QUEUE, _HOST, _GROUP, _OWNER, _NAME, _JOB = range(6)
_SUBMIT, _START, _END, _FAILED, _EXIT = range(8, 13)
_PROJECT, _PE, _SLOTS, _TASK, _CPU_S, _CATEGORY, _PE_TASK = 31, 33, 34, 35, 36, 39, 41
_MILLISECONDS = 1e11  # as seconds it would be the year 5138
_RESCHEDULED = frozenset({"24", "25", "26"})
_GPUS = re.compile(r"\bgpus?=(\d{1,6})", re.ASCII)
_OPEN_JOBS = 200_000  # lines of a job are near each other: no more are kept waiting for a next one
_ONE_HOST = "jobs of parallel environments with one line each: it names their first host, and only that is booked"


@dataclass(slots=True)
class _Job:
    """The lines of a job so far."""

    line: int
    text: str
    row: list[str]  # of the job itself, not of a task of it
    start_s: float
    end_s: float
    cpu_s: float
    hosts: dict[str, int]
    lines: int = 1

    def add(self, other: _Job) -> None:
        """One more line."""
        starts = [start for start in (self.start_s, other.start_s) if start]
        self.start_s, self.end_s = min(starts, default=0.0), max(self.end_s, other.end_s)
        self.cpu_s += other.cpu_s
        self.hosts |= dict.fromkeys(other.hosts, 0)
        self.lines += 1
        if other.row[_PE_TASK] == "NONE" and self.row[_PE_TASK] != "NONE":
            self.row = other.row


def matches(lines: list[str]) -> bool:
    """Whether one of the first lines is a record of Grid Engine."""
    return any(not line.startswith("#") and _is_row(line.split(":")) for line in lines)


def read(source: Source, _options: ParseOptions, now_ms: int = LATEST_MS) -> Iterator[JobChunk]:
    """The jobs, each made of all its lines."""
    warnings: list[str] = []
    return chunked(source, _jobs(source, warnings), lambda _, job: _record(job, now_ms), warnings)


def _is_row(row: list[str]) -> bool:
    figures = (_JOB, _SUBMIT, _START, _END, _SLOTS, _TASK)
    return len(row) >= _FEWEST and all(number_of(row[place]) is not None for place in figures)


def _jobs(source: Source, warnings: list[str]) -> Iterator[tuple[int, str, _Job | RowRefused]]:
    """The jobs in the order of their first lines."""
    open_jobs: dict[tuple[str, str], _Job] = {}
    for line, text in source.lines():
        if not text.strip() or text.startswith("#"):
            continue
        row = text.split(":")
        if not _is_row(row):
            yield line, text, RowRefused("not a record", f"{len(row)} fields, or no figure where one belongs")
            continue
        job, key = _line(line, text, row), (row[_JOB], row[_TASK])
        if key in open_jobs:
            open_jobs[key].add(job)
        else:
            open_jobs[key] = job
            if len(open_jobs) > _OPEN_JOBS:
                yield _closed(open_jobs.pop(next(iter(open_jobs))), warnings)
    for job in open_jobs.values():
        yield _closed(job, warnings)


def _closed(job: _Job, warnings: list[str]) -> tuple[int, str, _Job]:
    if job.lines == 1 and job.row[_PE] != "NONE" and (count_of(job.row[_SLOTS]) or 1) > 1 and _ONE_HOST not in warnings:
        warnings.append(_ONE_HOST)
    return job.line, job.text, job


def _line(line: int, text: str, row: list[str]) -> _Job:
    times = [number_of(row[place]) or 0.0 for place in (_START, _END)]
    start_s, end_s = (time / MS_PER_S if time > _MILLISECONDS else time for time in times)
    return _Job(line, text, row, start_s, end_s, number_of(row[_CPU_S]) or 0.0, {row[_HOST]: 0})


def _record(job: _Job, now_ms: int) -> JobRecord:
    row = job.row
    submit_s = number_of(row[_SUBMIT]) or 0.0
    submit_s = submit_s / MS_PER_S if submit_s > _MILLISECONDS else submit_s
    task = count_of(row[_TASK])
    record = record_of(job.line, row[_JOB], task or None, _state(row), (submit_s, job.start_s, job.end_s), now_ms)
    asked = _GPUS.search(row[_CATEGORY])
    set_held(record, job.hosts, count_of(row[_SLOTS]), int(asked[1]) if asked else None)
    project = "" if row[_PROJECT] == "NONE" else row[_PROJECT]
    name_owner(record, row[_OWNER], project or row[_GROUP], row[_NAME], row[_QUEUE])
    record.total_cpu_s = job.cpu_s
    return record


def _state(row: list[str]) -> str:
    """Slurm's word for how it ended."""
    if row[_FAILED].split()[:1] in ([code] for code in _RESCHEDULED):
        return "REQUEUED"
    return "COMPLETED" if row[_FAILED].split()[:1] == ["0"] and row[_EXIT] == "0" else "FAILED"
