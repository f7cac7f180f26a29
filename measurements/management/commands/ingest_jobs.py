"""Takes job records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from measurements.management.base import JoulebookCommand, cluster_named, known_format, now, time_zone
from measurements.management.ingesting import add_queue, ingest_all, queue_all
from measurements.models import Intake
from measurements.parsers.detect_jobs import JOB_PARSERS
from measurements.parsers.source import Source
from measurements.services.batches import IngestReport
from measurements.services.taking import take_jobs


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
        add_queue(parser)
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Each path is a batch of its own."""
        known_format(options["format"], JOB_PARSERS)
        cluster = cluster_named(options["cluster"])
        zone = options["time_zone"]
        said = {"format": options["format"], "time_zone": str(zone) if zone else None}
        if options["queue"]:
            queue_all(self, cluster, Intake.Content.JOBS, said, options)
            return

        def take(source: Source, progress: Callable[[int], None]) -> IngestReport:
            return take_jobs(cluster, source, said, now(), dry_run=options["dry_run"], progress=progress)

        ingest_all(self, options["paths"], " jobs", take, as_json=options["json"])
