"""Which job holds which GPU, as a prolog or an agent sends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db import DatabaseError, InterfaceError

from measurements.domain.units import MS_PER_S, ms_from_datetime
from measurements.models import GpuHold, Token
from measurements.parsers.gpu_holds import GpuHoldRecord
from measurements.parsers.times import TimeRefused, parse_instant
from measurements.services.gpu_holds import HoldsReport, take
from measurements.services.push import NotDurable
from measurements.services.tokens import note_uses
from portal.push_body import Refused

MOST_HOLDS = 10_000
VIAS = (GpuHold.Via.PROLOG, GpuHold.Via.AGENT)  # what comes from the controller is asked for, never pushed


def take_holds(token: Token, document: Mapping[str, Any], now: datetime) -> tuple[int, dict[str, Any]]:
    """Keep the holds of a body; status and what became of them. A hold of the wrong form refuses the body."""
    said = document.get("holds")
    if not isinstance(said, list) or len(said) > MOST_HOLDS:
        raise Refused(422, f'no list "holds" of {MOST_HOLDS} at most')
    by_via: dict[str, list[GpuHoldRecord]] = {}
    for place, row in enumerate(said, start=1):
        via, record = _record(row, place, ms_from_datetime(now))
        by_via.setdefault(via, []).append(record)
    total = HoldsReport()
    try:
        for via, records in sorted(by_via.items()):
            report = take(token.cluster, records, via, now)
            total.stored, total.known = total.stored + report.stored, total.known + report.known
            total.applied, total.waiting = total.applied + report.applied, report.waiting
            total.refused += report.refused
        note_uses([(token, max((r.seen_ms for rows in by_via.values() for r in rows), default=None))], now)
    except (DatabaseError, InterfaceError, OSError) as fault:
        raise NotDurable(str(fault)) from fault
    usable = bool(total.stored + total.known) or not said
    return (200 if usable else 422), total.as_json() | ({} if usable else {"detail": "nothing of it is usable"})


def _record(row: Any, place: int, now_ms: int) -> tuple[str, GpuHoldRecord]:
    if not isinstance(row, dict):
        raise Refused(422, f"hold {place}: no object")
    job, node, gpu, index = row.get("job_id"), row.get("node"), row.get("gpu"), row.get("index")
    if isinstance(gpu, int) and not isinstance(gpu, bool):
        gpu, index = None, gpu
    if isinstance(job, int) and not isinstance(job, bool):
        job = str(job)
    faults = list(_faults(job, node, gpu, index))
    if faults:
        raise Refused(422, f"hold {place}: {faults[0]}")
    via = row.get("via", GpuHold.Via.PROLOG)
    if via not in VIAS:
        raise Refused(422, f'hold {place}: "via" is {" or ".join(VIAS)}')
    seen_ms = _instant(row.get("seen"), place, now_ms)
    uuid = gpu if isinstance(gpu, str) else ""
    return str(via), GpuHoldRecord(str(job), str(node), seen_ms, uuid, -1 if index is None else int(index))


def _faults(job: Any, node: Any, gpu: Any, index: Any) -> Iterator[str]:
    if not isinstance(job, str) or not job:
        yield '"job_id" is missing'
    if not isinstance(node, str) or not node:
        yield '"node" is missing'
    if gpu is not None and not isinstance(gpu, str):
        yield '"gpu" is no UUID'
    if index is not None and (isinstance(index, bool) or not isinstance(index, int) or not 0 <= index <= 1_023):
        yield '"index" is no index of a GPU'
    if not gpu and index is None:
        yield 'neither "gpu" (a UUID) nor "index"'


def _instant(value: Any, place: int, now_ms: int) -> int:
    """When it was seen: epoch seconds or ISO 8601 with an offset; now, where nothing is said."""
    if value is None:
        return now_ms
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Refused(422, f'hold {place}: "seen" is no time')
    if isinstance(value, int | float):
        return round(value * MS_PER_S) if 0 <= value < 1e12 else _no_time(place)
    try:
        return parse_instant(value, None, now_ms)
    except TimeRefused as refused:
        raise Refused(422, f'hold {place}: "seen": {refused}') from refused


def _no_time(place: int) -> int:
    raise Refused(422, f'hold {place}: "seen" is no time in epoch seconds')
