"""The job of a ClusterCockpit job folder, from its meta.json."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from measurements.domain.units import MS_PER_S
from measurements.parsers.csv_lines import is_name
from measurements.parsers.gpu_index import accelerators_of, gpu_indices
from measurements.parsers.job_rows import NAME_LIMIT, WORD_LIMIT, RowRefused, clean, require_storable, state_of
from measurements.parsers.json_text import loads
from measurements.parsers.records import JobChunk, JobRecord, NodeShare, ParseOptions, Refusal, UnusableFile
from measurements.parsers.source import TEXT_LIMIT, Source
from measurements.parsers.times import TimeRefused, check_range

Json = dict[str, Any]
_STATES = {"stopped": "CANCELLED"}  # the one state of theirs that is none of Slurm's
_NOT_ENDED = frozenset({"PENDING", "RUNNING", "SUSPENDED"})
_JOB_ID = re.compile(r"[1-9]\d{0,17}", re.ASCII)
META_LIMIT_BYTES = 16 << 20
_LARGEST = 2**53  # of whole numbers that JSON's readers agree about
_MIN_LIMIT_S = 60  # Slurm's limits are whole minutes: a smaller walltime is in some other unit


def matches_job(head: str) -> bool:
    """Whether a text is a job's meta.json."""
    return head.lstrip().startswith("{") and all(f'"{key}"' in head for key in ("jobId", "startTime", "resources"))


def read_job(source: Source, _options: ParseOptions, now_ms: int) -> Iterator[JobChunk]:
    """The one job of a folder, or of a meta.json."""
    path = source.meta_path
    raw = (Source(path) if path else source).read_all(META_LIMIT_BYTES)
    meta = document(raw, f"{source.name}: meta.json")
    try:
        record = _job(meta, source, now_ms)
        require_storable(record)
        yield JobChunk([record], [], read=1)
    except (RowRefused, TimeRefused) as refused:
        yield JobChunk([], [Refusal(refused.reason, 1, str(refused)[:TEXT_LIMIT])], read=1)


def document(raw: bytes, where: str) -> Json:
    """A JSON object; ``where`` names it for messages."""
    try:
        document = loads(raw)
    except (ValueError, RecursionError) as error:
        raise UnusableFile(f"{where}: no whole JSON document ({error}); copy the folder anew") from error
    if not isinstance(document, dict):
        raise UnusableFile(f"{where}: JSON, but no object; expected a ClusterCockpit job")
    return document


def _job(meta: Json, source: Source, now_ms: int) -> JobRecord:
    """meta.json as a job record; a field that is missing or odd refuses it."""
    start_ms = start_of(meta, now_ms)
    said = str(meta.get("jobState") or "")
    state = state_of(_STATES.get(said, said)).name
    duration_s = _number(meta, "duration") if meta.get("duration") is not None else 0.0
    more = meta.get("metaData") if isinstance(meta.get("metaData"), dict) else {}
    walltime_s = _count(meta, "walltime") or 0
    job_id = _job_id(meta)
    return JobRecord(
        line=1,
        job_id=job_id,
        raw_id=int(job_id),
        state=state,
        username=_word(meta, "user"),
        account=_word(meta, "project"),
        name=_word(more or {}, "jobName", NAME_LIMIT),
        cluster=_word(meta, "cluster"),
        partition=_word(meta, "partition"),
        array_job_id=_count(meta, "arrayJobId") or None,
        start_ms=start_ms,
        end_ms=None if state in _NOT_ENDED else check_range(start_ms + round(duration_s * MS_PER_S), now_ms),
        elapsed_s=duration_s,
        time_limit_s=walltime_s if walltime_s >= _MIN_LIMIT_S else None,
        cpus=_count(meta, "numHwthreads") or None,
        gpus=_count(meta, "numAcc"),
        exclusive=_exclusive(meta),
        shares=_shares(meta, source),
    )


def start_of(meta: Json, now_ms: int) -> int:
    """When a job started [ms since 1970]; raises RowRefused or TimeRefused."""
    return check_range(round(_number(meta, "startTime") * MS_PER_S), now_ms)


def _job_id(meta: Json) -> str:
    said = meta.get("jobId")
    text = str(said) if type(said) in (int, str) else ""
    if not _JOB_ID.fullmatch(text):
        raise RowRefused("unreadable job", f"jobId {said!r:.80} is no whole number above 0")
    return text


def _number(meta: Json, key: str) -> float:
    """A number that must be there."""
    value = meta.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _LARGEST:
        raise RowRefused("unreadable job", f"{key} {value!r:.80} is no number from 0")
    return float(value)


def _count(meta: Json, key: str) -> int | None:
    """A whole number; None where nothing is said."""
    value = meta.get(key)
    if value is not None and (type(value) is not int or not 0 <= value < _LARGEST):
        raise RowRefused("unreadable job", f"{key} {value!r:.80} is no whole number from 0")
    return value


def _word(meta: Json, key: str, limit: int = WORD_LIMIT) -> str:
    value = meta.get(key) or ""
    if not isinstance(value, str):
        raise RowRefused("unreadable job", f"{key} {value!r:.80} is no text")
    return clean(value.strip(), limit)


def _exclusive(meta: Json) -> bool | None:
    """1 or "none": alone on its nodes; 0, 2 or the others: shared, be it with one's own jobs."""
    if meta.get("shared") is not None:
        return bool(meta["shared"] == "none")
    return None if meta.get("exclusive") is None else _count(meta, "exclusive") == 1


def _shares(meta: Json, source: Source) -> list[NodeShare]:
    known = accelerators_of(meta, source.path.parent)
    shares = {}
    for resource in _list(meta, "resources", needed=True) or []:
        host = resource.get("hostname") if isinstance(resource, dict) else None
        if not isinstance(host, str) or not host.strip() or not is_name(host) or len(host) > WORD_LIMIT:
            raise RowRefused("unreadable job", f"a resource without a host name: {resource!r:.80}")
        threads, accelerators = _list(resource, "hwthreads"), _list(resource, "accelerators")
        indices = gpu_indices(list(map(str, accelerators or [])), known.get(host, []))
        shares[host] = NodeShare(
            host,
            cpus=len(threads) if threads else None,
            gpus=None if accelerators is None else len(accelerators),
            gpu_indices=tuple(sorted(indices.values())) if accelerators else None,
        )
    return list(shares.values())


def _list(said: Json, key: str, *, needed: bool = False) -> list[Any] | None:
    value = said.get(key)
    if not isinstance(value, list) and (needed or value is not None):
        raise RowRefused("unreadable job", f"{key} {value!r:.80} is no list")
    return value
