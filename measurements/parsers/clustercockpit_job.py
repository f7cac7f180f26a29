"""The job of a ClusterCockpit job folder, from its meta.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from measurements.domain.units import MS_PER_S
from measurements.parsers.gpu_index import accelerators_of, gpu_indices
from measurements.parsers.records import JobChunk, JobRecord, NodeShare, ParseOptions, Refusal, UnusableFile
from measurements.parsers.source import Source
from measurements.parsers.times import TimeRefused, check_range

Json = dict[str, Any]
_STATES = {"stopped": "CANCELLED"}  # the one state of theirs that is none of Slurm's
_NOT_ENDED = frozenset({"PENDING", "RUNNING", "SUSPENDED"})
_MIN_LIMIT_S = 60  # Slurm's limits are whole minutes: a smaller walltime is in some other unit


def matches_job(head: str) -> bool:
    """Whether a text is a job's meta.json."""
    return head.lstrip().startswith("{") and all(f'"{key}"' in head for key in ("jobId", "startTime", "resources"))


def read_job(source: Source, _options: ParseOptions, now_ms: int) -> Iterator[JobChunk]:
    """The one job of a folder, or of a meta.json."""
    path = source.meta_path
    raw = path.read_bytes() if path else source.read_all()
    meta = document(raw, f"{source.name}: meta.json")
    try:
        yield JobChunk([_job(meta, source, now_ms)], [], read=1)
    except (TimeRefused, KeyError, TypeError, ValueError, OverflowError) as error:
        reason = error.reason if isinstance(error, TimeRefused) else "unreadable job"
        yield JobChunk([], [Refusal(reason, 1, f"{type(error).__name__}: {error}")], read=1)


def document(raw: bytes, where: str) -> Json:
    """A JSON object; ``where`` names it for messages."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UnusableFile(f"{where}: no whole JSON document ({error}); copy the folder anew") from error
    if not isinstance(document, dict):
        raise UnusableFile(f"{where}: JSON, but no object; expected a ClusterCockpit job")
    return document


def _job(meta: Json, source: Source, now_ms: int) -> JobRecord:
    """meta.json as a job record; raises what a missing or odd field raises."""
    start_ms = check_range(round(float(meta["startTime"]) * MS_PER_S), now_ms)
    state = _STATES.get(str(meta.get("jobState")), str(meta.get("jobState") or "").upper())
    duration_s = float(meta.get("duration") or 0)
    shares = _shares(meta, source)
    more = meta.get("metaData") if isinstance(meta.get("metaData"), dict) else {}
    walltime_s = int(meta.get("walltime") or 0)
    return JobRecord(
        line=1,
        job_id=str(int(meta["jobId"])),
        raw_id=int(meta["jobId"]),
        state=state,
        username=str(meta.get("user") or ""),
        account=str(meta.get("project") or ""),
        name=str((more or {}).get("jobName") or ""),
        cluster=str(meta.get("cluster") or ""),
        partition=str(meta.get("partition") or ""),
        array_job_id=int(meta.get("arrayJobId") or 0) or None,
        start_ms=start_ms,
        end_ms=None if state in _NOT_ENDED else check_range(start_ms + round(duration_s * MS_PER_S), now_ms),
        elapsed_s=duration_s,
        time_limit_s=walltime_s if walltime_s >= _MIN_LIMIT_S else None,
        cpus=int(meta.get("numHwthreads") or 0) or None,
        gpus=int(meta["numAcc"]) if meta.get("numAcc") is not None else None,
        exclusive=_exclusive(meta),
        shares=shares,
    )


def _exclusive(meta: Json) -> bool | None:
    """1 or "none": alone on its nodes; 0, 2 or the others: shared, be it with one's own jobs."""
    if meta.get("shared") is not None:
        return bool(meta["shared"] == "none")
    return None if meta.get("exclusive") is None else int(meta["exclusive"]) == 1


def _shares(meta: Json, source: Source) -> list[NodeShare]:
    known = accelerators_of(meta, source.path.parent)
    shares = {}
    for resource in meta["resources"]:
        host = str(resource["hostname"])
        threads, accelerators = resource.get("hwthreads"), resource.get("accelerators")
        indices = gpu_indices(list(map(str, accelerators or [])), known.get(host, []))
        shares[host] = NodeShare(
            host,
            cpus=len(threads) if threads else None,
            gpus=None if accelerators is None else len(accelerators),
            gpu_indices=tuple(sorted(indices.values())) if accelerators else None,
        )
    return list(shares.values())
