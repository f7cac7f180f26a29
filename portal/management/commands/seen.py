"""Says whether something that runs again and again is alive: the health check of workers and beat."""

from __future__ import annotations

import socket
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from measurements.management.base import JoulebookCommand, now
from measurements.selectors.work import LATE_SWEEPS, SLACK_S, heartbeats

NOT_SEEN = 1


class Command(JoulebookCommand):
    """See help."""

    help = "Exit with 0 if the sweep, beat or this machine's Celery worker was seen lately, with 1 if not."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which of them."""
        parser.add_argument("name", choices=["sweep", "beat", "worker"])

    def handle(self, *args: Any, **options: Any) -> None:
        """One look at the heartbeats."""
        name = options["name"] if options["name"] != "worker" else f"worker celery@{socket.gethostname()}"
        seen = heartbeats(now()).get(name)
        self.say(f"{name}: seen {seen.age_s:.0f} s ago" if seen else f"{name}: not seen yet")
        if seen is None or seen.age_s > LATE_SWEEPS * settings.SWEEP_S + SLACK_S:
            sys.exit(NOT_SEEN)
