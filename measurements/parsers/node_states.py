"""States of nodes: ``sacctmgr --parsable2 show event``, or CSV ``node,start,end,state[,reason]``.

Only what says that a node draws no power matters to the ledger: off, powered down or powering down (Slurm's
suffixes ``~`` and ``%``). A node that is DOWN or drained may well be switched on, so that what is missing then is
a gap; a site that switches broken nodes off says so with ``off_states``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from measurements.parsers.csv_rows import Fields, csv_rows, fields_of, header, header_of
from measurements.parsers.job_rows import Clock, Lines, RowRefused, clean, hosts_of, require_few
from measurements.parsers.records import ParseOptions, Refusal, UnusableFile
from measurements.parsers.source import TEXT_LIMIT, Source

OFF_STATES = frozenset({"OFF", "POWERED_DOWN", "POWERING_DOWN", "POWER_DOWN", "POWERED_OFF"})
STATES_LIMIT = 1_000_000  # of one file
_REQUIRED = ("node", "start", "end", "state")
_OPTIONAL = ("reason", "cluster", "user")
_SACCTMGR = {"nodename": "node", "timestart": "start", "timeend": "end"}  # what sacctmgr calls them
_STATE = re.compile(r"(?:.*[A-Z_])?", re.DOTALL)  # without the signs behind it
_CUT = re.compile(r"NodeName +TimeStart|Node Name +Start")  # its table for the eye
_OFF_SUFFIX = frozenset("~%")
_REASON_LIMIT = 1_024


@dataclass(frozen=True, slots=True)
class StateRecord:
    """A node in a state, in [start, end)."""

    line: int
    node: str
    start_ms: int
    end_ms: int | None  # None: it lasts
    state: str  # as the batch system spells it
    is_off: bool
    reason: str = ""


States = tuple[list[StateRecord], list[Refusal], list[str]]


def read_states(source: Source, options: ParseOptions, off_states: Collection[str] = ()) -> States:
    """The states of a file, what was refused, and warnings; ``off_states`` are off besides `OFF_STATES`."""
    lines = Lines(source.lines())
    first = next((text for _, text in lines if text.strip()), "")
    by_bars = "|" in first
    if not by_bars and _CUT.search(first):
        raise UnusableFile(
            f"{source.name}: columns of sacctmgr cut to a width; ask for TZ=UTC sacctmgr --parsable2 show event"
        )
    names = _names(first)
    trailing = by_bars and names[-1:] == [""]  # --parsable ends every row with a bar
    names = names[:-1] if trailing else names
    columns, warnings = header(names, _REQUIRED, _OPTIONAL, source.name)
    rows = (
        _bar_rows(lines, columns, trailing=trailing)
        if by_bars
        else csv_rows(lines, len(columns), header_of([first])[1])
    )
    off = OFF_STATES | {state.upper() for state in off_states}
    clock = Clock(options.time_zone)
    records: list[StateRecord] = []
    refusals: list[Refusal] = []
    for line, text, row in rows:
        try:
            if isinstance(row, RowRefused):
                raise row
            records += _records(line, fields_of(columns, row), clock, off)
        except RowRefused as refused:
            refusals.append(Refusal(refused.reason, line, str(refused)[:TEXT_LIMIT], text[:TEXT_LIMIT]))
            require_few(len(refusals), source.name)
        if len(records) > STATES_LIMIT:
            raise UnusableFile(f"{source.name}: more than {STATES_LIMIT} states; give a shorter period")
    refusals += source.take_refusals()
    return records, sorted(refusals, key=lambda refusal: refusal.line), warnings


def heads_states(line: str) -> bool:
    """Whether a line is the header of such a file."""
    return set(_REQUIRED) <= {name.strip().lower() for name in _names(line)}


def _names(header_line: str) -> list[str]:
    """The columns of a header, as they are called here."""
    names = header_line.split("|") if "|" in header_line else header_of([header_line])[0]
    return [_SACCTMGR.get(name.strip().lower(), name) for name in names]


def _bar_rows(lines: Lines, columns: list[str], *, trailing: bool) -> Iterator[tuple[int, str, list[str] | RowRefused]]:
    """Rows of sacctmgr; surplus bars belong to the reason, the one free text."""
    for line, text in lines:
        if not text.strip():
            continue
        fields = (text.removesuffix("|") if trailing else text).split("|")
        surplus = len(fields) - len(columns)
        if surplus > 0 and "reason" in columns:
            at = columns.index("reason")
            fields[at : at + surplus + 1] = ["|".join(fields[at : at + surplus + 1])]
        if len(fields) != len(columns):
            yield line, text, RowRefused("wrong number of fields", f"{len(fields)} instead of {len(columns)}")
        else:
            yield line, text, fields


def _records(line: int, row: Fields, clock: Clock, off: Collection[str]) -> list[StateRecord]:
    """One record a host; an event of the whole cluster names no node and is left out."""
    if not row["node"]:
        return []
    starts, ends = clock.instants(row["start"]), clock.instants(row["end"])
    if not starts:
        raise RowRefused("no start time")
    if len(starts) > 1 or len(ends) > 1:
        raise RowRefused("ambiguous local time", "give it with an offset, or export with TZ=UTC")
    end_ms = ends[0] if ends else None
    if end_ms is not None and end_ms < starts[0]:
        raise RowRefused("end before start", f"{row['start']} to {row['end']}")
    if not row["state"]:
        raise RowRefused("no state")
    record = StateRecord(
        line,
        "",
        starts[0],
        end_ms,
        clean(row["state"], 64),
        _is_off(row["state"], off),
        clean(row.get("reason", ""), _REASON_LIMIT),
    )
    return [replace(record, node=host) for host in hosts_of(row["node"])]


def is_off(state: str, off_states: Collection[str] = ()) -> bool:
    """Whether a node in a state draws no power; ``off_states`` say so besides `OFF_STATES`."""
    return _is_off(state, OFF_STATES | {word.upper() for word in off_states})


def _is_off(state: str, off: Collection[str]) -> bool:
    """``DOWN*+POWERED_DOWN``, ``IDLE~``: words joined by plus signs, each with signs of what else holds."""
    words = state.upper().split("+")
    return any(_said(word) in off or bool(_OFF_SUFFIX & set(word[-2:])) for word in words)


def _said(word: str) -> str:
    """A word without the signs behind it."""
    found = _STATE.match(word)
    return found[0] if found else ""
