"""Slurm's JSON: accounting (``sacct --json``, slurmrestd slurmdb) and controller (``scontrol show job --json``) jobs.

Data parsers 0.0.39 to 0.0.44 differ in what is wrapped and in the shape of states; each value is read
whichever way it comes. Read as a stream: memory holds one chunk. A refusal's line is the job's place
in the list, from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from measurements.domain.slurm import JobId, JobIdKind, State, has_ended, is_sluid
from measurements.domain.slurm_quantities import GresGpus, Tres, parse_gres_gpus, parse_tres, tres_of_counts
from measurements.domain.units import MS_PER_S, US_PER_S
from measurements.parsers.job_rows import (
    COMMENT_LIMIT,
    LATEST_MS,
    NAME_LIMIT,
    Clock,
    RowRefused,
    RunTimes,
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
from measurements.parsers.json_stream import BrokenJson, JsonList
from measurements.parsers.records import JobChunk, JobRecord, NodeShare, ParseOptions, UnusableFile
from measurements.parsers.source import Source
from measurements.parsers.step_memory import StepMemory, most_used_bytes

S_PER_MINUTE = 60

Job = dict[str, Any]


def read(source: Source, options: ParseOptions, now_ms: int = LATEST_MS) -> Iterator[JobChunk]:
    """The jobs of Slurm's JSON; broken off in the middle, those before the break and a refusal.

    An empty list of jobs is no error: what Slurm itself says about it comes back as a warning.
    """
    warnings: list[str] = []
    clock = Clock(options.time_zone, now_ms)
    return chunked(source, _rows(source, warnings), lambda place, job: _record(place, job, clock), warnings)


def _rows(source: Source, warnings: list[str]) -> Iterator[tuple[int, str, Job | RowRefused]]:
    """The members of ``jobs``, each with its place; then what Slurm says beside them."""
    jobs = JsonList(source, "jobs")
    place = 0
    try:
        for place, job in enumerate(jobs, start=1):
            yield place, _shown(job), job if isinstance(job, dict) else RowRefused("not a job", "no JSON object")
    except BrokenJson as broken:
        if place == 0:
            raise UnusableFile(f"{source.name}: {broken.reason} ({broken}); copy the file anew") from broken
        yield place + 1, "", RowRefused(broken.reason, broken)
    if not jobs.found:
        said = "; ".join(_messages(jobs.beside, "errors")) or "give sacct --json or scontrol show job --json"
        raise UnusableFile(f"{source.name}: JSON without a list of jobs; {said}")
    warnings += [*_messages(jobs.beside, "errors"), *_messages(jobs.beside, "warnings")]


def _shown(job: object) -> str:
    return str({key: job.get(key) for key in ("job_id", "user", "nodes")}) if isinstance(job, dict) else str(job)


def _messages(beside: dict[str, Any], key: str) -> list[str]:
    """Slurm's own errors and warnings, as text."""
    listed = beside.get(key)
    if not isinstance(listed, list):
        return []
    texts = (
        _text(entry.get("description") or entry.get("error")) if isinstance(entry, dict) else "" for entry in listed
    )
    return [f"Slurm: {clean(text)}" for text in texts if text][:20]


def _record(place: int, job: Job, clock: Clock) -> JobRecord | None:
    """One job; None for array tasks that have not started."""
    controller = "job_state" in job
    state = _state(job["job_state"] if controller else job.get("state"))
    hosts = hosts_of(_text(job.get("nodes")))
    name = _job_name(job)
    times, ended = _times(job, state, clock, waiting=controller and not hosts)
    if is_no_run(name, times, ended=ended):
        return None
    require_bookable(times, ended=ended, has_nodes=bool(hosts))
    record = JobRecord(line=place, job_id=name.text, raw_id=_whole(job.get("job_id")), state=state.name)
    record.cancelled_by_uid = state.cancelled_by_uid
    name_job(record, name)
    record.submit_ms, record.start_ms, record.end_ms = times.submit_ms, times.start_ms, times.end_ms
    _set_durations(record, _object(job.get("time")), ended=ended)
    _set_held(record, job, hosts if ended or times.start_ms is not None else [])
    if ended:
        record.max_rss_bytes = most_used_bytes(_steps(job), record.memory_bytes)
    _set_names(record, job)
    limit_min = number(job.get("time_limit", _object(job.get("time")).get("limit")))
    record.time_limit_s = None if limit_min is None else int(limit_min * S_PER_MINUTE)
    return record


def _job_name(job: Job) -> JobId:
    """The id as sacct shows it, put together from its parts."""
    raw_id = _whole(job.get("job_id"))
    if raw_id is None or raw_id <= 0:
        raise RowRefused("bad job id", f"{job.get('job_id')!r}")
    array, het = _object(job.get("array")), _object(job.get("het"))
    array_id = _whole(job.get("array_job_id", array.get("job_id"))) or None
    task = _whole(job.get("array_task_id", array.get("task_id")))
    tasks = _text(job.get("array_task_string", array.get("task")))
    het_id = _whole(job.get("het_job_id", het.get("job_id"))) or None
    offset = _whole(job.get("het_job_offset", het.get("job_offset")))
    if array_id and task is not None:
        return JobId(f"{array_id}_{task}", JobIdKind.ARRAY_TASK, array_id, task)
    if array_id and tasks:
        return JobId(clean(f"{array_id}_[{tasks}]"), JobIdKind.ARRAY, array_id, tasks=tasks)
    if het_id and offset is not None:
        return JobId(f"{het_id}+{offset}", JobIdKind.HET_COMPONENT, het_id, offset=offset)
    return JobId(str(raw_id), JobIdKind.JOB, raw_id)


def _times(job: Job, state: State, clock: Clock, *, waiting: bool) -> tuple[RunTimes, bool]:
    """The run's times, and whether it has ended. A waiting job's start is the controller's forecast."""
    time = _object(job.get("time"))
    submits = _instants(clock, job.get("submit_time", time.get("submission")))
    starts = () if waiting and state.name == "PENDING" else _instants(clock, job.get("start_time", time.get("start")))
    ends = _instants(clock, job.get("end_time", time.get("end")))
    ended = has_ended(state.name, end_known=bool(ends))
    elapsed_s = number(time.get("elapsed"))
    wall_s = None if elapsed_s is None else elapsed_s + (number(time.get("suspended")) or 0.0)
    return run_times(submits, starts, ends, wall_s, ended=ended, now_ms=clock.now_ms), ended


def _set_durations(record: JobRecord, time: Job, *, ended: bool) -> None:
    record.elapsed_s = number(time.get("elapsed"))
    record.suspended_s = number(time.get("suspended")) or 0.0
    total = time.get("total")
    if isinstance(total, dict) and "seconds" in total:
        total_cpu_s = (number(total["seconds"]) or 0.0) + (number(total.get("microseconds")) or 0.0) / US_PER_S
        record.total_cpu_s = total_cpu_s if ended else total_cpu_s or None  # 0 while it runs: not counted yet


def _set_held(record: JobRecord, job: Job, hosts: list[str]) -> None:
    """CPUs, GPUs, memory and energy as allocated; per node where the controller says so."""
    tres = _tres(job)
    record.cpus, record.gpus = tres.cpus or None, tres.gpus
    record.memory_bytes, record.consumed_energy_j = tres.memory_bytes, tres.energy_j
    record.exclusive = _exclusive(job)
    gres = [parse_gres_gpus(_text(entry)) for entry in _list(job.get("gres_detail"))]
    if hosts and sum(entry.count for entry in gres):
        record.gpus = sum(entry.count for entry in gres)
    record.shares = even_shares(hosts, record.cpus, record.gpus)
    cpus = _cpus_by_host(job)
    if cpus and set(cpus) == set(hosts):
        for share in record.shares:
            share.cpus = cpus[share.node]
    if gres and len(gres) == len(hosts):
        _set_gpus(record.shares, gres)


def _set_gpus(shares: list[NodeShare], gres: list[GresGpus]) -> None:
    for share, gpus in zip(shares, gres, strict=True):
        share.gpus, share.gpu_indices = gpus.count, gpus.indices


def _tres(job: Job) -> Tres:
    """What was allocated: a list of counts (accounting) or a TRES string (controller)."""
    if isinstance(job.get("tres_alloc_str"), str):
        try:
            return parse_tres(job["tres_alloc_str"])
        except ValueError:
            return Tres()
    counts: dict[str, int] = {}
    for entry in _list(_object(job.get("tres")).get("allocated")):
        count = number(entry.get("count")) if isinstance(entry, dict) else None
        if count is not None:
            name, kind = _text(entry.get("name")), _text(entry.get("type"))
            counts[f"{kind}/{name}" if name else kind] = int(count)
    if not counts:
        return Tres()
    energy = counts.get("energy")
    return tres_of_counts(counts, counts.get("mem"), None if energy is None else float(energy))


def _steps(job: Job) -> list[StepMemory]:
    """The steps whose memory was sampled. Usage is in bytes, other than what was allocated."""
    steps: list[StepMemory] = []
    for step in map(_object, _list(job.get("steps"))):
        usage = map(_object, _list(_object(_object(step.get("tres")).get("requested")).get("max")))
        used = next((_whole(entry.get("count")) for entry in usage if entry.get("type") == "mem"), None)
        if used:
            time, tasks = _object(step.get("time")), _object(step.get("tasks"))
            start_ms, end_ms = _ms(time.get("start")), _ms(time.get("end"))
            steps.append(StepMemory(used, _whole(tasks.get("count")) or None, start_ms, end_ms))
    return steps


def _ms(value: object) -> int | None:
    """An epoch time [ms]; 0 is not set."""
    seconds = number(value)
    return round(seconds * MS_PER_S) if seconds else None


def _cpus_by_host(job: Job) -> dict[str, int]:
    """CPUs on each node, from the controller's ``job_resources``."""
    nodes = _object(_object(job.get("job_resources")).get("nodes"))
    cpus: dict[str, int] = {}
    for entry in _list(nodes.get("allocation")):
        count = _whole(_object(_object(entry).get("cpus")).get("count"))
        if count:
            cpus[_text(_object(entry).get("name"))] = count
    return cpus


def _exclusive(job: Job) -> bool | None:
    """True where the controller says that nobody else may be on the nodes; else it says nothing."""
    whole = _object(_object(job.get("job_resources")).get("nodes")).get("whole") is True
    words = {_text(word).lower() for key in ("shared", "exclusive") for word in _list(job.get(key))}
    return True if whole or words & {"none", "true"} else None


def _set_names(record: JobRecord, job: Job) -> None:
    association = _object(job.get("association"))
    comment = job.get("comment")
    record.username = clean(_text(job.get("user") or job.get("user_name") or association.get("user")))
    record.account = clean(_text(job.get("account") or association.get("account")))
    record.name = clean(_text(job.get("name")), NAME_LIMIT)
    record.cluster, record.partition = clean(_text(job.get("cluster"))), clean(_text(job.get("partition")))
    record.qos = clean(_text(job.get("qos")))
    record.comment = clean(_text(_object(comment).get("job") or comment), COMMENT_LIMIT)
    record.admin_comment = clean(
        _text(job.get("admin_comment") or _object(comment).get("administrator")), COMMENT_LIMIT
    )
    wckey = job.get("wckey")
    record.wckey = clean(_text(_object(wckey).get("wckey") or wckey))
    record.submit_line = clean(_text(job.get("submit_line")), COMMENT_LIMIT)
    sluid = _text(job.get("sluid") or _object(job.get("step_id")).get("sluid"))
    record.sluid = sluid if is_sluid(sluid) else ""


def _state(value: object) -> State:
    """A state as a word, a list of words, or ``{"current": …}`` with either."""
    current = value.get("current") if isinstance(value, dict) else value
    words = current if isinstance(current, list) else [current]
    return state_of(",".join(_text(word) for word in words))


def number(value: object) -> float | None:
    """A number, plain or wrapped as ``{"set", "infinite", "number"}``; None where it is not set (-2 too)."""
    if isinstance(value, dict):
        if value.get("set") is False or value.get("infinite") is True:
            return None
        value = value.get("number")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 2**64 else None


def _whole(value: object) -> int | None:
    """A whole number that a database holds."""
    plain = number(value)
    return int(plain) if plain is not None and plain == int(plain) and plain < 2**53 else None


def _instants(clock: Clock, value: object) -> tuple[int, ...]:
    """An epoch time [ms]; 0 is not set."""
    seconds = number(value)
    return clock.instants(repr(seconds)) if seconds else ()


def _object(value: object) -> Job:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) and value else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
