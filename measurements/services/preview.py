"""What a dry run says of a file, in a form that JSON can hold: recognised as what, whose, from when, what it would do.

Everything is made by the very services that take files, with nothing kept: what it says is what taking does.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from django.db import transaction

from measurements.domain.units import EPOCH_DAY, ms_from_datetime
from measurements.models import Cluster, Intake, Node, NodeAlias, NodeDay
from measurements.parsers.detect import PowerParser, detect_power
from measurements.parsers.detect_jobs import detect_jobs
from measurements.parsers.detect_nodes import detect_nodes
from measurements.parsers.node_states import read_states
from measurements.parsers.recognise import STATES_FORMAT
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.shapes import shape_of
from measurements.parsers.watched import Watched
from measurements.services.batches import IngestReport
from measurements.services.marks import sealed_days
from measurements.services.names import NodeNames
from measurements.services.preview_jobs import JobLook
from measurements.services.preview_power import CHANNELS_SHOWN, PowerLook
from measurements.services.taking import (
    Options,
    Progress,
    power_options,
    take_jobs,
    take_nodes,
    take_power,
    take_states,
    zone_of,
)

NAMES_SHOWN = 12
LINES_SHOWN = 5  # of those refused for one reason
REASONS_SHOWN = 30
WARNINGS_SHOWN = 30
TEXT_SHOWN = 300
PROBE_BYTES = 256 << 10  # of the beginning: do its times name their zone?
SOME_NODE = "some-node"
NO_ZONE = "time without zone"
Facts = dict[str, Any]


def preview(
    content: str, cluster: Cluster, source: Watched, options: Options, now: datetime, progress: Progress
) -> Facts:
    """What taking a file would do; `UnusableFile` says why nothing of it can be read."""
    match Intake.Content(content):
        case Intake.Content.POWER:
            facts, report = _power(cluster, source, options, now, progress)
        case Intake.Content.JOBS:
            facts, report = _jobs(cluster, source, options, now, progress)
        case Intake.Content.NODES:
            facts, report = _nodes(cluster, source, options)
        case Intake.Content.STATES:
            facts, report = _states(cluster, source, options)
    return facts | _of_report(report)


def glimpse(content: str, source: Watched, options: Options, now: datetime) -> Facts:
    """What is seen of a power log that can't be read so: its format, and whether its times lack a zone as well."""
    facts: Facts = {}
    if content == Intake.Content.POWER:
        with suppress(UnusableFile):
            parser = detect_power(source, options.get("format"))
            parse = power_options(parser, options, now)
            facts |= {"format": parser.name, "shape": asdict(shape_of(source, parser.name, parse))}
            naive = _power_is_naive(parser, source, parse, now)
            facts |= {} if naive is None else {"naive": naive}
    return facts


def _power(
    cluster: Cluster, source: Watched, options: Options, now: datetime, progress: Progress
) -> tuple[Facts, IngestReport]:
    parser = detect_power(source, options.get("format"))
    look = PowerLook()
    parse = power_options(parser, options, now)
    naive = _power_is_naive(parser, source, parse, now)
    report = take_power(cluster, source, options, now, dry_run=True, progress=progress, watch=look.watch)
    channels = look.channels()
    facts = {
        "format": parser.name,
        "naive": naive,
        "shape": asdict(shape_of(source, parser.name, parse)),
        "interval_s": look.interval_s,
        "channels": channels[:CHANNELS_SHOWN],
        "more_channels": max(len(channels) - CHANNELS_SHOWN, 0),
        "curve": look.curve(),
    }
    return facts | _span(look) | _whose(cluster, look.nodes) | _days(cluster, look.days), report


def _power_is_naive(parser: PowerParser, source: Watched, parse: ParseOptions, now: datetime) -> bool | None:
    """Whether its times name no zone; None where its beginning shows no time that is its own."""
    probe = Watched(source.path, source.name, source.folder, PROBE_BYTES)
    bare = replace(parse, time_zone=None, node=parse.node or SOME_NODE)
    seen = False
    try:
        for chunk in islice(parser.read(probe, bare, ms_from_datetime(now)), 2):
            if any(refusal.reason == NO_ZONE for refusal in chunk.refusals):
                return True
            seen |= bool((chunk.t_ms != parse.at_ms).any()) if parse.at_ms is not None else bool(len(chunk.t_ms))
    except UnusableFile as fault:
        return True if "--time-zone" in str(fault) else None
    return False if seen else None


def _jobs(
    cluster: Cluster, source: Watched, options: Options, now: datetime, progress: Progress
) -> tuple[Facts, IngestReport]:
    parser = detect_jobs(source, options.get("format"))
    look = JobLook()
    probe = Watched(source.path, source.name, source.folder, PROBE_BYTES)
    try:
        chunks = islice(parser(probe, ParseOptions(), ms_from_datetime(now)), 2)
        naive = any(refusal.reason == NO_ZONE for chunk in chunks for refusal in chunk.refusals)
    except UnusableFile:
        naive = None
    report = take_jobs(cluster, source, options, now, dry_run=True, progress=progress, watch=look.watch)
    facts = {"format": parser.name, "naive": naive, "jobs": look.facts()}
    return facts | _span(look) | _whose(cluster, look.nodes) | _days(cluster, look.days), report


def _nodes(cluster: Cluster, source: Watched, options: Options) -> tuple[Facts, IngestReport]:
    parser = detect_nodes(source, options.get("format"))
    with _nothing_kept():
        report = take_nodes(cluster, source, options)
    records = parser(source, ParseOptions(time_zone=zone_of(options)))[0]
    names = dict.fromkeys((record.node for record in records), 1)
    types: dict[str, int] = {}
    for record in records:
        types[record.node_type] = types.get(record.node_type, 0) + 1
    described = {"types": dict(sorted(types.items(), key=lambda row: -row[1])[:NAMES_SHOWN]), "more": len(types)}
    return {"format": parser.name, "described": described} | _whose(cluster, names, new=True), report


def _states(cluster: Cluster, source: Watched, options: Options) -> tuple[Facts, IngestReport]:
    with _nothing_kept():
        report = take_states(cluster, source, options)
    records = read_states(source, ParseOptions(time_zone=zone_of(options)), options.get("off_states") or ())[0]
    kinds: dict[str, int] = {}
    for record in records:
        kinds[record.state] = kinds.get(record.state, 0) + 1
    naive = any(refusal.reason == NO_ZONE for refusal in read_states(source, ParseOptions())[1])
    facts = {"format": STATES_FORMAT, "naive": naive, "states": dict(islice(kinds.items(), NAMES_SHOWN))}
    return facts | _whose(cluster, dict.fromkeys((record.node for record in records), 1)), report


@contextmanager
def _nothing_kept() -> Iterator[None]:
    """Whatever is written inside is taken back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _of_report(report: IngestReport) -> Facts:
    kept = report.quarantine
    rows = [
        {
            "reason": row.reason,
            "count": row.count,
            "first_line": row.first_line,
            "example": row.example[:TEXT_SHOWN],
            "lines": [(n, text[:TEXT_SHOWN]) for n, text in kept.first_lines(row.reason, LINES_SHOWN)] if kept else [],
        }
        for row in report.refused[:REASONS_SHOWN]
    ]
    return {
        "read": report.read,
        "stored": report.stored,
        "duplicates": report.duplicates,
        "pending": report.pending,
        "refused": rows,
        "refused_count": sum(row.count for row in report.refused),
        "warnings": [str(warning)[:TEXT_SHOWN] for warning in report.warnings[:WARNINGS_SHOWN]],
        "usable": report.usable,
    }


def _span(look: PowerLook | JobLook) -> Facts:
    return {"first_ms": look.first_ms, "last_ms": look.last_ms}


def _whose(cluster: Cluster, nodes: dict[str, int], *, new: bool = False) -> Facts:
    """Which nodes are known; of the others the first, with the known name that is nearest."""
    names = NodeNames(cluster)
    aliases = set(NodeAlias.objects.filter(node__cluster=cluster).values_list("alias", flat=True))
    unknown = [name for name in nodes if names.lookup(name) < 0 and name not in aliases]
    known = sorted(set(nodes) - set(unknown))
    here = list(Node.objects.filter(cluster=cluster).values_list("name", flat=True)[:5_000]) if not new else []
    near = {name: next(iter(difflib.get_close_matches(name, here, 1)), "") for name in unknown[:NAMES_SHOWN]}
    return {
        "nodes": {
            "here": len(here) if not new else None,
            "known": len(known),
            "first_known": known[:NAMES_SHOWN],
            "unknown": len(unknown),
            "first_unknown": [[name[:TEXT_SHOWN], near[name]] for name in unknown[:NAMES_SHOWN]],
        }
    }


def _days(cluster: Cluster, numbers: Collection[int]) -> Facts:
    """Which UTC days would be booked anew; those that have figures already, and those that are sealed."""
    days = sorted(_day(number) for number in numbers)
    if not days:
        return {"days": 0}
    sealed = sealed_days(cluster, days)
    booked = NodeDay.objects.filter(cluster=cluster, day__gte=days[0], day__lte=days[-1]).order_by()
    have = set(booked.values_list("day", flat=True).distinct()) & set(days)
    return {
        "days": len(days),
        "first_day": days[0].isoformat(),
        "last_day": days[-1].isoformat(),
        "booked_days": len(have),
        "sealed_days": len(sealed),
        "first_sealed": [day.isoformat() for day in sorted(sealed)[:NAMES_SHOWN]],
    }


def _day(number: int) -> date:
    return EPOCH_DAY + timedelta(days=number)
