"""``scontrol show node``, as text (also ``-o``) or JSON, and slurmrestd's nodes.

Slurm knows no hardware model. Nodes alike in CPUs, GPUs and memory become one node type, named by these:
``64c-4xa100-512g`` is 64 CPUs (hardware threads, as Slurm counts), four A100, 512 GiB. The memory that Slurm
offers is below what is installed and differs a little from node to node: it is rounded up, to eighths of a
power of two (503 and 502 GiB are both 512).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from measurements.domain.slurm_quantities import GresGpus, parse_gres_gpus
from measurements.parsers.job_rows import COUNT_LIMIT, RowRefused, clean, hosts_of, require_few
from measurements.parsers.json_stream import BrokenJson, JsonList
from measurements.parsers.nodes_csv import THREADS_LIMIT, TYPE_LIMIT, Nodes
from measurements.parsers.records import NodeRecord, ParseOptions, Refusal, UnusableFile
from measurements.parsers.source import TEXT_LIMIT, Source

MIB_PER_GIB = 1024
NODE_LINES = 200  # most lines of one description that are looked at
_START = "NodeName="
_WARNING = "scontrol: "  # what it says itself, in a file that took its stderr too
_WORD = re.compile(r"(?:^|\s)([A-Za-z][A-Za-z0-9_/:]*)=(\S*)")


@dataclass(frozen=True, slots=True)
class _Node:
    """What one description says."""

    name: str
    cpus: int | None
    memory_mib: int | None
    threads: int | None
    gpus: GresGpus
    states: str


def matches(head: str) -> bool:
    """Whether a text is scontrol's, also behind warnings of its, or JSON with nodes."""
    first = next((line for line in head.split("\n") if line.strip() and not line.startswith(_WARNING)), "")
    return first.startswith(_START) or (head.lstrip().startswith(("{", "[")) and '"nodes"' in head)


def read_nodes(source: Source, options: ParseOptions) -> Nodes:
    """The nodes of a description; those of state FUTURE do not exist yet and are left aside."""
    described = _from_json(source) if source.head().lstrip().startswith((b"{", b"[")) else _from_text(source)
    records: dict[str, NodeRecord] = {}
    refusals: list[Refusal] = []
    future = 0
    for line, text, node in described:
        try:
            if isinstance(node, RowRefused):
                raise node
            if "FUTURE" in node.states:
                future += 1
                continue
            hosts = hosts_of(node.name)
            if not hosts:
                raise RowRefused("not a node", "no name")
            records |= {host: _record(line, host, node) for host in hosts}
        except RowRefused as refused:
            refusals.append(Refusal(refused.reason, line, str(refused)[:TEXT_LIMIT], text[:TEXT_LIMIT]))
            require_few(len(refusals), source.name)
    refusals = sorted([*refusals, *source.take_refusals()], key=lambda refusal: refusal.line)
    return list(records.values()), refusals, [f"{future} nodes of state FUTURE left aside"] if future else []


def node_type_name(cpus: int | None, gpus: GresGpus, memory_mib: int | None) -> str:
    """A node type's name from what its nodes have in common.

    >>> node_type_name(64, GresGpus(4, ("a100",)), 515_000)
    '64c-4xa100-512g'
    >>> node_type_name(128, GresGpus(), 257_000)
    '128c-256g'
    """
    parts = [f"{cpus}c"] if cpus else []
    if gpus.count:
        parts.append(f"{gpus.count}x{'+'.join(gpus.models) or 'gpu'}")
    if memory_mib:
        parts.append(f"{installed_gib(memory_mib)}g")
    return clean("-".join(parts) or "unknown", TYPE_LIMIT)


def installed_gib(memory_mib: int) -> int:
    """The memory that was probably installed: rounded up to eighths of a power of two, at least to whole GiB."""
    gib = memory_mib / MIB_PER_GIB
    step = max(2.0 ** (math.floor(math.log2(gib)) - 3), 1.0)
    return int(math.ceil(gib / step) * step)


def _record(line: int, host: str, node: _Node) -> NodeRecord:
    return NodeRecord(
        line=line,
        node=host,
        node_type=node_type_name(node.cpus, node.gpus, node.memory_mib),
        cpus=node.cpus,
        gpus=node.gpus.count,
        threads_per_core=node.threads if (node.threads or 0) <= THREADS_LIMIT else None,
        gpu_model=clean("/".join(node.gpus.models)),
        memory_gib=node.memory_mib / MIB_PER_GIB if node.memory_mib else None,
    )


# --- text -------------------------------------------------------------------------------------------------------------


def _from_text(source: Source) -> Iterator[tuple[int, str, _Node | RowRefused]]:
    """Each description: from a line that begins with NodeName= to the next."""
    start, parts = 0, [""]
    for line, text in source.lines():
        if text.startswith(_START):
            yield from _described(start, parts)
            start, parts = line, [text]
        elif start == 0 and text.strip():
            yield line, text, RowRefused("not a node", "text before the first NodeName=")
        elif len(parts) < NODE_LINES:
            parts.append(text)
    yield from _described(start, parts)


def _described(start: int, parts: list[str]) -> Iterator[tuple[int, str, _Node]]:
    if start == 0:
        return
    values: dict[str, str] = {}
    for match in _WORD.finditer(" ".join(parts)):
        values.setdefault(match[1].lower(), match[2])  # free text (Reason, Comment, OS) comes behind what counts
    gpus = parse_gres_gpus(values.get("gres", ""))
    cpus = _whole(values.get("cputot") or values.get("cpus"))
    node = _Node(
        values["nodename"],
        cpus,
        _whole(values.get("realmemory")),
        _whole(values.get("threadspercore")),
        gpus,
        values.get("state", "").upper(),
    )
    yield start, parts[0], node


# --- JSON -------------------------------------------------------------------------------------------------------------


def _from_json(source: Source) -> Iterator[tuple[int, str, _Node | RowRefused]]:
    """Each member of ``nodes``; its line is its place in the list, from 1."""
    nodes = JsonList(source, "nodes")
    place = 0
    try:
        for place, node in enumerate(nodes, start=1):
            named = isinstance(node, dict) and isinstance(node.get("name"), str)
            yield place, str(node)[:TEXT_LIMIT], _of_json(node) if named else RowRefused("not a node", "no name")
    except BrokenJson as broken:
        if place == 0:
            raise UnusableFile(f"{source.name}: {broken.reason} ({broken}); copy the file anew") from broken
        yield place + 1, "", RowRefused(broken.reason, broken)
    if not nodes.found:
        raise UnusableFile(f"{source.name}: JSON without a list of nodes; give scontrol show node --json")


def _of_json(node: dict[str, Any]) -> _Node:
    gres = node.get("gres")
    states: Iterable[object] = node["state"] if isinstance(node.get("state"), list) else [node.get("state")]
    return _Node(
        node["name"],
        _whole(node.get("cpus")),
        _whole(node.get("real_memory")),
        _whole(node.get("threads")),
        parse_gres_gpus(gres if isinstance(gres, str) else ""),
        "+".join(str(state) for state in states).upper(),
    )


def _whole(value: object) -> int | None:
    """A count above 0, as a number or as digits."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) <= COUNT_LIMIT else None
