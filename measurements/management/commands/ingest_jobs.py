"""Takes job records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from measurements.management.base import JoulebookCommand, cluster_named, known_format, now, time_zone
from measurements.management.ingesting import ingest_all
from measurements.parsers.detect_jobs import JOB_PARSERS, detect_jobs
from measurements.parsers.records import ParseOptions
from measurements.parsers.source import Source
from measurements.services.batches import IngestReport
from measurements.services.ingest_jobs import JobsInput, ingest_jobs


class Command(JoulebookCommand):
    """See help."""

    help = "Store job records (docs/formats.md) and mark what they change; attribute books it."

    def add_arguments(self, parser: CommandParser) -> None:
        """PATH… and what the records do not say themselves."""
        parser.add_argument("paths", nargs="+", metavar="PATH", help="file, folder, or - for standard input")
        parser.add_argument("--cluster", required=True, metavar="C")
        parser.add_argument("--format", metavar="F", help="the format, where it is not to be detected")
        parser.add_argument("--time-zone", type=time_zone, metavar="Z", help="the zone of naive times")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, store nothing")
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Each path is a batch of its own."""
        known_format(options["format"], JOB_PARSERS)
        cluster = cluster_named(options["cluster"])
        parse = ParseOptions(time_zone=options["time_zone"])

        def take(source: Source, progress: Callable[[int], None]) -> IngestReport:
            parser = detect_jobs(source, options["format"])
            what = JobsInput(parser, parser.name, parse)
            return ingest_jobs(cluster, source, what, now(), dry_run=options["dry_run"], progress=progress)

        ingest_all(self, options["paths"], " jobs", take, as_json=options["json"])
