"""Takes power logs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from measurements.domain.units import MS_PER_S
from measurements.management.base import JoulebookCommand, cluster_named, known_format, now, seconds, time_zone
from measurements.management.ingesting import add_queue, ingest_all, queue_all
from measurements.models import Intake
from measurements.parsers.detect import POWER_PARSERS
from measurements.parsers.source import Source
from measurements.services.batches import IngestReport
from measurements.services.taking import take_power


def in_seconds(ms: int | None) -> float | None:
    """An argument in seconds, as it was given."""
    return None if ms is None else ms / MS_PER_S


def renamed(text: str) -> tuple[str, str]:
    """An argument that renames a column: what stands behind the last equals sign is the new name."""
    column, _, name = text.rpartition("=")
    if not column.strip() or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r}: give it as COLUMN=NAME, both as in the header")
    return column.strip(), name.strip()


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
        parser.add_argument(
            "--rename",
            action="append",
            default=[],
            type=renamed,
            metavar="COLUMN=NAME",
            help='read a column of a table, or a sensor of ipmitool, as another: "Rack 1 (W)=rack1", "PDB Power=node"',
        )
        parser.add_argument("--time-zone", type=time_zone, metavar="Z", help="the zone of naive times")
        parser.add_argument(
            "--at", metavar="TIME", help="when a snapshot that carries no time was taken, as 2025-03-01T12:00:00Z"
        )
        parser.add_argument(
            "--precision",
            choices=("ns", "us", "ms", "s"),
            help="what the time stamps of line protocol count (default: ns)",
        )
        parser.add_argument("--interval", type=seconds, metavar="S", help="the nominal interval of its channels [s]")
        parser.add_argument("--max-gap", type=seconds, metavar="S", help="the longest gap to bridge [s]")
        parser.add_argument("--wrap-joules", type=float, metavar="J", help="its counters wrap at this [J]")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, store nothing")
        add_queue(parser)
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Each path is a batch of its own."""
        known_format(options["format"], POWER_PARSERS)
        cluster = cluster_named(options["cluster"])
        said = {
            "format": options["format"],
            "node": options["node"],
            "channel": options["channel"],
            "rename": [list(pair) for pair in options["rename"]],
            "time_zone": str(options["time_zone"]) if options["time_zone"] else None,
            "interval": in_seconds(options["interval"]),
            "max_gap": in_seconds(options["max_gap"]),
            "wrap_joules": options["wrap_joules"],
            "at": options["at"],
            "precision": options["precision"],
        }
        if options["queue"]:
            queue_all(self, cluster, Intake.Content.POWER, said, options)
            return

        def take(source: Source, progress: Callable[[int], None]) -> IngestReport:
            return take_power(cluster, source, said, now(), dry_run=options["dry_run"], progress=progress)

        ingest_all(self, options["paths"], " samples", take, as_json=options["json"])
