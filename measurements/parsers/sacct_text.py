"""``sacct --parsable2`` text: with a header, as XDMoD's 26 fields, or with fields the operator declares.

A header shows by itself what stands between the fields (``--delimiter``). Rows of steps are counted as skipped: the
allocation's row has the totals, they only say what memory was used. Surplus ``|`` belong to JobName.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from measurements.domain.slurm import JobId, JobIdKind, UnknownJobId, has_ended, is_sluid, parse_job_id
from measurements.domain.slurm_quantities import Tres, parse_duration_s, parse_energy_j, parse_memory_bytes, parse_tres
from measurements.parsers.job_rows import (
    COMMENT_LIMIT,
    COUNT_LIMIT,
    LATEST_MS,
    NAME_LIMIT,
    Clock,
    Lines,
    RowRefused,
    chunked,
    clean,
    even_shares,
    hosts_of,
    is_no_run,
    name_job,
    require_bookable,
    run_times,
    state_of,
)
from measurements.parsers.records import JobChunk, JobRecord, ParseOptions, UnusableFile
from measurements.parsers.sacct_steps import Allocation, job_id_of, with_steps
from measurements.parsers.source import Source
from measurements.parsers.step_memory import most_used_bytes
from measurements.parsers.times import time_kind

XDMOD_FIELDS = (
    *(
        "jobid",
        "jobidraw",
        "cluster",
        "partition",
        "qos",
        "account",
        "group",
        "gid",
        "user",
        "uid",
        "submit",
        "eligible",
    ),
    *("start", "end", "elapsed", "exitcode", "state", "nnodes", "ncpus", "reqcpus", "reqmem", "reqtres", "alloctres"),
    *("timelimit", "nodelist", "jobname"),
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:%-?[0-9]+)?")  # of a column, with the width that sacct takes with it
_OF_FIELDS = frozenset(" ,.:-+=/%()[]")  # what fields hold themselves: none of these alone divides them
PREAMBLE_LINES = 20  # warnings of sacct that may stand before the first row
NAME_LINES = 20  # most lines of one job name
S_PER_MINUTE = 60
_CURE = "ask for sacct --parsable2, with its header, or name the columns: --format sacct:JobID,State,…"

# Neighbouring rows repeat each other: arrays, users who submit the same again and again.
_duration_s = lru_cache(maxsize=4_096)(parse_duration_s)
_tres = lru_cache(maxsize=4_096)(parse_tres)

Value = TypeVar("Value")
Taken = list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Columns:
    """The fields of a row by name, lower case."""

    names: tuple[str, ...]
    trailing: bool = False  # --parsable ends every row with a separator
    bar: str = "|"  # what stands between fields

    @property
    def job_name(self) -> int:
        """Where JobName stands; -1 if it does not."""
        return self.names.index("jobname") if "jobname" in self.names else -1

    def split(self, text: str) -> list[str] | None:
        """The fields of a row, surplus separators given to JobName; None if they do not fit."""
        fields = (text.removesuffix(self.bar) if self.trailing else text).split(self.bar)
        surplus = len(fields) - len(self.names)
        if surplus > 0 and self.job_name >= 0:
            end = self.job_name + surplus + 1
            fields[self.job_name : end] = [self.bar.join(fields[self.job_name : end])]
        return fields if len(fields) == len(self.names) else None


def columns_of(text: str) -> Columns | None:
    """The columns a header line names, or None if it is no header."""
    if "jobid" not in text.lower():
        return None
    bar = _delimiter(text)
    if bar is None:
        return None
    names = [name.strip().lower() for name in text.split(bar)]
    trailing = len(names) > 1 and names[-1] == ""
    names = names[:-1] if trailing else names
    known = {"jobid", "jobidraw"} & set(names) and "state" in names
    return Columns(tuple(_column(name) for name in names), trailing, bar) if known else None


def _delimiter(header: str) -> str | None:
    """What stands between the names of a header: one text, everywhere the same; None if it could not divide rows."""
    first, *between = _NAME.split(header.strip(" "))
    last = between.pop() if between else ""
    bar = between[0] if between else "|"
    if not first and last in ("", bar) and set(between) <= {bar} and bar not in _OF_FIELDS and bar.strip(" |"):
        return bar
    return "|" if "|" in header else None


def _column(name: str) -> str:
    """A column's name without the width that sacct takes with it (JobName%50)."""
    return name.strip().lower().partition("%")[0]


def is_xdmod_row(text: str) -> bool:
    """Whether a line is one of XDMoD's rows without a header: a job id first, the submit time in its place."""
    fields = Columns(XDMOD_FIELDS).split(text)
    if fields is None or time_kind(fields[XDMOD_FIELDS.index("submit")]) is None:
        return False
    try:
        parse_job_id(fields[0])
    except UnknownJobId:
        return False
    return True


def read(
    source: Source, options: ParseOptions, now_ms: int = LATEST_MS, *, fields: Sequence[str] = ()
) -> Iterator[JobChunk]:
    """The jobs of sacct text; ``fields`` are the declared columns, else the text's own header or XDMoD's 26."""
    lines = Lines(source.lines())
    columns = Columns(tuple(_column(name) for name in fields)) if fields else _own_columns(lines, source.name)
    if not {"jobid", "jobidraw"} & set(columns.names) or "state" not in columns.names:
        raise UnusableFile(f"{source.name}: sacct text needs JobID and State; {_CURE}")
    lacking = [name for name in ("Start", "End", "NodeList") if name.lower() not in columns.names]
    warnings = [f"no column {', '.join(lacking)}: these jobs cannot be booked to nodes"] if lacking else []
    clock = Clock(options.time_zone, now_ms)
    rows = with_steps(_rows(lines, columns, warnings), clock)
    return chunked(source, rows, lambda line, row: _record(line, row, clock), warnings)


def _own_columns(lines: Lines, name: str) -> Columns:
    """The columns of a text that says them itself; lines before its first row are given back."""
    taken: Taken = []
    for line, text in lines:
        taken.append((line, text))
        columns = columns_of(text) or (Columns(XDMOD_FIELDS) if is_xdmod_row(text) else None)
        if columns is not None:
            lines.give_back(taken)
            return columns
        if len(taken) >= PREAMBLE_LINES:
            break
    raise UnusableFile(f"{name}: sacct text without a known header; {_CURE}")


def _rows(
    lines: Lines, columns: Columns, warnings: list[str]
) -> Iterator[tuple[int, str, dict[str, str] | RowRefused]]:
    """The rows by column; a header among them sets the columns anew (files put one behind the other)."""
    for line, text in lines:
        header = columns_of(text)
        if header is not None:
            columns = header
        elif text.strip():
            fields = columns.split(text) or _continued(lines, columns, text)
            if fields is not None and columns.job_name == len(fields) - 1:
                rest = _rest_of_name(lines, columns)
                rest = rest.removesuffix(columns.bar) if columns.trailing else rest
                fields[-1] += rest
                if rest:
                    warnings.append(f"line {line}: the name of this job goes on in the lines below it")
            yield line, text, _by_name(columns, fields, text)


def _by_name(columns: Columns, fields: list[str] | None, text: str) -> dict[str, str] | RowRefused:
    if fields is None:
        count = text.count(columns.bar) + 1
        many = "too many fields" if count > len(columns.names) else "too few fields"
        return RowRefused(many, f"{count} instead of {len(columns.names)}")
    return {name: field.strip() for name, field in zip(columns.names, fields, strict=True)}


def _continued(lines: Lines, columns: Columns, text: str) -> list[str] | None:
    """The fields of a row whose JobName goes on in the following lines; None if they give no row."""
    if not text.count(columns.bar) == columns.job_name < len(columns.names) - 1:
        return None
    taken: Taken = []
    while len(taken) < NAME_LINES and text.count(columns.bar) < len(columns.names) - 1:
        following = next(lines, None)
        if following is None:
            break
        taken.append(following)
        text = f"{text}\n{following[1]}"
    if text.count(columns.bar) == len(columns.names) - 1 + columns.trailing:
        return columns.split(text)
    lines.give_back(taken)
    return None


def _rest_of_name(lines: Lines, columns: Columns) -> str:
    """What follows a row that ends with JobName: lines that are no row, nor a broken one, which begins with an id."""
    rest = ""
    for _ in range(NAME_LINES):
        following = next(lines, None)
        if following is None:
            break
        text = following[1]
        if not text.strip() or text[0].isdigit() or columns_of(text) or columns.split(text) is not None:
            lines.give_back([following])
            break
        rest += f"\n{text}"
    return rest


def _record(line: int, allocation: Allocation | None, clock: Clock) -> JobRecord | None:
    """One row; None for a step, and for array tasks that have not started."""
    if allocation is None:
        return None
    row = allocation.fields
    job = _job_id(row)
    state = state_of(row["state"])
    ends = clock.instants(row.get("end", ""))
    record = JobRecord(line=line, job_id=job.text, raw_id=None, state=state.name)
    record.cancelled_by_uid = state.cancelled_by_uid
    record.elapsed_s, record.suspended_s = _elapsed_s(row), _optional(_duration_s, row.get("suspended", "")) or 0.0
    wall_s = None if record.elapsed_s is None else record.elapsed_s + record.suspended_s
    ended = has_ended(state.name, end_known=bool(ends))
    starts, submits = clock.instants(row.get("start", "")), clock.instants(row.get("submit", ""))
    times = run_times(submits, starts, ends, wall_s, ended=ended, now_ms=clock.now_ms)
    if is_no_run(job, times, ended=ended):
        return None
    record.submit_ms, record.start_ms, record.end_ms = times.submit_ms, times.start_ms, times.end_ms
    hosts = hosts_of(row.get("nodelist", ""))
    require_bookable(times, ended=ended, has_nodes=bool(hosts) and "start" in row)
    _set_held(record, row, hosts if ended or times.start_ms is not None else [])
    record.total_cpu_s = _total_cpu_s(row) if ended else _total_cpu_s(row) or None  # 0 while it runs: not counted yet
    if ended and allocation.steps:
        record.max_rss_bytes = most_used_bytes(allocation.steps, record.memory_bytes)
    _set_names(record, row, job)
    return record


def _set_held(record: JobRecord, row: dict[str, str], hosts: list[str]) -> None:
    """CPUs, GPUs, memory and energy: what was allocated, never what was asked for."""
    tres = _optional(_tres, row.get("alloctres", "")) or Tres()
    cpus = tres.cpus or _count(row.get("alloccpus", "")) or _count(row.get("ncpus", ""))
    record.cpus, record.gpus = cpus or None, tres.gpus
    record.shares = even_shares(hosts, record.cpus, record.gpus)
    record.memory_bytes = tres.memory_bytes
    if record.memory_bytes is None:
        nodes = len(hosts) or None
        record.memory_bytes = _optional(
            lambda text: parse_memory_bytes(text, cpus=cpus, nodes=nodes), row.get("reqmem", "")
        )
    record.consumed_energy_j = _energy_j(row, tres)


def _energy_j(row: dict[str, str], tres: Tres) -> float | None:
    """Slurm's own figure [J]; a raw 0 without an energy TRES is what sacct prints for "not measured"."""
    for column in ("consumedenergyraw", "consumedenergy"):
        energy_j = _optional(parse_energy_j, row.get(column, ""))
        if energy_j is not None and (energy_j > 0 or tres.energy_j is not None):
            return energy_j
    return tres.energy_j


def _set_names(record: JobRecord, row: dict[str, str], job: JobId) -> None:
    name_job(record, job)
    raw = row.get("jobidraw", "")
    if job.kind is not JobIdKind.ARRAY and raw.isascii() and raw.isdigit() and len(raw) <= 18:
        record.raw_id = int(raw)  # rows for several tasks share theirs: they go by their id's text
    sluid = row.get("sluid", "")
    record.sluid = sluid if is_sluid(sluid) else record.sluid
    record.username, record.account = clean(row.get("user", "")), clean(row.get("account", ""))
    record.name, record.cluster = clean(row.get("jobname", ""), NAME_LIMIT), clean(row.get("cluster", ""))
    record.partition, record.qos = clean(row.get("partition", "")), clean(row.get("qos", ""))
    record.comment = clean(row.get("comment", ""), COMMENT_LIMIT)
    record.admin_comment = clean(row.get("admincomment", ""), COMMENT_LIMIT)
    record.wckey = clean(row.get("wckey", ""))
    record.submit_line = clean(row.get("submitline", ""), COMMENT_LIMIT)
    record.time_limit_s = _time_limit_s(row)


def _job_id(row: dict[str, str]) -> JobId:
    try:
        return parse_job_id(job_id_of(row))
    except UnknownJobId as unknown:
        raise RowRefused("bad job id", unknown) from unknown


def _elapsed_s(row: dict[str, str]) -> float | None:
    raw = row.get("elapsedraw", "")
    return (
        float(raw)
        if raw.isascii() and raw.isdigit() and len(raw) < 12
        else _optional(_duration_s, row.get("elapsed", ""))
    )


def _total_cpu_s(row: dict[str, str]) -> float | None:
    """TotalCPU, or the two it is the sum of."""
    if row.get("totalcpu"):
        return _optional(_duration_s, row["totalcpu"])
    user_s, system_s = (_optional(_duration_s, row.get(name, "")) for name in ("usercpu", "systemcpu"))
    return None if user_s is None or system_s is None else user_s + system_s


def _time_limit_s(row: dict[str, str]) -> int | None:
    limit_s = _optional(_duration_s, row.get("timelimit", ""))
    if limit_s is not None:
        return int(limit_s)
    minutes = _count(row.get("timelimitraw", ""))
    return None if minutes is None else minutes * S_PER_MINUTE


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= COUNT_LIMIT else None


def _optional(parse: Callable[[str], Value | None], text: str) -> Value | None:
    """A figure beside the job's times and nodes: where it cannot be read it is left out, and the job is taken."""
    try:
        return parse(text) if text else None
    except ValueError:
        return None
