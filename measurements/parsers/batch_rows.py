"""What the accounting logs of other batch systems than Slurm share: their ids, hosts and plain instants."""

from __future__ import annotations

import re
from collections.abc import Mapping

from measurements.domain.units import MS_PER_S
from measurements.parsers.csv_lines import is_name
from measurements.parsers.job_rows import (
    COUNT_LIMIT,
    WORD_LIMIT,
    RowRefused,
    clean,
    require_bookable,
    run_times,
    spread,
)
from measurements.parsers.records import JobRecord, NodeShare
from measurements.parsers.times import TimeRefused, check_range

_NUMBER = re.compile(r"\d{1,18}(?:\.\d{0,9})?", re.ASCII)


def number_of(text: str) -> float | None:
    """A number from 0; None where the text is none, as −1 in a place that means "unknown"."""
    return float(text) if _NUMBER.fullmatch(text) else None


def count_of(text: str) -> int | None:
    """A whole number that a database holds."""
    value = number_of(text)
    return int(value) if value is not None and value == int(value) and value <= COUNT_LIMIT else None


def instants(seconds: float | None, now_ms: int) -> tuple[int, ...]:
    """Seconds since the epoch as the instants that `run_times` takes: none for 0 and where nothing is said."""
    if not seconds:
        return ()
    try:
        return (check_range(round(seconds * MS_PER_S), now_ms),)
    except TimeRefused as refused:
        raise RowRefused(refused.reason, refused) from refused


def record_of(
    line: int,
    job_id: str,
    task: int | None,
    state: str,
    times: tuple[float | None, float | None, float | None],
    now_ms: int,
) -> JobRecord:
    """An ended job with its id and its times (submit, start, end in seconds since the epoch)."""
    submits, starts, ends = (instants(time, now_ms) for time in times)
    if not starts:
        ends = ()  # what never ran held nothing, whatever the end of its wait is called
    run = run_times(submits, starts, ends, None, ended=True)
    require_bookable(run, ended=True, has_nodes=False)
    number = int(job_id) if job_id.isascii() and job_id.isdigit() and len(job_id) <= 18 else None
    record = JobRecord(line=line, job_id=job_id if task is None else f"{job_id}[{task}]", raw_id=None, state=state)
    if task is None:
        record.raw_id = number
    else:
        record.array_job_id, record.array_task_id = number, task
    record.submit_ms, record.start_ms, record.end_ms = run.submit_ms, run.start_ms, run.end_ms
    return record


def set_held(record: JobRecord, cpus_of: Mapping[str, int], cpus: int | None, gpus: int | None) -> None:
    """What the job held: CPUs of each node where the record counts them, else the total spread; GPUs always spread."""
    hosts = list(cpus_of) if record.start_ms is not None else []
    if not all(host and is_name(host) and len(host) <= WORD_LIMIT for host in hosts):
        raise RowRefused("bad host", "a name of a node that is none")
    counted = sum(cpus_of.values())
    each = [cpus_of[host] for host in hosts] if counted and cpus in (None, counted) else spread(cpus, len(hosts))
    record.cpus, record.gpus = cpus or counted or None, gpus
    record.shares = [
        NodeShare(host, held or None, held_gpus)
        for host, held, held_gpus in zip(hosts, each, spread(gpus, len(hosts)), strict=True)
    ]


def name_owner(record: JobRecord, user: str, account: str, name: str, queue: str) -> None:
    """Whose it is and what it is called."""
    record.username, record.account = clean(user), clean(account)
    record.name, record.partition = clean(name), clean(queue)
