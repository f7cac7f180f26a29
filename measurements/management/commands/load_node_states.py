"""Reads when nodes were down, drained or off."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from measurements.management.base import NOTHING_USABLE, JoulebookCommand, cluster_named, time_zone
from measurements.parsers.node_states import StateRecord, read_states
from measurements.parsers.records import ParseOptions, Refusal, UnusableFile
from measurements.services.states import StatesReport, load_states

UNKNOWN_SHOWN = 5


class Command(JoulebookCommand):
    """See help."""

    help = (
        "Read states of nodes from 'TZ=UTC sacctmgr --parsable2 show event' or CSV node,start,end,state[,reason]. "
        "Time without samples in which a node was off is off, not a gap."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """PATH… --cluster C."""
        parser.add_argument("paths", nargs="+", metavar="PATH", help="a file or folder; - is standard input")
        parser.add_argument("--cluster", required=True, metavar="C", help="the cluster's name")
        parser.add_argument("--time-zone", type=time_zone, metavar="Z", help="the zone of naive times")
        parser.add_argument(
            "--off-states",
            default="",
            metavar="S,S",
            help="states in which nodes are switched off too, such as DOWN (default: the powered-down ones)",
        )
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Read all, then write in one transaction."""
        cluster = cluster_named(options["cluster"])
        off_states = [word.strip() for word in options["off_states"].split(",") if word.strip()]
        records: list[StateRecord] = []
        refusals: list[Refusal] = []
        try:
            with self.sources(options["paths"]) as sources:
                for source in sources:
                    found = read_states(source, ParseOptions(time_zone=options["time_zone"]), off_states)
                    records += found[0]
                    refusals += found[1]
                    self._say_all(source.name, found[1], found[2])
        except UnusableFile as fault:
            raise CommandError(str(fault), returncode=NOTHING_USABLE) from fault
        report = load_states(cluster, records)
        self._report(cluster.name, report, len(refusals), as_json=options["json"])
        if not records or len(report.unknown) == len(records):
            sys.exit(NOTHING_USABLE)

    def _say_all(self, name: str, refusals: list[Refusal], warnings: list[str]) -> None:
        for warning in warnings:
            self.say(f"{name}: note: {warning}")
        for refusal in refusals:
            self.say(f"{name}: line {refusal.line}: {refusal.reason}: {refusal.detail or refusal.text}")

    def _report(self, cluster: str, report: StatesReport, refused: int, *, as_json: bool) -> None:
        names = sorted({record.node for record in report.unknown})
        if names:
            shown = ", ".join(names[:UNKNOWN_SHOWN]) + (" …" if len(names) > UNKNOWN_SHOWN else "")
            self.say(f"note: {len(names)} nodes are not known here: {shown}; describe them with load_nodes")
        self.say(f"{cluster}: {report.created} states new, {report.changed} changed, {report.unchanged} as before")
        if as_json:
            self.print_json(
                {
                    "cluster": cluster,
                    "created": report.created,
                    "changed": report.changed,
                    "unchanged": report.unchanged,
                    "unknown_nodes": names,
                    "refused": refused,
                }
            )
