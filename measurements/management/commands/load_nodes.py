"""Creates and updates a cluster's nodes."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from measurements.management.base import NOTHING_USABLE, USAGE, JoulebookCommand, known_format, time_zone
from measurements.parsers.detect_nodes import NODE_PARSERS, detect_nodes
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.source import Source
from measurements.services.machine import create_cluster, load_nodes


def _only(sources: list[Source], name: str) -> Source:
    if len(sources) != 1:
        raise CommandError(f"{name}: {len(sources)} files; give one", returncode=USAGE)
    return sources[0]


class Command(JoulebookCommand):
    """See help."""

    help = (
        "Create and update nodes from the plain nodes CSV, a ClusterCockpit cluster.json or "
        "'scontrol show node' (text or JSON). Creates the cluster."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """FILE --cluster C."""
        parser.add_argument("file", metavar="FILE", help="the description; - is standard input")
        parser.add_argument("--cluster", required=True, metavar="C", help="the cluster's name")
        parser.add_argument("--format", metavar="F", help="the format, where it is not to be detected")
        parser.add_argument("--time-zone", type=time_zone, metavar="Z", help="the zone of naive times")
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, then write in one transaction."""
        known_format(options["format"], NODE_PARSERS)
        try:
            cluster_name = options["cluster"]
            with self.sources([options["file"]]) as sources:
                source = _only(sources, options["file"])
                parser = detect_nodes(source, options["format"])
                records, refusals, warnings = parser(source, ParseOptions(time_zone=options["time_zone"]))
        except UnusableFile as fault:
            raise CommandError(str(fault), returncode=NOTHING_USABLE) from fault
        for warning in warnings:
            self.say(f"note: {warning}")
        for refusal in refusals:
            self.say(f"line {refusal.line}: {refusal.reason}: {refusal.detail or refusal.text}")
        if not records:
            self.say(f"{options['file']}: no node in it")
            sys.exit(NOTHING_USABLE)
        try:
            cluster = create_cluster(cluster_name)
        except ValueError as fault:
            raise CommandError(str(fault), returncode=USAGE) from fault
        report = load_nodes(cluster, records)
        for note in report.notes:
            self.say(f"note: {note}")
        self.say(f"{cluster}: {report.created} nodes new, {report.changed} changed, {report.unchanged} as before")
        if options["json"]:
            self.print_json(
                {
                    "cluster": cluster.name,
                    "created": report.created,
                    "changed": report.changed,
                    "unchanged": report.unchanged,
                    "refused": len(refusals),
                }
            )
