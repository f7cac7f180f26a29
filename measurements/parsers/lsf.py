"""Accounting of LSF, ``lsb.acct``: ``"JOB_FINISH" "9.11" 1389683139 404717 …``, fields in a fixed order.

Strings stand in quotes, a quote in them is doubled. Two lists have their length before them (hosts asked for, hosts
of the run: names that come again, or ``16*host``), so what is behind them is found by counting. The job ends at the
time of the event; the run time of LSF itself stands behind another list and is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from measurements.parsers.batch_rows import count_of, name_owner, number_of, record_of, set_held
from measurements.parsers.job_rows import LATEST_MS, RowRefused, chunked
from measurements.parsers.records import JobChunk, JobRecord, ParseOptions
from measurements.parsers.source import Source

_TOKEN = re.compile(r'"(?:[^"]|"")*"|[^\s"]+')
_EVENT = re.compile(r'"[A-Z_]+" "[\d.]+" \d+ ')
_END, _JOB, _PROCESSORS, _SUBMIT, _START, _USER, _QUEUE, _ASKED = 2, 3, 6, 7, 10, 11, 12, 22
# Behind the hosts: status, host factor, job name, command, 19 figures of rusage, mail user, project, exit status, …
_STATUS, _NAME, _USER_S, _SYSTEM_S, _PROJECT, _INDEX = 0, 2, 4, 5, 24, 29
_STATES = {"64": "COMPLETED", "32": "FAILED"}
_HOST = re.compile(r"(?:(\d{1,6})\*)?(.+)", re.ASCII)
_MOST_HOSTS = 65_536


def matches(lines: list[str]) -> bool:
    """Whether one of the first lines is an event of LSF."""
    return any(_EVENT.match(line) for line in lines)


def read(source: Source, _options: ParseOptions, now_ms: int = LATEST_MS) -> Iterator[JobChunk]:
    """The jobs that finished; other events are counted as skipped."""
    return chunked(source, _rows(source), lambda line, row: _record(line, row, now_ms), [])


def _rows(source: Source) -> Iterator[tuple[int, str, list[str] | RowRefused]]:
    for line, text in source.lines():
        if text.strip() and not text.startswith("#"):
            yield line, text, _fields(text)


def _fields(text: str) -> list[str] | RowRefused:
    """The fields of an event, without their quotes."""
    if _TOKEN.sub("", text).strip():
        return RowRefused("broken quotes", "a quoted field that is not closed, or text behind it")
    return [token[1:-1].replace('""', '"') if token.startswith('"') else token for token in _TOKEN.findall(text)]


def _record(line: int, row: list[str], now_ms: int) -> JobRecord | None:
    if not row or row[0] != "JOB_FINISH":
        return None
    asked = _length(row, _ASKED)
    ran = _length(row, _ASKED + 1 + asked)
    hosts, rest = row[_ASKED + 2 + asked : _ASKED + 2 + asked + ran], row[_ASKED + 2 + asked + ran :]
    if len(rest) <= _PROJECT:
        raise RowRefused("too few fields", f"{len(row)}; the line breaks off")
    state = _STATES.get(rest[_STATUS])
    if state is None:
        raise RowRefused("unknown state", f"{rest[_STATUS][:20]!r} is neither done (64) nor exit (32)")
    if not row[_JOB].isascii() or not row[_JOB].isdigit() or len(row[_JOB]) > 18:
        raise RowRefused("bad job id", repr(row[_JOB][:80]))
    index = count_of(rest[_INDEX]) if len(rest) > _INDEX else None
    times = (number_of(row[_SUBMIT]), number_of(row[_START]), number_of(row[_END]))
    record = record_of(line, row[_JOB], index or None, state, times, now_ms)
    set_held(record, _cpus_of(hosts), count_of(row[_PROCESSORS]), None)
    name_owner(record, row[_USER], rest[_PROJECT], rest[_NAME], row[_QUEUE])
    used = [number_of(rest[place]) for place in (_USER_S, _SYSTEM_S)]
    record.total_cpu_s = None if None in used else sum(second for second in used if second is not None)
    return record


def _length(row: list[str], place: int) -> int:
    """How many hosts follow."""
    count = count_of(row[place]) if place < len(row) else None
    if count is None or count > _MOST_HOSTS or place + count >= len(row):
        raise RowRefused("too few fields", f"no number of hosts in field {place + 1}, or fewer hosts than it says")
    return count


def _cpus_of(hosts: list[str]) -> dict[str, int]:
    """Slots of each distinct host, in the order of the record."""
    found: dict[str, int] = {}
    for text in hosts:
        match = _HOST.fullmatch(text)
        if match is None:
            raise RowRefused("bad host", repr(text[:80]))
        found[match[2]] = found.get(match[2], 0) + int(match[1] or 1)
    return found
