"""Slurm's nodes: what they are, the events of accounting, and which are switched off at the moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from measurements.feeds.slurm_commands import Commands, run
from measurements.parsers.node_states import StateRecord, is_off

_EVENT_FIELDS = "format=nodename,timestart,timeend,state,reason"


def described(slurm: Commands, spool: Path) -> Path:
    """What the controller says of all nodes."""
    path = spool / "nodes"
    run(slurm, "scontrol", "--oneliner", "show", "node", into=path)
    return path


def events(slurm: Commands, start_ms: int, end_ms: int, spool: Path) -> Path:
    """When nodes went down, were drained or switched off in [start, end), and when that was over."""
    path = spool / "events"
    times = (f"start={_utc(start_ms)}", f"end={_utc(end_ms)}")
    clusters = (f"clusters={slurm.cluster}",) if slurm.cluster else ()
    run(slurm, "sacctmgr", "--parsable2", "show", "event", *clusters, *times, _EVENT_FIELDS, into=path)
    return path


def off_now(slurm: Commands, spool: Path, off_states: Collection[str]) -> dict[str, str]:
    """The nodes that draw no power now, each with its state: powered down, or in one of the site's own."""
    path = spool / "sinfo"
    run(slurm, "sinfo", "--noheader", "--Node", "--format=%N|%T", into=path)
    found = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        node, _, state = line.strip().partition("|")
        if node and state and is_off(state, off_states):
            found[node] = state.upper()
    return found


def snapshot(
    now_off: Mapping[str, str], known: Mapping[str, tuple[str, int, str]], now_ms: int, reason: str
) -> list[StateRecord]:
    """Begin what is off and was not, end what a look began and is over; ``known`` has state, start and reason."""
    return [*_begun(now_off, known, now_ms, reason), *_over(now_off, known.items(), now_ms, reason)]


def _begun(
    now_off: Mapping[str, str], known: Mapping[str, tuple[str, int, str]], now_ms: int, reason: str
) -> Iterator[StateRecord]:
    for node, state in now_off.items():
        if node not in known:
            yield StateRecord(0, node, now_ms, None, state, is_off=True, reason=reason)


def _over(
    now_off: Mapping[str, str], known: Iterable[tuple[str, tuple[str, int, str]]], now_ms: int, reason: str
) -> Iterator[StateRecord]:
    for node, (state, start_ms, why) in known:
        if why == reason and node not in now_off:
            yield StateRecord(0, node, start_ms, max(now_ms, start_ms), state, is_off=True, reason=reason)


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
