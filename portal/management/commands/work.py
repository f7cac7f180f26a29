"""Does the workers' work in the foreground."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Any

from django.core.management.base import CommandParser

from measurements.management.base import JoulebookCommand
from measurements.services.intake import Stopped
from workers.loop import Loop

LEFT = 1


class Command(JoulebookCommand):
    """See help."""

    help = (
        "Take in queued files and the inbox, book what is dirty, keep the store in order, until stopped. "
        "Needs no Redis; any number may run beside each other and beside Celery's workers."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """How long."""
        parser.add_argument("--once", action="store_true", help="end as soon as nothing is left to do")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit with 1 if something was left: somebody else is at it, or it failed and is tried again later."""
        loop = Loop(f"{socket.gethostname()}/{os.getpid()}", between_s=0)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.stopping.set())
        if not options["once"]:
            loop.run()
            return
        try:
            done = loop.finish()
        except Stopped:
            done = False
        if not done:
            sys.exit(LEFT)
