"""One file, by whoever it is taken: what the operator said, the parser for it, and the service that stores it.

Options are called as those of the commands (``time_zone``, ``interval`` in seconds, …), in a form that JSON can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings

from measurements.domain.units import MS_PER_S, UJ_PER_J, ms_from_datetime
from measurements.models import Cluster, Intake
from measurements.parsers.detect import PowerParser, detect_power
from measurements.parsers.detect_jobs import detect_jobs
from measurements.parsers.detect_nodes import detect_nodes
from measurements.parsers.node_states import read_states
from measurements.parsers.records import JobChunk, ParseOptions, PowerChunk, UnusableFile
from measurements.parsers.source import Source
from measurements.parsers.times import TimeRefused, parse_instant
from measurements.services.batches import IngestReport
from measurements.services.catalogues import OWN_MAPPINGS
from measurements.services.channels import Declaration
from measurements.services.ingest_jobs import JobsInput, ingest_jobs
from measurements.services.ingest_power import PowerInput, ingest_power
from measurements.services.machine import load_nodes
from measurements.services.quarantine import QuarantineDraft
from measurements.services.states import load_states

Options = Mapping[str, Any]
Progress = Callable[[int], None]
Chunk = TypeVar("Chunk")
Read = Callable[[Source, ParseOptions, int], Iterator[Chunk]]
Watch = Callable[[Iterator[Chunk]], Iterator[Chunk]]

_COMMON = {"format", "time_zone"}
KNOWN_OPTIONS = {
    Intake.Content.POWER: _COMMON
    | {"node", "channel", "rename", "interval", "max_gap", "wrap_joules", "at", "precision"},
    Intake.Content.JOBS: _COMMON,
    Intake.Content.NODES: _COMMON,
    Intake.Content.STATES: {"time_zone", "off_states"},
}
FAULT = "fault"  # in place of options that could not be read: the sentence that says why
_NUMBERS = {"interval", "max_gap", "wrap_joules"}
_LISTS = {"rename", "off_states"}


def check_options(content: str, options: object) -> None:
    """Raise `UnusableFile` where an option is none, or is not of its kind."""
    if not isinstance(options, Mapping):
        raise UnusableFile("the options are no JSON object")
    known = KNOWN_OPTIONS[Intake.Content(content)]
    for name, value in options.items():
        if name == FAULT:
            raise UnusableFile(str(value))
        if name not in known:
            raise UnusableFile(f"no option {name!r} for {content}; known: {', '.join(sorted(known))}")
        kind = float | int if name in _NUMBERS else list if name in _LISTS else str
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise UnusableFile(f"the option {name!r} can't be {value!r}")


def take(
    content: str, cluster: Cluster, source: Source, options: Options, now: datetime, progress: Progress | None = None
) -> IngestReport:
    """Take a file of any content; `UnusableFile` says why nothing of it can be read."""
    check_options(content, options)
    match Intake.Content(content):
        case Intake.Content.POWER:
            return take_power(cluster, source, options, now, progress=progress)
        case Intake.Content.JOBS:
            return take_jobs(cluster, source, options, now, progress=progress)
        case Intake.Content.NODES:
            return take_nodes(cluster, source, options)
        case Intake.Content.STATES:
            return take_states(cluster, source, options)


def take_power(
    cluster: Cluster,
    source: Source,
    options: Options,
    now: datetime,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    watch: Watch[PowerChunk] | None = None,
) -> IngestReport:
    """Take a power log; ``watch`` is given what the parser gives, and passes it on."""
    interval_ms, wrap_j = _ms(options.get("interval")), options.get("wrap_joules")
    parser = detect_power(source, options.get("format"))
    wrap_uj = None if wrap_j is None else round(wrap_j * UJ_PER_J)
    declaration = Declaration(interval_ms, _ms(options.get("max_gap")), wrap_uj)
    parse = power_options(parser, options, now)
    what = PowerInput(_watched(parser.read, watch), parser.name, parse, declaration, parser.named(source.name))
    return ingest_power(cluster, source, what, now, dry_run=dry_run, progress=progress)


def power_options(parser: PowerParser, options: Options, now: datetime) -> ParseOptions:
    """What was said of a power log, as its parser takes it."""
    return ParseOptions(
        options.get("node"),
        options.get("channel"),
        zone_of(options),
        _ms(options.get("interval")),
        tuple((column, name) for column, name in options.get("rename") or ()),
        _at(options, now),
        Path(settings.JOULEBOOK_VAR) / OWN_MAPPINGS if parser.by_mappings else None,
        options.get("precision"),
    )


def take_jobs(
    cluster: Cluster,
    source: Source,
    options: Options,
    now: datetime,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    watch: Watch[JobChunk] | None = None,
) -> IngestReport:
    """Take job records; ``watch`` as for power."""
    parser = detect_jobs(source, options.get("format"))
    what = JobsInput(_watched(parser, watch), parser.name, ParseOptions(time_zone=zone_of(options)))
    return ingest_jobs(cluster, source, what, now, dry_run=dry_run, progress=progress)


def take_nodes(cluster: Cluster, source: Source, options: Options) -> IngestReport:
    """Take a description of nodes."""
    parser = detect_nodes(source, options.get("format"))
    records, refusals, warnings = parser(source, ParseOptions(time_zone=zone_of(options)))
    if not records:
        raise UnusableFile(f"{source.name}: no node in it")
    done = load_nodes(cluster, records)
    refused = QuarantineDraft()
    refused.add(refusals)
    return IngestReport(
        source.name,
        None,
        len(records) + len(refusals),
        done.created + done.changed,
        done.unchanged,
        refused.counts(),
        warnings=[*warnings, *done.notes],
        quarantine=refused,
    )


def take_states(cluster: Cluster, source: Source, options: Options) -> IngestReport:
    """Take states of nodes."""
    parse = ParseOptions(time_zone=zone_of(options))
    records, refusals, warnings = read_states(source, parse, options.get("off_states") or ())
    done = load_states(cluster, records)
    refused = QuarantineDraft()
    refused.add(refusals)
    names = sorted({record.node for record in done.unknown})
    notes = [f"nodes that are not known here: {', '.join(names)}"] if names else []
    return IngestReport(
        source.name,
        None,
        len(records) + len(refusals),
        done.created + done.changed,
        done.unchanged,
        refused.counts(),
        warnings=[*warnings, *notes],
        quarantine=refused,
    )


def _watched(read: Read[Chunk], watch: Watch[Chunk] | None) -> Read[Chunk]:
    if watch is None:
        return read
    return lambda source, parse, now_ms: watch(read(source, parse, now_ms))


def zone_of(options: Options) -> ZoneInfo | None:
    name = options.get("time_zone")
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise UnusableFile(f"{name!r} is no time zone; give a name such as Europe/Berlin or UTC") from fault


def _at(options: Options, now: datetime) -> int | None:
    """When a snapshot was taken; a naive time is one of ``time_zone``, as those in files are."""
    text = options.get("at")
    try:
        return parse_instant(text, zone_of(options), ms_from_datetime(now)) if text else None
    except TimeRefused as refused:
        raise UnusableFile(f"at {refused}") from refused


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * MS_PER_S)
