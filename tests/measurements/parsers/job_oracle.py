"""What a job record may say: only what stands in its row, and what a database holds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from measurements.domain.hostlist import HostlistError, expand
from measurements.domain.slurm import UnknownState, parse_state
from measurements.parsers.records import JobChunk, JobRecord, Refusal
from tests.measurements.parsers.said import is_when

EARLIEST_MS, LATEST_MS = 946_684_800_000, 4_102_444_800_000 + 86_400_000
WORDS = ("job_id", "username", "account", "cluster", "partition", "qos", "wckey", "state")
TEXTS = {"name": 1024, "comment": 1 << 16, "admin_comment": 1 << 16, "submit_line": 1 << 16, "sluid": 14}
INT32 = ("cpus", "gpus", "het_offset")
INT64 = ("raw_id", "array_job_id", "array_task_id", "het_job_id", "time_limit_s", "memory_bytes", "max_rss_bytes")
SUFFIXED = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTPE]?)", re.ASCII | re.IGNORECASE)


def taken(chunks: Sequence[JobChunk]) -> tuple[list[JobRecord], list[Refusal], int]:
    """Records, refusals and how many rows are no jobs: together all rows that were looked at."""
    records = [record for chunk in chunks for record in chunk.records]
    refusals = [refusal for chunk in chunks for refusal in chunk.refusals]
    skipped = sum(chunk.skipped for chunk in chunks)
    assert sum(chunk.read for chunk in chunks) == len(records) + len(refusals) + skipped
    assert all(refusal.reason and refusal.line >= 1 and len(refusal.text) <= 500 for refusal in refusals)
    for record in records:
        check_storable(record)
    for text in (text for refusal in refusals for text in (refusal.text, refusal.detail)):
        text.encode()
    return records, refusals, skipped


def check_storable(record: JobRecord) -> None:
    """Whether a database takes it."""
    texts = dict.fromkeys(WORDS, 255) | TEXTS
    for name, most in texts.items():
        is_text(getattr(record, name), most)
    for names, bits in ((INT32, 31), (INT64, 63)):
        for name in names:
            value = getattr(record, name)
            assert value is None or (type(value) is int and 0 <= value < 1 << bits), (name, value)
    for value in (record.elapsed_s, record.suspended_s, record.total_cpu_s, record.consumed_energy_j):
        assert value is None or 0 <= value < float("inf")
    times = [at for at in (record.submit_ms, record.start_ms, record.end_ms) if at is not None]
    assert all(EARLIEST_MS <= at <= LATEST_MS for at in times)
    assert record.start_ms is None or record.end_ms is None or record.start_ms <= record.end_ms
    assert record.job_id
    assert parse_state(record.state).name == record.state
    assert len({share.node for share in record.shares}) == len(record.shares)
    for share in record.shares:
        is_text(share.node, 255)
        assert share.node
        assert share.cpus is None or 0 <= share.cpus < 1 << 31
        assert share.gpus is None or 0 <= share.gpus < 1 << 31
        assert all(0 <= index < 1 << 20 for index in share.gpu_indices or ())


def is_text(text: str, most: int) -> None:
    """Whether a text can be stored."""
    assert "\0" not in text
    assert len(text) <= most, text[:300]
    text.encode()  # half surrogates have no UTF-8


def hosts_in(text: object) -> list[str]:
    """The hosts of a text, none where it is no list of hosts."""
    try:
        return expand(text) if isinstance(text, str) else []
    except HostlistError:
        return []


def is_state(name: str, text: object) -> bool:
    """Whether a text is a state."""
    try:
        return isinstance(text, str) and parse_state(text).name == name
    except UnknownState:
        return False


def counted(text: str) -> set[int]:
    """The counts that a text holds, with the suffixes of 1024."""
    units = " KMGTPE"
    return {round(float(one) * 1024 ** max(units.find(unit.upper() or " "), 0)) for one, unit in SUFFIXED.findall(text)}


def joules(text: str) -> set[float]:
    """The amounts of energy that a text holds [J]."""
    units = " KMGTPE"
    return {float(one) * 1000 ** max(units.find(unit.upper() or " "), 0) for one, unit in SUFFIXED.findall(text)}


def is_row(record: JobRecord, row: Mapping[str, str], zone: tzinfo | None, *, each_node: bool) -> bool:
    """Whether a row of text, by the names of sacct's columns, says a job; ``each_node``: its counts are of a node."""
    wall_s = (record.elapsed_s or 0) + record.suspended_s
    start, end = row.get("start", ""), row.get("end", "")
    hosts = [share.node for share in record.shares]
    held = ";".join(row.get(name, "") for name in ("alloctres", "alloccpus", "ncpus", "gpus", "gpu_indices", "reqmem"))
    cpus = [share.cpus for share in record.shares] if each_node else [record.cpus]
    energy = ";".join(row.get(name, "") for name in ("consumedenergyraw", "consumedenergy", "alloctres"))
    return (
        record.job_id in (row.get("jobid", "").strip(), row.get("jobidraw", "").strip())
        and is_word(record.username, row.get("user", ""))
        and is_word(record.account, row.get("account", ""))
        and is_word(record.partition, row.get("partition", ""))
        and is_state(record.state, row.get("state", ""))
        and is_time(record.submit_ms, [row.get("submit", "")], 0, zone)
        and (is_time(record.start_ms, [start], 0, zone) or is_time(record.start_ms, [end], -wall_s, zone))
        and (is_time(record.end_ms, [end], 0, zone) or is_time(record.end_ms, [start], wall_s, zone))
        and (not hosts or hosts == hosts_in(row.get("nodelist", "")))
        and all(one in {None, *counted(held)} for one in cpus)
        and (record.consumed_energy_j is None or record.consumed_energy_j in joules(energy))
    )


def is_word(stored: str, said: str) -> bool:
    """Whether a stored word is what a cell says; NUL and half surrogates become replacements."""
    return stored == re.sub("[\0\ud800-\udfff]", "\ufffd", said.strip())[:255]


def is_time(at_ms: int | None, cells: Sequence[str], after_s: float, zone: tzinfo | None) -> bool:
    """Whether an instant is not known, or so long after one of some cells."""
    return at_ms is None or any(is_when(at_ms - round(after_s * 1000), cell, zone) for cell in cells)


def is_somewhere(record: JobRecord, cells: Sequence[str], zone: tzinfo | None) -> bool:
    """The same where nobody knows any more which cell is which."""
    cells = [cell.strip() for cell in cells]
    wall_s = (record.elapsed_s or 0) + record.suspended_s
    hosts = [share.node for share in record.shares]
    return (
        record.job_id in cells
        and any(is_word(record.username, cell) for cell in ("", *cells))
        and any(is_state(record.state, cell) for cell in cells)
        and (is_time(record.start_ms, cells, 0, zone) or is_time(record.start_ms, cells, -wall_s, zone))
        and (is_time(record.end_ms, cells, 0, zone) or is_time(record.end_ms, cells, wall_s, zone))
        and (not hosts or any(hosts == hosts_in(cell) for cell in cells))
    )


def leaves(value: Any) -> Iterator[Any]:
    """All that is neither a list nor an object in a document."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def is_instant(at_ms: int | None, seconds: Collection[float], after_s: float = 0.0) -> bool:
    """Whether an instant is not known, or so long after one of some epoch times."""
    return at_ms is None or any(abs(at_ms / 1000 - after_s - one) <= 1e-3 for one in seconds)
