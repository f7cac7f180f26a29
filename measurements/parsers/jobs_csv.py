"""Jobs as plain CSV: ``job_id,user,account,state,start,end,nodes[,submit,partition,name,cpus,…]``.

``cpus``, ``gpus`` and ``gpu_indices`` are of each node. An empty or ``Unknown`` end is a running job.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from measurements.domain.slurm import JobId, JobIdKind, UnknownJobId, has_ended, is_plain_id, parse_job_id
from measurements.domain.slurm_quantities import parse_gpu_indices
from measurements.parsers.csv_rows import Fields, csv_rows, fields_of, first_row, header, number, whole_number
from measurements.parsers.job_rows import (
    COMMENT_LIMIT,
    LATEST_MS,
    NAME_LIMIT,
    Clock,
    Lines,
    RowRefused,
    chunked,
    clean,
    hosts_of,
    is_no_run,
    name_job,
    require_bookable,
    run_times,
    state_of,
)
from measurements.parsers.records import JobChunk, JobRecord, NodeShare, ParseOptions
from measurements.parsers.source import Source
from measurements.parsers.step_memory import MOST_BYTES

REQUIRED = ("job_id", "user", "account", "state", "start", "end", "nodes")
OPTIONAL = (
    *("submit", "partition", "name", "cpus", "gpus", "gpu_indices", "exclusive", "total_cpu_s", "comment"),
    *("cluster", "max_rss_bytes", "admin_comment", "wckey", "submit_line"),
)
_YES_NO = {**dict.fromkeys(("true", "1", "yes"), True), **dict.fromkeys(("false", "0", "no"), False), "": None}


def read(source: Source, options: ParseOptions, now_ms: int = LATEST_MS) -> Iterator[JobChunk]:
    """The jobs of a CSV with a header; columns in any order, unknown ones are left aside with a warning."""
    lines = Lines(source.lines())
    names, separator = first_row(lines)
    columns, warnings = header(names, REQUIRED, OPTIONAL, source.name)
    rows = csv_rows(lines, len(columns), separator)
    clock = Clock(options.time_zone, now_ms)
    return chunked(source, rows, lambda line, row: _record(line, fields_of(columns, row), clock), warnings)


def _record(line: int, row: Fields, clock: Clock) -> JobRecord | None:
    """One row; None for a step, and for array tasks that have not started."""
    job, state = _job_id(row["job_id"]), state_of(row["state"])
    ends = clock.instants(row["end"])
    ended = has_ended(state.name, end_known=bool(ends))
    times = run_times(clock.instants(row.get("submit", "")), clock.instants(row["start"]), ends, None, ended=ended)
    if is_no_run(job, times, ended=ended):
        return None
    hosts = hosts_of(row["nodes"])
    require_bookable(times, ended=ended, has_nodes=bool(hosts))
    record = JobRecord(line=line, job_id=job.text, raw_id=None, state=state.name)
    name_job(record, job)
    record.cancelled_by_uid = state.cancelled_by_uid
    record.submit_ms, record.start_ms, record.end_ms = times.submit_ms, times.start_ms, times.end_ms
    record.shares = [NodeShare(host, *_held(row)) for host in (hosts if ended or times.start_ms is not None else [])]
    record.cpus = _total(share.cpus for share in record.shares)
    record.gpus = _total(share.gpus for share in record.shares)
    record.exclusive = _yes_no(row.get("exclusive", ""))
    record.total_cpu_s = number(row, "total_cpu_s")
    record.max_rss_bytes = _most_used(row)
    _set_words(record, row)
    return record


def _set_words(record: JobRecord, row: Fields) -> None:
    record.username, record.account = clean(row["user"]), clean(row["account"])
    record.name = clean(row.get("name", ""), NAME_LIMIT)
    record.cluster, record.partition = clean(row.get("cluster", "")), clean(row.get("partition", ""))
    record.comment, record.admin_comment, record.submit_line = (
        clean(row.get(name, ""), COMMENT_LIMIT) for name in ("comment", "admin_comment", "submit_line")
    )
    record.wckey = clean(row.get("wckey", ""))


def _job_id(text: str) -> JobId:
    """Any form of Slurm's, or a word of another batch system."""
    try:
        return parse_job_id(text)
    except UnknownJobId as unknown:
        if is_plain_id(text):
            return JobId(text, JobIdKind.OTHER)
        raise RowRefused("bad job id", unknown) from unknown


def _held(row: Fields) -> tuple[int | None, int | None, tuple[int, ...] | None]:
    """CPUs, GPUs and GPU indices on each node."""
    cpus, gpus = whole_number(row, "cpus"), whole_number(row, "gpus")
    if not row.get("gpu_indices"):
        return cpus or None, gpus, None
    try:
        indices = parse_gpu_indices(row["gpu_indices"])
    except ValueError as error:
        raise RowRefused("bad gpu_indices", error) from error
    if gpus not in (None, len(indices)):
        raise RowRefused("bad gpu_indices", f"{len(indices)} indices, but gpus is {gpus}")
    return cpus or None, len(indices), indices


def _most_used(row: Fields) -> int | None:
    """Peak memory over all nodes [bytes]; 0 is not known."""
    used = number(row, "max_rss_bytes")
    if used is not None and used >= MOST_BYTES:
        raise RowRefused("bad max_rss_bytes", f"{row['max_rss_bytes'][:80]!r} is more than any machine has")
    return round(used) or None if used is not None else None


def _yes_no(text: str) -> bool | None:
    if text.lower() not in _YES_NO:
        raise RowRefused("bad exclusive", f"{text[:80]!r} is neither true nor false")
    return _YES_NO[text.lower()]


def _total(counts: Iterable[int | None]) -> int | None:
    """The sum of what is known on every node; None if it is not."""
    known = list(counts)
    return sum(count for count in known if count is not None) if known and None not in known else None
