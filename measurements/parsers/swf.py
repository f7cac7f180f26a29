"""The Standard Workload Format of the Parallel Workloads Archive: 18 figures a job, users and queues as numbers.

Times count from UnixStartTime of the header (``;`` in front). There are no names of nodes: the jobs are kept with
their hours and processors, and no energy can be booked to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from measurements.domain.units import MS_PER_S
from measurements.parsers.batch_rows import count_of, name_owner, number_of, record_of, set_held
from measurements.parsers.job_rows import COUNT_LIMIT, LATEST_MS, RowRefused, chunked, clean
from measurements.parsers.records import JobChunk, JobRecord, ParseOptions, UnusableFile
from measurements.parsers.source import Source

_FIELDS = 18
_JOB, _SUBMIT, _WAIT, _RUN, _PROCESSORS, _CPU_S, _MEMORY, _ASKED, _LIMIT = range(9)
_STATUS, _USER, _GROUP, _QUEUE, _PARTITION = 10, 11, 12, 14, 15
_STATES = {"1": "COMPLETED", "0": "FAILED", "5": "CANCELLED", "-1": "COMPLETED"}
_PARTIAL = frozenset("234")  # parts of a job that has a line of its own
_HEADER = re.compile(r";\s*(?P<name>\w+):\s*(?P<value>.*)")
_NAMED = re.compile(r"(?P<number>\d+)\s+(?P<name>.*\S)")
_FIGURE = re.compile(r"-?\d+(?:\.\d*)?", re.ASCII)
_NO_NODES = "no names of nodes in this format: jobs are kept with their hours, energy can't be booked to them"


@dataclass(slots=True)
class _Header:
    """What the comments say so far."""

    start_s: float | None = None
    partitions: dict[str, str] = field(default_factory=dict)

    def take(self, text: str) -> None:
        """One comment."""
        match = _HEADER.fullmatch(text.strip())
        if match and match["name"] == "UnixStartTime":
            self.start_s = number_of(match["value"].strip())
        elif match and match["name"] == "Partition" and (named := _NAMED.fullmatch(match["value"].strip())):
            self.partitions[named["number"]] = named["name"]


def matches(lines: list[str]) -> bool:
    """Whether a text begins with a header of the archive, or a job of 18 figures."""
    first = next((line for line in lines if line.strip()), "")
    return first.startswith(";") or (
        len(first.split()) == _FIELDS and all(_FIGURE.fullmatch(figure) for figure in first.split())
    )


def read(source: Source, options: ParseOptions, now_ms: int = LATEST_MS) -> Iterator[JobChunk]:
    """The jobs of a workload; partial runs are counted as skipped, their jobs have lines of their own."""
    header = _Header(start_s=None if options.at_ms is None else options.at_ms / MS_PER_S)
    rows = _rows(source, header)
    return chunked(source, rows, lambda line, row: _record(line, row, header, source, now_ms), [_NO_NODES])


def _rows(source: Source, header: _Header) -> Iterator[tuple[int, str, list[str] | RowRefused]]:
    for line, text in source.lines():
        if text.lstrip().startswith(";"):
            header.take(text.lstrip())
        elif figures := text.split():
            if len(figures) != _FIELDS:
                yield line, text, RowRefused("wrong number of fields", f"{len(figures)} instead of {_FIELDS}")
            elif not all(_FIGURE.fullmatch(figure) for figure in figures):
                yield line, text, RowRefused("not a number", "all 18 fields are figures, -1 where nothing is known")
            else:
                yield line, text, figures


def _record(line: int, row: list[str], header: _Header, source: Source, now_ms: int) -> JobRecord | None:
    if header.start_s is None:
        raise UnusableFile(
            f"{source.name}: no UnixStartTime in the header, so its times begin nowhere; "
            "copy the line '; UnixStartTime: SECONDS' from the archive on top"
        )
    if row[_STATUS] in _PARTIAL:
        return None
    state = _STATES.get(row[_STATUS])
    if state is None:
        raise RowRefused("unknown state", f"{row[_STATUS][:20]!r} is no status of the format")
    submit, wait, run = (number_of(row[place]) for place in (_SUBMIT, _WAIT, _RUN))
    if submit is None:
        raise RowRefused("no submit time", "a job without one can't be placed in time")
    if run is None and state != "CANCELLED":
        raise RowRefused("no run time", "how long it ran is not known: it holds no hours")
    submitted = header.start_s + submit
    start = None if run is None or wait is None else submitted + wait
    times = (submitted, start, None if start is None or run is None else start + run)
    record = record_of(line, row[_JOB], None, state, times, now_ms)
    set_held(record, {}, count_of(row[_PROCESSORS]) or count_of(row[_ASKED]), None)
    name_owner(record, _numbered("user", row[_USER]), _numbered("group", row[_GROUP]), "", "")
    record.partition = clean(header.partitions.get(row[_PARTITION]) or _numbered("partition", row[_PARTITION]))
    record.qos = _numbered("queue", row[_QUEUE])
    limit_s, cpu_s = number_of(row[_LIMIT]), number_of(row[_CPU_S])
    record.time_limit_s = None if limit_s is None or limit_s > COUNT_LIMIT else int(limit_s)
    record.total_cpu_s = None if cpu_s is None or not record.cpus else cpu_s * record.cpus
    return record


def _numbered(what: str, number: str) -> str:
    return "" if number.startswith("-") else clean(f"{what}{number}")
