"""Seals days, and deletes the samples of sealed ones."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from measurements.management.base import NOTHING_USABLE, JoulebookCommand, cluster_named, now, utc_day
from measurements.services.upkeep import NotBooked, delete_sealed_samples, seal


class Command(JoulebookCommand):
    """See help."""

    help = (
        "Seal a cluster's days before a UTC day: the ledger of a sealed day never changes again. "
        "Input for it is kept as a pending correction."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which cluster, up to when."""
        parser.add_argument("--cluster", required=True, metavar="C")
        parser.add_argument("--before", required=True, type=utc_day, metavar="D", help="first UTC day that stays open")
        parser.add_argument(
            "--delete-samples",
            action="store_true",
            help="delete the samples of sealed days, but for those that an open day still reads",
        )
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Seal, then delete if asked."""
        cluster = cluster_named(options["cluster"])
        try:
            days = seal(cluster, options["before"], now())
        except NotBooked as fault:
            raise CommandError(str(fault), returncode=NOTHING_USABLE) from fault
        deleted = delete_sealed_samples(cluster) if options["delete_samples"] else 0
        self.say(f"{cluster}: {len(days)} days sealed, {deleted} samples deleted")
        if options["json"]:
            self.print_json({"sealed": [day.isoformat() for day in days], "deleted_samples": deleted})
