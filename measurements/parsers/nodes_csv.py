"""Nodes as plain CSV: ``node,node_type``, then cpus, gpus, models, memory_gib, watts, valid_from, level and parent.

``node`` may be a hostlist: each of its hosts gets the row's values. ``idle_w`` and ``rated_w`` are the node
without its GPUs, ``gpu_idle_w`` is one GPU, ``ceiling_w`` and ``floor_w`` are of its meter. A meter above nodes is
a row of another ``level``; ``parent`` names the meter above.
"""

from __future__ import annotations

from measurements.parsers.csv_rows import (
    Fields,
    columns_in,
    csv_rows,
    fields_of,
    first_row,
    header,
    number,
    whole_number,
)
from measurements.parsers.job_rows import Clock, Lines, RowRefused, clean, hosts_of, require_few
from measurements.parsers.records import NodeRecord, ParseOptions, Refusal, UnusableFile
from measurements.parsers.source import TEXT_LIMIT, Source

REQUIRED = ("node", "node_type")
OPTIONAL = (
    *("cpus", "gpus", "threads_per_core", "cpu_model", "gpu_model", "memory_gib"),
    *("idle_w", "rated_w", "ceiling_w", "floor_w", "gpu_idle_w", "valid_from", "level", "parent"),
)
TYPE_LIMIT, THREADS_LIMIT = 128, 2**15 - 1  # characters of a type's name, and threads per core, that can be stored
LEVELS = ("node", "chassis", "rack", "infrastructure", "facility")

NODES_LIMIT = 200_000  # of one file

Nodes = tuple[list[NodeRecord], list[Refusal], list[str]]


def matches(head: str) -> bool:
    """Whether a text begins with the header of this form."""
    return set(REQUIRED) <= columns_in(head)


def read_nodes(source: Source, options: ParseOptions) -> Nodes:
    """The nodes of a CSV with a header, what was refused, and warnings."""
    lines = Lines(source.lines())
    names, separator = first_row(lines)
    columns, warnings = header(names, REQUIRED, OPTIONAL, source.name)
    records: dict[tuple[str, int | None], NodeRecord] = {}
    refusals: list[Refusal] = []
    for line, text, row in csv_rows(lines, len(columns), separator):
        try:
            if isinstance(row, RowRefused):
                raise row
            for record in _records(line, fields_of(columns, row), Clock(options.time_zone)):
                _add(records, record)
        except RowRefused as refused:
            refusals.append(Refusal(refused.reason, line, str(refused)[:TEXT_LIMIT], text[:TEXT_LIMIT]))
            require_few(len(refusals), source.name)
    refusals += source.take_refusals()
    return list(records.values()), sorted(refusals, key=lambda refusal: refusal.line), warnings


def _add(records: dict[tuple[str, int | None], NodeRecord], record: NodeRecord) -> None:
    """A node may come again with another date; the first row of a date stands."""
    if len(records) >= NODES_LIMIT:
        raise UnusableFile(f"more than {NODES_LIMIT} nodes in one file; is a hostlist wrong?")
    if (record.node, record.valid_from_ms) in records:
        raise RowRefused("node twice", f"{record.node} is described above already, from the same date")
    records[record.node, record.valid_from_ms] = record


def _records(line: int, row: Fields, clock: Clock) -> list[NodeRecord]:
    hosts = hosts_of(row["node"])
    if not hosts or not row["node_type"]:
        raise RowRefused("node or node_type missing")
    if len(row["node_type"]) > TYPE_LIMIT or (whole_number(row, "threads_per_core") or 0) > THREADS_LIMIT:
        raise RowRefused(
            "out of range", f"node_type has {TYPE_LIMIT} characters, threads_per_core {THREADS_LIMIT} at most"
        )
    valid_from = clock.instants(row.get("valid_from", ""))
    if len(valid_from) > 1:
        raise RowRefused("ambiguous local time", f"{row['valid_from']}: give it with an offset")
    level = row.get("level", "").strip().lower()
    if level and level not in LEVELS:
        raise RowRefused("unknown level", f"{level!r}: one of {', '.join(LEVELS)}, or nothing")
    return [
        NodeRecord(
            line=line,
            node=host,
            node_type=clean(row["node_type"]),
            cpus=whole_number(row, "cpus") or None,
            gpus=whole_number(row, "gpus"),
            threads_per_core=whole_number(row, "threads_per_core") or None,
            cpu_model=clean(row.get("cpu_model", "")),
            gpu_model=clean(row.get("gpu_model", "")),
            memory_gib=number(row, "memory_gib"),
            idle_w=number(row, "idle_w"),
            rated_w=number(row, "rated_w"),
            ceiling_w=number(row, "ceiling_w"),
            floor_w=number(row, "floor_w"),
            gpu_idle_w=number(row, "gpu_idle_w"),
            level=level,
            parent=clean(row.get("parent", "")),
            valid_from_ms=valid_from[0] if valid_from else None,
        )
        for host in hosts
    ]
