"""Keeps the sample store in order."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from measurements.management.base import JoulebookCommand, cluster_named, now
from measurements.models import Cluster
from measurements.services.upkeep import tend


class Command(JoulebookCommand):
    """See help."""

    help = "Compact the sample files of days that are over, fold those of open days, sweep what nothing refers to."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which cluster."""
        parser.add_argument("--cluster", metavar="C", help="default: all clusters")
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """One cluster after the other; run it hourly."""
        clusters = [cluster_named(options["cluster"])] if options["cluster"] else list(Cluster.objects.all())
        done = {"compacted": 0, "folded": 0, "swept": 0}
        for cluster in clusters:
            with self.progress(" days") as progress:
                for name, count in tend(cluster, now(), progress).items():
                    done[name] += count
        self.say(f"{done['compacted']} segments compacted, {done['folded']} folded, {done['swept']} files swept")
        if options["json"]:
            self.print_json(done)
