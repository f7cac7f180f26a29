"""What ingest_power and ingest_jobs share: several inputs, one report, one exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from measurements.management.base import NOTHING_USABLE, USAGE, JoulebookCommand, now
from measurements.models import Cluster
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source
from measurements.services.batches import IngestReport
from measurements.services.intake import queue
from measurements.services.quarantine import RefusedCount

Take = Callable[[Source, Callable[[int], None]], IngestReport]


def ingest_all(command: JoulebookCommand, paths: list[str], unit: str, take: Take, *, as_json: bool) -> None:
    """Take each input; report; exit with 1 if nothing in any of them was usable."""
    reports: list[IngestReport] = []
    for path in paths:
        try:
            with command.sources([path]) as sources:
                reports += [_take_one(command, source, unit, take) for source in sources]
        except CommandError as fault:  # not there, or not readable: the others go in
            command.say(f"refused: {fault}")
            reports.append(_unusable(path, str(fault)))
    if as_json:
        command.print_json(_merged(reports))
    if not any(report.usable for report in reports):
        sys.exit(NOTHING_USABLE)


def add_queue(parser: CommandParser) -> None:
    """Offer --queue."""
    parser.add_argument("--queue", action="store_true", help="only keep a copy of each file: the workers take it in")


def queue_all(
    command: JoulebookCommand, cluster: Cluster, content: str, said: dict[str, Any], options: dict[str, Any]
) -> None:
    """Leave the inputs to the workers."""
    if options["dry_run"]:
        raise CommandError("--dry-run and --queue: use one of them", returncode=USAGE)
    queued: list[int] = []
    for path in options["paths"]:
        try:
            with command.sources([path]) as sources:
                queued += [queue(cluster, content, source, said, now()).pk for source in sources]
        except (CommandError, UnusableFile) as fault:
            command.say(f"refused: {fault}")
    command.say(f"{len(queued)} files queued")
    if options["json"]:
        command.print_json({"queued": queued})
    if not queued:
        sys.exit(NOTHING_USABLE)


def _take_one(command: JoulebookCommand, source: Source, unit: str, take: Take) -> IngestReport:
    try:
        with command.progress(unit) as progress:
            report = take(source, progress)
    except UnusableFile as fault:
        command.say(f"refused: {fault}")
        return _unusable(source.name, str(fault))
    _tell(command, report)
    return report


def _unusable(name: str, reason: str) -> IngestReport:
    return IngestReport(name, None, 1, 0, 0, [RefusedCount("unusable file", 1, 1, reason)])


def _tell(command: JoulebookCommand, report: IngestReport) -> None:
    refused = sum(row.count for row in report.refused)
    command.say(
        f"{report.source}: {report.read} read, {report.stored} stored, "
        f"{report.duplicates} known already, {refused} refused"
    )
    if report.pending:
        command.say(f"  {report.pending} are for sealed days and wait as pending corrections")
    for warning in report.warnings:
        command.say(f"  note: {warning}")
    for row in report.refused:
        command.say(f"  {row.count} × {row.reason}, first on line {row.first_line}: {row.example}")
    if not report.usable and not report.refused:
        command.say("  nothing in it to take: it has no records, or all of them say that nothing was measured")


def _merged(reports: list[IngestReport]) -> dict[str, Any]:
    refused: dict[str, RefusedCount] = {}
    for report in reports:
        for row in report.refused:
            known = refused.get(row.reason)
            count = row.count + (known.count if known else 0)
            refused[row.reason] = RefusedCount(row.reason, count, known.first_line if known else row.first_line)
    batches = [report.batch for report in reports]
    return {
        "batch": batches[0] if len(batches) == 1 else batches,
        "read": sum(report.read for report in reports),
        "stored": sum(report.stored for report in reports),
        "duplicates": sum(report.duplicates for report in reports),
        "refused": [
            {"reason": row.reason, "count": row.count, "first_line": row.first_line} for row in refused.values()
        ],
        "pending": sum(report.pending for report in reports),
        "warnings": [warning for report in reports for warning in report.warnings],
    }
