"""Declares that another source feeds channels from a UTC day on."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from measurements.domain.hostlist import HostlistError, compress, expand
from measurements.management.base import NOTHING_USABLE, USAGE, JoulebookCommand, cluster_named, utc_day
from measurements.services.channel_sources import Chosen, NotChangeable, SourceChange, change_source

ALL = "all"


class Command(JoulebookCommand):
    """See help."""

    help = (
        "Declare from which UTC day on another source feeds channels: samples of it that were refused as 'another "
        "source feeds this channel' go in with replay afterwards. Doing it twice changes nothing. docs/formats.md."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which source, from when on, of which channels."""
        parser.add_argument("--cluster", required=True, metavar="C")
        parser.add_argument("--source", required=True, metavar="X", help="what feeds them then: redfish, pdu, …")
        parser.add_argument(
            "--from", required=True, type=utc_day, metavar="D", dest="day", help="first UTC day on which it does"
        )
        parser.add_argument("--nodes", metavar="LIST", help="of these nodes alone, as n[001-100]; default: all")
        parser.add_argument(
            "--channel", metavar="NAME", nargs="+", action="extend", help=f"channels of these names, or {ALL}"
        )
        parser.add_argument("--instead-of", metavar="Y", help="those alone that this source feeds until then")
        parser.add_argument("--dry-run", action="store_true", help="say what would change, store nothing")
        self.add_json(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Declare it, and say of how many."""
        cluster = cluster_named(options["cluster"])
        chosen, dry_run = _chosen(options), options["dry_run"]
        try:
            done = change_source(cluster, options["source"], options["day"], chosen, dry_run=dry_run)
        except NotChangeable as fault:
            raise CommandError(str(fault), returncode=NOTHING_USABLE) from fault
        for note in _notes(done):
            self.say(f"note: {note}")
        if options["json"]:
            self.print_json(_as_json(done) | {"cluster": cluster.name, "dry_run": dry_run})
        if not (done.changed or done.already_so):
            raise CommandError(f"{cluster.name} has no such channel", returncode=NOTHING_USABLE)
        if not options["json"]:
            self.stdout.write(_words(done, dry_run=dry_run))


def _chosen(options: dict[str, Any]) -> Chosen:
    names, instead_of = options["channel"], options["instead_of"]
    if not names and instead_of is None:
        raise CommandError(
            "say which channels, for GPUs and packages have other sources than their node: "
            f"--channel node, --instead-of SOURCE, or --channel {ALL}",
            returncode=USAGE,
        )
    try:
        nodes = None if options["nodes"] is None else expand(options["nodes"])
    except HostlistError as fault:
        raise CommandError(f"--nodes: {fault}", returncode=USAGE) from fault
    return Chosen(nodes, None if not names or ALL in names else names, instead_of=instead_of)


def _words(done: SourceChange, *, dry_run: bool) -> str:
    if not done.changed:
        return f"nothing changes; {_count(done.already_so, 'channel')} fed so already from {done.day} on"
    before = ", ".join(f"{count} of {name or 'nobody'}" for name, count in sorted(done.instead_of.items()))
    words = f"from {done.day} on {done.source} {'would feed' if dry_run else 'feeds'} {_count(done.changed, 'channel')}"
    words += f" of {_count(done.nodes, 'node')} (until then: {before})"
    words += f"; {done.already_so} fed so already" if done.already_so else ""
    return words + (f"; booked anew: {_count(done.nodes_booked_anew, 'node')}" if done.nodes_booked_anew else "")


def _notes(done: SourceChange) -> list[str]:
    notes = []
    if done.later:
        notes.append(
            f"of {_count(done.later, 'channel')} another source is declared from a later day on: that holds then"
        )
    if done.unknown_nodes:
        notes.append(f"not known as nodes: {compress(done.unknown_nodes)}")
    if done.without_channel:
        notes.append(f"no such channel yet, whatever comes first feeds it: {compress(done.without_channel)}")
    return notes


def _count(count: int, name: str) -> str:
    return f"{count} {name}{'s' if count != 1 else ''}"


def _as_json(done: SourceChange) -> dict[str, Any]:
    return {
        "source": done.source,
        "from": done.day.isoformat(),
        "changed": done.changed,
        "already_so": done.already_so,
        "nodes": done.nodes,
        "nodes_booked_anew": done.nodes_booked_anew,
        "instead_of": dict(sorted(done.instead_of.items())),
        "other_source_later": done.later,
        "unknown_nodes": list(done.unknown_nodes),
        "without_channel": list(done.without_channel),
    }
