"""What a file holds, by its beginning: power, jobs, nodes or states of nodes, and in which format.

A file's name says nothing. A header that names its columns beats what is read more freely: states and nodes come first,
then power, then jobs that only their shape tells.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from measurements.parsers.csv_rows import columns_in
from measurements.parsers.detect import detect_power
from measurements.parsers.detect_jobs import detect_jobs
from measurements.parsers.detect_nodes import NODE_PARSERS
from measurements.parsers.node_states import heads_states
from measurements.parsers.records import UnusableFile
from measurements.parsers.sacct_text import columns_of
from measurements.parsers.source import Source

POWER, JOBS, NODES, STATES = "power", "jobs", "nodes", "states"
SHAPELESS = frozenset({"sacct-xdmod", "swf", "sge", "pbs", "lsf"})  # job formats without a header
STATES_FORMAT = "sacctmgr event, or node,start,end,state"
_JOB_COLUMN = "job_id"


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a file seems to hold; all are empty where nothing is known."""

    content: str = ""
    format: str = ""


def recognise(source: Source) -> Recognised:
    """What a file holds; raises UnusableFile where it is empty, or no text at all."""
    head = source.head().decode("utf-8", errors="replace")
    ways: tuple[Callable[[Source, str], Recognised | None], ...] = (_states, _clear_jobs, _nodes, _power, _jobs)
    return next((found for way in ways if (found := way(source, head))), Recognised())


def _states(_source: Source, head: str) -> Recognised | None:
    first = next((line for line in head.splitlines() if line.strip()), "")
    return Recognised(STATES, STATES_FORMAT) if heads_states(first) else None


def _clear_jobs(source: Source, head: str) -> Recognised | None:
    """Job records that name their columns, which a free reading of power logs might claim too."""
    first = next((line for line in head.splitlines() if line.strip()), "")
    if _JOB_COLUMN in columns_in(head):
        return Recognised(JOBS, "csv")
    if "|" in first or columns_of(first) or '"jobs"' in head:
        found = _jobs(source, head)
        return found if found and found.format not in SHAPELESS else None
    return None


def _nodes(source: Source, head: str) -> Recognised | None:
    if source.meta_path or (head.lstrip().startswith(("{", "[")) and '"sysinfo"' in head):
        return None
    for parser in NODE_PARSERS.values():
        if parser.matches(head):
            return Recognised(NODES, parser.name)
    return None


def _power(source: Source, _head: str) -> Recognised | None:
    with suppress(UnusableFile):
        return Recognised(POWER, detect_power(source).name)
    return None


def _jobs(source: Source, head: str) -> Recognised | None:
    with suppress(UnusableFile):
        found = detect_jobs(source).name
        if found == "slurm-json" and '"jobs"' not in head:
            return None  # it is what is left of JSON
        return Recognised(JOBS, found)
    return None
