"""Accounting logs of PBS, TORQUE and PBS Pro: ``MM/DD/YYYY HH:MM:SS;E;id;key=value …``, of which the ends (E) are read.

The time in front is local; those inside are seconds since the epoch and are the ones used. Nodes are the distinct
hosts of exec_host, CPUs its entries: ``h/7+h/6``, ``h/0,1``, ``h/0-2``, PBS Pro's ``h/0*13``. GPUs stand in one of
several places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from measurements.domain.slurm_quantities import parse_duration_s
from measurements.parsers.batch_rows import count_of, name_owner, number_of, record_of, set_held
from measurements.parsers.job_rows import COUNT_LIMIT, LATEST_MS, RowRefused, chunked
from measurements.parsers.records import JobChunk, JobRecord, ParseOptions
from measurements.parsers.source import Source

_ROW = re.compile(r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d;(?P<event>\w);(?P<id>[^;]*);(?P<rest>.*)", re.ASCII | re.DOTALL)
_FIELD = re.compile(r'([\w.@-]+)=("(?:[^"])*"|\S*)')
_ID = re.compile(r"(?P<job>\d{1,18})(?:\[(?P<index>\d{0,9})\]|-(?P<old>\d{1,9}))?(?:\..*)?", re.ASCII)
_ENTRY = re.compile(r"(?P<host>[^/+]+)(?:/(?P<slots>[\d,-]+)(?:\*(?P<each>\d{1,6}))?)?", re.ASCII)
_GPUS = re.compile(r"(?:^|:)n?gpus?=(\d{1,6})", re.ASCII)
_BYTES = re.compile(r"(\d{1,15})([kmgt]?)([bw])?", re.ASCII | re.IGNORECASE)
_SCALE = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_WORD_BYTES = 8
_BY_SIGTERM = "271"  # 256 + 15: qdel
_NO_PROJECT = "_pbs_project_default"


def matches(lines: list[str]) -> bool:
    """Whether one of the first lines is a record of PBS."""
    return any(_ROW.fullmatch(line) for line in lines)


def read(source: Source, _options: ParseOptions, now_ms: int = LATEST_MS) -> Iterator[JobChunk]:
    """The jobs that ended; other events are counted as skipped."""
    warnings: list[str] = []
    return chunked(source, _rows(source), lambda line, row: _record(line, row, now_ms, warnings), warnings)


def _rows(source: Source) -> Iterator[tuple[int, str, re.Match[str] | RowRefused]]:
    for line, text in source.lines():
        if text.strip():
            row = _ROW.fullmatch(text.strip())
            yield line, text, row or RowRefused("not a record", "no MM/DD/YYYY HH:MM:SS;E;id;… at its start")


def _record(line: int, row: re.Match[str], now_ms: int, warnings: list[str]) -> JobRecord | None:
    """One record; None for what is no end of a job, and for an array as a whole."""
    if row["event"] != "E":
        return None
    found = _ID.fullmatch(row["id"].strip())
    if found is None:
        raise RowRefused("bad job id", repr(row["id"][:80]))
    if found["index"] == "":
        return None  # the array: its tasks have rows of their own
    fields = {name: value.strip('"') for name, value in _FIELD.findall(row["rest"])}
    task = found["index"] or found["old"]
    times = (number_of(fields.get("qtime", "")), number_of(fields.get("start", "")), number_of(fields.get("end", "")))
    state = _state(fields, line, warnings)
    record = record_of(line, found["job"], None if task is None else int(task), state, times, now_ms)
    set_held(record, _cpus_of(fields.get("exec_host", "")), _cpus(fields), _gpus(fields))
    account = fields.get("account") or fields.get("project", "").removeprefix(_NO_PROJECT) or fields.get("group", "")
    name_owner(record, fields.get("user", ""), account, fields.get("jobname", ""), fields.get("queue", ""))
    record.exclusive = True if "excl" in fields.get("Resource_List.place", "").split(":") else None
    record.total_cpu_s = _duration_s(fields.get("resources_used.cput", ""))
    limit_s = _duration_s(fields.get("Resource_List.walltime", ""))
    record.time_limit_s = None if limit_s is None or limit_s > COUNT_LIMIT else int(limit_s)
    record.memory_bytes = _bytes(fields.get("Resource_List.mem", ""))
    record.max_rss_bytes = _bytes(fields.get("resources_used.mem", ""))
    return record


def _state(fields: dict[str, str], line: int, warnings: list[str]) -> str:
    """Slurm's word for how it ended: PBS says an exit status, and nothing of why."""
    status = fields.get("Exit_status")
    if status is None:
        warnings.append(f"line {line}: no Exit_status; taken as completed")
        return "COMPLETED"
    if status == "0":
        return "COMPLETED"
    used, limit = (_duration_s(fields.get(key, "")) for key in ("resources_used.walltime", "Resource_List.walltime"))
    if used is not None and limit and used >= limit:
        return "TIMEOUT"
    return "CANCELLED" if status == _BY_SIGTERM else "FAILED"


def _cpus_of(text: str) -> dict[str, int]:
    """CPUs of each distinct host, in the order of the record."""
    found: dict[str, int] = {}
    for part in text.split("+") if text else ():
        entry = _ENTRY.fullmatch(part.strip())
        if entry is None:
            raise RowRefused("bad exec_host", repr(part[:80]))
        slots = int(entry["each"]) if entry["each"] else _slots(entry["slots"] or "0")
        found[entry["host"]] = found.get(entry["host"], 0) + slots
    return found


def _slots(text: str) -> int:
    """How many slots ``0``, ``0,1`` or ``0-2`` are."""
    total = 0
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()) or max(len(first), len(last)) > 6:
            raise RowRefused("bad exec_host", repr(text[:80]))
        total += max(int(last) - int(first) + 1, 0) if dash else 1
    return total


def _cpus(fields: dict[str, str]) -> int | None:
    """The CPUs of a job whose exec_host counts none (``h/0*0``)."""
    counted = sum(_cpus_of(fields.get("exec_host", "")).values())
    return counted or count_of(fields.get("resources_used.ncpus", "") or fields.get("Resource_List.ncpus", ""))


def _gpus(fields: dict[str, str]) -> int | None:
    """All GPUs of a job: ngpus and gpus are totals, in nodes and nodect they are of each node."""
    for name in ("Resource_List.ngpus", "Resource_List.gpus"):
        if (total := count_of(fields.get(name, ""))) is not None:
            return total
    for name in ("Resource_List.nodes", "Resource_List.nodect"):
        parts = [part for part in fields.get(name, "").split("+") if _GPUS.search(part)]
        if parts:
            return sum((count_of(part.partition(":")[0]) or 1) * int(_GPUS.findall(part)[0]) for part in parts)
    return None


def _duration_s(text: str) -> float | None:
    """``HH:MM:SS``, whose hours may pass 24, or seconds."""
    try:
        return float(text) if number_of(text) is not None else parse_duration_s(text)
    except ValueError:
        return None


def _bytes(text: str) -> int | None:
    """``15240kb``, ``2gw`` (words of 8 bytes); a number without a unit is in kb."""
    found = _BYTES.fullmatch(text)
    if found is None or (found[2] and not found[3]):
        return None
    plain = not found[2] and not found[3]
    size = int(found[1]) * (1 << 10 if plain else _SCALE[found[2].lower()])
    return size * (_WORD_BYTES if (found[3] or "").lower() == "w" else 1)
