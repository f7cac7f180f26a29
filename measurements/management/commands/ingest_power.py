"""Takes power logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from measurements.domain.units import UJ_PER_J
from measurements.management.base import JoulebookCommand, cluster_named, known_format, now, seconds, time_zone
from measurements.management.ingesting import ingest_all
from measurements.parsers.detect import POWER_PARSERS, detect_power
from measurements.parsers.records import ParseOptions
from measurements.parsers.source import Source
from measurements.services.batches import IngestReport
from measurements.services.ingest_power import PowerInput, ingest_power
from measurements.services.machine import Declaration


class Command(JoulebookCommand):
    """See help."""

    help = "Store the samples of power logs (docs/formats.md) and mark what they change; attribute books it."

    def add_arguments(self, parser: CommandParser) -> None:
        """PATH… and what the logs do not say themselves."""
        parser.add_argument("paths", nargs="+", metavar="PATH", help="file, folder, or - for standard input")
        parser.add_argument("--cluster", required=True, metavar="C")
        parser.add_argument("--format", metavar="F", help="the format, where it is not to be detected")
        parser.add_argument("--node", metavar="N", help="the node, of a log that names none")
        parser.add_argument("--channel", metavar="CH", help="the channel, of a log that names none (default: node)")
        parser.add_argument("--time-zone", type=time_zone, metavar="Z", help="the zone of naive times")
        parser.add_argument("--interval", type=seconds, metavar="S", help="the nominal interval of its channels [s]")
        parser.add_argument("--max-gap", type=seconds, metavar="S", help="the longest gap to bridge [s]")
        parser.add_argument("--wrap-joules", type=float, metavar="J", help="its counters wrap at this [J]")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, store nothing")
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Each path is a batch of its own."""
        known_format(options["format"], POWER_PARSERS)
        cluster = cluster_named(options["cluster"])
        parse = ParseOptions(options["node"], options["channel"], options["time_zone"], options["interval"])
        wrap = options["wrap_joules"]
        declaration = Declaration(
            options["interval"], options["max_gap"], None if wrap is None else round(wrap * UJ_PER_J)
        )

        def take(source: Source, progress: Callable[[int], None]) -> IngestReport:
            parser = detect_power(source, options["format"])
            what = PowerInput(parser.read, parser.name, parse, declaration)
            return ingest_power(cluster, source, what, now(), dry_run=options["dry_run"], progress=progress)

        ingest_all(self, options["paths"], " samples", take, as_json=options["json"])
